"""What is checked, as rows of a table: client, operator, tokens, examples and events.

`operator_rows` takes any operator that has a `Site`; the others are about our client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import yaml
from attrs import frozen
from joserfc import jwk, jwt

from abonent.gateways.camara import CamaraGateway, CamaraLink, Grant
from abonent.gateways.camara.hints import SimSwapped, SubscriptionEnded, read_event
from abonent.transport import Request, Response
from tests.camara.agreed import agreed
from tests.camara.client import expected_reaction, question, reaction, walk, word
from tests.camara.operator import BACKCHANNEL_URL, CLIENT, PAIR, TOKEN_URL, CamaraOperator
from tests.camara.scenarios import read, run
from tests.camara.site import Site
from tests.camara.specs import Spec, Specs

EVENTS = "sim-swap/sim-swap-subscriptions.yaml"


@frozen(kw_only=True)
class Row:
    """One thing that was checked: what came of it, and what was wrong or why it was not run."""

    what: str
    said: str = ""
    wrong: tuple[str, ...] = ()
    not_run: str | None = None


def name_of(said: object) -> str:
    """How an outcome, a verdict or an error is shown."""
    return getattr(said, "__name__", None) or str(getattr(said, "value", said))


def operator_rows(folder: Path, site: Site, specs: Specs) -> Iterator[Row]:
    """Every scenario against an operator, and every reply of its against the OpenAPI files."""
    for scenario in read(folder):
        what = f"{scenario.feature}: {scenario.tag}"
        result = run(scenario, site, specs)
        if result.not_run is not None:
            yield Row(what=what, not_run=result.not_run)
            continue
        wrong = [] if result.wrong is None else [result.wrong]
        if result.request is None or result.response is None:
            yield Row(what=what, wrong=tuple(wrong))
            continue
        spec = specs.of(result.request)
        if spec is not None:
            wrong += spec.faults(result.request, result.response)
        code = _code(result.response)
        yield Row(what=what, said=f"{result.response.status} {code}", wrong=tuple(wrong))


def client_rows(specs: Specs) -> Iterator[Row]:
    """Every call of the client, and what passed on the way."""
    for what, checked, said, expected in walk(specs):
        wrong = list(checked.faults)
        checked.faults.clear()
        if said != expected:
            wrong.append(f"it should be {name_of(expected)}")
        yield Row(what=what, said=name_of(said), wrong=tuple(wrong))


def word_rows(folder: Path, site: Site, specs: Specs) -> Iterator[Row]:
    """The client's word on the reply to every scenario, and on every reply that a file shows."""
    for scenario in read(folder):
        result = run(scenario, site, specs)
        if result.response is not None:
            feature = scenario.feature.partition("-sendCode")[0].partition("-phoneNumber")[0]
            yield _word(f"{scenario.feature}: {scenario.tag}", feature, result.response)
    for spec in specs.all:
        for what, response in _examples(spec):
            if "/device-phone-number" in what:
                # It tells a number. We have one, and want to hear whether it is the right one.
                yield Row(what=what, not_run="the client does not call this operation")
            else:
                yield _word(what, what.partition(" ")[0], response)


def _word(what: str, feature: str, response: Response) -> Row:
    ours = reaction(feature, response)
    expected = expected_reaction(feature, response, _code(response), _said(response))
    wrong = () if ours == expected else (f"it should be {name_of(expected)}",)
    told = f"{response.status} {_code(response)} -> {name_of(ours)}"
    return Row(what=what, said=told, wrong=wrong)


def _examples(spec: Spec) -> Iterator[tuple[str, Response]]:
    """Every reply that a file shows as an example, by operation."""
    for path, operations in spec.document["paths"].items():
        for operation in operations.values():
            for status, reply in operation["responses"].items():
                shown = spec.schema(reply["$ref"]) if "$ref" in reply else reply
                content = shown.get("content", {}).get("application/json", {})
                for name, example in content.get("examples", {}).items():
                    body = json.dumps(example["value"]).encode()
                    api = spec.prefix.split("/")[1]
                    api += path if path == "/validate-code" else ""
                    what = f"{api} example of {path}: {status} {name}"
                    yield what, Response(status=int(status), body=body)


def _said(response: Response) -> Any:
    return json.loads(response.body) if response.body else {}


def _code(response: Response) -> str:
    said = _said(response)
    return str(said.get("code", "")) if isinstance(said, dict) else ""


# --- tokens -------------------------------------------------------------------------------------


def token_rows() -> Iterator[Row]:
    """What the client sends to get a token, by the security profile."""
    for grant in Grant:
        operator = CamaraOperator()
        link = CamaraLink(agreed(grant=grant), transport=operator)
        word(lambda link=link: CamaraGateway(link).ask(question()))
        for request in operator.requests:
            if request.url in {TOKEN_URL, BACKCHANNEL_URL}:
                wrong = tuple(_token_faults(grant, request))
                yield Row(what=f"{grant.name}, {request.url.rpartition('/')[2]}", wrong=wrong)


def _token_faults(grant: Grant, request: Request) -> Iterator[str]:
    form = parse_qs(request.body.decode())
    if any(len(values) != 1 for values in form.values()):
        yield "a parameter comes more than once"
    bearer = grant is Grant.JWT_BEARER
    assertion = form.get("assertion" if bearer else "client_assertion", [""])[0]
    public = jwk.import_key(PAIR.as_pem(private=False), "EC")
    claims = jwt.decode(assertion, public, algorithms=["ES256"]).claims
    if missing := {"iss", "sub", "aud", "exp", "iat", "jti"} - claims.keys():
        yield f"the assertion lacks {sorted(missing)}"
    if claims["exp"] - claims["iat"] > 300:
        yield "the assertion counts for more than 300 seconds"
    if claims["aud"] != request.url:
        yield "the assertion is for another address"
    subject = "tel:+79161234567" if bearer else CLIENT
    if (claims["iss"], claims["sub"]) != (CLIENT, subject):
        yield "the assertion names somebody else"
    polls = "auth_req_id" in form
    scope = claims.get("scope") if bearer else form.get("scope", [None])[0]
    if bearer and "scope" in form:
        yield "a bearer grant has its scope in the assertion only"
    if not polls and sum(each.startswith("dpv:") for each in (scope or "").split()) != 1:
        yield "the scope has not exactly one purpose"
    if request.url == BACKCHANNEL_URL:
        hints = {each for each in form if "hint" in each}
        if hints != {"login_hint"} or form["login_hint"] != ["tel:+79161234567"]:
            yield "the hint is not the number, or not alone"
        if "openid" not in (scope or "").split():
            yield "the scope lacks openid"


# --- events -------------------------------------------------------------------------------------


def event_rows(folder: Path) -> Iterator[Row]:
    """What the client reads in the events that a file shows."""
    document = yaml.safe_load((folder / EVENTS).read_text())
    shown = document["components"]["examples"]
    for name, kind in (("SWAPPED", SimSwapped), ("SUBSCRIPTION_ENDS", SubscriptionEnded)):
        event = dict(shown[name]["value"])
        if not isinstance(event["time"], str):
            event["time"] = event["time"].isoformat()  # YAML has read a date where JSON has text
        said = read_event(json.dumps(event).encode())
        wrong = () if isinstance(said, kind) else (f"it should be {kind.__name__}",)
        yield Row(what=f"event {name}", said=type(said).__name__, wrong=wrong)
    types = document["components"]["schemas"]["SimSwapNotificationEventType"]["enum"]
    for each in types:
        event = dict(shown["SWAPPED"]["value"]) | {"type": each, "time": "2026-01-01T00:00:00Z"}
        event["data"] = dict(event["data"]) | {"terminationReason": "SUBSCRIPTION_EXPIRED"}
        said = read_event(json.dumps(event).encode())
        right = (said is None) != each.endswith(("swapped", "ended"))
        wrong = () if right else ("it is not read as what its name says",)
        yield Row(what=f"event type {each}", said=type(said).__name__, wrong=wrong)

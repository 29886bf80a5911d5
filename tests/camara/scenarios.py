"""The scenarios of CAMARA, step by step: each is run against a site, or listed with the reason.

A step that is not known here fails its scenario: what is not understood was not tested.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from gherkin.parser import Parser

from abonent.transport import Request, Response
from tests.camara.site import Line, Site, Token
from tests.camara.specs import Spec, Specs

FILES = (
    "kyc-tenure/kyc-tenure.feature",
    "one-time-password-sms/one-time-password-sms-sendCode.feature",
    "number-verification/number-verification-phoneNumberVerify.feature",
)
SCOPES = {
    "/kyc-tenure": "kyc-tenure:check-tenure",
    "/one-time-password-sms": "one-time-password-sms:send-validate",
    "/number-verification": "number-verification:verify",
}
_MESSAGE = "{{code}} is your code"
_LACKS = object()


class Lacks(Exception):
    """The site cannot provide what a scenario presupposes; the scenario is listed."""


class Wrong(Exception):
    """What came is not what the scenario says; it fails."""


@frozen
class Scenario:
    """A scenario: its file, tag, name and steps, those of the background first."""

    feature: str
    tag: str
    name: str
    steps: tuple[str, ...]


@frozen
class Result:
    """How a scenario went: None if well, otherwise what is wrong, or why it was not run."""

    scenario: Scenario
    request: Request | None = None
    response: Response | None = None
    wrong: str | None = None
    not_run: str | None = None


def read(folder: Path) -> list[Scenario]:
    """All scenarios of the folder."""
    found: list[Scenario] = []
    for file in FILES:
        feature: Any = Parser().parse((folder / file).read_text())["feature"]
        background: tuple[str, ...] = ()
        for child in feature["children"]:
            (kind, told), *_ = child.items()
            steps = tuple(" ".join(each["text"].split()) for each in told["steps"])
            if kind == "background":
                background = steps
                continue
            tags = [each["name"].removeprefix("@") for each in told["tags"]]
            tag = tags[0] if tags else told["name"]
            found.append(Scenario(Path(file).stem, tag, told["name"], background + steps))
    return found


def run(scenario: Scenario, site: Site, specs: Specs) -> Result:
    """Run a scenario."""
    stage = Stage(site, specs)
    wrong: str | None = None
    try:
        for step in scenario.steps:
            stage.take(step)
        if "without_x-correlator" in scenario.tag and "x-correlator" in stage.headers:
            raise Wrong("it was to be sent without a correlator")
    except Lacks as lacks:
        return Result(scenario, not_run=str(lacks))
    except Wrong as error:
        wrong = str(error)
    if stage.response is None and wrong is None:
        wrong = "it sends nothing"
    return Result(scenario, stage.request, stage.response, wrong)


Step = Callable[..., None]
_STEPS: list[tuple[re.Pattern[str], Step]] = []


def step(pattern: str) -> Callable[[Step], Step]:
    """Mark what a step of this text does."""

    def mark(function: Step) -> Step:
        _STEPS.append((re.compile(pattern), function))
        return function

    return mark


@define
class Stage:
    """A request that is being put together, and the reply to it."""

    site: Site
    specs: Specs
    path: str = ""
    headers: dict[str, str] = field(factory=dict)
    body: dict[str, Any] = field(factory=dict)
    raw: bytes | None = None
    token: Token | None = Token.VALID
    line: Line = Line.SERVED
    repeats: int = 0
    request: Request | None = None
    response: Response | None = None

    def take(self, text: str) -> None:
        """Do what a step says."""
        for pattern, does in _STEPS:
            match = pattern.fullmatch(text)
            if match:
                return does(self, *match.groups())
        raise Wrong(f"a step that is not known: {text}")

    # --- what several of them need --------------------------------------------------------------

    @property
    def spec(self) -> Spec:
        return self.specs.by_prefix(self.path)

    def number(self, line: Line) -> str:
        number = self.site.number(line)
        if number is None:
            raise Lacks(f"the site has not {line.value}")
        return number

    def send(self) -> None:
        for _ in range(self.repeats):
            self._sent()
        self.response = self._sent()

    def _sent(self) -> Response:
        headers = dict(self.headers)
        if self.token is not None:
            scope = next(each for key, each in SCOPES.items() if self.path.startswith(key))
            token = self.site.token(scope, self.token, self.number(self.line))
            if token is None:
                raise Lacks(f"the site has not {self.token.value}")
            headers["authorization"] = f"Bearer {token}"
        content = json.dumps(self.body).encode() if self.raw is None else self.raw
        self.request = Request(url=f"{self.site.root}{self.path}", headers=headers, body=content)
        return self.site.transport.send(self.request)

    def came(self) -> Response:
        if self.response is None:
            self.send()  # one scenario says only what is to come
        if self.response is None:
            raise Wrong("nothing came")
        return self.response

    def said(self) -> dict[str, Any]:
        try:
            found = json.loads(self.came().body)
        except ValueError:
            raise Wrong("the reply is not JSON") from None
        return found if isinstance(found, dict) else {}

    def expect(self, right: bool, what: str) -> None:
        if not right:
            raise Wrong(f"{what}; it was {self.came().status} {self.said().get('code', '')}")


# --- the background -----------------------------------------------------------------------------


@step(r'an environment at "apiRoot"')
@step(r"that the service is not available for all phone numbers commercialized by the operator")
@step(r"the token has been obtained by a supported authentication method")
@step(r"the same phone number is compliant with OAS schema at .*")
def _nothing(stage: Stage) -> None:
    """It is so."""


@step(r'the resource "([^"]+)"(?: as base url)?')
def _resource(stage: Stage, path: str) -> None:
    # One feature names the API and the operation by its id.
    stage.path = f"{path}/verify" if path.count("/") == 2 else path
    served = stage.number(Line.SERVED)
    if "kyc-tenure" in path:
        stage.body = {"tenureDate": "2024-01-01", "phoneNumber": served}
    elif "one-time-password" in path:
        stage.body = {"phoneNumber": served, "message": _MESSAGE}
    else:
        stage.token = Token.OF_NUMBER
        stage.body = {"phoneNumber": served}


@step(r'the header "Content-Type" is set to "(.*)"')
def _content_type(stage: Stage, value: str) -> None:
    stage.headers["content-type"] = value


@step(r'the header "x-correlator" complies with the schema at .*')
def _correlator(stage: Stage) -> None:
    stage.headers["x-correlator"] = "b4333c46-49c0-4f62-80d7-f0ef930f1c46"


@step(r"the request body is set (?:by default )?to a (?:request|valid request) body.*")
def _default_body(stage: Stage) -> None:
    """It was, with the resource."""


# --- tokens -------------------------------------------------------------------------------------


@step(r'the header "Authorization" is set')
def _no_correlator(stage: Stage) -> None:
    # It stands in one scenario only, whose name says what it leaves out.
    stage.headers.pop("x-correlator")


@step(r'the header "Authorization" is set to a valid access token')
@step(
    r'the header "Authorization" is set to a valid access which does not identify a single phone '
    r"number"
)
@step(
    r'the header "Authorization" is set to a valid access token which does not identify a single '
    r"phone number"
)
def _valid(stage: Stage) -> None:
    stage.token = Token.VALID if "number-verification" not in stage.path else Token.OF_NUMBER


@step(r'the header "Authorization" is set to a valid access token identifying a phone number')
def _of_number(stage: Stage) -> None:
    stage.token = Token.OF_NUMBER


@step(r'the header "Authorization" is set to an expired.*')
def _expired(stage: Stage) -> None:
    stage.token = Token.EXPIRED


@step(r'the header "Authorization" is set to an invalid access token.*')
def _invalid(stage: Stage) -> None:
    stage.token = Token.INVALID


@step(r'the header "Authorization" is (?:not sent|removed)')
def _no_token(stage: Stage) -> None:
    stage.token = None


@step(r'the header "Authorization" is set to an access token without the required scope')
def _unscoped(stage: Stage) -> None:
    stage.token = Token.UNSCOPED


@step(
    r'the header "Authorization" is set to a token for which neither Network-based nor SIM-based '
    r"authentication was used"
)
def _not_by_network(stage: Stage) -> None:
    stage.token = Token.NOT_BY_NETWORK


# --- bodies -------------------------------------------------------------------------------------


@step(r"the request body is not included")
def _no_body(stage: Stage) -> None:
    stage.raw = b""


@step(r'the request body is set to "\{\}"')
def _empty_body(stage: Stage) -> None:
    stage.raw = b"{}"


@step(r"the request body is set to any value which is not compliant with the OAS schema at .*")
def _odd_body(stage: Stage) -> None:
    stage.body["tenureDate"] = "some day"


@step(r'the request body property "\$\.tenureDate" is set to a valid past date.*')
def _past(stage: Stage) -> None:
    stage.body["tenureDate"] = "2024-01-01"


@step(r'the request body property "\$\.tenureDate" is set to a value in the future')
def _future(stage: Stage) -> None:
    ahead = datetime.now(UTC) + timedelta(days=30)
    stage.body["tenureDate"] = ahead.date().isoformat()


@step(r"the mobile subscription has had a valid tenure since the provided tenure date")
def _long(stage: Stage) -> None:
    after = stage.site.tenure_since + timedelta(days=1)
    stage.body["tenureDate"] = after.isoformat()


@step(r"the mobile subscription hasn't had a valid tenure since the provided tenure date")
def _short(stage: Stage) -> None:
    before = stage.site.tenure_since - timedelta(days=1)
    stage.body["tenureDate"] = before.isoformat()


@step(
    r"a valid testing phone ?[nN]umber supported by the service, identified by the (?:access )?"
    r"token(?: or provided in the request body)?"
)
@step(r"a valid phone number identified by the token and provided in the request body")
@step(r"a valid phone number supported by the service, identified by the token")
@step(r'the request body property "\$\.phoneNumber" is set to config_var: "phone_number"')
@step(r'the request body property "\$\.phoneNumber" is set to a valid phone number')
@step(
    r'the body property "\$\.phoneNumber" is set to the phone number identified by the access '
    r"token"
)
def _served(stage: Stage) -> None:
    stage.body["phoneNumber"] = stage.number(Line.SERVED)


@step(
    r"a valid phone number, identified by the token or provided in the request body, for which "
    r"the service is not applicable"
)
def _not_applicable(stage: Stage) -> None:
    stage.body["phoneNumber"] = stage.number(Line.NOT_APPLICABLE)


@step(
    r'the request body property "\$\.phoneNumber" is compliant with the schema but does not '
    r"identify a valid subscription managed by the API provider"
)
@step(
    r'the request body property "\$\.phoneNumber" is set to a phone number that did not belong to '
    r"the operator"
)
def _unknown(stage: Stage) -> None:
    stage.body["phoneNumber"] = stage.number(Line.UNKNOWN)


@step(
    r'the request body property "\$\.phoneNumber" is set to a phone number that '
    r"(cannot receive SMS|target a landline|that has an active SMS barring)"
)
def _no_sms(stage: Stage, why: str) -> None:
    lines = {"cannot receive SMS": Line.NO_SMS, "target a landline": Line.LANDLINE}
    stage.body["phoneNumber"] = stage.number(lines.get(why, Line.BARRED))


@step(r'\(config_var:"max_send"-1\) of send-code requests for this phone number has been submitted')
def _exhausted(stage: Stage) -> None:
    stage.body["phoneNumber"] = stage.number(Line.EXHAUSTED)
    stage.repeats = stage.site.most_codes


@step(r'the request body property "\$\.phoneNumber" does not comply with the OAS schema at .*')
@step(r'the request body property "\$\.phoneNumber" is set to "3301"')
def _odd_number(stage: Stage) -> None:
    stage.body["phoneNumber"] = "3301"


@step(r'the request body property "\$\.phoneNumber" is not included')
def _no_number(stage: Stage) -> None:
    del stage.body["phoneNumber"]


@step(
    r'the body property "\$\.phoneNumber" is set to a valid phone number different from the one '
    r"identified by the access token"
)
def _other(stage: Stage) -> None:
    stage.body["phoneNumber"] = stage.number(Line.OTHER)


@step(
    r'the body property "\$\.hashedPhoneNumber" is set to (the phone number|a valid phone number '
    r"different from the one) identified by the access token, hashed in SHA-256.*"
)
def _hashed(stage: Stage, which: str) -> None:
    line = Line.SERVED if which == "the phone number" else Line.OTHER
    stage.body = {"hashedPhoneNumber": hashlib.sha256(stage.number(line).encode()).hexdigest()}


@step(r'the request body property "\$\.hashedPhoneNumber" is set to a valid phone number.*')
def _both(stage: Stage) -> None:
    hashed = hashlib.sha256(stage.number(Line.SERVED).encode()).hexdigest()
    stage.body["hashedPhoneNumber"] = hashed


@step(r'the request body property "\$\.additional_property" is set to "foo_value"')
def _additional(stage: Stage) -> None:
    stage.body = {"additional_property": "foo_value"}


@step(r"the request body does not contain neither .*")
def _neither(stage: Stage) -> None:
    stage.body = {key: value for key, value in stage.body.items() if "honeNumber" not in key}


@step(r'the request body property "\$\.message" is set to config_var: "message"')
def _message(stage: Stage) -> None:
    stage.body["message"] = _MESSAGE


@step(r'the request body property "\$\.message" is not valued')
def _no_message(stage: Stage) -> None:
    del stage.body["message"]


@step(r'the request body property "\$\.message" is set to "message without code"')
def _message_without_code(stage: Stage) -> None:
    stage.body["message"] = "message without code"


@step(r'the request body property "\$\.message" is longer than config_var:"max_lenght"')
def _long_message(stage: Stage) -> None:
    stage.body["message"] = _MESSAGE + "a" * 160


# --- what is sent, and what is to come ----------------------------------------------------------


@step(r'the HTTP "POST" request is sent')
@step(r'the request "phoneNumberVerify" is sent')
def _send(stage: Stage) -> None:
    stage.send()


@step(r'the response status code is "?(\d+)"?')
def _status(stage: Stage, status: str) -> None:
    stage.expect(stage.came().status == int(status), f"the status should be {status}")


@step(r'the response header "Content-Type" is "(.*)"')
def _is_content_type(stage: Stage, value: str) -> None:
    said = stage.came().headers.get("content-type", "")
    stage.expect(said.partition(";")[0] == value, f"the content should be {value}")


@step(r'the response header "x-correlator" has same value as the request header "x-correlator"')
def _echo(stage: Stage) -> None:
    same = stage.came().headers.get("x-correlator") == stage.headers["x-correlator"]
    stage.expect(same, "the correlator should be echoed")


@step(r'the response body complies with the OAS schema at "(.*)"')
def _complies(stage: Stage, pointer: str) -> None:
    stage.expect(stage.spec.complies(stage.said(), pointer), f"it should comply with {pointer}")


@step(r'the response property "\$\.message" contains a user friendly text')
def _friendly(stage: Stage) -> None:
    message = stage.said().get("message")
    stage.expect(isinstance(message, str) and " " in message, "the message should be a text")


@step(r'the response property "\$\.(\w+)" (?:is|==) (.*)')
def _property(stage: Stage, name: str, value: str) -> None:
    expected = json.loads(value)
    said = stage.said().get(name, _LACKS)
    if name == "status" and said is _LACKS and stage.came().status < 400:
        said = stage.came().status  # a success has no such property, and the status is meant
    stage.expect(said == expected, f"{name} should be {value}")


@step(r'if the response contains property "\$\.(\w+)", the value is one of (.*)')
def _one_of(stage: Stage, name: str, values: str) -> None:
    said = stage.said()
    stage.expect(name not in said or said[name] in json.loads(values), f"{name} is odd")

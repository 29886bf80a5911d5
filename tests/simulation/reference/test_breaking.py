"""What is left when something breaks inside: a reply in shape, a log without numbers, bounds."""

import subprocess
import sys
import time

import pytest

from abonent import SubscriberNumber
from abonent.errors import Contended, StoreUnavailable
from abonent.simulation.reference import Subscriber, tokens
from abonent.simulation.reference import devices as devices_of
from abonent.simulation.reference.shapes import Moved
from abonent.simulation.reference.subscribers import Subscribers, SubscribersFileError
from tests.simulation.reference.asgi import HELD, ROOT, STRANGER, clients, reached

CHECK = "kyc-tenure:check-tenure"


def failing(error):
    async def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (StoreUnavailable("locked"), (503, "UNAVAILABLE")),
        (RuntimeError(f"what about {HELD}"), (500, "INTERNAL")),
    ],
    ids=["store", "bug"],
)
def test_a_failure_inside_has_a_reply_and_a_line(operator, monkeypatch, caplog, error, refusal):
    """The line names the kind of error, and neither its text nor a number (I9)."""
    monkeypatch.setattr(operator.operator.desk, "ask", failing(error))
    reply = operator.tenure()
    assert refusal == (reply.status_code, reply.json()["code"])
    assert HELD not in caplog.text
    assert ("INTERNAL" in refusal) == ("abonent.call_failed cause=RuntimeError" in caplog.text)


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), RuntimeError(HELD)], ids=str)
def test_sweeping_goes_on_after_a_failure(operator, monkeypatch, caplog, error):
    """One round that fails is logged, and the next one is made."""
    sweep = operator.operator.desk.sweep
    rounds = []

    async def once():
        rounds.append(1)
        if len(rounds) == 1:
            raise error
        return await sweep()

    monkeypatch.setattr(operator.operator.desk, "sweep", once)
    until = time.monotonic() + 20
    while len(rounds) < 3 and time.monotonic() < until:
        operator.operator.look()
        time.sleep(0.05)
    assert len(rounds) >= 3
    assert "abonent.sweep_failed cause=" in caplog.text
    assert HELD not in caplog.text


async def served(app, messages):
    """Serve one call whose body comes in these messages; return the status, if there is one."""
    sent = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/token",
        "raw_path": b"/token",
        "query_string": b"",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8765),
        "scheme": "http",
        "http_version": "1.1",
    }
    several = iter(messages)

    async def receive():
        return next(several)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return [each["status"] for each in sent if each["type"] == "http.response.start"]


def test_who_leaves_in_the_middle_of_a_body_has_asked_nothing(operator, caplog):
    """Nor is it an error of ours."""
    messages = [
        {"type": "http.request", "body": b"grant_type=", "more_body": True},
        {"type": "http.disconnect"},
    ]
    statuses = operator.http.portal.call(served, operator.http.app, messages)
    assert [400] == statuses
    assert "call_failed" not in caplog.text


def test_where_everything_is_stands_in_the_configuration(operator):
    """By addresses that lead there (RFC 8414)."""
    told = operator.http.get("/.well-known/openid-configuration").json()
    assert f"{ROOT}/token" == told["token_endpoint"]
    assert ["private_key_jwt"] == told["token_endpoint_auth_methods_supported"]
    for name in ("jwks_uri", "token_endpoint", "backchannel_authentication_endpoint"):
        assert told[name].removeprefix(ROOT) in operator.description["paths"]
    assert set(told["scopes_supported"]) >= {CHECK, "abonent-records:write"}


# --- bounds -----------------------------------------------------------------------------


def test_tokens_are_bounded(operator, monkeypatch):
    """Those that have run out go first, then the oldest."""
    monkeypatch.setattr(tokens, "_MOST", 3)
    old = operator.token(CHECK)
    operator.clock.advance(1800)
    kept = [operator.token(CHECK) for _ in range(2)]
    operator.clock.advance(1800)  # the first one has run out
    kept.append(operator.token(CHECK))
    assert [200] * 3 == [operator.tenure(token=each).status_code for each in kept]
    newest = operator.token(CHECK)
    statuses = [operator.tenure(token=each).status_code for each in (old, *kept, newest)]
    assert [401, 401, 200, 200, 200] == statuses


def test_what_devices_have_is_bounded(operator, monkeypatch):
    """The oldest go first; of codes, no more are sent."""
    monkeypatch.setattr(devices_of, "_MOST", 2)
    network, phones = operator.operator.network, operator.operator.phones
    number = SubscriberNumber(HELD)
    first, *others = (network.give_token(number) for _ in range(3))
    assert [number, number] == [network.number_of_token(each) for each in others]
    with pytest.raises(Exception, match="invalid_grant"):
        network.number_of_token(first)
    for place in range(2):
        phones.send("chat", SubscriberNumber(f"+7916000100{place}"))
    with pytest.raises(Exception, match="MAX_OTP_CODES_EXCEEDED"):
        phones.send("chat", SubscriberNumber("+79160001009"))


# --- what is kept, and what is shown ----------------------------------------------------


def test_two_processes_do_not_overwrite_each_other(tmp_path):
    """Who has not seen a change does not undo it."""
    with reached(tmp_path) as operator:
        store, signing = operator.operator._store, operator.operator.subscribers
        number = SubscriberNumber(STRANGER)
        other = Subscribers("mts", {}, store, keys_of(tmp_path))
        signing.put(number, Subscriber(since=operator.clock.now()))
        with pytest.raises(Contended):
            other.put(number, Subscriber(since=operator.clock.now()))
        assert number in Subscribers("mts", {}, store, keys_of(tmp_path))._known


def keys_of(folder):
    from abonent.keys import FileKeys

    return FileKeys(folder / "operator.keys")


def test_a_line_whose_columns_cannot_be_told_apart(tmp_path):
    """Such as one that is longer than any can be."""
    path = tmp_path / "list.csv"
    path.write_text("+79160000001;2020-01-01\n" + '"' + "x" * 200_000 + '";2020-01-01\n')
    from abonent.simulation.reference import read_subscribers

    with pytest.raises(SubscribersFileError, match="line 2: its columns cannot be told apart"):
        read_subscribers(path)


def test_no_repr_shows_a_number_or_a_key(operator):
    """I9: whatever finds its way into a log or a traceback."""
    token = operator.by_bearer(f"tel:{HELD}", CHECK).json()["access_token"]
    shown = [
        repr(operator.operator.subscribers),
        repr(operator.operator.token(f"Bearer {token}")),
        repr(Moved(phone_number=HELD, kind="terminated")),
        repr(clients()[0]),
        repr(operator.operator.setup.clients),
    ]
    for each in shown:
        assert HELD[2:] not in each
        assert token not in each
        assert "KeySet" not in each


@pytest.mark.parametrize("lacking", ["starlette", "uvicorn", "http_message_signatures"])
def test_without_the_extra(lacking):
    """The error names what to install; nothing else of the simulation needs it."""
    program = (
        f"import sys; sys.modules[{lacking!r}] = None\n"
        "import abonent.simulation\n"
        "try:\n    import abonent.simulation.reference\n"
        "except ModuleNotFoundError as error:\n    print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "a reference operator needs: pip install 'abonent[serve]'\n" == told.stdout

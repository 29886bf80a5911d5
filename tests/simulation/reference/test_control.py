"""What a tester changes and sees, and from where."""

import pytest
from starlette.testclient import TestClient

from tests.simulation.reference.asgi import (
    CHAT,
    ENDED,
    HELD,
    PORTED,
    ROOT,
    STRANGER,
    reached,
)

CHANGING = {
    "movements": {"phoneNumber": HELD, "kind": "terminated"},
    "subscribers": {"phoneNumber": HELD},
    "codes": {"phoneNumber": HELD},
    "authorization-codes": {
        "phoneNumber": HELD,
        "codeChallenge": "c" * 43,
        "redirectUri": "https://chat.example/back",
    },
    "operator-tokens": {"phoneNumber": HELD},
    "faults": {"faults": []},
}
LOOKING = ("faults", "owed-notices", "figures", "replay")


def status_of(reply):
    return (reply.status_code, reply.json()["code"])


@pytest.mark.parametrize(
    ("kind", "then"),
    [("terminated", 404), ("number_changed", 404), ("ported", 404), ("reassigned", 200)],
)
def test_a_subscription_ends(operator, kind, then):
    """The recorded messenger is owed a notice, and the base says something else from then on."""
    operator.tenure()
    operator.record()
    operator.clock.advance(1)
    reply = operator.move(HELD, kind, id="m-1")
    assert {"id": "m-1", "notices": 1} == reply.json()
    operator.clock.advance(1)
    assert then == operator.tenure().status_code
    code = operator.tenure().json().get("code")
    expected = {"ported": "IDENTIFIER_NOT_FOUND", "reassigned": None}
    assert expected.get(kind, "ABONENT.NOT_HELD") == code


def test_a_movement_counts_once(operator):
    """Under its id it does nothing more, and without an id it is given one."""
    operator.tenure()
    operator.record()
    first = operator.move().json()
    assert 1 == first["notices"]
    assert 0 == operator.move(id=first["id"]).json()["notices"]


def test_a_movement_concerns_who_is_recorded(operator):
    """Of a number beside which nobody stands nobody is told, known or not."""
    for number in (HELD, ENDED, STRANGER):
        assert 0 == operator.move(number).json()["notices"]


def test_subscribers_come_and_go(operator):
    """A stranger becomes a subscriber; one of ours is nobody's."""
    change = {"phoneNumber": STRANGER, "since": "2020-01-01T00:00:00Z", "contractType": "PAYG"}
    assert 204 == operator.control("subscribers", change).status_code
    assert {"tenureDateCheck": True, "contractType": "PAYG"} == operator.tenure(STRANGER).json()
    for state, code in (("ended", "ABONENT.NOT_HELD"), ("ported", "IDENTIFIER_NOT_FOUND")):
        operator.control("subscribers", {"phoneNumber": HELD, "state": state})
        assert code == operator.tenure().json()["code"]
    assert 6 == operator.control("figures").json()["subscribers"]


def test_what_was_changed_outlives_the_process(tmp_path):
    """And stands over the file; what was not changed is read from it anew."""
    with reached(tmp_path) as operator:
        clock = operator.clock
        operator.control("subscribers", {"phoneNumber": STRANGER})
        operator.control("subscribers", {"phoneNumber": PORTED})
        operator.control("subscribers", {"phoneNumber": PORTED, "state": "ended"})
        operator.move(HELD)
    with reached(tmp_path, clock, subscribers={}) as operator:
        assert 200 == operator.tenure(STRANGER).status_code
        assert "ABONENT.NOT_HELD" == operator.tenure(PORTED).json()["code"]
        assert "ABONENT.NOT_HELD" == operator.tenure(HELD).json()["code"]
        assert "IDENTIFIER_NOT_FOUND" == operator.tenure(ENDED).json()["code"]
        operator.control("subscribers", {"phoneNumber": PORTED})
        assert 200 == operator.tenure(PORTED).status_code


def test_no_number_lies_in_the_folder(tmp_path):
    """I9: what is kept is sealed, and the file of subscribers is not copied."""
    with reached(tmp_path) as operator:
        operator.control("subscribers", {"phoneNumber": STRANGER})
        operator.tenure()
        operator.record()
        operator.move()
    for path in tmp_path.iterdir():
        kept = path.read_bytes()
        for number in (HELD, STRANGER):
            for digits in (number, number[1:], number[2:]):
                assert digits.encode() not in kept, path.name


def test_what_is_owed_is_listed(operator):
    """A notice that its messenger does not take stays owed, and its tries are counted."""
    operator.tenure()
    operator.record()
    operator.inboxes.statuses += [503] * 100
    operator.move(HELD, "ported")
    (owed,) = operator.control("owed-notices").json()["notices"]
    assert (CHAT, "ported") == (owed["messenger"], owed["kind"])


def test_the_journal_is_replayed(operator):
    """It gives every stored row."""
    operator.tenure()
    operator.record()
    operator.move()
    said = operator.control("replay").json()
    assert said["ok"]
    assert said["records"] >= 2
    assert said["events"] >= 4


def test_calls_are_counted(operator):
    """By operation and status; what is looked at is not."""
    operator.tenure()
    operator.tenure(ENDED)
    operator.tenure(token="made-up")
    operator.control("figures")
    counted = operator.control("figures").json()["requests"]
    assert counted == {
        "checkTenure 200": 1,
        "checkTenure 401": 1,
        "checkTenure 404": 1,
        "token 200": 2,
    }


@pytest.mark.parametrize("path", CHANGING)
def test_a_body_that_says_something_else(operator, path):
    """A member missing, one too many, one of another type: nothing is changed."""
    right = CHANGING[path]
    method = "PUT" if path == "faults" else "POST"
    tried = [right | {"extra": 1}, [], "x", *({**right, name: 7} for name in right)]
    tried += [{each: right[each] for each in right if each != name} for name in right]
    for body in tried:
        assert (400, "INVALID_ARGUMENT") == status_of(operator.control(path, body, method)), body


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "deceased"},
        {"happenedAt": "2026-06-01T09:00:00"},
        {"happenedAt": "2026-06-01T09:06:00Z"},
        {"id": ""},
        {"id": "x" * 129},
        {"phoneNumber": "89160000001"},
    ],
    ids=str,
)
def test_a_movement_that_is_none(operator, change):
    """Of no kind, at no instant, in the future, by no id."""
    assert (400, "INVALID_ARGUMENT") == status_of(
        operator.move(**{"number": HELD} | rename(change))
    )


def rename(change):
    return {("number" if k == "phoneNumber" else k): v for k, v in change.items()}


# --- from where -------------------------------------------------------------------------


def every(http, **options):
    for path in LOOKING:
        yield http.get(f"/_control/{path}", **options)
    for path, body in CHANGING.items():
        method = "PUT" if path == "faults" else "POST"
        yield http.request(method, f"/_control/{path}", json=body, **options)


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "testclient", ""])
def test_nobody_from_elsewhere(operator, peer):
    """Even where others can reach the operator, they cannot control it."""
    stranger = TestClient(operator.http.app, base_url=ROOT, client=(peer, 50000))
    assert {403} == {each.status_code for each in every(stranger)}
    assert 200 == stranger.get("/openapi.json").status_code


@pytest.mark.parametrize("host", ["operator.example", "127.0.0.1.example", "192.0.2.7"])
def test_nobody_by_a_name_that_leads_here(operator, host):
    """A page's own name may be made to lead to this machine; the address then says so."""
    replies = every(operator.http, headers={"host": host})
    assert {403} == {each.status_code for each in replies}


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "127.0.0.1", "[::1]:8765", "localhost:8765"])
def test_whoever_is_here(operator, host):
    """By any name of this machine itself."""
    replies = every(operator.http, headers={"host": host})
    assert {200, 204} == {each.status_code for each in replies}


def test_no_page_in_a_browser(operator):
    """A request that a page was made to send says so."""
    for origin in ("https://elsewhere.example", "null", ROOT):
        replies = every(operator.http, headers={"origin": origin})
        assert {403} == {each.status_code for each in replies}


def test_nothing_a_form_can_send(operator):
    """What a page may send without asking first is no JSON by its type."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = operator.http.post(
            "/_control/movements", content=b"{}", headers={"content-type": kind}
        )
        assert 415 == reply.status_code

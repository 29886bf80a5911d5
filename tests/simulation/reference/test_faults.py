"""What goes wrong when it is asked for, and where."""

import time

import pytest

from abonent.errors import InvalidValue
from abonent.simulation.reference.faults import (
    CALLS,
    PLACES,
    Fault,
    Faults,
    FaultsFileError,
    What,
    read_faults,
)
from tests.simulation.reference.asgi import HELD, TENURE

CHECK = "kyc-tenure:check-tenure"
PREVENTED = {
    What.UNAVAILABLE: (503, "UNAVAILABLE"),
    What.TOO_MANY: (429, "TOO_MANY_REQUESTS"),
    What.UNAUTHENTICATED: (401, "UNAUTHENTICATED"),
    What.DENIED: (403, "PERMISSION_DENIED"),
    What.FAILED: (500, "INTERNAL"),
}


def record(operator):
    return operator.record(token=operator.token("abonent-records:write"))


def recorded(operator):
    """How many notices the end of the subscription makes owed: whether it was done."""
    return operator.move().json()["notices"]


@pytest.mark.parametrize("what", PREVENTED)
def test_what_is_prevented_is_not_done(operator, what):
    """The reply says so, and nothing else has come of it."""
    operator.faults({"at": "recordCode", "what": what.value})
    reply = record(operator)
    assert PREVENTED[what] == (reply.status_code, reply.json()["code"])
    assert 0 == recorded(operator)


def test_what_is_lost_is_done(operator):
    """The client cannot know, and tries again; so that must be harmless."""
    operator.faults({"at": "recordCode", "what": "lost", "times": 1})
    assert 504 == record(operator).status_code
    assert 204 == record(operator).status_code
    assert 1 == recorded(operator)


def test_what_is_malformed_cannot_be_read(operator):
    """And is done as well."""
    operator.faults({"at": "recordCode", "what": "malformed"})
    reply = operator.http.post(
        "/abonent-records/v1/record",
        json={"id": "r", "messenger": "chat", "phoneNumber": HELD, "identificationCode": "c"},
        headers={"authorization": f"Bearer {operator.token('abonent-records:write')}"},
    )
    assert (200, "text/html", b"<html>") == (
        reply.status_code,
        reply.headers["content-type"],
        reply.content,
    )
    assert 1 == recorded(operator)


def test_what_is_slow_takes_its_time(operator):
    """As many seconds as are said."""
    token = operator.token(CHECK)
    operator.faults({"at": "checkTenure", "what": "slow", "seconds": 0.3})
    begun = time.monotonic()
    assert 200 == operator.tenure(token=token).status_code
    assert time.monotonic() - begun >= 0.3


def test_a_client_is_told_when_to_come_again(operator):
    """Where seconds are given, in whole ones; otherwise nothing is said."""
    token = operator.token(CHECK)
    for given, told in (({"seconds": 7}, "7"), ({}, None)):
        for what in ("too_many", "unavailable"):
            operator.faults({"at": "checkTenure", "what": what, **given})
            assert told == operator.tenure(token=token).headers.get("retry-after")


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("unavailable", 503, "temporarily_unavailable"),
        ("unauthenticated", 401, "invalid_client"),
        ("pending", 400, "authorization_pending"),
    ],
)
def test_the_token_endpoint_has_words_of_its_own(operator, what, status, error):
    """Those of OAuth."""
    operator.faults({"at": "token", "what": what})
    reply = operator.grant(CHECK)
    assert (status, {"error": error}) == (reply.status_code, reply.json())


@pytest.mark.parametrize("what", ["too_many", "failed", "lost"])
def test_the_token_endpoint_has_other_words_as_well(operator, what):
    """Those that everybody has."""
    operator.faults({"at": "token", "what": what})
    statuses = {"too_many": 429, "failed": 500, "lost": 504}
    assert statuses[what] == operator.grant(CHECK).status_code


def test_keys_may_be_out_of_reach(operator):
    """A messenger that cannot fetch them believes nobody meanwhile."""
    operator.faults({"at": "jwks", "what": "unavailable", "times": 1})
    assert 503 == operator.http.get("/.well-known/jwks.json").status_code
    assert 200 == operator.http.get("/.well-known/jwks.json").status_code


def test_everything_goes_wrong_at_once(operator):
    """`*` is every operation, and no token and no control endpoint."""
    tokens = {scope: operator.token(scope) for scope in (CHECK, "abonent-records:write")}
    operator.faults({"at": "*", "what": "unavailable"})
    assert 503 == operator.tenure(token=tokens[CHECK]).status_code
    assert 503 == operator.record(token=tokens["abonent-records:write"]).status_code
    assert 200 == operator.grant(CHECK).status_code
    assert 200 == operator.http.get("/.well-known/jwks.json").status_code
    met = operator.control("figures").json()["faults"]
    assert {"checkTenure unavailable": 1, "recordCode unavailable": 1} == met


def test_the_first_fault_that_happens_is_the_one(operator):
    """Those behind it wait for their turn; what is used up is not listed any more."""
    token = operator.token(CHECK)
    several = (
        {"at": "checkTenure", "what": "failed", "times": 2},
        {"at": "*", "what": "too_many", "times": 1},
    )
    operator.faults(*several)
    statuses = [operator.tenure(token=token).status_code for _ in range(2)]
    (left,) = operator.control("faults").json()["faults"]
    assert ("*", "too_many", 1) == (left["at"], left["what"], left["times"])
    statuses += [operator.tenure(token=token).status_code for _ in range(2)]
    assert [500, 500, 429, 200] == statuses


def test_a_share_of_them_is_drawn():
    """About so many, and the same ones again from the same seed."""
    fault = Fault(at="checkTenure", what=What.FAILED, share=0.25)

    def drawn(seed):
        faults = Faults([fault], seed=seed)
        return [faults.meet("checkTenure") is not None for _ in range(1000)]

    assert 200 < sum(drawn(1)) < 300
    assert drawn(1) == drawn(1) != drawn(2)


def test_other_places_go_on():
    """A fault at one place is met nowhere else."""
    for at in PLACES:
        what = min(PLACES[at], key=lambda each: each.value)
        faults = Faults([Fault(at=at, what=what)])
        met = {place for place in PLACES if place != "*" and faults.meet(place) is not None}
        assert met == (set(CALLS) if at == "*" else {at})


# --- which of them there are ------------------------------------------------------------


def test_every_fault_is_at_home_somewhere():
    """None is named that no place can have."""
    assert set(What) == set().union(*PLACES.values())


@pytest.mark.parametrize("at", PLACES)
def test_a_place_has_its_own_faults_only(at):
    """Any other is refused, and what there is, is said."""
    for what in What:
        fault = Fault(at=at, what=what)
        if what in PLACES[at]:
            Faults([fault])
        else:
            with pytest.raises(InvalidValue, match="can happen"):
                Faults([fault])


def test_no_fault_is_set_where_one_is_none(operator):
    """All of them or none."""
    operator.faults({"at": "checkTenure", "what": "failed"})
    for wrong in (
        {"at": "nowhere", "what": "failed"},
        {"at": "base", "what": "twice"},
        {"at": "checkTenure", "what": "failed", "times": 0},
        {"at": "checkTenure", "what": "failed", "share": 0},
        {"at": "checkTenure", "what": "failed", "share": 1.1},
        {"at": "checkTenure", "what": "slow", "seconds": 0},
        {"at": "checkTenure", "what": "slow", "seconds": 61},
        {"at": "checkTenure"},
        {"at": "checkTenure", "what": "failed", "extra": 1},
    ):
        body = {"faults": [{"at": "token", "what": "failed"}, wrong]}
        assert 400 == operator.control("faults", body, "PUT").status_code
    many = [{"at": "token", "what": "failed"}] * 101
    assert 400 == operator.control("faults", {"faults": many}, "PUT").status_code
    (left,) = operator.control("faults").json()["faults"]
    assert "checkTenure" == left["at"]
    assert 500 == operator.call(TENURE, b"{}").status_code


# --- the file ---------------------------------------------------------------------------


def test_a_file_of_faults(tmp_path):
    """TOML: a table for each."""
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[faults]]\nat = "notices"\nwhat = "wrong_signature"\ntimes = 2\n'
        '[[faults]]\nat = "*"\nwhat = "slow"\nshare = 0.1\nseconds = 2.5\n'
    )
    assert read_faults(path) == (
        Fault(at="notices", what=What.WRONG_SIGNATURE, times=2),
        Fault(at="*", what=What.SLOW, share=0.1, seconds=2.5),
    )
    path.write_text("")
    assert () == read_faults(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[faults]", "line 1"),
        ('[[fault]]\nat = "token"', "unknown field `fault`"),
        ('[[faults]]\nat = "token"', "`what`"),
        ('[[faults]]\nat = "token"\nwhat = "lots"', "lots"),
        ('[[faults]]\nat = "tokens"\nwhat = "failed"', "faults are at one of"),
        ('[[faults]]\nat = "base"\nwhat = "failed"', "at base can happen: slow, unavailable"),
        ('[[faults]]\nat = "token"\nwhat = "failed"\ntimes = "2"', "times"),
        ("\xff", "UTF-8"),
    ],
)
def test_a_file_that_asks_for_no_fault(tmp_path, text, told):
    """The error names the file and says what is wrong."""
    path = tmp_path / "faults.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FaultsFileError, match=told) as raised:
        read_faults(path)
    assert "faults.toml" in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    """It is said by its name."""
    with pytest.raises(FaultsFileError, match=r"none\.toml cannot be read: No such file"):
        read_faults(tmp_path / "none.toml")

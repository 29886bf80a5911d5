"""Users whom a messenger had before are taken over, each row on its own, as often as one likes."""

from datetime import datetime, timedelta

import pytest

from abonent import (
    AsyncIdentifier,
    Basis,
    DeclaredUser,
    ImportReport,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    NoticeKind,
    OneTimeCodes,
    Reason,
    RejectedUser,
    Status,
)
from abonent.errors import StoreUnavailable, Unavailable
from abonent.ports import Put, Unit, Unrouted
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.testing import Rehearsal

DAY = timedelta(days=1)


@pytest.fixture(params=MessengerKind)
def stand(request):
    with Rehearsal(messenger=request.param) as stand:
        yield stand


def row(stand, user, number, ago=DAY, operator=None):
    return DeclaredUser(
        user_id=user, number=number, proven_at=stand.clock.now() - ago, operator=operator
    )


def test_who_is_taken_over_may_send_and_is_listed_apart(stand):
    """The gate is open on the messenger's word, and the standing says so, until proven anew."""
    number = stand.fresh_number().e164
    report = stand.identifier.import_identified([row(stand, "alice", number)])
    assert ImportReport(imported=1, known=0, rejected={}) == report
    standing = stand.identifier.standing("alice")
    assert (Status.IDENTIFIED, Basis.DECLARED) == (standing.status, standing.basis)
    assert stand.identifier.gate("alice").open
    declared = [
        each.user_id for each in stand.identifier.standings() if each.basis is Basis.DECLARED
    ]
    assert ["alice"] == declared

    stand.identified("alice", number)
    assert stand.identifier.standing("alice").basis is not Basis.DECLARED
    assert stand.identifier.replay().ok


def test_a_notice_ends_it(stand):
    """The operator that serves the number speaks for it; what was before the proof is stale."""
    for user, operator in (("alice", None), ("boris", stand.operator.id)):
        number = stand.fresh_number().e164
        stand.identifier.import_identified([row(stand, user, number, operator=operator)])
        stand._claimed[user] = stand.identifier.disclose(
            user, to="bank", purpose="test", consent=consent(stand, user)
        )
        received = stand.end_subscription(user, NoticeKind.TERMINATED)
        assert received.users == (user,)
        assert stand.identifier.gate(user).reason is Reason.REIDENTIFICATION_DUE


def consent(stand, user):
    from abonent import Consent

    return Consent(
        user_id=user,
        recipient="bank",
        purpose="test",
        given_at=stand.clock.now() - DAY,
        until=None,
    )


def test_each_row_is_judged_on_its_own(stand):
    """What is wrong with a row is told by its place and a stable code; its neighbours pass."""
    stand.identified("known")
    taken = stand.number("known").e164
    stand.claimed("claiming")
    rows = [
        row(stand, "a", "+79160000001"),
        row(stand, "", "+79160000002"),
        row(stand, "b", "+7 495 123-45-67"),
        row(stand, "c", "not a number"),
        row(stand, "d", "+79160000003", ago=-DAY),
        row(stand, "e", "+79160000004", operator="nobody"),
        row(stand, "f", taken),
        row(stand, "known", "+79160000005"),
        row(stand, "claiming", "+79160000006"),
        row(stand, "g", "+79160000001"),
        row(stand, "a", "8 916 000-00-01"),
        row(stand, "a", "+79160000007"),
        DeclaredUser(user_id="h", number="+79160000008", proven_at=datetime(2026, 1, 1)),
        row(stand, "i", "+79160000009"),
    ]
    rejected = []
    report = stand.identifier.import_identified(rows, rejected=rejected.append)
    expected = {
        2: "INVALID_USER_ID",
        3: "NUMBER_NOT_MOBILE",
        4: "NUMBER_UNPARSABLE",
        5: "INVALID_VALUE",
        6: "UNKNOWN_OPERATOR",
        7: "NUMBER_TAKEN",
        8: "USER_KNOWN",
        9: "USER_KNOWN",
        10: "NUMBER_TAKEN",
        12: "USER_KNOWN",
        13: "NAIVE_INSTANT",
    }
    assert expected == {each.position: each.code for each in rejected}
    assert (2, 1) == (report.imported, report.known)
    assert sum(report.rejected.values()) == len(expected)
    assert stand.identifier.gate("a").open
    assert stand.identifier.gate("i").open
    assert not stand.identifier.gate("g").open
    assert stand.identifier.replay().ok
    assert "79160000001" not in repr(rows)


def test_it_goes_on_where_it_was_ended(stand, monkeypatch):
    """A store that fails ends it; what was taken over stays, and the same rows take the rest."""
    monkeypatch.setattr("abonent.engine.importing._BATCH", 4)
    rows = [row(stand, f"user-{n}", f"+7916000{n:04d}") for n in range(10)]
    commits = []
    commit = MemoryStorage.commit

    def failing(store, units):
        commits.extend(each.space for each in units[:1] if each.space == "messenger")
        if len(commits) == 3:
            raise StoreUnavailable("away")
        return commit(store, units)

    told = []
    with monkeypatch.context() as broken:
        broken.setattr(MemoryStorage, "commit", failing)
        with pytest.raises(StoreUnavailable):
            stand.identifier.import_identified(rows, progress=told.append)
    assert [4, 8] == told
    report = stand.identifier.import_identified(rows, progress=told.append)
    assert (2, 8) == (report.imported, report.known)
    assert [4, 8, 4, 8, 10] == told


def test_rows_are_read_as_they_are_needed(stand, monkeypatch):
    """A source of any length is read batch by batch, and so are its holders."""
    monkeypatch.setattr("abonent.engine.importing._BATCH", 5)
    finds = []
    find = MemoryStorage.find
    monkeypatch.setattr(
        MemoryStorage, "find", lambda store, space, a: finds.append(len(a)) or find(store, space, a)
    )
    read = []

    def source():
        for n in range(12):
            read.append(n)
            yield row(stand, f"user-{n}", f"+7916000{n:04d}")

    seen = []
    stand.identifier.import_identified(source(), progress=lambda n: seen.append((n, len(read))))
    assert [(5, 5), (10, 10), (12, 12)] == seen
    assert [5, 5, 2] == finds


def test_a_router_that_knows_no_operator():
    """A foreign messenger's row needs an operator, given or routed; a router that fails ends it."""
    with Rehearsal() as stand:
        rejected = []
        stand.router.port("+79160000002", Unrouted.UNKNOWN_RANGE)
        known = row(stand, "alice", "+79160000001", operator=stand.operator.id)
        unknown = row(stand, "boris", "+79160000002")
        stand.identifier.import_identified([known, unknown], rejected=rejected.append)
        assert [(2, "NUMBER_UNROUTED")] == [(each.position, each.code) for each in rejected]
        stand.router.out_of_reach()
        with pytest.raises(Unavailable):
            stand.identifier.import_identified([row(stand, "clara", "+79160000003")])


def test_a_damaged_row_does_not_end_it(stand):
    """It is rejected like any other that cannot be taken over, each time anew."""
    number = stand.fresh_number().e164
    rows = [row(stand, "alice", number), row(stand, "boris", "+79160000002")]
    stand.identifier.import_identified(rows[:1])
    archive = stand.identifier._engine.archive
    (key,) = archive.keyring.user_tags("alice")
    (record,) = archive.storage.load("messenger", [key])
    torn = Put(key, record.version, record.body[:-1] + b"x")
    assert archive.storage.commit([Unit("messenger", (torn,))]) == [True]
    report = stand.identifier.import_identified(rows)
    assert (1, {"RECORD_DAMAGED": 1}) == (report.imported, report.rejected)


def test_a_fault_of_ours_is_not_taken_for_a_row(stand, monkeypatch):
    """An error that no row can have is raised, and nobody counts as taken over."""
    monkeypatch.setattr("abonent.engine.importing.new_id", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stand.identifier.import_identified([row(stand, "alice", "+79160000001")])


def test_nothing_is_taken_over(stand):
    """No rows, no users."""
    assert ImportReport(imported=0, known=0, rejected={}) == stand.identifier.import_identified([])


def test_who_was_taken_over_and_forgotten(stand):
    """Nothing is owed to an operator that was never asked; they may come back as anybody."""
    rows = [row(stand, "alice", "+79160000001")]
    stand.identifier.import_identified(rows)
    assert stand.identifier.forget("alice")
    assert not stand.identifier.gate("alice").open
    assert [] == stand.operator.withdrawals
    assert 1 == stand.identifier.import_identified(rows).imported


def test_a_rejected_row_shows_no_number():
    """It can be logged."""
    assert "number" not in repr(RejectedUser(position=1, user_id="a", code="NUMBER_TAKEN"))


@pytest.mark.asyncio
async def test_with_asyncio():
    """The same with `await`."""
    clock = SimulatedClock()
    async with AsyncIdentifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(SimulatedSender()),
        clock=clock,
        unsafe_test_doubles=True,
    ) as identifier:
        rows = [
            DeclaredUser(user_id=f"user-{n}", number=f"+7916000{n:04d}", proven_at=clock.now())
            for n in range(3)
        ]
        report = await identifier.import_identified(rows)
        assert ImportReport(imported=3, known=0, rejected={}) == report
        assert (await identifier.gate("user-2")).open

"""A possession check that goes over a network and has proofs of its own."""

from __future__ import annotations

import pytest
from attrs import define, field

from abonent import AlarmKind, MessengerKind, Status
from abonent.errors import Misconfigured, Unavailable
from abonent.ports import Begun, OneTimeCode, PossessionClaim, PossessionFeatures, Verdict
from tests.properties.parts import N1, World

RIGHT, WRONG = "271828", "314159"


@define
class Remote:
    """Starts a session for each claim and knows it again by what it handed out."""

    refuses: bool = False
    away: bool = False
    begun: list[PossessionClaim] = field(factory=list)
    checked: list[PossessionClaim] = field(factory=list)

    features = PossessionFeatures(local=False, prompt=True)

    def begin(self, claim: PossessionClaim) -> Begun:
        if self.refuses:
            raise Misconfigured("wrong credentials")
        self.begun.append(claim)
        return Begun(opaque=b"session-%d" % len(self.begun))

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        self.checked.append(claim)
        if self.away:
            raise Unavailable("timed out")
        return Verdict.PROVEN if proof.digits == RIGHT else Verdict.FAILED


def test_what_began_a_session_comes_back_with_the_proof():
    """The check sees the claim it began, with its id, number, locale and opaque data."""
    remote = Remote()
    with World(possession=remote) as world:
        world.identifier.claim("alice", N1.e164, locale="ru")
        world.flush()
        standing = world.identifier.prove("alice", RIGHT)
    (began,), (checked,) = remote.begun, remote.checked
    assert b"session-1" == checked.opaque
    assert b"" == began.opaque
    assert (began.id, N1, "ru") == (checked.id, checked.number, checked.locale)
    assert ("alice", Status.IDENTIFIED) == (standing.user_id, standing.status)


def test_a_wrong_proof_is_counted_and_answered():
    """A proof that the check refuses is one failure, and the user learns their own standing."""
    remote = Remote()
    with World(possession=remote, kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        standing = world.identifier.prove("alice", WRONG)
        assert ("alice", Status.PROVING_POSSESSION) == (standing.user_id, standing.status)
        assert 1 == world.failures("alice")
        assert Status.IDENTIFIED is world.identifier.prove("alice", RIGHT).status


def test_who_is_identified_is_not_checked_again():
    """The proof of who is identified already reaches nobody and tells only their standing."""
    remote = Remote()
    with World(possession=remote, kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        first = world.identifier.prove("alice", RIGHT)
        again = world.identifier.prove("alice", WRONG)
    assert first == again
    assert 1 == len(remote.checked)


def test_a_check_that_refuses_us_is_named():
    """A misconfigured check raises an alarm under the name of its port, of no user."""
    with World(possession=Remote(refuses=True)) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        (alarm,) = world.alarms
    assert AlarmKind.MISCONFIGURED is alarm.kind
    assert "possession" == alarm.adapter


def test_a_check_that_is_away():
    """No verdict is no proof: the caller is told which port was away, and the try is charged."""
    with World(possession=Remote(away=True)) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        with pytest.raises(Unavailable) as away:
            world.identifier.prove("alice", RIGHT)
        assert "possession" == away.value.adapter
        assert 1 == world.failures("alice")

"""A possession check whose proofs are made by the user's device."""

from __future__ import annotations

import pytest
from attrs import define, field, frozen

from abonent import MessengerKind, OneTimeCode, Status
from abonent.errors import InvalidCode, InvalidValue
from abonent.ports import Begun, NetworkProof, PossessionClaim, PossessionFeatures, Verdict
from tests.properties.parts import N1, World


@frozen(repr=False)
class Seen(NetworkProof):
    number: str


@define
class Silent:
    """Knows which device is in its network."""

    checked: list[NetworkProof] = field(factory=list)
    features = PossessionFeatures(prompt=True, silent=True)

    def begin(self, claim: PossessionClaim) -> Begun:
        return Begun()

    def check(self, proof: NetworkProof, claim: PossessionClaim) -> Verdict:
        self.checked.append(proof)
        proven = isinstance(proof, Seen) and proof.number == claim.number.e164
        return Verdict.PROVEN if proven else Verdict.FAILED


def test_a_device_proves_possession_without_a_code():
    """A wrong proof is counted as a wrong code is; the right one identifies."""
    silent = Silent()
    with World(possession=silent, kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        standing = world.identifier.prove("alice", Seen("+79990000000"))
        assert Status.PROVING_POSSESSION is standing.status
        assert 1 == world.failures("alice")
        assert Status.IDENTIFIED is world.identifier.prove("alice", Seen(N1.e164)).status


def test_a_code_where_a_device_has_to_prove_is_refused_and_not_counted():
    """Neither as text nor as a code does it reach the check."""
    silent = Silent()
    with World(possession=silent, kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        for proof in ("493817", OneTimeCode("493817")):
            with pytest.raises(InvalidValue):
                world.identifier.prove("alice", proof)
        with pytest.raises(InvalidCode):
            world.identifier.prove("alice", "what a device would send")
        assert 0 == world.failures("alice")
    assert [] == silent.checked


def test_a_device_where_a_code_has_to_be_typed_is_refused_and_not_counted():
    """Our own codes are typed."""
    with World(kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        with pytest.raises(InvalidValue):
            world.identifier.prove("alice", Seen(N1.e164))
        assert 0 == world.failures("alice")

"""From a claim at a messenger to a gate that its operator closes: two processes, real HTTP."""

from abonent import Status
from tests.simulation.reference.parts import X, two_processes


def test_a_notice_of_the_operator_closes_the_gate(tmp_path):
    """A user is identified, the subscription ends, the notice travels signed, the gate closes."""
    with two_processes(tmp_path) as (chat, process):
        assert Status.IDENTIFIED is chat.identify("alice")
        assert chat.identifier.gate("alice")
        moved = chat.control("movements", {"phoneNumber": X, "kind": "terminated"})
        assert 200 == moved.status
        assert chat.eventually(lambda: not chat.identifier.gate("alice"))
    assert 0 == process.returncode

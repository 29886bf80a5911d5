"""What a batch reads of other users fits together, though other processes commit meanwhile."""

from functools import partial

import pytest

from abonent import MemoryStorage, Policy
from abonent.core.events import Outcome
from abonent.engine.commits import Task
from abonent.simulation import Reply
from abonent.testing import Rehearsal


class Store(MemoryStorage):
    """Lets another process in behind a reading of aliases, once."""

    meanwhile = None

    def find(self, space, aliases):
        found = super().find(space, aliases)
        work, self.meanwhile = self.meanwhile, None
        if work is not None:
            work()
        return found


@pytest.mark.parametrize("together", [False, True])
def test_a_notice_while_another_process_passes_the_user(together):
    """I4: the user waits before and holds after; a notice finds them in one place or the other.

    Alone, or in one batch with others who wait for answers, whose numbers are looked up at once.
    """
    store = Store()
    policy = Policy(flush_within=None)
    with Rehearsal(storage=store, answers=Reply.LATER, policy=policy) as stand:
        for user in ("boris", "clara"):
            stand.claimed(user)
            stand.proven(user)
        loop = stand.identifier._loop
        settle = loop.commits._process
        (query,) = [q for q in stand.operator.questions if q.number == stand.number("boris")]
        key = loop.keyring.row_of_query(query.id)

        def pass_boris():
            answer = partial(
                loop.give_answer,
                key=key,
                at=stand.clock.now(),
                query_id=query.id,
                operator=stand.operator.id,
                outcome=Outcome.HELD,
                opaque=b"",
                serving=None,
            )
            task = Task((key,), answer)
            settle([task])
            task.outcome()

        if together:
            for each in ("boris", "clara"):
                keys = loop.keyring.user_tags(each)
                loop.commits.post(Task(keys, lambda _: None))
        store.meanwhile = pass_boris
        received = stand.end_subscription("boris")
        assert received.users == ("boris",)
        assert not stand.identifier.gate("boris").open

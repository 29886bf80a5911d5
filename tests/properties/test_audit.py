"""The invariant of checkpoints, whatever dies when and whatever is put back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from abonent import MemoryStorage
from abonent.audit.notes import to64
from abonent.audit.verifying import verify
from abonent.errors import AbonentError
from abonent.ports import Append
from tests.audit import naive
from tests.audit.crashing import Crash, dying
from tests.audit.logs import SPACE, Ledger, entries
from tests.properties.parts import bounded

STEPS = st.one_of(
    st.tuples(st.just("append"), st.sampled_from([1, 2, 17, 255])),
    st.tuples(st.just("publish"), st.sampled_from([0, 0, *range(1, 16)])),
    st.tuples(st.sampled_from(["rebuild", "keep", "folder back", "database back"]), st.just(0)),
)


class Course:
    """A log through all of it, and with each text that was signed, the entries it was about."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.kept = folder / "kept"
        self.entries: list[Append] = []
        self.kept_entries: list[Append] = []
        self.signed: dict[str, list[bytes]] = {}
        self.turns = 0

    def step(self, what: str, how: int) -> None:
        ledger = self.ledger
        self.turns += 1
        if what == "append":
            self.fill([*self.entries, *entries(how, seed=self.turns)])
        elif what == "publish":
            self.publish(how)
        elif what == "rebuild":
            shutil.rmtree(ledger.folder, ignore_errors=True)
            self.publish(0, rebuild=True)
        elif what == "keep":
            self.kept_entries = list(self.entries)
            shutil.rmtree(self.kept, ignore_errors=True)
            if ledger.folder.exists():
                shutil.copytree(ledger.folder, self.kept)
        elif what == "folder back" and self.kept.exists():
            shutil.rmtree(ledger.folder, ignore_errors=True)
            shutil.copytree(self.kept, ledger.folder)
        elif what == "database back":
            self.fill(self.kept_entries)

    def fill(self, made: list[Append]) -> None:
        self.entries = made
        self.ledger.storage = MemoryStorage()
        self.ledger.append(*made)

    def publish(self, dies_at: int, *, rebuild: bool = False) -> None:
        try:
            with dying(dies_at):
                self.ledger.publish(rebuild=rebuild)
        except (Crash, AbonentError):
            pass
        # What a process had signed that died before it could remember it, nobody has seen.
        for path in (self.ledger.root / "log.key.last", self.ledger.folder / "checkpoint"):
            if path.exists():
                text = path.read_text().split("\n\n")[0]
                self.signed.setdefault(text, self.ledger.leaves())


@given(steps=st.lists(STEPS, max_size=14))
@bounded(80)
def test_i12_a_signed_checkpoint_is_only_extended(steps):
    """I12: of any two trees that were ever signed, one begins the other; what is shown holds."""
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        for step in steps:
            course.step(*step)
        last: list[bytes] = []
        for text, leaves in course.signed.items():
            _, size, root = text.split()
            begun = leaves[: int(size)]
            assert to64(naive.mth(begun)) == root
            assert begun[: len(last)] == last
            last = begun
        if (course.ledger.folder / "checkpoint").exists():
            shown = verify(course.ledger.folder, course.ledger.key).checkpoint
            assert shown.text.rstrip() in course.signed


def test_i12_the_course_gets_somewhere():
    """I12: without faults every publishing signs, so that the property is about something."""
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        for step in (("append", 17), ("publish", 0), ("append", 255), ("publish", 0)):
            course.step(*step)
        course.step("rebuild", 0)
        assert ["17", "272"] == [text.split()[1] for text in course.signed]
        assert 272 == len(course.ledger.storage.journal(SPACE, 0, 999))

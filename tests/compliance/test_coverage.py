"""Whether a published checkpoint covers a period."""

from __future__ import annotations

from pathlib import Path

import pytest

from abonent import MemoryStorage
from abonent.audit.evidence import Published
from abonent.audit.log import Log
from abonent.audit.notes import VerifierKey
from abonent.audit.signing import Signer, create_key
from abonent.compliance import Report, report_of, user_at
from abonent.compliance.sentences import remarks
from abonent.errors import EvidenceTampered, InvalidValue
from abonent.ports import Append, Entry, Unit
from tests.compliance.stories import DAY, END, START, Story, story


class Kept:
    """A log of a story's journal."""

    def __init__(self, folder: Path, told: Story) -> None:
        self.folder, self.told = folder, told
        self.key: VerifierKey = create_key(folder / "log.key", "example.com/abonent")

    def publish(self) -> Published:
        with Signer(self.folder / "log.key") as signer:
            Log(self.folder / "log", signer).extend(self.told.storage, "m")
        return Published(self.folder / "log", self.key)

    def report(self, published: Published) -> Report:
        return report_of(self.told.identifier, START, END, published=published)


def test_a_checkpoint_over_all_entries_covers_the_period(tmp_path):
    """Size and root are told, and nothing is left out."""
    with story() as made:
        made.asked("a", "alpha")
        kept = Kept(tmp_path, made)
        published = kept.publish()
        report = kept.report(published)
    assert report.coverage is not None
    assert report.coverage.covers
    assert report.entries.whole_journal == report.coverage.size
    assert published.checkpoint.root.hex() == report.coverage.root
    assert not any("checkpoint" in each for each in remarks(report))


def test_entries_after_the_checkpoint_are_counted(tmp_path):
    """Some, or all of the period, are beyond it."""
    with story() as made:
        made.asked("a", "alpha")
        kept = Kept(tmp_path, made)
        published = kept.publish()
        made.wait(DAY)
        made.asked("b", "alpha")
        some = kept.report(published)
        none = report_of(made.identifier, START + DAY, END, published=published)
    size = published.checkpoint.size
    for each, uncovered in ((some, some.entries.count - size), (none, none.entries.count)):
        assert each.coverage is not None
        assert (False, uncovered) == (each.coverage.covers, each.coverage.uncovered)
        assert any("not covered" in told for told in remarks(each))


def test_a_checkpoint_covers_a_period_without_entries(tmp_path):
    """There is nothing that it could leave out."""
    with story() as made:
        made.asked("a", "alpha")
        published = Kept(tmp_path, made).publish()
        report = report_of(made.identifier, START + DAY, END, published=published)
    assert report.empty
    assert report.coverage is not None
    assert report.coverage.covers


def test_without_a_checkpoint_nothing_is_covered():
    """And that is said."""
    with story() as made:
        made.asked("a", "alpha")
        report = report_of(made.identifier, START, END)
    assert report.coverage is None
    assert any("Nothing here is covered by a checkpoint" in each for each in remarks(report))


@pytest.mark.parametrize("place", ["first", "last"])
def test_an_entry_that_is_not_the_one_that_was_logged_ends_the_report(place, tmp_path):
    """The first and the last of the period are looked up in the log."""

    class Changed(MemoryStorage):
        wrong = 0

        def journal(self, space: str, after: int, limit: int) -> list[Entry]:
            found = super().journal(space, after, limit)
            if limit == 1 and after + 1 == self.wrong:  # as one entry is read to be proven
                return [Entry(it.cursor, it.subject, it.number + 1, it.body) for it in found]
            return found

    storage = Changed()
    with story(storage=storage) as made:
        made.asked("a", "alpha")
        kept = Kept(tmp_path, made)
        published = kept.publish()
        entries = kept.report(published).entries
        storage.wrong = {"first": entries.first, "last": entries.last}[place] or 0
        with pytest.raises(EvidenceTampered):
            kept.report(published)


def test_unreadable_entries_are_covered_like_all_others(tmp_path):
    """A proof needs no key."""
    with story() as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.identifier.forget("b")
        kept = Kept(tmp_path, made)
        report = kept.report(kept.publish())
    assert report.coverage is not None
    assert (True, True) == (report.coverage.covers, report.entries.unreadable > 0)


def test_an_entry_leads_to_its_user():
    """Who runs the service finds whom a case is about; of forgotten ones nobody does."""
    with story() as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.identifier.forget("b")
        count = report_of(made.identifier, START, END).entries.whole_journal
        users = {user_at(made.identifier, each + 1) for each in range(count)}
        for cursor in (0, count + 1):
            with pytest.raises(InvalidValue):
                user_at(made.identifier, cursor)
    assert {"a", None} == users


def test_a_journal_with_an_entry_of_nobody_is_read():
    """Whatever its body is: no key opens it."""
    storage = MemoryStorage()
    with story(storage=storage) as made:
        made.asked("a", "alpha")
        storage.commit([Unit("m", appends=(Append(b"x" * 16, 1, b"what"),))])
        assert 1 == report_of(made.identifier, START, END).entries.unreadable

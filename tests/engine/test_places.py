"""Where the engine keeps what it has to find again."""

from __future__ import annotations

from abonent.engine import archive

TAG = b"t" * 16


def test_places_never_change():
    """The aliases under which release 0.1 kept holders, pending users and subjects stay."""
    assert (TAG + b"h",) == archive.holder_aliases((TAG,))
    assert (TAG + b"p",) == archive.pending_aliases((TAG,))
    assert TAG + b"j" == archive.subject_alias(TAG)
    assert TAG + b"s" == archive.sends_key(TAG)

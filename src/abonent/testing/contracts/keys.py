"""What every `KeyProvider` must do.

Knows that keys stay the same, outlive a rotation and are never shown. Refuses to know where they
are kept.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest

from abonent.errors import KeyMaterialInvalid, KeyUnavailable, SetupError
from abonent.ports import Keys
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import rendered, shown
from abonent.testing.contracts.contract import Contract, to_provide
from abonent.testing.contracts.stage import Stage


class KeyProviderContract(Contract, shared_tests=True):
    """The library takes the keys when it is built, and again when another process is.

    Give it a fixture `stage`: a provider over a source that holds the fixture `keys`. Where you
    cannot choose what it holds, override `keys` too, and say which they are.
    """

    stage = to_provide(
        "Stage",
        "your provider, over a source that holds `keys`",
        """
        @pytest.fixture
        def stage(self, keys):
            return Stage(adapter=MyKeys(vault_with(keys)), shows=frozenset())
        """,
    )

    @pytest.fixture
    def keys(self) -> Keys:
        """A current key and an older one."""
        return Keys(current="k2", roots={"k1": bytes(range(32)), "k2": bytes(range(100, 132))})

    @pytest.fixture
    def features(self, stage: Stage[Any]) -> SimpleNamespace:
        """What the source can be told to show: UNAVAILABLE (it is gone) and MALFORMED."""
        return SimpleNamespace(**{f"shown {each.value}": each in stage.shows for each in Reply})

    def test_the_current_key_is_the_one_that_seals(self, stage: Stage[Any], keys: Keys) -> None:
        """The provider gives `Keys`, with the current one named and its bytes as they are kept."""
        given = stage.adapter.keys()
        assert isinstance(given, Keys)
        assert keys.current == given.current
        assert keys.roots[keys.current] == given.roots[given.current]

    def test_older_keys_are_kept(self, stage: Stage[Any], keys: Keys) -> None:
        """What older keys sealed can still be opened: every key of the source is given."""
        assert len(keys.roots) > 1, "the contract needs a source with an older key"
        assert dict(keys.roots) == dict(stage.adapter.keys().roots)

    def test_the_same_keys_each_time(self, stage: Stage[Any]) -> None:
        """Asked again, the provider gives the same keys."""
        assert stage.adapter.keys() == stage.adapter.keys()

    def test_what_was_given_is_no_alias(self, stage: Stage[Any], keys: Keys) -> None:
        """Whoever changes what was given changes nothing that is given later."""
        held = dict(keys.roots)
        given = cast("dict[str, bytes]", stage.adapter.keys().roots)
        with suppress(TypeError, AttributeError):
            given.clear()
        assert held == dict(stage.adapter.keys().roots)

    @shown(Reply.UNAVAILABLE)
    def test_a_source_that_is_gone_is_key_unavailable(self, stage: Stage[Any]) -> None:
        """Keys that cannot be had now are KeyUnavailable; no other key is given instead."""
        stage.tell(Reply.UNAVAILABLE)
        with pytest.raises(KeyUnavailable):
            stage.adapter.keys()

    @shown(Reply.MALFORMED)
    def test_a_source_that_holds_no_keys_is_key_material_invalid(self, stage: Stage[Any]) -> None:
        """A source that does not hold keys is KeyMaterialInvalid; no part of it is used."""
        stage.tell(Reply.MALFORMED)
        with pytest.raises(KeyMaterialInvalid):
            stage.adapter.keys()

    def test_nothing_shows_a_key(
        self,
        stage: Stage[Any],
        keys: Keys,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """No key is logged, printed, or shown by the repr of the provider or of an error (I9)."""
        caplog.set_level(logging.DEBUG)
        given = stage.adapter.keys()
        shown_by = [repr(stage.adapter), str(stage.adapter), repr(given)]
        for reply in (Reply.UNAVAILABLE, Reply.MALFORMED):
            if reply in stage.shows:
                stage.tell(reply)
                with pytest.raises(SetupError) as caught:
                    stage.adapter.keys()
                shown_by.append(rendered(caught.value))
        shown_by += [caplog.text, *capsys.readouterr()]
        text = "".join(shown_by)
        for root in keys.roots.values():
            assert not any(each in text for each in written_forms(root))


def written_forms(root: bytes) -> Iterator[str]:
    """The ways in which a key gets into a text."""
    yield root.hex()
    yield repr(root)[2:-1]
    yield str(list(root))[1:-1]
    yield base64.b64encode(root).decode().rstrip("=")
    yield base64.urlsafe_b64encode(root).decode().rstrip("=")

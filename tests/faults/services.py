"""Key services that are wrong in one thing.

Each overrides one method of a service that passes its contract; `named_by` is the test of that
contract which must name it.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, Final

import pytest

from abonent.errors import Misconfigured, Unavailable
from abonent.testing import KeyServiceContract, Stage
from tests.keys.services import LocalService

log = logging.getLogger("an.integrator")


class IgnoresTheId(LocalService):
    """It passes no associated data on, so that two keys in the file can be swapped."""

    named_by = "test_a_wrapped_key_is_bound_to_its_id"

    def _place(self, key_id: str) -> bytes:
        return b""


class EncodesOnly(LocalService):
    """It takes an encoding for encryption."""

    named_by = "test_a_wrapped_key_tells_nothing"

    def wrap(self, key_id: str, secret: bytes) -> bytes:
        return base64.b64encode(secret)


class ForgetsItsOlderKey(LocalService):
    """Its key turns by being replaced: what was wrapped before is lost."""

    named_by = "test_a_service_that_turns_its_key_unwraps_what_it_wrapped"

    def turn(self) -> None:
        super().turn()
        self._keys[0] = self._keys[-1]


class NamesNoVersion(LocalService):
    """It names the key and not its version: nobody sees what is to be wrapped anew."""

    named_by = "test_a_service_that_turns_its_key_unwraps_what_it_wrapped"

    def wrapped_by(self, key_id: str, wrapped: bytes) -> str:
        return "local"


class NamesNothing(LocalService):
    """It gives the service's reply as it is."""

    named_by = "test_the_service_s_key_is_named"

    def wrapped_by(self, key_id: str, wrapped: bytes) -> Any:
        return {"version": wrapped[0]}


class KeepsTheLastOnly(LocalService):
    """It keeps keys on its side, by no more than a handle that the next one takes over."""

    named_by = "test_what_was_wrapped_before_still_unwraps"

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        newest = self.last_wrapped == wrapped
        found = super().unwrap(key_id, wrapped)
        return found if newest or len(wrapped) != len(self.last_wrapped) else bytes(32)


class TakesARefusalForAKey(LocalService):
    """Where the service refuses, it gives a key of zeros."""

    named_by = "test_what_was_changed_does_not_unwrap"

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            return super().unwrap(key_id, wrapped)
        except Misconfigured:
            return bytes(32)


class MakesUpAKey(LocalService):
    """Where the service is away, it gives a key of zeros, under which anybody opens."""

    named_by = "test_out_of_reach_is_unavailable[unwrap]"

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            return super().unwrap(key_id, wrapped)
        except Unavailable:
            return bytes(32)


class RaisesRaw(LocalService):
    """It lets through what its client raises."""

    named_by = "test_out_of_reach_is_unavailable[wrap]"

    def wrap(self, key_id: str, secret: bytes) -> bytes:
        try:
            return super().wrap(key_id, secret)
        except Unavailable:
            raise ConnectionResetError("connection reset by peer") from None


class QuotesTheRequest(LocalService):
    """Its error quotes the request, which holds the key."""

    named_by = "test_errors_show_nobody[wrap]"

    def wrap(self, key_id: str, secret: bytes) -> bytes:
        try:
            return super().wrap(key_id, secret)
        except Unavailable:
            raise Unavailable(f"no answer to {base64.b64encode(secret)!r}") from None


class LogsWhatItStores(LocalService):
    """It logs what the service replied."""

    named_by = "test_nothing_shows_a_wrapped_key_either"

    def wrap(self, key_id: str, secret: bytes) -> bytes:
        wrapped = super().wrap(key_id, secret)
        log.debug("wrapped %s", wrapped.hex())
        return wrapped


RIGHT: Final = (LocalService,)
WRONG: Final = tuple(each for each in LocalService.__subclasses__() if "named_by" in vars(each))


def contract_of(service: type[LocalService]) -> type[Any]:
    """The contract, with the service as an integrator would give it."""

    @pytest.fixture
    def other_side(self: object) -> LocalService:
        return service()

    @pytest.fixture
    def stage(self: object, other_side: LocalService) -> Stage[Any]:
        return Stage(adapter=other_side, tell=other_side.show)

    @pytest.fixture
    def turn(self: object, other_side: LocalService) -> Any:
        return other_side.turn

    parts = {"other_side": other_side, "stage": stage, "turn": turn}
    return type(f"Test{service.__name__}", (KeyServiceContract,), parts)


globals().update({f"Test{each.__name__}": contract_of(each) for each in (*RIGHT, *WRONG)})

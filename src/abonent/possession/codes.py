"""One-time codes of our own: sent to the number, typed by the user.

Knows how to hand a code to a sender and to compare it. Refuses to make codes: the engine derives
them, and they are never stored.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from abonent.ports import (
    AsyncCodeSender,
    Begun,
    CodeMessage,
    CodeSender,
    OneTimeCode,
    PossessionClaim,
    PossessionFeatures,
    Verdict,
)
from abonent.sealing import same_code


@frozen(repr=False)
class OneTimeCodes:
    """Possession is proven by the code that was sent to the number.

    `prompt`: the sender returns without waiting for a network, so the caller's thread calls it.
    `proven`: told the id of a message whose code came back, such as `FallbackSender.proven`. It is
    a hint: it returns at once, raises nothing, and may be told twice.
    """

    sender: CodeSender
    prompt: bool = False
    proven: Callable[[str], object] | None = None
    features: PossessionFeatures = field(init=False)
    """The comparison is local: its verdict is committed together with the charge."""

    def __attrs_post_init__(self) -> None:
        features = PossessionFeatures(local=True, prompt=self.prompt)
        object.__setattr__(self, "features", features)

    @property
    def test_double(self) -> bool:
        """A double as sender makes this a double too (P12)."""
        return bool(getattr(self.sender, "test_double", False))

    def begin(self, claim: PossessionClaim) -> Begun:
        """Send the code of this claim."""
        self.sender.send(_message(claim))
        return Begun()

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """Compare as text, in constant time (P8)."""
        return _verdict(proof, claim, self.proven)


@frozen(repr=False)
class AsyncOneTimeCodes:
    """`OneTimeCodes` for the async shell, over a sender that is awaited."""

    sender: AsyncCodeSender
    proven: Callable[[str], object] | None = None
    features: PossessionFeatures = field(init=False, default=PossessionFeatures(local=True))
    """As for `OneTimeCodes`."""

    @property
    def test_double(self) -> bool:
        """A double as sender makes this a double too (P12)."""
        return bool(getattr(self.sender, "test_double", False))

    async def begin(self, claim: PossessionClaim) -> Begun:
        """Send the code of this claim."""
        await self.sender.send(_message(claim))
        return Begun()

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """Compare as text, in constant time (P8). There is nothing to await."""
        return _verdict(proof, claim, self.proven)


def _message(claim: PossessionClaim) -> CodeMessage:
    return CodeMessage(id=claim.id, number=claim.number, code=claim.code, locale=claim.locale)


def _verdict(
    proof: OneTimeCode, claim: PossessionClaim, proven: Callable[[str], object] | None
) -> Verdict:
    if not same_code(proof, claim.code):
        return Verdict.FAILED
    if proven is not None:
        proven(claim.id)
    return Verdict.PROVEN

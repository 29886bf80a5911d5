"""What a message with a code says, by locale, and the octets in which it travels.

Knows templates and the two alphabets that every message centre understands alike. Refuses to know
to whom a message goes: a text has a place for the code and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import ascii_letters, digits
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from abonent.errors import InvalidValue
from abonent.ports import OneTimeCode

_PLACE: Final = "{code}"
_LONGEST_CODE: Final = OneTimeCode("0" * 10)
_SAME_EVERYWHERE: Final = frozenset(ascii_letters + digits + " \n\r!\"#%&'()*+,-./:;<=>?")
"""Characters with one octet in GSM 03.38, ASCII and Latin-1 alike. The default alphabet is the
centre's own (SMPP 3.4, 5.2.19), so a text of others is sent in UCS-2, which is nobody's own."""
DEFAULT_ALPHABET: Final = 0x00
UCS2: Final = 0x08
_ONE_SEGMENT: Final = {DEFAULT_ALPHABET: 160, UCS2: 140}
"""Octets as they are counted here that fit one short message: 160 septets, or 70 units of 16 bits
(3GPP TS 23.040, 9.2.3.24)."""
_TAG: Final = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*", re.ASCII)


@frozen(kw_only=True)
class Wording:
    """A text as it travels. `coding` is the data_coding of SMPP 3.4, 5.2.19."""

    coding: int
    octets: bytes = field(repr=False)


def wording(text: str) -> Wording:
    """Put a text into octets, in the default alphabet where every centre reads the same."""
    if _SAME_EVERYWHERE.issuperset(text):
        return Wording(coding=DEFAULT_ALPHABET, octets=text.encode("ascii"))
    return Wording(coding=UCS2, octets=text.encode("utf-16-be"))


def _lower(texts: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({locale.lower(): text for locale, text in texts.items()})


def _sendable(_: object, __: object, texts: Any) -> None:
    if "" not in texts:
        raise InvalidValue("texts have one under the empty tag, for every other locale")
    for locale, text in texts.items():
        if locale and not _TAG.fullmatch(locale):
            raise InvalidValue("a text stands under a language tag (RFC 5646), or under ''")
        _check_template(locale, text)


def _check_template(locale: str, text: str) -> None:
    around = text.replace(_PLACE, "")
    if around == text or "{" in around or "}" in around:
        raise InvalidValue(f"the text of {locale!r} has {_PLACE}, and no other braces")
    if not around.replace("\n", "").isprintable():
        raise InvalidValue(f"the text of {locale!r} has a character that is not printable")
    filled = wording(text.replace(_PLACE, _LONGEST_CODE.digits))
    if len(filled.octets) > _ONE_SEGMENT[filled.coding]:
        raise InvalidValue(f"the text of {locale!r} does not fit one short message")


@frozen
class CodeTexts:
    """Templates by language tag; the one under "" is for every locale that has none.

    `{code}` stands for the code, once or more, and there is no other placeholder: a number or name
    has no way in. A text fits one short message with the longest code: 160 characters if all of
    them are letters without accents, digits, spaces, line ends or `!"#%&'()*+,-./:;<=>?`, otherwise
    70.

    Raises:
        InvalidValue: no text under "", something that is no language tag, or a text that has no
            `{code}`, has other braces, is not printable, or is too long.
    """

    texts: Mapping[str, str] = field(converter=_lower, validator=_sendable)

    def wording(self, locale: str, code: OneTimeCode) -> Wording:
        """Return the text for a locale, with its code.

        The tag is shortened from its end until a text is found (RFC 4647, 3.4).
        """
        tag = locale.lower()
        while tag and tag not in self.texts:
            tag = tag.rpartition("-")[0]
        return wording(self.texts[tag].replace(_PLACE, code.digits))


ENGLISH_AND_RUSSIAN: Final = CodeTexts({"": "Your code: {code}", "ru": "Ваш код: {code}"})
"""The texts where none are given."""

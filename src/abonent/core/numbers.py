"""Subscriber numbers: one spelling for each number, at the border, once (P9, P17).

Knows how people write numbers. Refuses to know which operator serves one: numbers are ported.
"""

from __future__ import annotations

import re
import unicodedata
from functools import total_ordering
from typing import TYPE_CHECKING, Final

from attrs import frozen

from abonent.errors import (
    InvalidNumber,
    InvalidValue,
    NotAMobileNumber,
    NumberHasExtension,
    NumberNotAllowed,
)

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_E164: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_LONGEST_INPUT: Final = 64
_RUSSIAN_MOBILE: Final = re.compile(r"\+7(9[0-9]{9})", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", " -()./\u00a0\u2010\u2011\u2012\u2013\u2014\u2009\u202f")


@total_ordering
class SubscriberNumber:
    """A mobile number in E.164, such as the one that `e164` returns.

    Neither `repr` nor `str` shows it: who needs the digits asks for `e164` by name (I9).

    Raises:
        InvalidValue: the text is not `+` and 5 to 15 digits (ITU-T E.164, 6.2.1).
    """

    # Not a record: as one it would be stored by its fields instead of as a number.
    __slots__ = ("_e164",)

    def __init__(self, e164: str) -> None:
        if not _E164.fullmatch(e164):
            message = "a SubscriberNumber takes E.164 text; use parse_number for what people type"
            raise InvalidValue(message)
        self._e164 = e164

    @property
    def e164(self) -> str:
        """The number as `+` and digits."""
        return self._e164

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SubscriberNumber):
            return NotImplemented
        return self._e164 == other._e164

    def __lt__(self, other: SubscriberNumber) -> bool:
        return self._e164 < other._e164

    def __hash__(self) -> int:
        return hash(self._e164)

    def __repr__(self) -> str:
        return f"SubscriberNumber(…{self._e164[-2:]})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


@frozen(kw_only=True)
class ParsedNumber:
    """A number as read, and whether the numbering data has not heard of it.

    `unlisted` is a warning, not a refusal: the data is always behind the operators.
    """

    number: SubscriberNumber
    unlisted: bool


def parse_number(
    text: str, *, default_region: str = "RU", regions: frozenset[str] | None = None
) -> ParsedNumber:
    """Read a mobile number as people write it.

    Spaces, brackets, dashes, `8 (9xx)`, `+7`, `tel:` and digits of any script give one value.

    Args:
        text: what was typed, at most 64 characters.
        default_region: ISO 3166 code of the country whose national form is understood.
        regions: countries whose numbers are accepted; None accepts every country.

    Raises:
        InvalidNumber: not a number, or too short or long for its country.
        NumberHasExtension: an extension is attached.
        NotAMobileNumber: fixed line, toll-free, premium rate, short or other special number.
        NumberNotAllowed: a number of a country outside `regions`.
    """
    # Imported here so that `import abonent` does not pay for the numbering metadata.
    import phonenumbers
    from phonenumbers import PhoneNumberType as Kind

    folded = _folded(text)
    if mobile := _RUSSIAN_MOBILE.fullmatch(folded.translate(_SEPARATORS)):
        # What parsing would come to, and parsing takes most of the time.
        parsed = phonenumbers.PhoneNumber(country_code=7, national_number=int(mobile[1]))
        region = "RU"
    else:
        parsed, region = _parse(folded, default_region)
    if regions is not None and region not in regions:
        raise NumberNotAllowed(f"numbers of region {region} are not accepted", region=region)
    line = phonenumbers.number_type(parsed)
    if line == Kind.UNKNOWN:
        _refuse_impossible(parsed, region)
        unlisted = True
    elif line in (Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE):
        unlisted = False
    else:
        name = Kind.to_string(line).lower()
        raise NotAMobileNumber(f"this is a {name} number, not a mobile one", kind=name)
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if not _E164.fullmatch(e164):  # some plans have numbers that are longer than E.164 allows
        raise InvalidNumber("too short or too long for its country")
    return ParsedNumber(number=SubscriberNumber(e164), unlisted=unlisted)


def _parse(folded: str, default_region: str) -> tuple[PhoneNumber, str]:
    """Return the number and the region that it belongs to."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(folded, default_region)
    except phonenumbers.NumberParseException as error:
        kind = phonenumbers.NumberParseException
        if error.error_type == kind.INVALID_COUNTRY_CODE:
            raise InvalidNumber("the country code is missing or unknown") from None
        raise InvalidNumber("this is not a phone number") from None
    if parsed.extension:
        raise NumberHasExtension("a subscriber number has no extension")
    if any(each.isalpha() for each in folded.partition(";")[0]):
        raise InvalidNumber("letters are not read as digits")  # a typo would be somebody's number
    region = phonenumbers.region_code_for_number(parsed)
    if region is None:
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return parsed, region


def _folded(text: str) -> str:
    """Bring letters and signs of any width to one form, without the scheme of a `tel:` URI."""
    if len(text) > _LONGEST_INPUT:
        raise InvalidNumber(f"a number has at most {_LONGEST_INPUT} characters")
    folded = text.strip()
    if not folded.isascii():
        folded = unicodedata.normalize("NFKC", folded)
    return folded[4:] if folded[:4].lower() == "tel:" else folded


def _refuse_impossible(parsed: PhoneNumber, region: str) -> None:
    import phonenumbers
    from phonenumbers import ValidationResult, shortnumberinfo

    # `is_possible_number` would also take seven digits that can be dialled within a town only.
    if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
        if shortnumberinfo.is_possible_short_number_for_region(parsed, region):
            raise NotAMobileNumber("this is a short number, not a mobile one", kind="short")
        raise InvalidNumber("too short or too long for its country")
    if region == "RU" and not str(parsed.national_number).startswith("9"):
        # Russian mobile codes (DEF) all begin with 9; an unknown ABC code is no mobile number.
        raise NotAMobileNumber("this is not in a mobile (DEF) code", kind="not_def")

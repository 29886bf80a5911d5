"""How people write numbers, and which are refused."""

from __future__ import annotations

import pytest
from phonenumbers import PhoneNumber

from abonent.core.numbers import ParsedNumber, SubscriberNumber, _parse, parse_number
from abonent.errors import (
    InvalidNumber,
    InvalidValue,
    NotAMobileNumber,
    NumberHasExtension,
    NumberNotAllowed,
)

RU = frozenset({"RU"})
X = SubscriberNumber("+79161234567")

SPELLINGS = [
    "+79161234567",
    "79161234567",
    "89161234567",
    "9161234567",
    "+7 8 (916) 123-45-67",
    "8 (916) 123-45-67",
    "+7 (916) 123.45.67",
    "+7/916/1234567",
    "  +7 916 123 45 67\n",
    "8107 916 1234567",
    "tel:+7-916-123-45-67",
    "TEL:+79161234567",
    "tel:9161234567;phone-context=+7",
    "７９１６１２３４５６７",
    "８ ９１６ １２３ ４５ ６７",
    "+٧٩١٦١٢٣٤٥٦٧",
    "+7\u00a0916\u2011123\u201345\u201467",
    "+7\u2009916\u202f123\u201045\u201267",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_value_for_every_spelling(spelling):
    """However a number is written, it is one value (P9, P17)."""
    expected = ParsedNumber(number=X, unlisted=False)
    assert expected == parse_number(spelling, regions=RU) == parse_number(spelling)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "abc",
        "+7916123",
        "+791612345678",
        "0611",
        "+7916\x001234567",
        "8" * 64,
        "007 916 1234567",
    ],
)
def test_what_is_no_number(text):
    """What is no number, or has the wrong length, is refused as the user's error."""
    with pytest.raises(InvalidNumber) as refused:
        parse_number(text, regions=RU)

    assert InvalidNumber is type(refused.value)
    assert "NUMBER_UNPARSABLE" == refused.value.code


@pytest.mark.parametrize(
    "text", ["+7916-CALL-NOW", "+79161234567p5", "тел. +79161234567", "+7 9161234567 ext"]
)
def test_letters_are_no_digits(text):
    """A letter is not read as a digit: a slip of the finger would be somebody else's number."""
    with pytest.raises(InvalidNumber, match="letters") as refused:
        parse_number(text)

    assert InvalidNumber is type(refused.value)


def test_an_unknown_country_code():
    """A country code that does not exist is named as the reason."""
    with pytest.raises(InvalidNumber, match="country code"):
        parse_number("+9991234567")


@pytest.mark.parametrize("text", ["+234 5586 4586 4334 67", "+2345586458643346"])
def test_longer_than_any_number(text):
    """Where a country's plan allows more than 15 digits, E.164 does not."""
    with pytest.raises(InvalidNumber, match="too short or too long"):
        parse_number(text)


@pytest.mark.parametrize("text", ["+79161234567".ljust(65), "x" * 65])
def test_too_long_to_be_looked_at(text):
    """What is longer than 64 characters is not even parsed."""
    with pytest.raises(InvalidNumber, match="64"):
        parse_number(text)


def test_as_long_as_may_be():
    """64 characters are looked at."""
    assert X == parse_number("+79161234567".ljust(64)).number


@pytest.mark.parametrize(
    "text", ["+7 916 123-45-67 ext. 5", "+79161234567;ext=5", "8 916 123 45 67 доб. 5"]
)
def test_an_extension(text):
    """A number with an extension is no subscriber number."""
    with pytest.raises(NumberHasExtension):
        parse_number(text, regions=RU)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("+7 495 123-45-67", "fixed_line"),
        ("8-800-555-35-35", "toll_free"),
        ("+7 809 123-45-67", "premium_rate"),
        ("112", "short"),
        ("+7 112", "short"),
        ("tel:112", "short"),
        ("+7 300 123-45-67", "not_def"),
        ("+442079460000", "fixed_line"),
    ],
)
def test_not_a_mobile_number(text, kind):
    """Fixed lines, toll-free, premium and short numbers are refused with the reason."""
    with pytest.raises(NotAMobileNumber) as refused:
        parse_number(text)

    assert kind == refused.value.kind
    assert "NUMBER_NOT_MOBILE" == refused.value.code


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+77011234567", "KZ"),
        ("87011234567", "KZ"),
        ("+12015550123", "US"),
        ("+442079460000", "GB"),
        ("+883510000000000", "001"),
    ],
)
def test_a_country_that_is_not_accepted(text, region):
    """+77 is Kazakhstan, not Russia; a country outside the policy is refused by name."""
    with pytest.raises(NumberNotAllowed) as refused:
        parse_number(text, regions=RU)

    assert region == refused.value.region


@pytest.mark.parametrize(
    ("text", "regions", "e164"),
    [
        ("+7 701 123 45 67", frozenset({"RU", "KZ"}), "+77011234567"),
        ("+44 7400 123456", None, "+447400123456"),
        ("+1 201 555 0123", frozenset({"US"}), "+12015550123"),
    ],
)
def test_a_country_that_is_accepted(text, regions, e164):
    """A foreign mobile number passes where its country is accepted."""
    assert e164 == parse_number(text, regions=regions).number.e164


def test_another_default_region():
    """The national form is that of the default region; the Russian 8 means nothing there."""
    assert "+447400123456" == parse_number("07400 123456", default_region="GB").number.e164
    with pytest.raises(InvalidNumber):
        parse_number("89161234567", default_region="GB")


@pytest.mark.parametrize("text", ["+12001234567", "+380101234567", "+49151234567890"])
def test_unlisted(text):
    """A number that is possible but unknown to the numbering data is accepted with a warning."""
    parsed = parse_number(text)

    assert (text, True) == (parsed.number.e164, parsed.unlisted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "79161234567",
        "+0916123456",
        "+7916",
        "+1234567890123456",
        "+٧٩١٦١٢٣٤٥٦٧",
        "+79161234567\n",
    ],
)
def test_a_value_is_e164(text):
    """A SubscriberNumber is E.164 text and nothing else; the error does not repeat it."""
    with pytest.raises(InvalidValue) as refused:
        SubscriberNumber(text)

    assert not text or text not in str(refused.value)


def test_a_number_does_not_show():
    """Neither repr, str nor format shows the number (I9)."""
    for shown in (repr(X), str(X), f"{X}", f"{X:>40}", f"{X!s}", repr([X])):
        assert "67" in shown
        assert "23456" not in shown
    assert f"{X:>40}".endswith(repr(X))
    assert 40 == len(f"{X:>40}")
    assert X < SubscriberNumber("+79161234568")


@pytest.mark.parametrize("region", ["RU", "KZ", "US"])
def test_a_russian_mobile_number_needs_no_parsing(region):
    """In its one spelling it is read as parsing would read it, in whatever country."""
    for code in range(900, 1000):
        for rest in (0, 1234567, 8000000, 9999999):
            number = f"+7{code}{rest:07d}"
            expected = (PhoneNumber(country_code=7, national_number=int(number[2:])), "RU")
            assert expected == _parse(number, region)
            assert number == parse_number(number, default_region=region).number.e164

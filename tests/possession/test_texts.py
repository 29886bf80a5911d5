"""A text has its code, fits one message, and reads the same at every centre."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import CodeTexts, OneTimeCode
from abonent.errors import InvalidValue
from abonent.possession.texts import (
    DEFAULT_ALPHABET,
    ENGLISH_AND_RUSSIAN,
    UCS2,
    Wording,
    wording,
)

CODECS = {DEFAULT_ALPHABET: "ascii", UCS2: "utf-16-be"}
CODES = st.from_regex(r"[0-9]{4,10}", fullmatch=True).map(OneTimeCode)
# GSM 03.38 (3GPP TS 23.038, 6.2.1), where it has another character than ASCII at the same place,
# or none: what a centre would take for something else, by what its default alphabet is.
UNLIKE = "@$_[\\]^{|}~`\t"


def read(found: Wording) -> str:
    return found.octets.decode(CODECS[found.coding])


@given(CODES)
def test_the_code_stands_in_the_text_as_it_is(code):
    """Digits arrive as they are, zeros in front included (P8)."""
    assert read(ENGLISH_AND_RUSSIAN.wording("en", code)) == f"Your code: {code.digits}"
    assert read(ENGLISH_AND_RUSSIAN.wording("ru-RU", code)) == f"Ваш код: {code.digits}"


@given(st.text())
def test_a_text_reads_as_it_was_written(text):
    """Whatever is in a text, the two alphabets in use carry it unchanged."""
    encodable = text.encode("utf-16-be", "ignore").decode("utf-16-be")
    assert read(wording(encodable)) == encodable


@pytest.mark.parametrize("character", UNLIKE)
def test_what_centres_read_differently_is_sent_in_ucs2(character):
    """A character that stands elsewhere in GSM 03.38 than in ASCII is not left to the centre."""
    assert UCS2 == wording(f"code {character} 1").coding


def test_what_all_read_alike_is_sent_in_the_default_alphabet():
    """Letters, digits and common marks have one octet each."""
    assert DEFAULT_ALPHABET == wording("Your code: 493817.\nDo not tell it (to anybody)!").coding


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("de", "deutsch 1234"),
        ("de-AT", "oesterreichisch 1234"),
        ("DE-at", "oesterreichisch 1234"),
        ("de-AT-1996", "oesterreichisch 1234"),
        ("de-CH", "deutsch 1234"),
        ("", "any 1234"),
        ("fr", "any 1234"),
        ("dea", "any 1234"),
        ("-", "any 1234"),
        ("{code}", "any 1234"),
    ],
)
def test_a_locale_gets_the_nearest_text(locale, text):
    """The tag is shortened from its end until there is a text; otherwise it is everybody's."""
    texts = CodeTexts({"": "any {code}", "de": "deutsch {code}", "de-AT": "oesterreichisch {code}"})
    assert read(texts.wording(locale, OneTimeCode("1234"))) == text


def test_a_code_may_stand_twice():
    """What fills codes in by itself reads them from a line of its own."""
    texts = CodeTexts({"": "Code {code}\n\n@chat.example #{code}"})
    assert "Code 1234\n\n@chat.example #1234" == read(texts.wording("", OneTimeCode("1234")))


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"ru": "{code}"},
        {"": "no place"},
        {"": "{code} {number}"},
        {"": "{code} {}"},
        {"": "{code} {{"},
        {"": "{code!r}"},
        {"": "{code}\x00"},
        {"": "{code}\x1b"},
        {"": "{code}", "not a tag": "{code}"},
        {"": "{code}" + "x" * 151},
        {"": "{code}" + "я" * 61},
        {"": "{code}" * 17},
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_given(texts):
    """A text is judged before the first user waits for it, with the longest code."""
    with pytest.raises(InvalidValue):
        CodeTexts(texts)


@given(CODES, st.sampled_from(["x" * 150, "я" * 60]))
def test_the_longest_text_fits_one_message(code, around):
    """160 septets, or 140 octets in UCS-2 (3GPP TS 23.040)."""
    found = CodeTexts({"": around + "{code}"}).wording("", code)
    assert len(found.octets) <= {DEFAULT_ALPHABET: 160, UCS2: 140}[found.coding]


def test_what_is_given_is_not_changed_from_outside():
    """A mapping that changes later changes no text."""
    given_texts = {"": "one {code}"}
    texts = CodeTexts(given_texts)
    given_texts[""] = "two {code}"
    assert "one 1234" == read(texts.wording("", OneTimeCode("1234")))


def test_a_wording_does_not_show_its_text():
    """No repr has the code in it (I9)."""
    assert "1234" not in repr(wording("code 1234"))

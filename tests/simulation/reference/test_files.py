"""The files that a reference operator is made from, and what is wrong with them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc import jwk

from abonent import SubscriberNumber
from abonent.simulation.reference import (
    Subscriber,
    SubscriberState,
    read_clients,
    read_keys,
    read_subscribers,
)
from abonent.simulation.reference.clients import EVER, ClientsFileError
from abonent.simulation.reference.subscribers import LARGEST, SubscribersFileError

A, B, C = (SubscriberNumber(f"+7916000000{n}") for n in range(1, 4))
NOON = datetime(2020, 6, 1, 9, 0, tzinfo=UTC)
MIDNIGHT = datetime(2019, 12, 31, 21, 0, tzinfo=UTC)
"""When the year 2020 began in Moscow."""


def written(folder: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- subscribers ------------------------------------------------------------------------


def test_lines_as_people_write_them(tmp_path):
    """Any spelling of a number, any separator, a head, comments, empty lines and a mark."""
    text = (
        "\ufeffТелефон;С;Состояние\r\n"
        "# those of January\r\n\r\n"
        "8 (916) 000-00-01;2020-01-01\r\n"
        '"+7 916 000 00 02","2020-06-01T12:00:00+03:00",ENDED\n'
        "tel:+79160000003\t2020-06-01T09:00:00Z\tported\tBusiness\n"
    )
    assert read_subscribers(written(tmp_path, text)) == {
        A: Subscriber(since=MIDNIGHT),
        B: Subscriber(since=NOON, state=SubscriberState.ENDED),
        C: Subscriber(since=NOON, state=SubscriberState.PORTED, contract="Business"),
    }


def test_an_empty_file_is_an_operator_without_subscribers(tmp_path):
    """They may come later."""
    assert {} == read_subscribers(written(tmp_path, ""))
    assert {} == read_subscribers(written(tmp_path, "number,since\n"))


GOOD = "+79160000001,2020-01-01"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("89160000009", "the second column is a date"),
        ("89160000009,", "the second column is a date"),
        ("89160000009,2020-02-30", "the second column is a date"),
        ("89160000009,2020-01-01T00:00:00", "the second column is a date"),
        ("89160000009,01.01.2020", "the second column is a date"),
        ("89160000009,0001-01-01", "the second column is a date"),
        ("8916,2020-01-01", "NUMBER_UNPARSABLE"),
        ("84951234567,2020-01-01", "NUMBER_NOT_MOBILE"),
        ("89160000009 ext. 5,2020-01-01", "NUMBER_EXTENSION"),
        (",2020-01-01", "NUMBER_UNPARSABLE"),
        ("89160000009,2020-01-01,gone", "active, barred, ended, ported, undetermined"),
        ("89160000009,2020-01-01,active,prepaid", "PAYG, PAYM or Business"),
        ("89160000009,2020-01-01,,,x", "more than four columns"),
        ("8 916 000 00 01,2020-01-01", "stands in line 1 already"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(tmp_path, line, told):
    """The error says which line and why, and no number (I9)."""
    path = written(tmp_path, f"{GOOD}\n\n{line}\n")
    with pytest.raises(SubscribersFileError) as raised:
        read_subscribers(path)
    said = str(raised.value)
    assert "list.csv, line 3: " in said
    assert told in said
    assert 3 == raised.value.line
    assert "9160000" not in said
    assert "916 000" not in said


def test_bytes_that_are_no_text(tmp_path):
    """The line is counted all the same."""
    path = written(tmp_path, f"{GOOD}\n".encode() + b"\xcd\xee\xec\xe5\xf0;2020\n")
    with pytest.raises(SubscribersFileError, match=r"list\.csv, line 2: this is not UTF-8"):
        read_subscribers(path)


@pytest.mark.parametrize(
    ("path", "told"),
    [("none.csv", "none.csv cannot be read: No such file"), (".", "cannot be read: Is a direc")],
)
def test_a_file_that_cannot_be_read(tmp_path, path, told):
    """It is said by its name, with the system's reason."""
    with pytest.raises(SubscribersFileError, match=told):
        read_subscribers(tmp_path / path)
    with pytest.raises(SubscribersFileError, match="not a path"):
        read_subscribers(Path("a\0b"))


def test_a_file_that_is_too_large(tmp_path):
    """It is not read to its end."""
    path = tmp_path / "list.csv"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(SubscribersFileError, match="larger than 64 MiB"):
        read_subscribers(path)


# --- messengers -------------------------------------------------------------------------

KEYS = {
    "EC": jwk.generate_key("EC", "P-256"),
    "OKP": jwk.generate_key("OKP", "Ed25519"),
    "RSA": jwk.generate_key("RSA", 2048),
}


def key_file(folder: Path, name: str = "chat.jwk", kind: str = "EC") -> Path:
    return written(folder, json.dumps(KEYS[kind].as_dict(private=False)), name)


def test_messengers_by_table(tmp_path):
    """The name of a table is the messenger's id; what is not said is as usual."""
    key_file(tmp_path)
    text = (
        '[chat]\nkeys = "chat.jwk"\n'
        '[talk]\nkeys = "chat.jwk"\nclient_id = "T-1"\ninbox = "http://127.0.0.1:9000/in"\n'
        "agreed_from = 2026-01-01T00:00:00+03:00\nagreed_until = 2027-01-01T00:00:00+03:00\n"
    )
    chat, talk = read_clients(written(tmp_path, text, "messengers.toml"))
    assert ("chat", "chat", None, EVER, None) == (
        chat.messenger,
        chat.client_id,
        chat.inbox,
        chat.agreed_from,
        chat.agreed_until,
    )
    assert ("talk", "T-1", "http://127.0.0.1:9000/in") == (
        talk.messenger,
        talk.client_id,
        talk.inbox,
    )
    agreement = talk.agreement("mts")
    assert datetime(2025, 12, 31, 21, tzinfo=UTC) == agreement.starts
    assert datetime(2026, 12, 31, 21, tzinfo=UTC) == agreement.ends
    assert "talk" == agreement.messenger


CHAT = '[chat]\nkeys = "chat.jwk"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there are messengers"),
        ("[chat", "is not TOML"),
        ("chat = 1", "chat is not a table"),
        ("[chat]\n", "keys is the name of a file"),
        ('[chat]\nkeys = "chat.jwk"\ninbox = 1', "inbox an address"),
        ('[chat]\nkeys = "chat.jwk"\nsecret = "x"', "there is no secret; what there is: agreed_"),
        ('[chat]\nkeys = "chat.jwk"\nclient_id = ""', "client_id is text"),
        ('[chat]\nkeys = "chat.jwk"\nclient_id = 1', "client_id is text"),
        ('[chat]\nkeys = "none.jwk"', "none.jwk cannot be read: No such file"),
        ('[chat]\nkeys = "chat.jwk"\ninbox = "http://chat.example"', "begins with https"),
        ('[Chat]\nkeys = "chat.jwk"', "an id is 1 to 64 characters"),
        ('[chat]\nkeys = "chat.jwk"\nagreed_from = 2026-01-01', "an instant with a time zone"),
        ('[chat]\nkeys = "chat.jwk"\nagreed_from = 2026-01-01T00:00:00', "time zone"),
        (
            f"{CHAT}agreed_from = 2026-01-01T00:00:00Z\nagreed_until = 2025-01-01T00:00:00Z",
            "ends before it begins",
        ),
        (
            f'{CHAT}client_id = "x"\n{CHAT.replace("chat]", "talk]")}client_id = "x"',
            "a client_id of its own",
        ),
        ("\xff", "is not UTF-8"),
    ],
)
def test_messengers_that_are_none(tmp_path, text, told):
    """The error names the file, and the table where there is one."""
    key_file(tmp_path)
    path = written(tmp_path, text.encode("latin-1"), "messengers.toml")
    with pytest.raises(ClientsFileError, match=told):
        read_clients(path)


@pytest.mark.parametrize("kind", KEYS)
def test_a_public_key_in_each_form(tmp_path, kind):
    """A JWK, a set of them, or PEM: it is the same key."""
    public = KEYS[kind].as_dict(private=False)
    pem = KEYS[kind].as_pem(private=False)
    for content in (json.dumps(public), json.dumps({"keys": [public]}), pem):
        (key,) = read_keys(written(tmp_path, content, "key")).keys
        assert KEYS[kind].thumbprint() == key.thumbprint()
        assert not key.is_private


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", "7", '{"keys": []}', '{"keys": 7}', '{"keys": [7]}', "{" * 5000),
        *('{"kty": "oct", "k": "c2VjcmV0"}', '{"kty": "EC"}', '{"kty": "EC", "crv": "P-256"}'),
        *("-----BEGIN PUBLIC KEY-----\n", "-----"),
        json.dumps(KEYS["EC"].as_dict(private=True)),
        KEYS["EC"].as_pem(private=True).decode(),
        json.dumps(jwk.generate_key("EC", "P-521").as_dict(private=False)),
        jwk.generate_key("EC", "P-521").as_pem(private=False).decode(),
        json.dumps(jwk.generate_key("OKP", "X25519").as_dict(private=False)),
    ],
    ids=range(18),
)
def test_a_key_that_is_none(tmp_path, content):
    """Nothing, no key, a secret, a private one, or of a kind that signs nothing here."""
    with pytest.raises(ClientsFileError, match="key: ") as raised:
        read_keys(written(tmp_path, content, "key"))
    assert "c2VjcmV0" not in str(raised.value)

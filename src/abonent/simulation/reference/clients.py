"""The messengers that a reference operator has agreements with: who they are, and where.

Knows a TOML file of them. Refuses a key that it does not know, and shared secrets: a client is
known by its public keys.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from attrs import field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc import jwk
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from abonent.core.agreements import Agreement
from abonent.core.parties import check_id
from abonent.errors import AbonentError, CallerError, InvalidValue
from abonent.transport import check_url

EVER: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""From when on there is an agreement, where nothing else is said."""
_NAMES: Final = frozenset({"client_id", "keys", "inbox", "agreed_from", "agreed_until"})
_PRIVATE: Final = frozenset({"d", "k", "p", "q"})
_ALGORITHMS: Final = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("OKP", "Ed25519"): "Ed25519",
}
ALGORITHMS: Final = (*_ALGORITHMS.values(), "PS256", "RS256")
"""What assertions may be signed by (RFC 7518, RFC 9864)."""


class ClientsFileError(CallerError):
    """A file of messengers, or of a messenger's keys, that cannot be read."""

    code: ClassVar[str] = "MESSENGERS_FILE"
    remedy: ClassVar[str] = (
        "Give a TOML table for each messenger: client_id, keys (a file with a public JWK or JWKS), "
        "inbox, and agreed_from and agreed_until if need be."
    )


def _is_inbox(_: object, attribute: object, value: str | None) -> None:
    if value is not None:
        check_url(value)


@frozen(kw_only=True)
class Client:
    """A messenger: its id, by which the desk knows it, and how it shows that a call is its own.

    `inbox` is where notices and late answers go; without one they stay owed.
    """

    messenger: str = field(validator=check_id)
    client_id: str
    keys: KeySet = field(repr=False)
    inbox: str | None = field(default=None, validator=_is_inbox)
    agreed_from: datetime = EVER
    agreed_until: datetime | None = None

    def __attrs_post_init__(self) -> None:
        self.agreement("operator")  # from and until fit together

    def agreement(self, operator: str) -> Agreement:
        """Return its agreement with an operator."""
        return Agreement(
            id=f"with.{self.messenger}"[:64].rstrip("._-"),
            messenger=self.messenger,
            operator=operator,
            starts=self.agreed_from,
            ends=self.agreed_until,
        )


def public_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the keys of a JWK or JWKS.

    Raises:
        InvalidValue: there are none, one of them is private or is no key for signatures.
    """
    entries = cast("list[dict[str, Any]]", document.get("keys", [dict(document)]))
    try:
        if any(_PRIVATE & each.keys() for each in entries):
            raise InvalidValue("a private key is its owner's: give the public one")
        if not entries or any(
            each["kty"] != "RSA" and (each["kty"], each["crv"]) not in _ALGORITHMS
            for each in entries
        ):
            raise InvalidValue("these are no keys for signatures that are taken here")
        return KeySet.import_key_set({"keys": cast("Any", entries)})
    except (JoseError, KeyError, TypeError, ValueError, AttributeError):
        raise InvalidValue("this is no public JWK, and no set of them") from None


def read_keys(path: Path) -> KeySet:
    """Read public keys from a file: a JWK, a JWKS, or PEM as `openssl pkey -pubout` writes it.

    Raises:
        ClientsFileError: there is none in it.
    """
    text = _text(path)
    try:
        return public_keys(_jwk_of_pem(text) if text.startswith("-----") else _object(text))
    except InvalidValue as error:
        raise ClientsFileError(f"{path.name}: {error.args[0]}") from None


def _object(text: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidValue("this is no public JWK, and no set of them")
    return cast("dict[str, Any]", document)


def _jwk_of_pem(text: str) -> dict[str, Any]:
    try:
        key: Any = load_pem_public_key(text.encode())
        name = next(name for kind, name in _KINDS.items() if isinstance(key, kind))
        importing: Any = jwk.import_key
        return dict(importing(text, name).as_dict(private=False))
    except (ValueError, TypeError, UnsupportedAlgorithm, StopIteration, JoseError):
        raise InvalidValue("this is no public key in PEM of a kind that is taken here") from None


_KINDS: Final[dict[Any, str]] = {
    EllipticCurvePublicKey: "EC",
    Ed25519PublicKey: "OKP",
    RSAPublicKey: "RSA",
}


def read_clients(path: Path) -> tuple[Client, ...]:
    """Read a file of messengers: a table for each, named by its id.

    Raises:
        ClientsFileError: it cannot be read, or says something else.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        # It names line and column, and quotes nothing.
        raise ClientsFileError(f"{path.name} is not TOML: {error}") from None
    clients = [_client(path, name, table) for name, table in tables.items()]
    return check_clients(clients, path.name)


def check_clients(clients: Iterable[Client], where: str) -> tuple[Client, ...]:
    """Return the clients, if there are any and each has an id of its own."""
    found = tuple(clients)
    if not found or len({each.client_id for each in found}) < len(found):
        raise ClientsFileError(f"{where}: there are messengers, each with a client_id of its own")
    return found


def _client(path: Path, name: str, table: Any) -> Client:
    def bad(reason: str) -> ClientsFileError:
        return ClientsFileError(f"{path.name}, [{name}]: {reason}")

    if not isinstance(table, dict):
        raise ClientsFileError(f"{path.name}: {name} is not a table")
    given = cast("dict[str, Any]", table)
    unknown = sorted(given.keys() - _NAMES)
    if unknown:
        raise bad(f"there is no {unknown[0]}; what there is: {', '.join(sorted(_NAMES))}")
    keys, inbox, client_id = given.get("keys"), given.get("inbox"), given.get("client_id", name)
    if not isinstance(keys, str) or not isinstance(inbox, str | None):
        raise bad("keys is the name of a file, and inbox an address")
    if not isinstance(client_id, str) or not client_id.isprintable() or not client_id:
        raise bad("client_id is text")
    for each in ("agreed_from", "agreed_until"):
        if each in given and not isinstance(given[each], datetime):
            raise bad(f"{each} is an instant with a time zone")
    try:
        return Client(
            messenger=name,
            client_id=client_id,
            keys=read_keys(path.parent / keys),
            inbox=inbox,
            agreed_from=given.get("agreed_from", EVER),
            agreed_until=given.get("agreed_until"),
        )
    except ClientsFileError:
        raise
    except AbonentError as error:
        raise bad(str(error.args[0])) from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ClientsFileError(f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ClientsFileError(f"{path.name} is not UTF-8") from None

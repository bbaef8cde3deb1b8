"""The index of a key store: which entries there are, in TOML, and what proves the password.

::

    version = 1

    [password]
    salt = "..."
    check = "..."

    [entries."PARTNERS"]
    kind = "identity"
    file = "PARTNERS.5f0c2a91.p12"
    active = true
    comment = "renewed in May"
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Final

from tlsexit.alerts import LocalError

VERSION: Final = 1
"""The form of the index that is written, and the only one that is read."""

LONGEST_COMMENT: Final = 256

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ELEMENTS: Final = {"kind": str, "file": str, "active": bool, "comment": str}
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_SALT_SIZE: Final = 16
_SCRYPT: Final = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26, "dklen": 32}
"""The cost of one guess at the password: 32 megabytes for about a tenth of a second."""


class Kind(Enum):
    """What an entry is."""

    IDENTITY = "identity"
    """An own certificate with its chain and private key, in PKCS#12 under the password of the store."""

    AUTHORITY = "authority"
    """One or more certificates to trust, in PEM."""

    CRL = "crl"
    """One or more revocation lists, in PEM."""

    OCSP = "ocsp"
    """An OCSP response, in DER."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index. ``file`` is the name in the store's folder; only an ``active`` entry is used.

    Raises :class:`LocalError` for values that cannot be: an ``id`` is 1 to 64 letters, digits, ``_``, ``.`` and ``-``.
    """

    id: str
    kind: Kind
    file: str
    active: bool = True
    comment: str = ""

    def __post_init__(self) -> None:
        check_id(self.id)
        if not _FILE.fullmatch(self.file):
            raise LocalError(f"{self.file!r} is not the name of a file in the key store")
        if len(self.comment) > LONGEST_COMMENT or not self.comment.isprintable():
            raise LocalError(f"a comment is one line of at most {LONGEST_COMMENT} printable characters")


def check_id(id: str) -> None:
    """Raise :class:`LocalError` unless ``id`` can name an entry."""
    if not _ID.fullmatch(id):
        raise LocalError(f"{id!r} is no id; it is 1 to 64 letters, digits, '_', '.' and '-'")


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What tells the right password from a wrong one, at the cost of one scrypt (RFC 7914)."""

    salt: bytes = field(repr=False)
    check: bytes = field(repr=False)

    @classmethod
    def of(cls, password: bytes) -> PasswordCheck:
        """Return the check for a new store's password."""
        salt = os.urandom(_SALT_SIZE)
        return cls(salt, hashlib.scrypt(password, salt=salt, **_SCRYPT))

    def accepts(self, password: bytes) -> bool:
        """Whether this is the password."""
        return hmac.compare_digest(hashlib.scrypt(password, salt=self.salt, **_SCRYPT), self.check)


@dataclass(frozen=True, slots=True)
class Index:
    """The whole index; ``entries`` by id, in the order in which they were added."""

    password: PasswordCheck
    entries: Mapping[str, Entry]

    def dump(self) -> str:
        """Return the index in TOML."""
        lines = [
            "# The index of a tlsexit key store, kept by `tlsexit pki`.",
            f"version = {VERSION}",
            "",
            "[password]",
            f'salt = "{self.password.salt.hex()}"',
            f'check = "{self.password.check.hex()}"',
        ]
        for entry in self.entries.values():
            values = {**asdict(entry), "kind": entry.kind.value}
            lines += ["", f"[entries.{_quoted(values.pop('id'))}]"]
            # a JSON string or boolean is TOML too, since every text here is printable
            lines += [f"{name} = {_quoted(value)}" for name, value in values.items()]
        return "\n".join(lines) + "\n"


def parse_index(data: bytes) -> Index:
    """Return the index in a file's content; :class:`LocalError`, with what is wrong, if it is none."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise LocalError("not text in UTF-8") from error
    except (ValueError, RecursionError) as error:
        # besides what it documents, the parser fails over numbers of thousands of digits and thousands of brackets
        raise LocalError(f"not TOML: {error}") from error
    if document.get("version") != VERSION:
        raise LocalError(f"its version is {document.get('version')!r}, not {VERSION}")
    entries = _table(document.get("entries", {}), "entries")
    return Index(_password(document), {id: _entry(id, _table(values, id)) for id, values in entries.items()})


def _password(document: dict[str, Any]) -> PasswordCheck:
    values = _table(document.get("password"), "password")
    for name in ("salt", "check"):
        if not isinstance(values.get(name), str) or not _HEX.fullmatch(values[name]):
            raise LocalError(f"the {name} of the password is not there")
    return PasswordCheck(bytes.fromhex(values["salt"]), bytes.fromhex(values["check"]))


def _entry(id: str, values: dict[str, Any]) -> Entry:
    if values.keys() != _ELEMENTS.keys():
        raise LocalError(f"the entry {id} has other elements than {', '.join(_ELEMENTS)}")
    for name, kind in _ELEMENTS.items():
        if not isinstance(values[name], kind):
            raise LocalError(f"the {name} of {id} is {values[name]!r}")
    try:
        return Entry(**{**values, "id": id, "kind": Kind(values["kind"])})
    except ValueError as error:
        raise LocalError(f"the kind of {id} is {values['kind']!r}") from error


def _table(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LocalError(f"{name} is not a table")
    return value


def _quoted(value: str | bool) -> str:
    return json.dumps(value, ensure_ascii=False)

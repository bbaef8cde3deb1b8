"""PKCS #11 URIs (RFC 7512): which key on which token, behind which module, and where its PIN is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from tlsexit.alerts import LocalError

_TOKEN: Final = frozenset({"token", "manufacturer", "serial", "model", "slot-id"})
_PATH: Final = _TOKEN | {"object", "id", "type"}
_QUERY: Final = frozenset({"module-path", "module-name", "pin-source", "x-certificate-file"})

MODULE_FOLDERS: Final = (
    "/usr/lib/*/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/local/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/lib/*/softhsm",
)
"""Where ``module-name`` is looked for."""


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """What a URI names. ``token`` has the attributes that the token must have, as they are in the URI.

    The PIN itself is never in a URI here: it would be in lists of processes and in histories of shells.
    """

    module: Path
    token: dict[str, str] = field(default_factory=dict)
    object: str | None = None
    id: bytes | None = None
    pin_source: str | None = None
    certificate_file: Path | None = None

    @property
    def name(self) -> str:
        """The token and the key, for messages."""
        token = self.token.get("token") or self.token.get("serial") or self.token.get("slot-id") or "the token"
        key = self.object or ("" if self.id is None else self.id.hex())
        return f"{token}/{key}" if key else token

    def read_pin(self) -> str | None:
        """Return the PIN from where ``pin-source`` says; None if it says nothing. :class:`LocalError` if none is there.

        A source is a file, whose first line counts, as ``file:/path`` or a bare path; or ``env:NAME``.
        """
        source = self.pin_source
        if source is None:
            return None
        if source.startswith("env:"):
            name = source.removeprefix("env:")
            if name not in os.environ:
                raise LocalError(f"the environment variable {name} (pin-source) is not set")
            return os.environ[name]
        path = source.removeprefix("file:")
        if path.startswith("///"):
            path = path[2:]
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise LocalError(f"{path}: cannot be read (pin-source): {reason}") from error
        if not lines or not lines[0]:
            raise LocalError(f"{path}: holds no PIN (pin-source)")
        return lines[0]


def parse_uri(text: str) -> Pkcs11Uri:
    """Return what ``pkcs11:token=T;object=KEY?module-path=/path/module.so&pin-source=file:/path`` means.

    Raises :class:`LocalError` for what is no such URI, for attributes that are unknown or come twice, and for a PIN in
    the URI itself.
    """
    scheme, colon, rest = text.partition(":")
    if scheme.lower() != "pkcs11" or not colon:
        raise LocalError("a PKCS #11 URI begins with pkcs11:")
    path, _, query = rest.partition("?")
    given = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
    if given.get("type", b"private") != b"private":
        raise LocalError("a PKCS #11 URI here names a private key: type=private, or no type")
    texts = {name: _text(name, value) for name, value in given.items() if name != "id"}
    certificate = texts.get("x-certificate-file")
    return Pkcs11Uri(
        module=_module(texts),
        token={name: value for name, value in texts.items() if name in _TOKEN},
        object=texts.get("object"),
        id=given.get("id"),
        pin_source=texts.get("pin-source"),
        certificate_file=None if certificate is None else Path(certificate),
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in filter(None, text.split(separator)):
        name, equals, value = item.partition("=")
        if name == "pin-value":
            raise LocalError("a PIN does not belong into a PKCS #11 URI; name a file or variable with pin-source")
        if not equals or name not in known:
            raise LocalError(f"PKCS #11 URI: {name!r} is not an attribute here; there are {', '.join(sorted(known))}")
        if name in found:
            raise LocalError(f"PKCS #11 URI: {name} comes twice")
        if re.search(r"%(?![0-9A-Fa-f]{2})", value):
            raise LocalError(f"PKCS #11 URI: {name} has a % without two hexadecimal digits")
        found[name] = unquote_to_bytes(value)
    return found


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise LocalError(f"PKCS #11 URI: {name} is not UTF-8") from error


def _module(texts: dict[str, str]) -> Path:
    if "module-path" in texts:
        path = Path(texts["module-path"])
        if not path.is_file():
            raise LocalError(f"{path}: there is no such PKCS #11 module")
        return path
    if "module-name" not in texts:
        raise LocalError("a PKCS #11 URI names its module here: add ?module-path=FILE, or ?module-name=NAME")
    name = texts["module-name"]
    for folder in MODULE_FOLDERS:
        for pattern in (f"{name}.so", f"lib{name}.so"):
            for found in sorted(glob(f"{folder}/{pattern}")) if "/" not in name else ():
                return Path(found)
    raise LocalError(f"there is no PKCS #11 module {name!r} in {', '.join(MODULE_FOLDERS)}")

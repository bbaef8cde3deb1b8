"""DN filters: the attributes that a peer's name, or that of its issuer, must contain (DNUSER and DNISSUER)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from cryptography.x509.oid import NameOID

from tlsexit.alerts import LocalError

_ATTRIBUTES: Final = {
    "cn": NameOID.COMMON_NAME,
    "o": NameOID.ORGANIZATION_NAME,
    "ou": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "c": NameOID.COUNTRY_NAME,
    "l": NameOID.LOCALITY_NAME,
    "st": NameOID.STATE_OR_PROVINCE_NAME,
    "s": NameOID.STATE_OR_PROVINCE_NAME,
    "street": NameOID.STREET_ADDRESS,
    "dc": NameOID.DOMAIN_COMPONENT,
    "uid": NameOID.USER_ID,
    "t": NameOID.TITLE,
    "title": NameOID.TITLE,
    "sn": NameOID.SURNAME,
    "gn": NameOID.GIVEN_NAME,
    "serialnumber": NameOID.SERIAL_NUMBER,
    "e": NameOID.EMAIL_ADDRESS,
    "email": NameOID.EMAIL_ADDRESS,
    "emailaddress": NameOID.EMAIL_ADDRESS,
}
"""Short attribute names of RFC 4514 and of common tools, in lower case; any other is written as a dotted OID."""

_DOTTED_OID: Final = re.compile(r"\d+(\.\d+)+")

DNAttributes = frozenset[tuple[str, str | bytes]]


@lru_cache(maxsize=256)
def dn_filter(text: str) -> DNAttributes:
    r"""Return the attributes, as (OID, folded value), that the filter ``CN=alice/O=Example`` demands.

    A slash at the start is allowed, ``\/`` is a slash inside a value. Raises :class:`LocalError` for a filter that
    says nothing, or names an attribute that is not known.
    """
    wanted = set()
    for part in re.split(r"(?<!\\)/", text.strip().removeprefix("/")):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.replace("\\/", "/").strip()
        if not equals or not value:
            raise LocalError(f"DN filter {text!r}: {part!r} is not of the form NAME=VALUE")
        known = _ATTRIBUTES.get(name.lower())
        if known is None and not _DOTTED_OID.fullmatch(name):
            raise LocalError(f"DN filter {text!r}: {name!r} is not a known attribute")
        wanted.add((name if known is None else known.dotted_string, folded(value)))
    return frozenset(wanted)


def folded(value: str | bytes) -> str | bytes:
    """Return an attribute value without the differences that comparison ignores (caseIgnoreMatch, RFC 4518)."""
    return value if isinstance(value, bytes) else " ".join(value.split()).casefold()

"""Does a certificate speak for the name that was wanted? Host names (RFC 2818 §3.1, RFC 6125) and DN filters.

A host name is compared with the dNSName entries of subjectAltName, an IP address with the iPAddress entries. The
common name is looked at only on request, and only if the certificate has no dNSName entry: a CN is free text that an
authority may never have checked, but many certificates of TLS 1.0's time carry the host name nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from tlsexit.dnfilter import dn_filter
from tlsexit.policy.certificates import ParsedCertificate, name_key

_HOST_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def presented_host_names(certificate: ParsedCertificate, *, allow_common_name: bool = False) -> tuple[str, ...]:
    """Return the DNS names, in lower case, that the certificate speaks for; wildcards as they stand."""
    names = tuple(n.value.lower() for n in certificate.alternative_names if isinstance(n, x509.DNSName))
    return names if names or not allow_common_name else common_host_names(certificate)


def common_host_names(certificate: ParsedCertificate) -> tuple[str, ...]:
    """Return the common names, in lower case, that could be host names; IP addresses are none."""
    values = (str(item.value).lower() for item in certificate.subject_name if item.oid == NameOID.COMMON_NAME)
    return tuple(value for value in values if _HOST_NAME.fullmatch(value) and _address(value) is None)


def matches_server_name(certificate: ParsedCertificate, server_name: str, *, allow_common_name: bool = False) -> bool:
    """Tell whether the certificate speaks for ``server_name``, a host name in ASCII or an IP address.

    A wildcard is the whole leftmost label, stands for exactly one label, and needs two labels to its right
    (RFC 6125 §6.4.3).
    """
    wanted = server_name.lower().removesuffix(".")
    address = _address(wanted)
    if address is not None:
        return any(isinstance(n, x509.IPAddress) and n.value == address for n in certificate.alternative_names)
    names = presented_host_names(certificate, allow_common_name=allow_common_name)
    return any(_host_matches(name.removesuffix("."), wanted) for name in names)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if not (":" in text or text[-1:].isdigit()):
        return None
    try:
        return ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _host_matches(presented: str, wanted: str) -> bool:
    if not presented.startswith("*."):
        return bool(wanted) and presented == wanted
    parent = presented[2:]
    label, _, rest = wanted.partition(".")
    return bool(label) and rest == parent and "." in parent and "*" not in parent


def dn_matches(name: bytes, alternatives: Iterable[str]) -> bool:
    """Tell whether the DER name contains every attribute of one of the filters; no filter at all admits everyone.

    Values are compared without regard to letter case and runs of blanks. :class:`LocalError` as for :func:`dn_filter`.
    """
    filters = [dn_filter(text) for text in alternatives]
    if not filters:
        return True
    key = name_key(name)
    present = frozenset[tuple[str, str | bytes]]() if isinstance(key, bytes) else frozenset().union(*key)
    return any(wanted <= present for wanted in filters)

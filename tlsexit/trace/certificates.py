"""Certificates and names in a few words, whatever a peer put into them."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from tlsexit.alerts import BadCertificate
from tlsexit.policy.certificates import ParsedCertificate, display_name, parse_certificate
from tlsexit.trace.values import Octets, Structure, Value

_MOST_NAMES: Final = 20


def printable(text: str) -> str:
    """Return ``text`` with every character escaped that could do something to a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def name_text(der: bytes) -> str:
    """Return a DER distinguished name as text."""
    return printable(display_name(der))


def key_text(key: object) -> str:
    """Return what kind of public key this is: ``RSA 2048 bits``."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size} bits"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return "of a kind TLS 1.0 has no use for"


def summary(der: bytes) -> Structure:
    """Return the facts of a certificate that people look for; of one that does not parse, the reason and length."""
    try:
        item = parse_certificate(der)
    except BadCertificate as error:
        return Structure.of(unreadable=printable(error.reason), certificate=Octets(der))
    fields: dict[str, Value] = {
        "subject": printable(item.name),
        "issuer": name_text(item.issuer),
        "not_before": f"{item.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{item.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "public_key": key_text(item.public_key),
        "signed_with": _signature(item),
        "serial_number": f"{item.certificate.serial_number:X}",
    }
    if item.alternative_names:
        fields["alternative_names"] = tuple(printable(_general_name(n)) for n in item.alternative_names[:_MOST_NAMES])
    fields["length"] = len(der)
    return Structure(tuple(fields.items()))


def brief(der: bytes) -> str:
    """Return a certificate in one line: whose it is, who issued it, until when."""
    try:
        item = parse_certificate(der)
    except BadCertificate:
        return f"an unreadable certificate of {len(der)} bytes"
    issuer = "self-signed" if item.self_issued else f"issued by {name_text(item.issuer)}"
    return f"{printable(item.name)}, {issuer}, until {item.not_after:%Y-%m-%d}, {key_text(item.public_key)}"


def subject(der: bytes) -> str:
    """Return a certificate's subject alone."""
    try:
        return printable(parse_certificate(der).name)
    except BadCertificate:
        return "unreadable"


def _signature(item: ParsedCertificate) -> str:
    algorithm = item.certificate.signature_algorithm_oid
    name: str = getattr(algorithm, "_name", "")
    return algorithm.dotted_string if name in ("", "Unknown OID") else name


def _general_name(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)

"""Just enough DER (X.690 §8, §10) to cut a certificate where ``cryptography`` gives no access to its bytes.

Reading is for encodings that ``cryptography`` has already accepted; writing serves the throw-away certificates.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SEQUENCE: Final = 0x30
SET: Final = 0x31
BIT_STRING: Final = 0x03
NULL: Final = b"\x05\x00"

_EXPLICIT_VERSION: Final = b"\xa0"


class CertificateFields(NamedTuple):
    """Parts of a certificate (RFC 5280 §4.1), each the complete DER element with its header."""

    inner_algorithm: bytes
    """``tbsCertificate.signature``."""

    issuer: bytes
    subject: bytes
    public_key_info: bytes

    outer_algorithm: bytes
    """``signatureAlgorithm``, which must equal the inner one (RFC 5280 §4.1.1.2)."""


def read(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the contents of the element at ``offset`` start and where they end.

    Raises ValueError if the element is not complete, or has a form that DER does not allow.
    """
    try:
        length = data[offset + 1]
        start = offset + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError("a DER length has one to four bytes")
            length = int.from_bytes(data[start : start + size], "big")
            start += size
    except IndexError:
        raise ValueError("a DER element is cut short") from None
    if start + length > len(data):
        raise ValueError("a DER element is cut short")
    return start, start + length


def elements(data: bytes, offset: int = 0) -> list[bytes]:
    """Return the elements inside the constructed element at ``offset``, headers included; ValueError as for read."""
    position, end = read(data, offset)
    found = []
    while position < end:
        _, after = read(data, position)
        found.append(data[position:after])
        position = after
    return found


def encode(tag: int, *contents: bytes) -> bytes:
    """Return the element with this tag byte around the joined contents."""
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def public_key_bits(public_key_info: bytes) -> bytes:
    """Return the contents of ``subjectPublicKey`` in a SubjectPublicKeyInfo, without the count of unused bits."""
    bits = elements(public_key_info)[1]
    start, end = read(bits, 0)
    return bits[start + 1 : end]


def certificate_fields(certificate: bytes) -> CertificateFields:
    """Return the parts of a DER certificate; ValueError if it has not the shape of one."""
    body, _ = read(certificate, 0)
    _, tbs_end = read(certificate, body)
    _, algorithm_end = read(certificate, tbs_end)
    bits, _ = read(certificate, algorithm_end)
    if certificate[bits : bits + 1] != b"\0":
        raise ValueError("a signature is not a whole number of bytes")
    position, _ = read(certificate, body)
    if certificate[position : position + 1] == _EXPLICIT_VERSION:
        _, position = read(certificate, position)
    _, position = read(certificate, position)  # serialNumber
    parts = []
    for _ in range(5):  # signature, issuer, validity, subject, subjectPublicKeyInfo
        _, end = read(certificate, position)
        parts.append(certificate[position:end])
        position = end
    if position > tbs_end:
        raise ValueError("a certificate's fields overrun it")
    algorithm, issuer, _, subject, public_key_info = parts
    return CertificateFields(algorithm, issuer, subject, public_key_info, certificate[tbs_end:algorithm_end])

"""The messages about certificates (RFC 2246 §7.4.2, §7.4.4, §7.4.6, §7.4.8; RFC 6066 §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tlsexit.exits.forms import CA_LIST, CERTIFICATE_LIST
from tlsexit.handshake.enums import CertificateStatusType, HandshakeType
from tlsexit.values import quicken
from tlsexit.wire import Message, Opaque, Uint, Variant


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain of DER certificates, the sender's own first (§7.4.2); empty from a client that has none (§7.4.6)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE
    section: ClassVar[str] = "7.4.2"

    certificate_list: tuple[bytes, ...]


CERTIFICATE = Message(
    Certificate,
    # ASN.1Cert certificate_list<0..2^24-1>; (the floor of 1 in appendix A.4.2 binds servers, who check it themselves)
    certificate_list=CERTIFICATE_LIST,
)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """The certificate types and authorities that a server accepts (§7.4.4), types unknown here included."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_REQUEST
    section: ClassVar[str] = "7.4.4"

    certificate_types: tuple[int, ...]
    certificate_authorities: tuple[bytes, ...]


CERTIFICATE_REQUEST = Message(
    CertificateRequest,
    # ClientCertificateType certificate_types<1..2^8-1>;
    certificate_types=CA_LIST.fields["certificate_types"],
    # DistinguishedName certificate_authorities<3..2^16-1>; (floor 0 when parsing, see exits.forms)
    certificate_authorities=CA_LIST.fields["certificate_authorities"],
)


@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """The client's proof that it holds the key of its certificate (§7.4.8)."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_VERIFY
    section: ClassVar[str] = "7.4.8"

    signature: bytes


# digitally-signed is opaque <0..2^16-1> (§4.7), the same for RSA, DSA and ECDSA
SIGNATURE = Opaque(0, 2**16 - 1)

CERTIFICATE_VERIFY = Message(
    CertificateVerify,
    # Signature signature;
    signature=SIGNATURE,
)


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """A stapled answer about the server's certificate (RFC 6066 §8); ``response`` is a DER OCSPResponse."""

    handshake_type: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_STATUS
    section: ClassVar[str] = "RFC 6066 §8"

    status_type: int
    response: bytes


CERTIFICATE_STATUS = Variant(
    CertificateStatus,
    # CertificateStatusType status_type;
    Uint(1),
    # select (status_type) { case ocsp: OCSPResponse; } response; opaque OCSPResponse<1..2^24-1>;
    {CertificateStatusType.OCSP: Opaque(1, 2**24 - 1)},
)

quicken(__name__)

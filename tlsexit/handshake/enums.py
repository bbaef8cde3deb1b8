"""The numbers of the handshake protocol that this side acts on (RFC 2246 §7.4 and the RFC named beside the later ones).

Messages hold plain integers wherever a peer may list values unknown here: those must survive parsing, to be skipped
(§7.4.1.2, §7.4.4). The enumerations below are for comparing and for printing, not for refusing.
"""

from __future__ import annotations

from enum import IntEnum


class HandshakeType(IntEnum):
    """``HandshakeType`` (§7.4)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4  # RFC 5077 §3.3
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22  # RFC 6066 §8
    NEXT_PROTOCOL = 67  # draft-agl-tls-nextprotoneg-04


class CompressionMethod(IntEnum):
    """``CompressionMethod`` (§7.4.1.2); DEFLATE is recognised in offers and never chosen (CRIME)."""

    NULL = 0
    DEFLATE = 1  # RFC 3749 §2


class ClientCertificateType(IntEnum):
    """``ClientCertificateType`` (§7.4.4)."""

    RSA_SIGN = 1
    DSS_SIGN = 2
    RSA_FIXED_DH = 3
    DSS_FIXED_DH = 4
    ECDSA_SIGN = 64  # RFC 4492 §5.5, as the next two
    RSA_FIXED_ECDH = 65
    ECDSA_FIXED_ECDH = 66


class ExtensionType(IntEnum):
    """``ExtensionType`` (RFC 4366 §2.3), the ones whose body has a grammar in :mod:`tlsexit.handshake.extensions`."""

    SERVER_NAME = 0  # RFC 6066 §3
    MAX_FRAGMENT_LENGTH = 1  # RFC 6066 §4
    TRUSTED_CA_KEYS = 3  # RFC 6066 §6
    STATUS_REQUEST = 5  # RFC 6066 §8
    SUPPORTED_GROUPS = 10  # RFC 4492 §5.1.1, where it is elliptic_curves; renamed by RFC 7919
    EC_POINT_FORMATS = 11  # RFC 4492 §5.1.2
    APPLICATION_LAYER_PROTOCOL_NEGOTIATION = 16  # RFC 7301 §3.1
    SIGNED_CERTIFICATE_TIMESTAMP = 18  # RFC 6962 §3.3.1
    ENCRYPT_THEN_MAC = 22  # RFC 7366 §2
    EXTENDED_MASTER_SECRET = 23  # RFC 7627 §5.1
    SESSION_TICKET = 35  # RFC 5077 §3.2
    NEXT_PROTOCOL_NEGOTIATION = 13172  # draft-agl-tls-nextprotoneg-04 §3
    RENEGOTIATION_INFO = 0xFF01  # RFC 5746 §3.2


class NameType(IntEnum):
    """``NameType`` of a server_name entry (RFC 6066 §3)."""

    HOST_NAME = 0


class CertificateStatusType(IntEnum):
    """``CertificateStatusType`` (RFC 6066 §8)."""

    OCSP = 1


class IdentifierType(IntEnum):
    """``IdentifierType`` of a trusted authority (RFC 6066 §6)."""

    PRE_AGREED = 0
    KEY_SHA1_HASH = 1
    X509_NAME = 2
    CERT_SHA1_HASH = 3


class ECPointFormat(IntEnum):
    """``ECPointFormat`` (RFC 4492 §5.1.2); only the first is used here."""

    UNCOMPRESSED = 0
    ANSIX962_COMPRESSED_PRIME = 1
    ANSIX962_COMPRESSED_CHAR2 = 2


class ECCurveType(IntEnum):
    """``ECCurveType`` (RFC 4492 §5.4); explicit curves are refused, as nearly everywhere."""

    EXPLICIT_PRIME = 1
    EXPLICIT_CHAR2 = 2
    NAMED_CURVE = 3

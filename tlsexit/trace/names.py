"""Names for the numbers that peers send: those tlsexit acts on, and those it only recognises in others' lists."""

from __future__ import annotations

from typing import Final

from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, ProtocolVersion
from tlsexit.crypto.suites import SUITES, UNAVAILABLE_SUITES
from tlsexit.handshake.enums import (
    CertificateStatusType,
    ClientCertificateType,
    CompressionMethod,
    ECCurveType,
    ECPointFormat,
    ExtensionType,
    IdentifierType,
    NameType,
)

VERSIONS: Final = {int(item): item.name.replace("_", " ", 1).replace("_", ".") for item in ProtocolVersion}
"""``TLS 1.0`` for 0x0301."""

SUITE_NAMES: Final = {
    EMPTY_RENEGOTIATION_INFO_SCSV: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
    FALLBACK_SCSV: "TLS_FALLBACK_SCSV",
    0x0000: "TLS_NULL_WITH_NULL_NULL",
    **{value: name for value, (name, _) in UNAVAILABLE_SUITES.items()},
    **{value: suite.name for value, suite in SUITES.items()},
}
"""Suites by their registered names, the signalling values among them."""

COMPRESSION_METHODS: Final = {int(item): item.name for item in CompressionMethod}

CERTIFICATE_TYPES: Final = {int(item): item.name.lower() for item in ClientCertificateType}

ALERT_LEVELS: Final = {int(item): item.name.lower() for item in AlertLevel}

ALERTS: Final = {int(item): item.name.lower() for item in AlertDescription}

NAME_TYPES: Final = {int(item): item.name.lower() for item in NameType}

STATUS_TYPES: Final = {int(item): item.name.lower() for item in CertificateStatusType}

IDENTIFIER_TYPES: Final = {int(item): item.name.lower() for item in IdentifierType}

POINT_FORMATS: Final = {int(item): item.name for item in ECPointFormat}

CURVE_TYPES: Final = {int(item): item.name.lower() for item in ECCurveType}

FRAGMENT_LENGTHS: Final = {1: "2^9 bytes", 2: "2^10 bytes", 3: "2^11 bytes", 4: "2^12 bytes"}
"""``MaxFragmentLength`` (RFC 6066 §4)."""

EXTENSIONS: Final = {
    # what newer clients offer beside TLS 1.0 (IANA, "TLS ExtensionType Values")
    6: "user_mapping",
    12: "srp",
    13: "signature_algorithms",
    14: "use_srtp",
    15: "heartbeat",
    17: "status_request_v2",
    21: "padding",
    24: "token_binding",
    27: "compress_certificate",
    28: "record_size_limit",
    34: "delegated_credential",
    41: "pre_shared_key",
    42: "early_data",
    43: "supported_versions",
    44: "cookie",
    45: "psk_key_exchange_modes",
    49: "post_handshake_auth",
    50: "signature_algorithms_cert",
    51: "key_share",
    13172: "next_protocol_negotiation",
    **{int(item): item.name.lower() for item in ExtensionType},
}

_CURVES_OF_RFC_4492: Final = (
    "sect163k1",
    "sect163r1",
    "sect163r2",
    "sect193r1",
    "sect193r2",
    "sect233k1",
    "sect233r1",
    "sect239k1",
    "sect283k1",
    "sect283r1",
    "sect409k1",
    "sect409r1",
    "sect571k1",
    "sect571r1",
    "secp160k1",
    "secp160r1",
    "secp160r2",
    "secp192k1",
    "secp192r1",
    "secp224k1",
    "secp224r1",
    "secp256k1",
    "secp256r1",
    "secp384r1",
    "secp521r1",
)

GROUPS: Final = {
    **dict(enumerate(_CURVES_OF_RFC_4492, 1)),  # RFC 4492 §5.1.1 counts from 1
    26: "brainpoolP256r1",  # RFC 7027
    27: "brainpoolP384r1",
    28: "brainpoolP512r1",
    29: "x25519",  # RFC 8422
    30: "x448",
    256: "ffdhe2048",  # RFC 7919
    257: "ffdhe3072",
    258: "ffdhe4096",
    259: "ffdhe6144",
    260: "ffdhe8192",
    0xFF01: "arbitrary_explicit_prime_curves",
    0xFF02: "arbitrary_explicit_char2_curves",
}
"""``NamedCurve`` of RFC 4492, ``NamedGroup`` since RFC 7919."""

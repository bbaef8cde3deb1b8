"""Names of numbers, as the registries and RFCs have them."""

from __future__ import annotations

from tlsexit.crypto.suites import SUITES, UNAVAILABLE_SUITES
from tlsexit.trace import names


def test_versions() -> None:
    assert names.VERSIONS[0x0301] == "TLS 1.0"
    assert names.VERSIONS[0x0300] == "SSL 3.0"
    assert names.VERSIONS[0x0002] == "SSL 2.0"


def test_suites_that_exist_and_those_that_do_not() -> None:
    assert names.SUITE_NAMES.keys() >= SUITES.keys() | UNAVAILABLE_SUITES.keys()
    assert names.SUITE_NAMES[0x002F] == "TLS_RSA_WITH_AES_128_CBC_SHA"
    assert names.SUITE_NAMES[0x001E] == "TLS_KRB5_WITH_DES_CBC_SHA"
    assert names.SUITE_NAMES[0x00FF] == "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"
    assert names.SUITE_NAMES[0x5600] == "TLS_FALLBACK_SCSV"


def test_curves_have_their_numbers_of_rfc_4492() -> None:
    """RFC 4492 §5.1.1: sect163k1 (1) ... secp256r1 (23), secp384r1 (24), secp521r1 (25)."""
    assert names.GROUPS[1] == "sect163k1"
    assert names.GROUPS[14] == "sect571r1"
    assert names.GROUPS[22] == "secp256k1"
    assert [names.GROUPS[number] for number in (23, 24, 25, 29, 256)] == [
        "secp256r1",
        "secp384r1",
        "secp521r1",
        "x25519",
        "ffdhe2048",
    ]


def test_alerts_and_extensions() -> None:
    assert names.ALERTS[48] == "unknown_ca"
    assert names.ALERT_LEVELS == {1: "warning", 2: "fatal"}
    assert names.EXTENSIONS[0xFF01] == "renegotiation_info"
    assert names.EXTENSIONS[13] == "signature_algorithms"
    assert names.CERTIFICATE_TYPES[1] == "rsa_sign"

"""The suite table against the RFCs' own values, and the parser of suite lists."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import cipher_suites
from tlsexit.alerts import LocalError
from tlsexit.crypto.suites import (
    DEFAULT_SUITES,
    SUITES,
    UNAVAILABLE_SUITES,
    BulkCipher,
    CipherSuite,
    KeyExchange,
    KeyType,
    MacAlgorithm,
    Premaster,
    parse_suites,
)

CATALOGUE = {int(row["value"], 16): row for row in cipher_suites()}

NOT_SUITES = {0x0000, 0x00FF, 0x5600}
"""The initial state (R2246-A.5-01) and the two signalling values."""

CERTIFICATES = {"RSA": KeyType.RSA, "DSS": KeyType.DSA, "ECDSA": KeyType.EC, "RSA+PSK": KeyType.RSA}


def suite(name: str) -> CipherSuite:
    """The suite with this IANA name."""
    (value,) = parse_suites(name)
    return SUITES[value]


@pytest.mark.parametrize("value", SUITES, ids=lambda value: SUITES[value].name)
def test_row(value: int) -> None:
    """Each field against the catalogue (R2246-A.5, R2246-C-01, R2246-C-03)."""
    row: dict[str, Any] = CATALOGUE[value]
    ours = SUITES[value]
    cipher, exchange = ours.cipher, ours.key_exchange
    assert ours.value == value
    assert ours.name == row["name"]
    assert f"RFC{ours.rfc}" == row["rfc"]
    assert cipher.name == row["cipher"]
    assert cipher.effective_bits == row["key_bits"]
    assert (cipher.block_size, cipher.is_block) == (row["block_size"], row["type"] == "block")
    assert (cipher.key_material, cipher.iv_size) == (row["key_material"], row["iv_size"])
    assert ours.mac.name == row["mac"]
    # with ECDH the column says who signed the certificate, not which key it holds (RFC 4492 §2.3)
    assert exchange.certificate is (KeyType.EC if row["kx"] == "ECDH" else CERTIFICATES.get(row["auth"]))
    assert exchange.fixed == (row["kx"] == "ECDH")
    assert exchange.anonymous == (row["auth"] == "none")
    assert exchange.signed == (row["kx"] in ("DHE", "DHE_EXPORT", "ECDHE", "RSA_EXPORT"))
    assert exchange.premaster is (
        {"RSA_EXPORT": Premaster.RSA, "PSK": Premaster.PSK, "RSA_PSK": Premaster.RSA_PSK, "RSA": Premaster.RSA}
        | {"DHE_PSK": Premaster.DHE_PSK, "ECDHE_PSK": Premaster.ECDHE_PSK, "ECDH_anon": Premaster.ECDH}
        | {"ECDH": Premaster.ECDH, "ECDHE": Premaster.ECDH, "DHE": Premaster.DH, "DHE_EXPORT": Premaster.DH}
        | {"DH_anon": Premaster.DH, "DH_anon_EXPORT": Premaster.DH}
    ).get(row["kx"])
    # the catalogue follows appendix C, which marks the NULL suites of RFC 2246 as exportable too
    assert exchange.export == (row["export"] and row["cipher"] != "NULL")
    assert not exchange.export or cipher.exportable


@pytest.mark.parametrize(
    ("name", "key_material", "expanded_key", "iv", "block"),
    [
        ("TLS_RSA_WITH_NULL_MD5", 0, 0, 0, 0),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", 5, 16, 0, 0),
        ("TLS_RSA_WITH_RC4_128_MD5", 16, 16, 0, 0),
        ("TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", 5, 16, 8, 8),
        ("TLS_RSA_WITH_IDEA_CBC_SHA", 16, 16, 8, 8),
        ("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", 5, 8, 8, 8),
        ("TLS_RSA_WITH_DES_CBC_SHA", 8, 8, 8, 8),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", 24, 24, 8, 8),
    ],
)
def test_appendix_c(name: str, key_material: int, expanded_key: int, iv: int, block: int) -> None:
    """R2246-C-01, the columns of the cipher table."""
    cipher = suite(name).cipher
    assert (cipher.key_material, cipher.expanded_key, cipher.iv_size, cipher.block_size) == (
        key_material,
        expanded_key,
        iv,
        block,
    )


def test_mac_sizes() -> None:
    """R2246-C-01: MD5 16 bytes, SHA 20."""
    assert {ours.mac for ours in SUITES.values()} == {MacAlgorithm("MD5", 16), MacAlgorithm("SHA", 20)}


def test_every_known_value_is_accounted_for() -> None:
    """Everything TLS 1.0 can carry is either there or has a reason; Fortezza's values are neither (R2246-A.5-03)."""
    assert SUITES.keys() | UNAVAILABLE_SUITES.keys() | NOT_SUITES == CATALOGUE.keys()
    assert not SUITES.keys() & UNAVAILABLE_SUITES.keys()
    assert not NOT_SUITES & (SUITES.keys() | UNAVAILABLE_SUITES.keys())
    assert {value: name for value, (name, _) in UNAVAILABLE_SUITES.items()} == {
        value: CATALOGUE[value]["name"] for value in UNAVAILABLE_SUITES
    }
    assert all(reason for _, reason in UNAVAILABLE_SUITES.values())


def test_what_is_missing_is_missing_for_its_key_exchange() -> None:
    """Of the standard suites only static Diffie-Hellman, Kerberos and SRP are left out."""
    missing = {CATALOGUE[value]["kx"] for value in UNAVAILABLE_SUITES if CATALOGUE[value]["status"] == "standard"}
    assert missing == {"DH", "DH_EXPORT", "KRB5", "KRB5_EXPORT", "SRP"}


def test_defaults_are_strong() -> None:
    """R2246-A.5-02, R2246-D.4-01: no default without encryption, without authentication, or with short keys."""
    assert len(set(DEFAULT_SUITES)) == len(DEFAULT_SUITES)
    for ours in map(SUITES.__getitem__, DEFAULT_SUITES):
        assert not ours.weak
        assert ours.cipher.effective_bits >= 128
        assert ours.cipher.name[:3] in ("AES", "3DE")
        assert ours.key_exchange.certificate is not None


def test_defaults_include_the_mandatory_suites() -> None:
    """§9: DHE_DSS with 3DES for TLS 1.0; what TLS 1.1 and 1.2 mandate is there as well."""
    assert {0x0013, 0x000A, 0x002F} <= set(DEFAULT_SUITES)


def test_defaults_prefer_forward_secrecy_and_large_blocks() -> None:
    exchanges = [SUITES[value].key_exchange for value in DEFAULT_SUITES if SUITES[value].cipher.block_size == 16]
    assert [SUITES[value].cipher.block_size for value in DEFAULT_SUITES] == [16] * len(exchanges) + [8] * 5
    assert exchanges[-2:] == [KeyExchange.RSA, KeyExchange.RSA]
    assert KeyExchange.RSA not in exchanges[:-2]


@pytest.mark.parametrize(
    ("name", "weak"),
    [
        ("TLS_RSA_WITH_NULL_SHA", True),
        ("TLS_RSA_WITH_RC4_128_SHA", True),
        ("TLS_RSA_WITH_DES_CBC_SHA", True),
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", True),
        ("TLS_DH_anon_WITH_AES_256_CBC_SHA", True),
        ("TLS_ECDH_anon_WITH_AES_256_CBC_SHA", True),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", False),
        ("TLS_PSK_WITH_AES_128_CBC_SHA", False),
        ("TLS_RSA_WITH_SEED_CBC_SHA", False),
    ],
)
def test_weak(name: str, weak: bool) -> None:
    assert suite(name).weak is weak


@pytest.mark.parametrize("exchange", KeyExchange)
def test_server_key_exchange(exchange: KeyExchange) -> None:
    """R2246-7.4.3-01, R2246-7.4.3-02, R2246-7.4.3-06; RFC 4279 §2 for the hint."""
    always = "DH" in exchange.name and not exchange.fixed
    assert exchange.server_key_exchange is always
    assert exchange.optional_server_key_exchange is (exchange.name in ("RSA_EXPORT", "PSK", "RSA_PSK"))
    assert not (exchange.signed and exchange.anonymous)
    assert exchange.premaster.ephemeral is ("DH" in exchange.name)
    assert exchange.premaster.psk is exchange.name.endswith("PSK")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_openssl_names() -> None:
    """Whatever the installed OpenSSL knows has the name it gives; it says DHE where OpenSSL 1.0 said EDH."""
    command = ["openssl", "ciphers", "-V", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    compared = 0
    for line in subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines():
        high, low = line.split()[0].split(",")
        value = int(high, 16) << 8 | int(low, 16)
        if value in SUITES:
            assert SUITES[value].openssl_name.replace("EDH", "DHE") == line.split()[2].replace("EDH", "DHE")
            compared += 1
    assert compared > 20


def test_names_are_unique() -> None:
    assert len({ours.openssl_name for ours in SUITES.values()}) == len(SUITES)


@given(st.lists(st.sampled_from(sorted(SUITES)), min_size=1, unique=True), st.data())
def test_parse_any_spelling(values: list[int], data: st.DataObject) -> None:
    """Names, numbers, either case, any separator: the order stays."""
    text = ""
    for value in values:
        ours = SUITES[value]
        spellings = [ours.name, ours.name.lower(), ours.openssl_name, f"0x{value:04X}", f"0X{value:x}", f"{value:05}"]
        text += data.draw(st.sampled_from(spellings)) + data.draw(st.sampled_from([",", ":", " ", ", ", "\n"]))
    assert parse_suites(text) == tuple(values)


def test_parse_drops_repetitions() -> None:
    assert parse_suites("AES128-SHA:AES256-SHA:0x2F") == (0x2F, 0x35)


def test_parse_knows_both_openssl_spellings() -> None:
    assert parse_suites("EDH-RSA-DES-CBC3-SHA,DHE-DSS-DES-CBC3-SHA") == (0x16, 0x13)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AES128-SHA:FOO", "FOO is unknown"),
        ("0x1301", "0x1301 is unknown"),
        ("0", "cipher suite 0 is unknown"),
        ("0x00FF", "0x00FF is unknown"),
        ("-47", "-47 is unknown"),
        ("99999999999999999999", "is unknown"),
        ("0x001E", "0x001E is not available: it needs Kerberos"),
        ("TLS_DH_RSA_WITH_AES_128_CBC_SHA", "is not available: .*CryptData"),
        (" , ", "no cipher suite"),
    ],
)
def test_parse_names_what_it_cannot_use(text: str, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        parse_suites(text)


def test_ciphers_are_values() -> None:
    assert suite("TLS_RSA_WITH_AES_128_CBC_SHA").cipher == BulkCipher("AES_128_CBC", 16, 16, 128, 16, 16)

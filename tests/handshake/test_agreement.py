"""Premaster secrets: both sides of every key exchange come to the same, and wrong ones come to nothing visible."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import pki
from tlsexit.alerts import DecodeError, HandshakeFailure, IllegalParameter, InsufficientSecurity
from tlsexit.crypto.keyops import decrypt
from tlsexit.crypto.suites import SUITES, KeyExchange, KeyType
from tlsexit.exits.calls import PreSharedKey
from tlsexit.handshake.agreement import (
    agree,
    check_ciphertext_length,
    checked_pre_master_secret,
    client_key_exchange,
    generate_ephemeral,
    needs_server_key_exchange,
    read_client_key_exchange,
    read_server_key_exchange,
    server_key_exchange,
    signed_digest,
    with_pre_shared_key,
)
from tlsexit.handshake.keyexchange import ClientKeyExchange
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.policy import system_config
from tlsexit.profile import Profile

CONFIG = system_config()
CLIENT, SERVER = Profile.client(), Profile.server()
PSK = PreSharedKey(b"identity", b"the key")


def negotiation(exchange: KeyExchange) -> Negotiation:
    suite = next(item for item in SUITES.values() if item.key_exchange is exchange)
    return Negotiation(suite=suite, client_version=0x0303, client_random=bytes(32), server_random=bytes(32))


@pytest.mark.parametrize("exchange", [item for item in KeyExchange if item.server_key_exchange and not item.export])
@pytest.mark.parametrize("group", [23, 24, 25, 29])
def test_both_sides_agree(exchange: KeyExchange, group: int) -> None:
    """R2246-7.4.3-03, R2246-7.4.7.2-01, R4492-5.4-01: what is signed is what is read, and the secrets are one."""
    ephemeral = generate_ephemeral(exchange, (group,), None, SERVER, CONFIG)
    assert ephemeral is not None
    message = server_key_exchange(ephemeral, b"signature" if exchange.signed else None)
    params, signed, signature = read_server_key_exchange(exchange, message, CLIENT)
    assert signed == ephemeral.params
    assert signature == (b"signature" if exchange.signed else None)
    psk = PSK if exchange.premaster.psk else None
    reply, client_secret = client_key_exchange(negotiation(exchange), None, params, psk, CONFIG)
    public = read_client_key_exchange(exchange, reply)
    assert agree(ephemeral, public, None if psk is None else psk.key) == client_secret
    assert public.psk_identity == (b"identity" if psk else b"")


def test_the_keys_are_new_every_time() -> None:
    """R3268-SecurityConsiderations-01: ephemeral means once."""
    for exchange in (KeyExchange.DHE_RSA, KeyExchange.ECDHE_RSA):
        made = [generate_ephemeral(exchange, (29,), None, SERVER, CONFIG) for _ in range(2)]
        assert made[0] is not None
        assert made[1] is not None
        assert made[0].params != made[1].params


def test_the_rsa_premaster_secret() -> None:
    """R2246-7.4.7.1-01, R2246-7.4.7.1-02, R2246-7.4.7.1-06: the version offered and 46 random bytes, encrypted."""
    key = pki().server.key.public_key()
    message, secret = client_key_exchange(negotiation(KeyExchange.RSA), key, None, None, CONFIG)
    assert secret[:2] == b"\3\3"
    assert len(secret) == 48
    assert message.body[:2] == b"\1\0"
    ciphertext = read_client_key_exchange(KeyExchange.RSA, message).value
    assert decrypt(pki().server.key, ciphertext) == secret


def test_no_key_to_encrypt_with() -> None:
    with pytest.raises(HandshakeFailure):
        client_key_exchange(negotiation(KeyExchange.RSA), None, None, None, CONFIG)


def test_pre_shared_keys_alone() -> None:
    """RFC 4279 §2: N zero bytes stand in for the other secret."""
    message, secret = client_key_exchange(negotiation(KeyExchange.PSK), None, None, PSK, CONFIG)
    assert message.body == b"\0\x08identity"
    assert secret == b"\0\x07" + bytes(7) + b"\0\x07the key"
    public = read_client_key_exchange(KeyExchange.PSK, message)
    assert agree(None, public, PSK.key) == secret
    assert with_pre_shared_key(b"other", b"key") == b"\0\5other\0\3key"


@pytest.mark.parametrize("kind", KeyType)
def test_what_a_server_key_exchange_signature_covers(kind: KeyType) -> None:
    """R2246-7.4.3-05, computed here with the hashes of the standard library."""
    data = b"c" * 32 + b"s" * 32 + b"params"
    expected = hashlib.sha1(data).digest()
    if kind is KeyType.RSA:
        expected = hashlib.md5(data).digest() + expected
    assert signed_digest(kind, b"c" * 32, b"s" * 32, b"params") == expected


# ------------------------------------------------------------------------------------------------ the RSA premaster

SUBSTITUTE = b"\3\1" + b"s" * 46
GOOD = b"\3\1" + b"g" * 46


@given(st.binary(max_size=100))
def test_anything_but_a_good_secret_becomes_the_substitute(decrypted: bytes) -> None:
    """R2246-7.4.7.1-03, R2246-7.4.7.1-04, R2246-7.4.7.1-05."""
    good = len(decrypted) == 48 and decrypted[:2] == b"\3\1"
    assert checked_pre_master_secret(decrypted, SUBSTITUTE) == (decrypted if good else SUBSTITUTE)


@pytest.mark.parametrize(
    ("decrypted", "expected"),
    [
        (GOOD, GOOD),
        (GOOD[:-1], SUBSTITUTE),
        (GOOD + b"g", SUBSTITUTE),
        (b"", SUBSTITUTE),
        (b"\3\0" + GOOD[2:], SUBSTITUTE),
        (b"\2\1" + GOOD[2:], SUBSTITUTE),
        (GOOD[:46], SUBSTITUTE),
    ],
)
def test_the_check_of_the_secret(decrypted: bytes, expected: bytes) -> None:
    """R2246-7.4.7.1-03, R2246-7.4.7.1-05."""
    assert checked_pre_master_secret(decrypted, SUBSTITUTE) == expected


@pytest.mark.parametrize("length", [0, 255, 257])
def test_the_length_of_the_ciphertext_is_public(length: int) -> None:
    """R2246-7.4.7.1-08."""
    key = pki().server.key.public_key()
    check_ciphertext_length(bytes(256), key)
    with pytest.raises(DecodeError):
        check_ciphertext_length(bytes(length), key)


# ------------------------------------------------------------------------------------------------ bounds


def test_where_server_key_exchange_is_needed() -> None:
    """R2246-7.4.3-01, R2246-7.4.3-02."""
    key = pki().server.key.public_key()
    needed = {item.rfc_name for item in KeyExchange if needs_server_key_exchange(item, key)}
    assert needed == {
        *("RSA_EXPORT", "DHE_RSA", "DHE_RSA_EXPORT", "DHE_DSS", "DHE_DSS_EXPORT", "DH_anon", "DH_anon_EXPORT"),
        *("ECDHE_RSA", "ECDHE_ECDSA", "ECDH_anon"),  # RFC 4492 §5.4
        *("DHE_PSK", "ECDHE_PSK"),  # RFC 4279 §3, RFC 5489 §2
    }


def test_a_curve_the_client_did_not_offer() -> None:
    """R4492-5.4-01."""
    ephemeral = generate_ephemeral(KeyExchange.ECDHE_RSA, (24,), None, SERVER, CONFIG)
    assert ephemeral is not None
    with pytest.raises(IllegalParameter):
        read_server_key_exchange(
            KeyExchange.ECDHE_RSA, server_key_exchange(ephemeral, b""), Profile.client(groups=(23,))
        )


def test_a_group_below_the_profile() -> None:
    """R2246-D.4-02: 2048 bits for who wants 3072."""
    ephemeral = generate_ephemeral(KeyExchange.DHE_RSA, (), None, SERVER, CONFIG)
    assert ephemeral is not None
    message = server_key_exchange(ephemeral, b"")
    with pytest.raises(InsufficientSecurity):
        read_server_key_exchange(KeyExchange.DHE_RSA, message, Profile.client(minimum_dh_bits=3072))
    with pytest.raises(IllegalParameter):
        read_server_key_exchange(KeyExchange.DHE_RSA, message, Profile.client(maximum_dh_bits=1024))


@pytest.mark.parametrize("exchange", KeyExchange)
@given(body=st.binary(max_size=60))
def test_any_client_key_exchange(exchange: KeyExchange, body: bytes) -> None:
    """A value or decode_error."""
    try:
        read_client_key_exchange(exchange, ClientKeyExchange(body))
    except DecodeError:
        return

"""Master secret, key block, Finished and exporter against OpenSSL, tlslite-ng and the layout of RFC 2246 §6.3."""

from __future__ import annotations

import hashlib
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import Handshake, exporter, handshakes, reference_prf, unprotect
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.schedule import (
    ConnectionKeys,
    connection_keys,
    export_keying_material,
    extended_master_secret,
    master_secret,
    verify_data,
)
from tlsexit.crypto.suites import SUITES, CipherSuite, parse_suites

CLIENT_RANDOM, SERVER_RANDOM, SECRET = b"c" * 32, b"s" * 32, b"m" * 48


def suite(name: str) -> CipherSuite:
    """The suite with this name."""
    return SUITES[parse_suites(name)[0]]


def keys(name: str) -> ConnectionKeys:
    """The keys of that suite from the constants above."""
    return connection_keys(suite(name), SECRET, CLIENT_RANDOM, SERVER_RANDOM)


def digests(messages: bytes) -> bytes:
    """MD5 || SHA-1."""
    return hashlib.md5(messages).digest() + hashlib.sha1(messages).digest()


@pytest.mark.parametrize("handshake", handshakes(), ids=str)
def test_master_secret_of_openssl(handshake: Handshake) -> None:
    """R2246-8.1-01."""
    computed = master_secret(handshake.pre_master_secret, handshake.client_random, handshake.server_random)
    assert computed == handshake.master_secret


@pytest.mark.parametrize("handshake", handshakes(), ids=str)
def test_finished_of_openssl(handshake: Handshake) -> None:
    """R2246-7.4.9-05, R2246-7.4.9-07; decrypting it takes the whole key schedule, for the export suites as well.

    R2246-6.3-01, R2246-6.3-02, R2246-6.3-03, R2246-6.3-04, R2246-6.3-06, R2246-6.3-07.
    """
    next_protocol, client_finished, _ = unprotect(handshake, Role.CLIENT)
    server_finished = unprotect(handshake, Role.SERVER)[0]
    before = handshake.messages + next_protocol
    assert client_finished[4:] == verify_data(handshake.master_secret, Role.CLIENT, digests(before))
    before += client_finished
    assert server_finished[4:] == verify_data(handshake.master_secret, Role.SERVER, digests(before))


@given(st.binary(max_size=80), st.binary(min_size=36, max_size=36))
def test_extended_master_secret_of_tlslite_ng(secret: bytes, session_hash: bytes) -> None:
    """R7627-4-01."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports asyncore
        from tlslite.mathtls import PRF
    expected = PRF(bytearray(secret), b"extended master secret", bytearray(session_hash), 48)
    assert extended_master_secret(secret, session_hash) == bytes(expected)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("TLS_RSA_WITH_NULL_MD5", (16, 0, 0)),
        ("TLS_RSA_WITH_RC4_128_SHA", (20, 16, 0)),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", (20, 24, 8)),  # R2246-6.3-05: 104 bytes
        ("TLS_RSA_WITH_AES_256_CBC_SHA", (20, 32, 16)),
    ],
)
def test_key_block_is_cut_in_order(name: str, sizes: tuple[int, int, int]) -> None:
    """R2246-6.3-01, R2246-6.3-02, R2246-6.3-03: MAC secrets, keys, IVs, each time the client's first."""
    mac, key, iv = sizes
    block = reference_prf(SECRET, b"key expansion", SERVER_RANDOM + CLIENT_RANDOM, 200)
    made = keys(name)
    client, server = made.client_write, made.server_write
    order = [client.mac_secret, server.mac_secret, client.key, server.key, client.iv, server.iv]
    assert [len(part) for part in order] == [mac, mac, key, key, iv, iv]
    assert b"".join(order) == block[: 2 * sum(sizes)]


def test_export_example() -> None:
    """The example of §6.3.1, RSA_EXPORT_WITH_RC2_CBC_40_MD5 (R2246-6.3.1-01).

    R2246-6.3-04, R2246-6.3-06, R2246-6.3-07.
    """
    key_block = reference_prf(SECRET, b"key expansion", SERVER_RANDOM + CLIENT_RANDOM, 42)
    made = keys("TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5")
    randoms = CLIENT_RANDOM + SERVER_RANDOM
    assert made.client_write.mac_secret == key_block[0:16]
    assert made.server_write.mac_secret == key_block[16:32]
    assert made.client_write.key == reference_prf(key_block[32:37], b"client write key", randoms, 16)
    assert made.server_write.key == reference_prf(key_block[37:42], b"server write key", randoms, 16)
    iv_block = reference_prf(b"", b"IV block", randoms, 16)
    assert made.client_write.iv == iv_block[0:8]
    assert made.server_write.iv == iv_block[8:16]


def test_keys_belong_to_their_role_and_mode() -> None:
    """R2246-6.1-04."""
    made = connection_keys(suite("AES128-SHA"), SECRET, CLIENT_RANDOM, SERVER_RANDOM, encrypt_then_mac=True)
    assert made.write_keys(Role.CLIENT) is made.client_write
    assert made.write_keys(Role.SERVER) is made.server_write
    assert made.client_write.encrypt_then_mac
    assert made.server_write.encrypt_then_mac
    assert not keys("AES128-SHA").client_write.encrypt_then_mac


def test_other_randoms_give_other_keys() -> None:
    """R2246-6.3-08: a resumed session has new keys under the old master secret."""
    again = connection_keys(suite("AES128-SHA"), SECRET, b"d" * 32, SERVER_RANDOM)
    assert again.client_write != keys("AES128-SHA").client_write


def test_secrets_are_not_shown() -> None:
    made = keys("AES128-SHA")
    assert repr(made.client_write.key) not in repr(made)
    assert "mac_secret" not in repr(made)


def test_exporter_of_openssl() -> None:
    """RFC 5705 §4 without context, as OpenSSL's ``-keymatexport`` gave it."""
    vector = exporter()
    expected = bytes.fromhex(vector["keying_material"])
    secret, client, server = (
        bytes.fromhex(vector[name]) for name in ("master_secret", "client_random", "server_random")
    )
    label = vector["label"].encode()
    assert export_keying_material(secret, label, client, server, None, len(expected)) == expected


@pytest.mark.parametrize("context", [b"", b"context", b"x" * 65535])
def test_exporter_with_context(context: bytes) -> None:
    """RFC 5705 §4: behind the randoms its length in two bytes, then the context; an empty one is not none at all."""
    seed = CLIENT_RANDOM + SERVER_RANDOM + len(context).to_bytes(2, "big") + context
    exported = export_keying_material(SECRET, b"EXPORTER-test", CLIENT_RANDOM, SERVER_RANDOM, context, 32)
    assert exported == reference_prf(SECRET, b"EXPORTER-test", seed, 32)
    assert exported != export_keying_material(SECRET, b"EXPORTER-test", CLIENT_RANDOM, SERVER_RANDOM, None, 32)


@pytest.mark.parametrize("label", [b"client finished", b"server finished", b"master secret", b"key expansion"])
def test_exporter_keeps_the_labels_of_tls(label: bytes) -> None:
    """RFC 5705 §4: these "MUST NOT be used" by others."""
    with pytest.raises(LocalError, match="belongs to TLS"):
        export_keying_material(SECRET, label, CLIENT_RANDOM, SERVER_RANDOM, None, 20)


def test_exporter_context_has_a_limit() -> None:
    with pytest.raises(LocalError, match="65535"):
        export_keying_material(SECRET, b"EXPORTER-test", CLIENT_RANDOM, SERVER_RANDOM, bytes(65536), 20)

"""Ciphers and MACs against what OpenSSL encrypted, and as long-lived contexts (RFC 2246 §6.2.3)."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import Handshake, handshakes, unprotect
from tlsexit.constants import Role
from tlsexit.crypto.bulk import DirectionKeys, mac_of, new_decryptor, new_encryptor, new_mac
from tlsexit.crypto.suites import SUITES, parse_suites

KEYS = [
    DirectionKeys(
        suite, bytes(range(suite.mac.size)), bytes(range(suite.cipher.expanded_key)), bytes(suite.cipher.iv_size)
    )
    for suite in {suite.cipher.name: suite for suite in SUITES.values()}.values()
]
"""One set of keys for each cipher."""


def cipher_name(keys: DirectionKeys) -> str:
    """A test id."""
    return keys.suite.cipher.name


@pytest.mark.parametrize("handshake", handshakes(), ids=str)
def test_records_of_openssl(handshake: Handshake) -> None:
    """R2246-6.1-04, R2246-6.2.3.1-01, R2246-6.2.3.1-04, R2246-6.2.3.2-03, R2246-6.2.3.2-07, R2246-6.2.3.2-08.

    Node's client has a NextProtocol message before its Finished, and does not say close_notify.
    """
    next_protocol, finished, data = unprotect(handshake, Role.CLIENT)
    assert (next_protocol[0], finished[:4], data) == (67, b"\x14\0\0\x0c", b"request")
    finished, data, alert = unprotect(handshake, Role.SERVER)
    assert (finished[:4], data, alert) == (b"\x14\0\0\x0c", b"reply request", b"\x01\0")


def test_every_cipher_is_compared_with_openssl() -> None:
    compared = {SUITES[parse_suites(handshake.suite)[0]].cipher.name for handshake in handshakes()}
    assert compared == {suite.cipher.name for suite in SUITES.values()}


@pytest.mark.parametrize("keys", KEYS, ids=cipher_name)
@given(st.lists(st.integers(0, 6), max_size=6))
def test_one_context_goes_on(keys: DirectionKeys, blocks: list[int]) -> None:
    """Cutting the stream into records changes nothing: CBC chains and RC4 runs on (R2246-6.2.3.2-10)."""
    unit = keys.suite.cipher.block_size or 3
    pieces = [bytes([number]) * unit * count for number, count in enumerate(blocks)]
    encryptor, decryptor = new_encryptor(keys), new_decryptor(keys)
    encrypted = [encryptor.update(piece) for piece in pieces]
    assert b"".join(encrypted) == new_encryptor(keys).update(b"".join(pieces))
    assert [decryptor.update(memoryview(piece)) for piece in encrypted] == pieces
    assert [len(piece) for piece in encrypted] == [len(piece) for piece in pieces]


@given(st.binary(max_size=100), st.binary(max_size=100))
@pytest.mark.parametrize("name", ["TLS_RSA_WITH_NULL_MD5", "TLS_RSA_WITH_NULL_SHA"])
def test_mac(name: str, head: bytes, body: bytes) -> None:
    """R2246-5-01; the keyed context is not used up."""
    suite = SUITES[parse_suites(name)[0]]
    mac = new_mac(DirectionKeys(suite, b"k" * suite.mac.size, b"", b""))
    expected = hmac.digest(b"k" * suite.mac.size, head + body, name[-3:].lower().replace("sha", "sha1"))
    for _ in range(2):
        assert mac_of(mac, head + body) == expected


@pytest.mark.parametrize("keys", KEYS, ids=cipher_name)
def test_secrets_are_not_shown(keys: DirectionKeys) -> None:
    assert "bytes" not in repr(keys)
    assert "x01" not in repr(keys)
    assert keys.suite.name in repr(keys)

"""Encryption at rest: what is sealed opens with its key and for its purpose, untouched, or not at all."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import LocalError
from tlsexit.stores.sealing import KEY_SIZE, KeyRing, SealingKey, read_sealed

KEY = SealingKey(bytes(range(KEY_SIZE)))
OTHER = SealingKey(bytes(range(1, KEY_SIZE + 1)))


def opened(key: SealingKey, data: bytes, purpose: bytes) -> bytes | None:
    """What ``data`` holds, if it is whole and of this key."""
    sealed = read_sealed(data)
    return None if sealed is None else key.open(sealed, purpose)


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_what_is_sealed_opens(plaintext: bytes, purpose: bytes) -> None:
    data = KEY.seal(plaintext, purpose, os.urandom)
    assert opened(KEY, data, purpose) == plaintext
    assert opened(OTHER, data, purpose) is None
    assert opened(KEY, data, purpose + b"!") is None


@given(st.binary(max_size=60), st.data())
def test_no_byte_can_be_changed(plaintext: bytes, data: st.DataObject) -> None:
    """R5077-5.2-01: nonce, ciphertext and tag; the key id, if changed, is that of no key."""
    sealed = bytearray(KEY.seal(plaintext, b"", os.urandom))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    parts = read_sealed(bytes(sealed))
    assert parts is not None
    if position < len(KEY.key_id):
        assert parts.key_id != KEY.key_id
    else:
        assert KEY.open(parts, b"") is None


@given(st.binary(max_size=60), st.data())
def test_no_byte_can_be_missing(plaintext: bytes, data: st.DataObject) -> None:
    sealed = KEY.seal(plaintext, b"", os.urandom)
    assert opened(KEY, sealed[: data.draw(st.integers(0, len(sealed) - 1))], b"") is None
    assert opened(KEY, sealed + b"\0", b"") is None


def test_layout() -> None:
    """Key id, nonce, then exactly what AES-256-GCM-SIV (RFC 8452) gives."""
    sealed = KEY.seal(b"plaintext", b"purpose", lambda size: b"n" * size)
    assert sealed[:16] == KEY.key_id
    assert sealed[16:28] == b"n" * 12
    assert AESGCMSIV(KEY.material).decrypt(b"n" * 12, sealed[28:], b"purpose") == b"plaintext"


def test_every_sealing_is_another() -> None:
    assert len({KEY.seal(b"the same", b"", os.urandom) for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_keys_have_one_size(size: int) -> None:
    with pytest.raises(LocalError, match="32 bytes"):
        SealingKey(bytes(range(size)))


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_buffer_that_nobody_filled_is_no_key(value: int) -> None:
    """R5077-5.2-01, CVE-2020-13777: GnuTLS sealed with a key of zeros until its first change of keys."""
    with pytest.raises(LocalError, match="no key"):
        SealingKey(bytes([value]) * KEY_SIZE)
    with pytest.raises(LocalError, match="no key"):
        KeyRing(KEY.material, [bytes([value]) * KEY_SIZE])


def test_contexts() -> None:
    """One key serves several contexts, whose ciphertexts tell each other apart."""
    here, there = SealingKey(KEY.material, b"here"), SealingKey(KEY.material, b"there")
    assert len({here.key_id, there.key_id, KEY.key_id}) == 3
    data = here.seal(b"plaintext", b"", os.urandom)
    assert opened(here, data, b"") == b"plaintext"
    assert opened(there, data, b"") is None
    assert opened(KEY, data, b"") is None


def test_key_ids() -> None:
    """The same in every process, and nothing of the key shows in it."""
    assert SealingKey(KEY.material).key_id == KEY.key_id != OTHER.key_id
    assert KEY.key_id not in KEY.material
    assert KEY.material.hex() not in repr(KEY)
    assert repr(KEY.material) not in repr(KEY)


def test_a_ring_seals_with_its_first_key_and_opens_with_all() -> None:
    ring = KeyRing(KEY.material, [OTHER.material])
    assert ring.current == KEY
    assert ring.find(OTHER.key_id) == OTHER
    assert ring.find(KEY.key_id) == KEY
    assert ring.find(bytes(16)) is None

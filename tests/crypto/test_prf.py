"""The PRF against a published vector, OpenSSL, tlslite-ng and the formula of RFC 2246 §5."""

from __future__ import annotations

import shutil
import subprocess
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vectors import reference_prf
from tlsexit.alerts import LocalError
from tlsexit.crypto.prf import KeyedPrf, prf

SHAPES = [(0, 16), (1, 1), (5, 16), (47, 48), (48, 104), (127, 48), (128, 48), (129, 48), (256, 48), (1024, 200)]
"""Lengths of secret and output: empty, odd, and around where half a secret outgrows an HMAC block (R2246-5-02)."""


def pattern(length: int) -> bytes:
    """Bytes that differ from place to place."""
    return bytes((7 * index + 3) % 256 for index in range(length))


def test_published_vector() -> None:
    """The vector circulated on the IETF TLS mailing list (R2246-5-03, R2246-5-07, R2246-5-08)."""
    expected = bytes.fromhex(
        "D3 D4 D1 E3 49 B5 D5 15 04 46 66 D5 1D E3 2B AB 25 8C B5 21 B6 B0 53 46 3E 35 48 32 FD 97 67 54"
        "44 3B CF 9A 29 65 19 BC 28 9A BC BC 11 87 E4 EB D3 1E 60 23 53 77 6C 40 8A AF B7 4C BC 85 EF F6"
        "92 55 F9 78 8F AA 18 4C BB 95 7A 98 19 D8 4A 5D 7E B0 06 EB 45 9D 3A E8 DE 98 10 45 4B 8B 2D 8F"
        "1A FB C6 55 A8 C9 A0 13"
    )
    assert prf(b"\xab" * 48, b"PRF Testvector", b"\xcd" * 64, 104) == expected


@given(st.binary(max_size=300), st.binary(max_size=30), st.binary(max_size=100), st.integers(0, 300))
@settings(max_examples=200)
def test_formula(secret: bytes, label: bytes, seed: bytes, length: int) -> None:
    """R2246-5-01 to R2246-5-07, on all lengths of secret."""
    assert prf(secret, label, seed, length) == reference_prf(secret, label, seed, length)


@given(
    st.binary(max_size=150),
    st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=80), st.integers(0, 150)), max_size=5),
)
def test_keyed_once_for_all(secret: bytes, wanted: list[tuple[bytes, bytes, int]]) -> None:
    """What has been derived before makes no difference to what comes next."""
    keyed = KeyedPrf(secret)
    for label, seed, length in wanted:
        assert keyed.derive(label, seed, length) == reference_prf(secret, label, seed, length)


@given(st.binary(max_size=150), st.integers(0, 150), st.integers(0, 150))
def test_shorter_output_is_a_prefix(secret: bytes, short: int, more: int) -> None:
    """R2246-5-04."""
    assert prf(secret, b"label", b"seed", short + more)[:short] == prf(secret, b"label", b"seed", short)


@pytest.mark.parametrize(("secret_length", "length"), SHAPES)
def test_like_tlslite_ng(secret_length: int, length: int) -> None:
    """R2246-5-02, R2246-5-05, R2246-5-06."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports asyncore
        from tlslite.mathtls import PRF
    secret, seed = pattern(secret_length), pattern(64)
    expected = PRF(bytearray(secret), bytearray(b"key expansion"), bytearray(seed), length)
    assert prf(secret, b"key expansion", seed, length) == bytes(expected)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
@pytest.mark.parametrize(("secret_length", "length"), [shape for shape in SHAPES if shape[0]])
def test_like_openssl(secret_length: int, length: int) -> None:
    """R2246-5-02, R2246-5-05; OpenSSL's command takes no empty secret."""
    secret, seed = pattern(secret_length), pattern(64)
    options = ("digest:MD5-SHA1", f"hexsecret:{secret.hex()}", f"hexseed:{(b'key expansion' + seed).hex()}")
    command = ["openssl", "kdf", "-keylen", str(length), "-binary"]
    for option in options:
        command += ["-kdfopt", option]
    done = subprocess.run([*command, "TLS1-PRF"], capture_output=True, check=True)
    assert prf(secret, b"key expansion", seed, length) == done.stdout


def test_length_must_not_be_negative() -> None:
    with pytest.raises(LocalError, match="-1 bytes"):
        prf(b"", b"", b"", -1)

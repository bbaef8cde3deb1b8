"""Temporary keys of the export suites (RFC 2246 §7.4.3, appendix D.1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from random import Random

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tlsexit.crypto.export import EXPORT_KEY_BITS, temporary_rsa_key
from tlsexit.crypto.keyops import decrypt, encrypt


def test_size() -> None:
    """R2246-C-02: 512 bits, and room for a premaster secret (48 bytes and 11 of padding)."""
    key = temporary_rsa_key(os.urandom)
    assert key.key_size == EXPORT_KEY_BITS == 512
    assert decrypt(key, encrypt(key.public_key(), bytes(48))) == bytes(48)


def test_new_every_time() -> None:
    """R2246-D.1-01."""
    assert temporary_rsa_key(os.urandom).private_numbers() != temporary_rsa_key(os.urandom).private_numbers()


def test_all_randomness_is_the_callers() -> None:
    keys = [temporary_rsa_key(Random(2246).randbytes) for _ in range(2)]
    assert keys[0].private_numbers() == keys[1].private_numbers()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
@pytest.mark.parametrize("seed", range(5))
def test_openssl_finds_it_consistent(seed: int) -> None:
    """Both factors prime, the exponents inverse to each other, the CRT values right."""
    pem = temporary_rsa_key(Random(seed).randbytes).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    checked = subprocess.run(["openssl", "rsa", "-check", "-noout"], input=pem, capture_output=True, check=True)
    assert b"RSA key ok" in checked.stdout

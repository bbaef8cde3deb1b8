"""Temporary keys of the export suites (RFC 2246 §7.4.3, appendix D.1)."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tlsexit.alerts import LocalError
from tlsexit.crypto.export import EXPORT_KEY_BITS, TemporaryRSAKeys, temporary_rsa_key
from tlsexit.crypto.keyops import decrypt, encrypt


def test_size() -> None:
    """R2246-C-02: 512 bits, and room for a premaster secret (48 bytes and 11 of padding)."""
    key = temporary_rsa_key(os.urandom)
    assert key.key_size == EXPORT_KEY_BITS == 512
    assert decrypt(key, encrypt(key.public_key(), bytes(48))) == bytes(48)


def test_new_every_time() -> None:
    """R2246-D.1-01."""
    assert temporary_rsa_key(os.urandom).private_numbers() != temporary_rsa_key(os.urandom).private_numbers()


def keys(**bounds: float) -> tuple[TemporaryRSAKeys, list[float]]:
    """Keys that go by the clock that comes with them."""
    now = [1000.0]
    return TemporaryRSAKeys(os.urandom, lambda: now[0], **bounds), now  # type: ignore[arg-type]


def test_a_key_serves_several_handshakes() -> None:
    """R2246-D.1-01: "it is acceptable to use the same temporary key for multiple transactions", but not for many."""
    key, _ = keys(uses=3)
    served = [key() for _ in range(7)]
    assert [served.count(item) for item in dict.fromkeys(served)] == [3, 3, 1]


@pytest.mark.parametrize(("seconds", "same"), [(3599, True), (3600, False), (-1, False)])
def test_a_key_serves_for_a_while(seconds: int, same: bool) -> None:
    key, now = keys()
    first = key()
    now[0] += seconds
    assert (key() is first) is same


@pytest.mark.parametrize("bounds", [{"uses": 0}, {"uses": 501}, {"lifetime": 0}, {"lifetime": 86_401}])
def test_bounds_of_the_rfc(bounds: dict[str, int]) -> None:
    """Appendix D.1: "changed daily or every 500 transactions"."""
    keys(uses=500, lifetime=86_400)
    with pytest.raises(LocalError, match="1 to 500 handshakes"):
        keys(**bounds)


def test_threads_share_a_key() -> None:
    """None of them is handed out once too often."""
    key, _ = keys(uses=5)
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda _: key(), range(40)))
    assert max(served.count(item) for item in served) == 5


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

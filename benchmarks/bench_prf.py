"""The pseudorandom function, what is made with it, and the digests of the handshake."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tlsexit.constants import Role
from tlsexit.crypto.prf import prf
from tlsexit.crypto.schedule import connection_keys, master_secret, verify_data
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake.transcript import Transcript

SECRET = bytes(range(48))
RANDOM = bytes(range(32))


@pytest.mark.parametrize("length", [12, 48, 104])
def test_prf(benchmark: BenchmarkFixture, length: int) -> None:
    """As many bytes as a Finished, a master secret and the key block of AES128-SHA take."""
    benchmark.group = "PRF"
    benchmark(prf, SECRET, b"key expansion", RANDOM + RANDOM, length)


def test_master_secret(benchmark: BenchmarkFixture) -> None:
    """The master secret (§8.1)."""
    benchmark.group = "key schedule"
    benchmark(master_secret, SECRET, RANDOM, RANDOM)


@pytest.mark.parametrize("suite", [0x0005, 0x000A, 0x002F, 0x0035], ids=lambda value: SUITES[value].name)
def test_connection_keys(benchmark: BenchmarkFixture, suite: int) -> None:
    """Both directions' keys (§6.3)."""
    benchmark.group = "key schedule"
    benchmark(connection_keys, SUITES[suite], SECRET, RANDOM, RANDOM)


def test_verify_data(benchmark: BenchmarkFixture) -> None:
    """The contents of Finished (§7.4.9)."""
    benchmark.group = "key schedule"
    benchmark(verify_data, SECRET, Role.CLIENT, bytes(36))


def test_transcript(benchmark: BenchmarkFixture) -> None:
    """The digest over the messages of a full handshake, about 2.5 KB."""
    benchmark.group = "transcript"
    transcript = Transcript()
    for size in (160, 90, 2000, 4, 262):
        transcript = transcript.add(bytes(size))
    benchmark(transcript.digest)

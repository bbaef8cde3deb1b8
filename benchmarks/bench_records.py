"""The record layer: finding records, sealing and opening them, and whole writes."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.rounds import each_with
from tlsexit.constants import ContentType
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.schedule import connection_keys
from tlsexit.crypto.suites import SUITES
from tlsexit.records.framing import RecordReader
from tlsexit.records.grammar import TLS_PLAINTEXT
from tlsexit.records.layer import RecordLayer
from tlsexit.records.protection import new_read_state, new_write_state
from tlsexit.wire import parse

DATA = ContentType.APPLICATION_DATA
VERSION = 0x0301
ROUNDS = 1000

PROTECTIONS = {
    "NULL": None,
    "RC4-SHA": (0x0005, False),
    "3DES-SHA": (0x000A, False),
    "AES128-SHA": (0x002F, False),
    "AES128-SHA, encrypt-then-MAC": (0x002F, True),
}

protections = pytest.mark.parametrize("protection", PROTECTIONS)
sizes = pytest.mark.parametrize("size", [64, 16384])


def keys(protection: str) -> DirectionKeys | None:
    """Return the keys of one direction; None for the null state."""
    chosen = PROTECTIONS[protection]
    if chosen is None:
        return None
    suite, encrypt_then_mac = chosen
    return connection_keys(
        SUITES[suite], bytes(48), bytes(32), bytes(32), encrypt_then_mac=encrypt_then_mac
    ).client_write


@pytest.mark.parametrize("way", ["framing", "grammar"])
def test_header(benchmark: BenchmarkFixture, way: str) -> None:
    """One record of 64 bytes cut out of the stream: by the live path, and by the grammar that describes it."""
    benchmark.group = "record header"
    wire = bytes.fromhex("1703010040") + bytes(64)
    reader = RecordReader()

    def one() -> object:
        reader.append(wire)
        return reader.next()

    if way == "framing":
        benchmark(one)
    else:
        benchmark(parse, TLS_PLAINTEXT, wire)


@protections
@sizes
def test_seal(benchmark: BenchmarkFixture, protection: str, size: int) -> None:
    """A fragment turned into a record."""
    benchmark.group = f"seal {size} bytes"
    state = new_write_state(keys(protection))
    benchmark(state.seal, DATA, VERSION, bytes(size))


@protections
@sizes
def test_open(benchmark: BenchmarkFixture, protection: str, size: int) -> None:
    """A record turned back into its content; each can be opened only once, in its turn."""
    benchmark.group = f"open {size} bytes"
    writer, reader = new_write_state(keys(protection)), new_read_state(keys(protection))

    def sealed() -> bytes:
        return b"".join(writer.seal(DATA, VERSION, bytes(size)))

    def opened(record: bytes) -> bytes:
        return reader.open(DATA, VERSION, record, 5, len(record))

    assert each_with(benchmark, opened, sealed, ROUNDS) == bytes(size)


@pytest.mark.parametrize("size", [64, 16384, 2**20])
def test_write_and_read(benchmark: BenchmarkFixture, size: int) -> None:
    """One write through both record layers, 1/n−1 splitting included, under AES128-SHA."""
    benchmark.group = f"write and read {size} bytes"
    sender, receiver = RecordLayer(), RecordLayer()
    material = keys("AES128-SHA")
    assert material is not None
    sender.change_write_keys(material)
    receiver.change_read_keys(material)
    data = bytes(size)

    def one() -> int:
        sender.send(DATA, data)
        receiver.receive_data(sender.data_to_send())
        received = 0
        while (record := receiver.next_record()) is not None:
            received += len(record.fragment)
        return received

    assert benchmark(one) == size

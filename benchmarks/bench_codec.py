"""Every structure on the wire, parsed and built by its grammar, by hand, and by stock construct."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.baselines import stock
from benchmarks.compare_codecs import WAYS, builders, parsers
from benchmarks.samples import SAMPLES, Sample, reading_anew
from tlsexit.handshake.codec import HandshakeReader, encode

samples = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
ways = pytest.mark.parametrize("way", WAYS)


@samples
@ways
def test_parse(benchmark: BenchmarkFixture, sample: Sample, way: str) -> None:
    """From bytes to the dataclass (construct: to its Container)."""
    benchmark.group = f"parse {sample.name}"
    with reading_anew():
        parsed = benchmark(parsers(sample)[way], sample.wire)
    if way != "construct":
        assert parsed == sample.value


@samples
@ways
def test_build(benchmark: BenchmarkFixture, sample: Sample, way: str) -> None:
    """From the dataclass (construct: from a dictionary) to bytes."""
    benchmark.group = f"build {sample.name}"
    value = stock.plain(sample.value) if way == "construct" else sample.value
    assert benchmark(builders(sample)[way], value) == sample.wire


def test_message_with_header(benchmark: BenchmarkFixture) -> None:
    """A ClientHello through the reassembler: header, bound, grammar."""
    benchmark.group = "handshake message"
    raw = encode(SAMPLES[0].value)
    reader = HandshakeReader(2**16)

    def one() -> object:
        reader.feed(raw)
        return reader.next_message()

    assert benchmark(one) == (raw, SAMPLES[0].value)


def test_encode_with_header(benchmark: BenchmarkFixture) -> None:
    """The same ClientHello built with its header."""
    benchmark.group = "handshake message"
    benchmark(encode, SAMPLES[0].value)

"""The entry points for coverage-guided fuzzing, without atheris."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsexit.fuzzing.entry import ENTRIES, main, structure
from tlsexit.fuzzing.structures import STRUCTURES
from tlsexit.wire import Uint


@pytest.mark.parametrize("name", ENTRIES)
def test_any_bytes_will_do(name: str) -> None:
    @settings(max_examples=20, deadline=None)
    @given(st.binary(max_size=200))
    def check(data: bytes) -> None:
        ENTRIES[name](data)

    check()


class Loose(Uint):
    """A grammar that takes what it does not write."""

    def decode(self, data: bytes, offset: int, end: int) -> tuple[int, int]:
        value, stop = super().decode(data, offset, end)
        return value & 0x7F, stop


def test_two_spellings_of_a_value_are_a_bug() -> None:
    assert structure(Loose(1), b"\x01")
    assert not structure(Loose(1), b"\x01\x02")
    with pytest.raises(AssertionError, match="two spellings"):
        structure(Loose(1), b"\x81")


def test_it_runs_without_atheris(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--runs", "50"]) == 0
    assert capsys.readouterr().out == "record: 50 inputs\n"
    assert main([]) == 2
    assert "message:ClientHello" in capsys.readouterr().out
    assert len(ENTRIES) == len(STRUCTURES) + 4

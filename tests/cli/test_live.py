"""The pictures of the live table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tlsexit.cli.live import duration, picture, size
from tlsexit.drivers.monitor import SessionStatus, TaskState, TaskStatus


def drawn(
    tasks: tuple[TaskStatus, ...], sessions: tuple[SessionStatus, ...], most: int = 10, width: int = 150
) -> list[list[str]]:
    """The words of each line."""
    console = Console(file=io.StringIO(), width=width, color_system=None, markup=False)
    console.print(picture(tasks, sessions, most))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def session(number: int, *, suite: int | None = 0x002F, resumed: bool = False) -> SessionStatus:
    return SessionStatus(
        number, 7, None if suite is None else 3, f"[::1]:{number}", suite, resumed, 1234, 20_000_000, 65
    )


def test_everything_of_a_task_is_shown() -> None:
    tasks = (
        TaskStatus(7, 4711, TaskState.RUNNING, 2, 31, 4, 999, 1_500_000, 3700, None),
        TaskStatus(8, None, TaskState.STARTING, 0, 0, 0, 0, 0, 1.5, 1.5),
    )
    lines = drawn(tasks, ())
    assert ["task", "pid", "state", "sessions", "handshakes", "failed", "in", "out", "age", "idle"] in lines
    assert ["7", "4711", "running", "2", "31", "4", "999", "1.5M", "1h01"] in lines
    assert ["8", "starting", "0", "0", "0", "0", "0", "1s", "1s"] in lines


def test_sessions_have_a_row_each() -> None:
    lines = drawn((), (session(1), session(2, resumed=True), session(3, suite=None), session(4, suite=0xFFFF)))
    assert ["#1", "7", "3", "[::1]:1", "RSA_WITH_AES_128_CBC_SHA", "1.2k", "20M", "1m05"] in lines
    assert ["#2", "7", "3", "[::1]:2", "RSA_WITH_AES_128_CBC_SHA,", "resumed", "1.2k", "20M", "1m05"] in lines
    assert ["#3", "7", "[::1]:3", "handshake", "1.2k", "20M", "1m05"] in lines
    assert any("0xFFFF" in line for line in lines)


def test_on_a_narrow_screen_the_suite_gives_way() -> None:
    lines = drawn((), (session(1, resumed=True),), width=70)
    assert ["#1", "7", "3", "[::1]:1", "RSA_WITH_AES_128_CBC_SH…", "1.2k", "20M", "1m05"] in lines


def test_more_sessions_than_fit_are_counted() -> None:
    lines = drawn((), tuple(session(number) for number in range(1, 31)), most=5)
    assert [line[0] for line in lines if line and line[0].startswith("#")] == ["#26", "#27", "#28", "#29", "#30"]
    assert ["and", "25", "older", "sessions"] in lines


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0k"), (9949, "9.9k"), (12_345, "12k"), (5_000_000, "5.0M"), (7e13, "70T")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.9, "0s"), (59.9, "59s"), (60, "1m00"), (3599, "59m59"), (3600, "1h00"), (360_000, "100h00")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text

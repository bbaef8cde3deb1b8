"""The live table of ``tlsexit serve --live``: tasks and their sessions, renewed a few times a second."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Literal, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tlsexit.drivers.monitor import Monitor, SessionStatus, TaskState, TaskStatus
from tlsexit.trace.names import SUITE_NAMES

_PERIOD: Final = 0.25
"""Seconds between two pictures."""

_RESERVED: Final = 8
"""Lines of the screen that are neither tasks nor sessions: titles, rules, and some of what is printed above."""

_STATE_STYLES: Final = {TaskState.STARTING: "yellow", TaskState.RUNNING: "green", TaskState.ENDING: "dim"}


class LiveTable:
    """Shows a monitor's tasks and sessions below everything that is printed; a context manager inside a loop."""

    def __init__(self, monitor: Monitor, console: Console) -> None:
        self._monitor = monitor
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._renewing: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._live.start()
        self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        self._update()
        self._live.stop()

    def print(self, text: str) -> None:
        """Print text, which may have colours, above the table."""
        self._console.print(Text.from_ansi(text.removesuffix("\n")))

    async def _renew(self) -> None:
        while True:
            self._update()
            await asyncio.sleep(_PERIOD)

    def _update(self) -> None:
        rows = max(self._console.height - _RESERVED - len(self._monitor.tasks), 3)
        self._live.update(picture(self._monitor.tasks, self._monitor.sessions, rows), refresh=True)


def picture(tasks: tuple[TaskStatus, ...], sessions: tuple[SessionStatus, ...], most: int) -> Group:
    """Return the tables of tasks and of sessions; of these the ``most`` newest."""
    table = _table()
    for name in ("task", "pid", "state", "sessions", "handshakes", "failed", "in", "out", "age", "idle"):
        table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    for task in tasks:
        table.add_row(
            str(task.reference),
            "" if task.pid is None else str(task.pid),
            Text(task.state.value, _STATE_STYLES[task.state]),
            str(task.sessions),
            str(task.handshakes),
            Text(str(task.failed), "red" if task.failed else ""),
            size(task.received),
            size(task.sent),
            duration(task.age),
            "" if task.idle is None else duration(task.idle),
        )
    shown = sessions[-most:]
    parts: list[Table | Text] = [Text(), table]
    if shown:
        parts += [Text(), _sessions_table(shown)]
    if len(shown) < len(sessions):
        parts.append(Text(f"and {len(sessions) - len(shown)} older sessions", "dim"))
    return Group(*parts)


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def _sessions_table(sessions: tuple[SessionStatus, ...]) -> Table:
    table = _table()
    for name in ("session", "task", "ref", "peer", "cipher suite", "in", "out", "age"):
        justify: Literal["left", "right"] = "left" if name in ("peer", "cipher suite") else "right"
        # the only one that gives way on a narrow screen
        table.add_column(name, justify=justify, no_wrap=name != "cipher suite")
    for session in sessions:
        suite = Text("handshake", "yellow")
        if session.cipher_suite is not None:
            name = SUITE_NAMES.get(session.cipher_suite, f"0x{session.cipher_suite:04X}").removeprefix("TLS_")
            suite = Text(f"{name}, resumed" if session.resumed else name)
        suite.no_wrap, suite.overflow = True, "ellipsis"
        table.add_row(
            f"#{session.number}",
            "" if session.task is None else str(session.task),
            "" if session.reference is None else str(session.reference),
            session.peer,
            suite,
            size(session.received),
            size(session.sent),
            duration(session.age),
        )
    return table


def size(count: int) -> str:
    """Return a number of bytes in few characters: ``999``, ``1.2k``, ``34M``."""
    value = float(count)
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.0f}{unit}" if unit == "" or value >= 10 else f"{value:.1f}{unit}"
        value /= 1000
    return f"{value:.0f}T"


def duration(seconds: float) -> str:
    """Return a time in few characters: ``9s``, ``12m05``, ``3h07``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}"
    return f"{whole // 3600}h{whole % 3600 // 60:02}"

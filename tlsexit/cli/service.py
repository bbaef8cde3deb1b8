"""What ``tlsexit serve`` serves, made from settings that can be sent to another process.

Keys, exits and open files are not among the settings: each task makes its own, in its own process.
"""

from __future__ import annotations

import codecs
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from rich.console import Console

from tlsexit.cli import show
from tlsexit.cli.desk import Desk, Mode, Plan
from tlsexit.cli.options import key_log_writer, load_exit
from tlsexit.cli.outcome import Outcome
from tlsexit.cli.pki_options import PkiSource
from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.config import Config
from tlsexit.drivers.monitor.service import CannotServe, Service, Worker
from tlsexit.profile import Profile

OUT: Final = "out"
ERR: Final = "err"
"""The streams that a worker writes to by way of the monitor, which puts everything in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to serve. ``timeout`` in seconds is that of a handshake; ``exit_spec`` names an exit, with its PIN, and
    ``application_spec`` the application's own."""

    profile: Profile
    pki: PkiSource
    exit_spec: str | None = None
    exit_pin: str | None = field(default=None, repr=False)
    application_spec: str | None = None
    mode: Mode = Mode.COUNT
    timeout: float = 60.0
    exit_timeout: float | None = None
    resumption: bool = True
    key_log: Path | None = None
    ladder: bool = False
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """What another process has to know of a stream to write for it."""

    width: int
    encoding: str
    colors: str | None

    @classmethod
    def of(cls, console: Console) -> Terminal:
        """Describe where a console writes."""
        return cls(console.width, console.encoding, console.color_system)


def plan(
    settings: Settings, config: Config, out: Console, err: Console, report: Callable[[str], None] | None = None
) -> Plan:
    """Make in this process what the settings name. Raises :class:`Problem` for what is not there."""
    exits, application = load_exit(settings.exit_spec, settings.exit_pin), load_exit(settings.application_spec)
    with usage_problems():
        pki = settings.pki.build()
    if not settings.resumption:
        config = replace(config, session_store=None, tickets=None)
    if settings.key_log is not None:
        config = replace(config, key_log=key_log_writer(settings.key_log))

    def write(line: str) -> None:
        out.file.write(line + "\n")
        out.file.flush()

    def on_end(outcome: Outcome) -> None:
        if settings.ladder:
            show.print_ladder(out, outcome, ("client", "tlsexit"))

    return Plan(
        profile=settings.profile,
        config=config,
        pki=pki,
        exits=exits,
        application_exits=application,
        mode=settings.mode,
        timeout=settings.timeout,
        exit_timeout=settings.exit_timeout,
        report=report or write,
        on_end=on_end,
        listener=lambda number: show.tracer(err, f"#{number} ") if settings.trace else None,
    )


def service(worker: Worker, *, settings: Settings, out: Terminal, err: Terminal) -> Service:
    """Make the service in a worker, which tells the monitor what there is to print."""
    from cryptography.utils import CryptographyDeprecationWarning

    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    # what an exit prints takes the same way, and so its place among the lines about its connection
    sys.stdout, sys.stderr = _stream(worker, OUT, out), _stream(worker, ERR, err)
    try:
        made = plan(settings, worker.config, _console(sys.stdout, out), _console(sys.stderr, err))
    except Problem as problem:
        raise CannotServe(str(problem), problem.status) from problem
    desk = Desk(made)
    return Service(
        profile=made.profile,
        handler=desk.handle,
        exits=made.exits,
        application_exits=made.application_exits,
        pki=desk.pki,
        config=made.config,
        handshake_timeout=made.timeout,
        exit_timeout=made.exit_timeout,
        make_task=desk.make_task,
        connect=lambda task, arrival: desk.connect(task, arrival.number, arrival.remote, arrival.local),
        on_failure=desk.on_failure,
    )


class _Told(io.RawIOBase):
    """What is written goes to the monitor."""

    def __init__(self, worker: Worker, stream: str, encoding: str) -> None:
        super().__init__()
        self._worker = worker
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        text = self._decoder.decode(raw)
        if text:
            self._worker.tell({self._stream: text})
        return len(raw)


def _stream(worker: Worker, stream: str, terminal: Terminal) -> io.TextIOWrapper:
    """Return a stream as a terminal would have it, line by line."""
    buffer = io.BufferedWriter(_Told(worker, stream, terminal.encoding))
    return io.TextIOWrapper(buffer, encoding=terminal.encoding, errors="replace", line_buffering=True)


def _console(stream: io.TextIOWrapper, terminal: Terminal) -> Console:
    colors = cast("Literal['standard', '256', 'truecolor'] | None", terminal.colors)
    return Console(
        file=stream,
        width=terminal.width,
        color_system=colors,
        force_terminal=colors is not None,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
        legacy_windows=False,
    )

"""``tlsexit serve`` over tasks in processes of their own: its options, what it prints, and how it ends."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tlsexit.cli.options import PATH, Amount, F, on_screen, warn
from tlsexit.cli.problems import Problem
from tlsexit.tasks.placement import PERMANENT, Limits

if TYPE_CHECKING:
    from tlsexit.cli.live import LiveTable
    from tlsexit.cli.service import Settings
    from tlsexit.drivers.monitor import Event

DRAIN_SECONDS: Final = 10.0
"""Seconds that connections get to finish after the first signal, unless told otherwise."""


def monitor_options(command: F) -> F:
    """Add the options about tasks and the end of the server."""
    defaults = Limits()
    for option in reversed(
        (
            click.option(
                "--max-tasks",
                type=click.IntRange(1, 64),
                default=defaults.max_tasks,
                show_default=True,
                metavar="N",
                help="Tasks, each a process, that may run at once (SSLMTASK).",
            ),
            click.option(
                "--sessions-per-task",
                type=click.IntRange(1, 1000),
                default=defaults.sessions_per_task,
                show_default=True,
                metavar="N",
                help="Connections at once before another task is started (SSLTTASK).",
            ),
            click.option(
                "--idle-minutes",
                type=click.IntRange(1, PERMANENT),
                default=defaults.idle_minutes,
                show_default=True,
                metavar="MINUTES",
                help=f"Shut down a task without connections after that time (SSLWTASK); {PERMANENT} is never.",
            ),
            click.option(
                "--max-sessions",
                type=click.IntRange(min=1),
                default=1000,
                show_default=True,
                metavar="N",
                help="Connections at once in all tasks together; more wait to be accepted.",
            ),
            click.option(
                "--session-file",
                type=PATH,
                metavar="FILE",
                help="Keep sessions in this SQLite file, so that every task knows each session id.",
            ),
            click.option(
                "--drain-seconds",
                type=Amount(min=0),
                default=DRAIN_SECONDS,
                show_default=True,
                metavar="SECONDS",
                help="Time for connections to finish after SIGTERM or SIGINT; a second signal closes them at once.",
            ),
            click.option("--live", is_flag=True, help="Show a table of tasks and sessions while serving."),
            click.option("--in-process", is_flag=True, help="One task, in this process: for debugging an exit."),
        )
    ):
        command = option(command)
    return command


def in_process(options: Mapping[str, Any]) -> bool:
    """Whether to serve in this process. Raises :class:`Problem` for options that do not go together."""
    for name in ("live", "session_file"):
        if options["in_process"] and options[name]:
            raise Problem(f"--in-process and --{name.replace('_', '-')} exclude each other")
    if options["session_file"] is not None and not options["resumption"]:
        raise Problem("--session-file is of no use with --no-resumption")
    if options["live"] and not on_screen():
        raise Problem("--live needs a terminal")
    # Windows cannot hand a socket over as other systems do
    return bool(options["in_process"]) or not hasattr(socket, "send_fds")


class MonitoredServer:
    """Serves in tasks until it is told to stop, or has served enough."""

    def __init__(self, settings: Settings, host: str, port: int, options: Mapping[str, Any]) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._max_connections: int | None = options["max_connections"]
        self._drain_seconds: float = options["drain_seconds"]
        self._limits = Limits(options["max_tasks"], options["sessions_per_task"], options["idle_minutes"])
        self._max_sessions: int = options["max_sessions"]
        self._session_file: Path | None = options["session_file"]
        self._wants_live: bool = options["live"]
        self._live: LiveTable | None = None
        self._serves = False
        self._ended = 0

    async def run(self) -> None:
        """Serve. Raises ``OSError`` if the address cannot be listened on, ``CannotServe`` if no task can be started."""
        from tlsexit.cli import show
        from tlsexit.cli.service import Terminal, service
        from tlsexit.cli.signals import Signals
        from tlsexit.drivers.monitor import Monitor

        out, err = show.console(), show.console(err=True)
        monitor = self._monitor = Monitor(
            service,
            {"settings": self._settings, "out": Terminal.of(out), "err": Terminal.of(err)},
            limits=self._limits,
            max_sessions=self._max_sessions,
            tickets=self._settings.resumption,
            session_file=self._session_file,
            on_event=self._on_event,
        )
        with ExitStack() as stack:
            stack.enter_context(Signals(self._drain, lambda: monitor.drain(0), monitor.kill))
            async with monitor:
                self._serves = True
                if not monitor.draining:
                    for host, port in await monitor.listen(self._host, self._port):
                        self._write(sys.stdout, f"listening on {f'[{host}]' if ':' in host else host}:{port}\n")
                if self._wants_live:
                    from tlsexit.cli.live import LiveTable

                    self._live = stack.enter_context(LiveTable(monitor, out))
                await monitor.wait()

    def _drain(self) -> None:
        """Stop in order: for the first signal."""
        sessions = len(self._monitor.sessions)
        self._monitor.drain(self._drain_seconds)
        if sessions and self._drain_seconds:
            some = "1 connection" if sessions == 1 else f"{sessions} connections"
            self._write(
                sys.stdout,
                f"ending: {some} may finish within {self._drain_seconds:g} seconds; another signal ends at once\n",
            )

    def _on_event(self, event: Event) -> None:
        from tlsexit.drivers.monitor import SessionEnded, TaskEnded, TaskTold, Trouble

        if isinstance(event, TaskTold):
            self._print_told(event.value)
        elif isinstance(event, SessionEnded):
            if event.died or not event.begun:
                # the desk in the task cannot tell
                self._write(sys.stdout, f"#{event.session} {event.peer}: failed: {event.reason}\n")
            self._ended += 1
            if self._max_connections is not None and self._ended >= self._max_connections:
                self._monitor.drain(0)
        elif isinstance(event, TaskEnded):
            if event.reason is not None and self._serves:
                self._warn(str(event))
        elif isinstance(event, Trouble):
            self._warn(event.reason)

    def _print_told(self, value: Any) -> None:
        from tlsexit.cli.service import ERR, OUT

        for name, stream in ((OUT, sys.stdout), (ERR, sys.stderr)):
            text = value.get(name) if isinstance(value, dict) else None
            if isinstance(text, str):
                self._write(stream, text)

    def _write(self, stream: Any, text: str) -> None:
        if self._live is not None:
            self._live.print(text)
        else:
            stream.write(text)
            stream.flush()

    def _warn(self, message: str) -> None:
        if self._live is not None:
            self._live.print(f"warning: {message}\n")
        else:
            warn(message)

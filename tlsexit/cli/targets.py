"""Targets as the command line names them: an address, a command, a port to listen on, or tlsexit itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tlsexit.cli import codes
from tlsexit.cli.options import on_terminal, parse_address, parse_listening_address, warn
from tlsexit.cli.problems import Problem, usage_problems

if TYPE_CHECKING:
    from tlsexit.conformance.engine import EngineTarget
    from tlsexit.conformance.pki import Workshop
    from tlsexit.conformance.targets import ClientTarget, ServerTarget, Target


def server_target(words: tuple[str, ...], *, rate: float | None, yes: bool, what: str) -> ServerTarget:
    """Return a server: HOST:PORT, or a command that starts it. ``what`` is about to be sent to it, with a warning."""
    from tlsexit.conformance.targets import PORT, CommandServerTarget, ServerTarget

    if len(words) != 1 or PORT in words[0]:
        if not any(PORT in word for word in words):
            raise Problem(f"the command does not say where its port goes; write {PORT} in its place")
        return CommandServerTarget(words, rate=rate)
    host, port = parse_address(words[0])
    address = ServerTarget(host, port, rate=rate)
    if address.local:
        return address
    warn(f"{what} to {address.name}; test only what is yours")
    if not yes:
        if not on_terminal():
            raise Problem(f"{address.name} is another machine; say --yes if it is yours")
        click.confirm("Go on?", abort=True, err=True)
    return ServerTarget(host, port, rate=20.0) if rate is None else address


def client_target(command: tuple[str, ...], listen: str | None) -> ClientTarget:
    """Return a client: a command that is started again and again, or whoever connects to ``listen``."""
    from tlsexit.conformance.targets import PORT, ClientTarget

    host, port = ("127.0.0.1", 0)
    if listen is not None:
        host, port = parse_listening_address(listen, host)
    elif not any(PORT in word for word in command):
        raise Problem(f"say where the client connects to: {PORT} in its command, or --listen")
    return ClientTarget(command, host=host, port=port)


def own_target(name: str, made: Workshop) -> EngineTarget:
    """Return tlsexit itself, in this process."""
    from tlsexit.conformance.engine import CONFIGURATIONS, EngineTarget

    if name not in CONFIGURATIONS:
        raise Problem(f"there is no configuration {name}; there are {', '.join(CONFIGURATIONS)}")
    return EngineTarget(name, made)


def load_or_make_workshop(folder: Path | None) -> Workshop:
    """Return the certificates in ``folder``, those of this process without one."""
    from tlsexit.conformance.pki import load_workshop, workshop

    if folder is None:
        return workshop()
    with usage_problems():
        return load_workshop(folder)


@contextmanager
def reachable(target: Target) -> Iterator[None]:
    """Have the target running; what keeps it from answering becomes a problem."""
    from tlsexit.conformance.discovery import NotConforming
    from tlsexit.conformance.targets import Unreachable

    try:
        with target.running():
            yield
    except Unreachable as error:
        raise Problem(f"{target.name} cannot be reached: {error}", codes.NETWORK) from error
    except NotConforming as error:
        raise Problem(f"{target.name}: {error}", codes.NETWORK) from error

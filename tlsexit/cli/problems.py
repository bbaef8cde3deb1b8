"""Errors as one line for a person, and the exit status of each."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tlsexit.alerts import AlertReceived, ExitFailed, LocalError, PeerError, TlsError, TruncatedError
from tlsexit.cli import codes

LONGEST: Final = 1000
"""Characters of a message that are told: what it quotes may be as long as a peer or an argument likes."""


class Problem(Exception):
    """Something to tell the user in one sentence; the program then ends with ``status``."""

    def __init__(self, message: str, status: int = codes.USAGE) -> None:
        super().__init__(one_line(message))
        self.status = status


def one_line(message: str) -> str:
    """Return ``message`` on one line of bearable length, without characters that could do something to a terminal.

    An error may quote what a peer sent: a name in its certificate, for instance.
    """
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} … {line[-LONGEST // 4 :]}"
    return "".join(char if char.isprintable() else "?" for char in line)


@contextmanager
def usage_problems() -> Iterator[None]:
    """Turn a mistake in options, keys or files into a :class:`Problem`."""
    try:
        yield
    except LocalError as error:
        raise Problem(str(error)) from error


def exit_code(error: BaseException) -> int:
    """Return the exit status for an error of the protocol or the network."""
    if isinstance(error, TruncatedError):
        return codes.TRUNCATED
    if isinstance(error, TlsError):
        return codes.FAILED
    return codes.NETWORK


def sentence(error: BaseException, *, after: str | None = None) -> str:
    """Return what to tell about an error. ``after`` is the last message sent, which an alert most likely answers."""
    if isinstance(error, AlertReceived) and after is not None:
        return f"{error} after our {after}"
    if isinstance(error, PeerError) and isinstance(error.__cause__, ExitFailed):
        # a wrong Finished may be all that shows of a premaster secret that an exit could not decrypt (§7.4.7.1)
        return f"{error} (before that, {error.__cause__.phase}: {error.__cause__.reason})"
    if isinstance(error, TlsError):
        return str(error)
    if isinstance(error, TimeoutError):
        return str(error) or "timed out"
    if isinstance(error, socket.gaierror):
        return f"the host name cannot be resolved: {error.strerror}"
    if isinstance(error, OSError) and error.errno is not None:
        # asyncio puts a text of its own, with the address, into strerror
        reason = os.strerror(error.errno)
        return reason[0].lower() + reason[1:]
    return str(error) or type(error).__name__

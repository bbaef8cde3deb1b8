"""What became of one connection: the facts that the reports for people and for programs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tlsexit.alerts import AlertReceived
from tlsexit.cli import codes
from tlsexit.cli.problems import exit_code, sentence
from tlsexit.constants import Role
from tlsexit.events import MessageSeen
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.trace import Decoder, Entry, MessageRow, rows
from tlsexit.trace.decode import title
from tlsexit.trace.rows import Row


@dataclass(frozen=True, slots=True)
class End:
    """One end of the connection, as far as it is known here."""

    role: Role
    context: SessionContext
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One connection. ``handshake_seconds`` is None if the handshake did not complete."""

    entries: tuple[Entry, ...]
    ends: tuple[End, ...]
    handshake_seconds: float | None = None
    cpu_seconds: Mapping[Role, float] = field(default_factory=dict)
    bytes_sent: Mapping[Role, int] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        """Whether the handshake completed."""
        return self.handshake_seconds is not None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the ladder diagram."""
        return rows(self.entries)

    @property
    def context(self) -> SessionContext:
        """The session as the first end knows it."""
        return self.ends[0].context

    @property
    def encrypt_then_mac(self) -> bool:
        """Whether the server agreed to RFC 7366."""
        decoder = Decoder()
        for row in self.rows:
            if isinstance(row, MessageRow):
                decoder.decode(row)
        return ExtensionType.ENCRYPT_THEN_MAC in decoder.server_extensions

    def chain(self, role: Role) -> tuple[bytes, ...]:
        """Return the certificates that ``role`` showed."""
        end = self.ends[0]
        return end.context.own_chain if end.role is role else end.context.peer_chain

    @property
    def failed_end(self) -> End | None:
        """The end with the error that explains the most: not the one that was merely told."""
        failed = [end for end in self.ends if end.error is not None]
        return min(failed, key=lambda end: isinstance(end.error, AlertReceived), default=None)

    def error_sentence(self) -> str | None:
        """What went wrong, in one sentence; None if nothing did."""
        end = self.failed_end
        if end is None or end.error is None:
            return None
        text = sentence(end.error, after=self._last_sent(end.role))
        return f"{end.role.value}: {text}" if len(self.ends) > 1 else text

    def exit_code(self) -> int:
        """The exit status that tells what went wrong."""
        end = self.failed_end
        return 0 if end is None or end.error is None else exit_code(end.error)

    def _last_sent(self, role: Role) -> str | None:
        """The name of the last message that ``role`` sent."""
        for entry in reversed(self.entries):
            if entry.end is role and isinstance(entry.seen, MessageSeen) and entry.seen.sent:
                return title(entry.seen)[0]
        return None


def verdict(outcomes: Sequence[Outcome], *, resume: bool) -> tuple[int, str | None]:
    """Return the exit status of a command that made these connections, and what to tell if it is not 0."""
    for outcome in outcomes:
        message = outcome.error_sentence()
        if message is not None:
            return outcome.exit_code(), message
    if resume and not outcomes[-1].context.resumed:
        return codes.NOT_RESUMED, "the second connection was a full handshake: the session was not resumed"
    return codes.OK, None

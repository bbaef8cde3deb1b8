"""The ladder diagram of a connection: client on the left, server on the right, an arrow for each message.

::

    client                                                               server
    ├─ ClientHello ──────────────────────────────────────────────────────────▶│
    │                                                 GetCertificate: handled ●
    │◀────────────────────── ServerHello TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA ─┤

Arrows are double from the moment records are protected. A phase stands on the line of the side that called it, at the
place in the protocol where it was called. The diagram is made of styled pieces, which :func:`text` joins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tlsexit.alerts import alert_name
from tlsexit.constants import ContentType, Role
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import CryptDataCall, EndTaskCall, HandshakeAlertCall, StartTaskCall
from tlsexit.handshake.certificate import Certificate
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.trace import names
from tlsexit.trace.certificates import subject
from tlsexit.trace.decode import title
from tlsexit.trace.recorder import Entry
from tlsexit.trace.rows import MessageRow, PhaseRow, Row, rows
from tlsexit.trace.values import count

MINIMUM_WIDTH: Final = 60
"""Columns below which the diagram does not shrink."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one kind: ``rail``, ``arrow``, ``message``, ``protected``, ``alert``, ``detail``, ``handled``,
    ``builtin``, ``failed``, ``title``, ``time``.
    """

    text: str
    kind: str


Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Signs:
    """The characters a diagram is drawn with."""

    rail: str
    start: str
    start_protected: str
    end: str
    end_protected: str
    line: str
    line_protected: str
    right: str
    left: str
    handled: str
    builtin: str
    failed: str
    leads_to: str
    cut: str


UNICODE: Final = Signs("│", "├", "╞", "┤", "╡", "─", "═", "▶", "◀", "●", "○", "✗", "→", "…")
ASCII: Final = Signs("|", "|", "|", "|", "|", "-", "=", ">", "<", "*", "o", "x", "->", "~")


def ladder(
    entries: Sequence[Entry],
    *,
    width: int = 80,
    signs: Signs = UNICODE,
    titles: tuple[str, str] = ("client", "server"),
    times: bool = False,
) -> tuple[Line, ...]:
    """Return the diagram of one connection, from the entries of one end or of both.

    ``times`` puts milliseconds in front of each line.
    """
    pen = _Pen(max(width, MINIMUM_WIDTH) - (_TIME_WIDTH if times else 0), signs)
    found: list[Line] = [(_time(None, times), *pen.heading(titles))]
    for row in rows(entries):
        drawn = pen.message(row) if isinstance(row, MessageRow) else pen.phase(row)
        found.append((_time(row, times), *drawn))
    return tuple(found)


def text(diagram: Iterable[Line]) -> str:
    """Return a diagram without styles."""
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in diagram)


_TIME_WIDTH: Final = 9


def _time(row: Row | None, shown: bool) -> Piece:
    if not shown:
        return Piece("", "time")
    return Piece("    ms   " if row is None else f"{row.at * 1000:7.1f}  ", "time")


class _Pen:
    """Draws lines of one width."""

    def __init__(self, width: int, signs: Signs) -> None:
        self._signs = signs
        self._inner = width - 2  # between the rails

    def heading(self, titles: tuple[str, str]) -> Line:
        client, server = titles
        gap = self._inner + 2 - len(client) - len(server)
        return (Piece(client, "title"), Piece(" " * max(gap, 1), "rail"), Piece(server, "title"))

    def message(self, row: MessageRow) -> Line:
        signs, seen = self._signs, row.seen
        stroke = signs.line_protected if seen.protected else signs.line
        name, detail = message_label(row)
        kind = "alert" if seen.content_type is ContentType.ALERT else "protected" if seen.protected else "message"
        room = self._inner - 6  # a stroke and a blank at both ends of the label, a stroke and the head
        name = self._fitting(name, room)
        detail = self._fitting(detail, room - len(name) - 1)
        label: list[Piece] = [Piece(f" {name}", kind)]
        if detail:
            label.append(Piece(f" {detail}", "detail"))
        label.append(Piece(" ", "arrow"))
        shaft = stroke * (self._inner - 2 - sum(len(piece.text) for piece in label))
        if row.sender is Role.CLIENT:
            start = signs.start_protected if seen.protected else signs.start
            return (Piece(start + stroke, "arrow"), *label, Piece(shaft + signs.right, "arrow"), self._rail())
        end = signs.end_protected if seen.protected else signs.end
        return (self._rail(), Piece(signs.left + shaft, "arrow"), *label, Piece(stroke + end, "arrow"))

    def phase(self, row: PhaseRow) -> Line:
        kind = phase_kind(row)
        sign = {"handled": self._signs.handled, "builtin": self._signs.builtin, "failed": self._signs.failed}[kind]
        name, answer = phase_label(row, self._signs.leads_to)
        name = self._fitting(f"{name}: ", self._inner - 2)
        answer = self._fitting(answer, self._inner - 2 - len(name))
        space = Piece(" " * (self._inner - 1 - len(name) - len(answer)), "rail")
        if row.end is Role.CLIENT:
            return (Piece(f"{sign} ", kind), Piece(name, "phase"), Piece(answer, kind), space, self._rail())
        return (self._rail(), space, Piece(name, "phase"), Piece(answer, kind), Piece(f" {sign}", kind))

    def _rail(self) -> Piece:
        return Piece(self._signs.rail, "rail")

    def _fitting(self, label: str, room: int) -> str:
        if len(label) <= room:
            return label
        return label[: room - 1] + self._signs.cut if room > 1 else ""


# ------------------------------------------------------------------------------------------------ labels


def message_label(row: MessageRow) -> tuple[str, str]:
    """Return what the arrow says: the message's name, and what people look for in it."""
    seen = row.seen
    name, _ = title(seen)
    if seen.content_type is ContentType.CHANGE_CIPHER_SPEC:
        return f"[{name}]", ""  # in brackets as in RFC 2246 §7.3: no handshake message
    if seen.content_type is ContentType.APPLICATION_DATA:
        return name, count(row.length)
    if seen.message is None:
        return name, count(row.length)
    if seen.content_type is ContentType.ALERT:
        level = names.ALERT_LEVELS.get(seen.message.level, str(seen.message.level))
        return name, f"{level} {alert_name(seen.message.description)}"
    detail = _DETAILS.get(type(seen.message))
    return name, "" if detail is None else detail(seen.message)


def _client_hello(message: ClientHello) -> str:
    return f"offers session {message.session_id.hex()[:8]}" if message.session_id else ""


def _server_hello(message: ServerHello) -> str:
    return names.SUITE_NAMES.get(message.cipher_suite, f"suite 0x{message.cipher_suite:04X}")


def _certificate(message: Certificate) -> str:
    return subject(message.certificate_list[0]) if message.certificate_list else "none"


_DETAILS: Final[Mapping[type, Callable[..., str]]] = {
    ClientHello: _client_hello,
    ServerHello: _server_hello,
    Certificate: _certificate,
}


def phase_kind(row: PhaseRow) -> str:
    """Return who answered and how: ``handled`` by the exit, ``builtin``, or ``failed`` whoever it was."""
    if isinstance(row.answer, Failed):
        return "failed"
    return "handled" if isinstance(row.answer, Handled) and not row.builtin else "builtin"


def phase_label(row: PhaseRow, leads_to: str = "→") -> tuple[str, str]:
    """Return a phase's name with what it was about, and its answer."""
    call, answer = row.call, row.answer
    name = call.phase.value
    if isinstance(call, CryptDataCall):
        name += f" ({call.operation.value}, {call.algorithm.value})"
    elif isinstance(call, HandshakeAlertCall):
        name += f" ({alert_name(call.description)} {'received' if call.remote else 'sent'})"
    if answer is None:
        return name, "pending"
    asked = (call.task if isinstance(call, StartTaskCall | EndTaskCall) else call.context.task).exit_enabled
    left = f"not handled {leads_to} built-in" if asked else "built-in"
    if isinstance(answer, Failed):
        alert = "failed" if answer.alert_reason is None else f"failed {leads_to} {alert_name(answer.alert_reason)}"
        return name, f"{left} {alert}" if row.builtin else alert
    if isinstance(call, StartTaskCall):
        on = isinstance(answer, Handled)
        return name, f"{'handled' if on else 'not handled'} {leads_to} exit {'on' if on else 'off'}"
    if isinstance(answer, NotHandled):
        return name, "not handled" if asked else "not asked"
    return name, left if row.builtin else "handled"

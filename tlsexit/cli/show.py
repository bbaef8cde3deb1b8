"""What people see: the ladder diagram, decoded messages and summaries, in colour where there is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from tlsexit.cli.outcome import Outcome
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.events import MessageSeen
from tlsexit.exits.context import Authentication
from tlsexit.trace import Decoded, Decoder, Entry, MessageRow, ladder
from tlsexit.trace.certificates import brief, printable
from tlsexit.trace.ladder import ASCII, UNICODE, Line, Signs
from tlsexit.trace.names import SUITE_NAMES

WIDEST: Final = 110
"""Columns beyond which a diagram only gets harder to read."""

_STYLES: Final = {
    "rail": "dim",
    "arrow": "dim",
    "message": "bold",
    "protected": "bold green",
    "alert": "bold red",
    "detail": "cyan",
    "phase": "magenta",
    "handled": "bold magenta",
    "builtin": "dim",
    "failed": "bold red",
    "title": "bold",
    "time": "dim",
}

_AUTHENTICATION: Final = {
    Authentication.ANONYMOUS: "none: both sides are anonymous",
    Authentication.SERVER: "the server only",
    Authentication.BOTH: "both sides",
}


class _Screen(Console):
    """A console that leaves it to the command what becomes of output that nobody reads."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, err: bool = False) -> Console:
    """Return a console on standard output or standard error, which prints text as it is: nothing a peer sent is
    taken for markup."""
    return _Screen(stderr=err, markup=False, highlight=False, emoji=False, soft_wrap=True)


def signs(out: Console) -> Signs:
    """Return the characters for diagrams that the console's encoding has."""
    try:
        "".join((UNICODE.rail, UNICODE.right, UNICODE.failed, UNICODE.handled)).encode(out.encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def print_ladder(out: Console, outcome: Outcome, titles: tuple[str, str] = ("client", "server")) -> None:
    """Print the diagram."""
    print_diagram(out, outcome.entries, titles)


def print_diagram(out: Console, entries: Sequence[Entry], titles: tuple[str, str] = ("client", "server")) -> None:
    """Print the diagram of what was observed."""
    width = min(out.width, WIDEST)
    diagram = ladder(entries, width=width, signs=signs(out), titles=titles, times=width >= 90)
    for line in diagram:
        out.print(styled(line))


def styled(line: Line) -> Text:
    """Return a line of a diagram with its colours."""
    text = Text()
    for piece in line:
        text.append(piece.text, _STYLES.get(piece.kind, ""))
    text.rstrip()
    return text


def print_legend(out: Console) -> None:
    """Print what the signs of a diagram mean."""
    mark = signs(out)
    parts = (
        (f"{mark.handled} handled by the exit", "handled"),
        (f"{mark.builtin} left to the built-in PKI", "builtin"),
        (f"{mark.failed} failed", "failed"),
        (f"{mark.line * 2} plain", "arrow"),
        (f"{mark.line_protected * 2} protected", "protected"),
    )
    text = Text()
    for index, (part, kind) in enumerate(parts):
        text.append("   " if index else "")
        text.append(part, _STYLES[kind])
    out.print(text)


def print_messages(out: Console, outcome: Outcome) -> None:
    """Print every message field by field."""
    decoder = Decoder()
    for row in outcome.rows:
        if isinstance(row, MessageRow):
            print_message(out, decoder.decode(row))


def print_message(out: Console, message: Decoded, prefix: str = "") -> None:
    """Print one message field by field."""
    lines = iter(message.lines())
    out.print(Text(prefix + next(lines), _STYLES["protected" if message.protected else "message"]))
    for line in lines:
        out.print(Text(prefix + line))


def print_facts(out: Console, facts: Iterable[tuple[str, str | Text]]) -> None:
    """Print names and values in two columns."""
    pairs = [(name, value if isinstance(value, Text) else Text(value)) for name, value in facts]
    margin = max((len(name) for name, _ in pairs), default=0) + 2
    for name, value in pairs:
        title = Text(name.ljust(margin), "dim")
        for line in value.wrap(out, max(out.width - margin, 20)):
            line.rstrip()
            out.print(title + line)
            title = Text(" " * margin)


def tracer(out: Console, prefix: str = "") -> Callable[[Entry], None]:
    """Return a recorder's listener that prints each message field by field as it passes."""
    decoder = Decoder()

    def listen(entry: Entry) -> None:
        if isinstance(entry.seen, MessageSeen):
            row = MessageRow(entry.at, entry.end, entry.seen, len(entry.seen.raw))
            print_message(out, decoder.decode(row), prefix)

    return listen


def session_facts(outcome: Outcome, *, trusted: bool = True) -> list[tuple[str, str | Text]]:
    """Return what was negotiated, for :func:`print_facts`.

    ``trusted`` is False if the peer's certificate was accepted without a check.
    """
    context = outcome.context
    suite = SUITES.get(context.cipher_suite or 0)
    facts: list[tuple[str, str | Text]] = [("Protocol", "TLS 1.0 (RFC 2246)")]
    if suite is not None:
        weak = Text(f"{suite.name} (0x{suite.value:04X})")
        weak.append(", weak" if suite.weak else "", "bold red")
        facts.append(("Cipher suite", weak))
    for role in (Role.SERVER, Role.CLIENT):
        chain = outcome.chain(role)
        if chain:
            facts.append((f"{role.value.capitalize()} showed", brief(chain[0])))
    if context.authentication is not None:
        letter = context.authentication.value
        text = Text(f"{_AUTHENTICATION[context.authentication]} ({letter})")
        text.append("" if trusted else ", but the server's certificate was not checked", "bold red")
        facts.append(("Authenticated", text))
    if context.server_name is not None:
        facts.append(("Server name", printable(context.server_name)))
    if context.alpn_protocol is not None:
        facts.append(("Application protocol", printable(context.alpn_protocol)))
    if context.next_protocol is not None:
        facts.append(("Next protocol (NPN)", printable(context.next_protocol)))
    facts.append(("Session", "resumed" if context.resumed else "new"))
    if context.session_id:
        facts.append(("Session id", context.session_id.hex()))
    facts.append(("Protections", _protections(outcome)))
    if outcome.handshake_seconds is not None:
        facts.append(("Handshake", _times(outcome)))
    return facts


def _protections(outcome: Outcome) -> Text:
    """Return which of the later repairs of TLS 1.0 are in force."""
    text = Text()
    for name, agreed in (
        ("extended master secret", outcome.context.extended_master_secret),
        ("encrypt-then-MAC", outcome.encrypt_then_mac),
        ("secure renegotiation", outcome.context.secure_renegotiation),
    ):
        text.append(", " if text else "")
        text.append(name if agreed else f"no {name}", "green" if agreed else "yellow")
    return text


def _times(outcome: Outcome) -> str:
    assert outcome.handshake_seconds is not None
    text = f"{outcome.handshake_seconds * 1000:.1f} ms"
    if outcome.cpu_seconds:
        parts = (f"{role.value} {seconds * 1000:.1f} ms" for role, seconds in outcome.cpu_seconds.items())
        text += f" in all; CPU: {', '.join(parts)}"
    return text


def short_outcome(outcome: Outcome) -> str:
    """Return a completed handshake in one line."""
    context = outcome.context
    name = SUITE_NAMES.get(context.cipher_suite or 0, "?")
    who = context.authentication.value if context.authentication is not None else "A"
    return f"{name}, {'resumed' if context.resumed else 'full handshake'}, authentication {who}"

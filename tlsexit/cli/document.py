"""The JSON that ``--json`` prints. A number with a registered name is always ``{"value": 47, "name": "..."}``.

A document has ``tlsexit`` (the version), ``command``, ``ok``, ``exit_status`` and ``connections``, a list with one
object for each connection made; that of ``connect`` also the ``address`` asked for. The object has:

``completed``, ``resumed``
    whether the handshake completed, and whether it was an abbreviated one
``protocol``, ``cipher_suite``, ``session_id`` (hex), ``server_name``, ``alpn_protocol``, ``next_protocol``
    what was negotiated; null if it did not come to that
``authentication``
    ``A`` anonymous, ``S`` the server only, ``B`` both
``extended_master_secret``, ``encrypt_then_mac``, ``secure_renegotiation``
    RFC 7627, RFC 7366, RFC 5746
``certificates``
    ``server`` and ``client``, each the list of certificates shown: ``subject``, ``issuer``, ``not_before``, ...
``times``
    ``handshake_ms``; with both ends in one process also ``client_cpu_ms`` and ``server_cpu_ms``
``bytes_sent``
    by ``client`` and ``server`` in the handshake, records included; only with both ends in one process
``errors``
    a list of ``side``, ``type``, ``message``, ``alert`` and ``phase`` (null where they do not apply)
``events``
    messages and phases in the order of the ladder diagram. A message has ``event`` = ``message``, ``at_ms``, ``from``,
    ``name``, ``section``, ``length``, ``protected`` and ``fields``, as decoded; a phase ``event`` = ``phase``,
    ``at_ms``, ``side``, ``phase``, ``answer`` (``handled``, ``not handled``, ``failed``, ``pending``), ``by`` (``exit``
    or ``built-in``), ``alert`` and ``took_ms``
"""

from __future__ import annotations

import json
from typing import Any

from tlsexit.alerts import AlertReceived, ExitFailed, PeerError
from tlsexit.cli import codes
from tlsexit.cli.outcome import End, Outcome
from tlsexit.constants import ProtocolVersion, Role
from tlsexit.exits.answers import Failed, Handled
from tlsexit.trace import Decoder, MessageRow, PhaseRow, names
from tlsexit.trace.certificates import summary
from tlsexit.trace.values import Named, plain


def dump(document: dict[str, Any]) -> str:
    """Return a document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def envelope(command: str, status: int, connections: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return the whole document."""
    from importlib.metadata import version

    return {
        "tlsexit": version("tlsexit"),
        "command": command,
        **more,
        "ok": status == codes.OK,
        "exit_status": status,
        "connections": connections,
    }


def connection(outcome: Outcome) -> dict[str, Any]:
    """Return the object of one connection."""
    context = outcome.context
    known = context.cipher_suite is not None
    times = {} if outcome.handshake_seconds is None else {"handshake_ms": _ms(outcome.handshake_seconds)}
    times.update({f"{role.value}_cpu_ms": _ms(seconds) for role, seconds in outcome.cpu_seconds.items()})
    return {
        "completed": outcome.completed,
        "resumed": context.resumed,
        "protocol": plain(Named.of(ProtocolVersion.TLS_1_0, names.VERSIONS)) if known else None,
        "cipher_suite": None if context.cipher_suite is None else _suite(context.cipher_suite),
        "session_id": context.session_id.hex(),
        "server_name": context.server_name,
        "alpn_protocol": context.alpn_protocol,
        "next_protocol": context.next_protocol,
        "authentication": None if context.authentication is None else context.authentication.value,
        "extended_master_secret": context.extended_master_secret,
        "encrypt_then_mac": outcome.encrypt_then_mac,
        "secure_renegotiation": context.secure_renegotiation,
        "certificates": {role.value: [plain(summary(der)) for der in outcome.chain(role)] for role in Role},
        "times": times,
        "bytes_sent": {role.value: count for role, count in outcome.bytes_sent.items()},
        "errors": [_error(end) for end in outcome.ends if end.error is not None],
        "events": _events(outcome),
    }


def _suite(value: int) -> Any:
    return plain(Named.of(value, names.SUITE_NAMES))


def _error(end: End) -> dict[str, Any]:
    error = end.error
    alert = error.description if isinstance(error, PeerError | AlertReceived | ExitFailed) else None
    return {
        "side": end.role.value,
        "type": type(error).__name__,
        "message": str(error),
        "alert": _alert(alert),
        "phase": error.phase if isinstance(error, ExitFailed) else None,
    }


def _alert(description: int | None) -> Any:
    return None if description is None else plain(Named.of(description, names.ALERTS))


def _events(outcome: Outcome) -> list[dict[str, Any]]:
    decoder = Decoder()
    events: list[dict[str, Any]] = []
    for row in outcome.rows:
        if isinstance(row, MessageRow):
            events.append({"event": "message", "at_ms": _ms(row.at), **decoder.decode(row).plain()})
        else:
            events.append({"event": "phase", "at_ms": _ms(row.at), **_phase(row)})
    return events


def _phase(row: PhaseRow) -> dict[str, Any]:
    answer = row.answer
    # what the built-in PKI answered, an exit did not handle
    said = "pending" if answer is None else "handled" if isinstance(answer, Handled) else "not handled"
    if isinstance(answer, Failed):
        said = "failed"
    elif row.builtin:
        said = "not handled"
    return {
        "side": row.end.value,
        "phase": row.call.phase.value,
        "answer": said,
        "by": None if answer is None else "built-in" if row.builtin else "exit",
        "alert": _alert(answer.alert_reason) if isinstance(answer, Failed) else None,
        "took_ms": _ms(row.took),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)

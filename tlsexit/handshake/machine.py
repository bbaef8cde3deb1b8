"""One step of the handshake: look the input up in the table, run its handler."""

from __future__ import annotations

from typing import Any

from tlsexit.alerts import PeerError, UnexpectedMessage
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.handshake import states
from tlsexit.handshake.flight import Step
from tlsexit.handshake.inputs import Input, Received, Refused
from tlsexit.handshake.table import TABLES


def step(role: Role, state: states.State, given: Input, config: Config) -> Step:
    """Return the next state and the actions that ``given`` leads to.

    Pure but for the sources in ``config``. Raises a :class:`~tlsexit.alerts.PeerError` for what the protocol does not
    allow (``UnexpectedMessage`` for what the table does not, RFC 2246 §7.2.2) and
    :class:`~tlsexit.alerts.ExitFailed` for a phase that was refused.
    """
    kind: type[Any] = type(given.message) if isinstance(given, Received) else type(given)
    handler = TABLES[role].get((type(state), kind))
    if handler is None:
        if isinstance(given, Refused):
            raise given.error
        raise UnexpectedMessage(f"{_name(kind)} in state {type(state).__name__}")
    return handler(state, given, config)


def refusal(role: Role, state: states.State, malformed: type[Any] | None, error: PeerError) -> PeerError:
    """Return what to answer to input that is wrong in itself.

    A ``malformed`` message that may not come in this state at all is not judged by its form (§7.2.2).
    """
    if malformed is None or (type(state), malformed) in TABLES[role]:
        return error
    return UnexpectedMessage(f"{_name(malformed)} in state {type(state).__name__}")


def _name(kind: type[Any]) -> str:
    return kind.__name__.removesuffix("Received")

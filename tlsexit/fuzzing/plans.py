"""Honest conversations to depart from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, Premaster
from tlsexit.fuzzing.script import Leg, Move, Script

DATA: Final = Move("data", data=b"GET / HTTP/1.0\r\n\r\n")
GOODBYE: Final = Move("close_notify")

_CLIENT: Final = (
    Move("client_hello"),
    Move("certificate", maybe=True),
    Move("client_key_exchange", maybe=True),
    Move("certificate_verify", maybe=True),
    Move("change_cipher_spec"),
    Move("finished"),
)

_SERVER: Final = (
    Move("server_hello"),
    Move("certificate", maybe=True),
    Move("server_key_exchange", maybe=True),
    Move("server_hello_done", maybe=True),
    Move("change_cipher_spec"),
    Move("finished"),
)


def handshake(role: Role, *, request: bool = False) -> tuple[Move, ...]:
    """Return the honest moves of a handshake, full or abbreviated; ``request``: a server asks for a certificate."""
    if role is Role.CLIENT:
        return _CLIENT
    if not request:
        return _SERVER
    return (*_SERVER[:3], Move("certificate_request", maybe=True), *_SERVER[3:])


def full(role: Role, suite: int, *, request: bool = False, rich: bool = False, show: bool = True) -> Script:
    """Return a full handshake, data and an orderly end."""
    moves = (*handshake(role, request=request and _can_ask(suite)), DATA, GOODBYE)
    return Script(role, suite, (Leg(moves),), rich=rich, show_certificate=show)


def resumed(role: Role, suite: int, *, rich: bool = False, tickets: bool = False) -> Script:
    """Return a full handshake, and another connection that resumes its session."""
    first = Leg((*handshake(role), DATA, GOODBYE))
    return Script(role, suite, (first, Leg((*handshake(role), DATA, GOODBYE), resume=True)), rich, tickets)


def renegotiated(role: Role, suite: int, *, rich: bool = False) -> Script:
    """Return a handshake, and another one on the same connection."""
    ask = (Move("hello_request"),) if role is Role.SERVER else ()
    moves = (*handshake(role), DATA, *ask, *handshake(role), DATA, GOODBYE)
    return Script(role, suite, (Leg(moves),), rich=rich)


def _can_ask(suite: int) -> bool:
    exchange = SUITES[suite].key_exchange
    return exchange.certificate is not None and not exchange.premaster.psk


@dataclass(frozen=True, slots=True)
class Abilities:
    """What scripts may make use of: suites, and whether the target resumes, gives out tickets and renegotiates."""

    role: Role
    suites: tuple[int, ...]
    resumes: bool = True
    tickets: bool = False
    renegotiates: bool = False


_KINDS: Final = (Premaster.RSA, Premaster.DH, Premaster.ECDH)


def typical(suites: tuple[int, ...]) -> tuple[int, ...]:
    """Return a few of ``suites`` that differ in key exchange, authentication and cipher, the first of each kind."""
    chosen: dict[tuple[object, ...], int] = {}
    for value in suites:
        suite = SUITES[value]
        exchange = suite.key_exchange
        if exchange.premaster in _KINDS and not exchange.fixed and not exchange.export:
            chosen.setdefault((exchange.premaster, exchange.certificate), value)
            if exchange.premaster is Premaster.RSA:
                chosen.setdefault((suite.cipher.is_block, suite.cipher.key_material > 0), value)
    return tuple(dict.fromkeys(chosen.values()))


def plans(found: Abilities) -> tuple[Script, ...]:
    """Return honest scripts for a fuzzer that faces such a target, the plainest first.

    ``found.role`` is the target's; the fuzzer plays the other one.
    """
    role = found.role.peer
    suites = typical(found.suites)
    made: list[Script] = []
    for suite in suites:
        made.append(full(role, suite, rich=False))
    for suite in suites:
        made.append(full(role, suite, rich=True, request=True))
    made.append(full(role, suites[0], rich=True, request=True, show=False))
    if found.resumes:
        made += [resumed(role, suites[0]), resumed(role, suites[0], rich=True)]
    if found.tickets and role is Role.CLIENT:
        made.append(resumed(role, suites[0], rich=True, tickets=True))
    if found.renegotiates:
        made += [renegotiated(role, suites[0]), renegotiated(role, suites[0], rich=True)]
    return tuple(made)

"""Honest sides of a handshake as data, and the ways to spoil them.

A trace holds only what one side sends: the other side's messages come by themselves, since the puppet listens after
every step. Editing functions take steps by name and complain about a name that is not there, so that nothing passes
because it changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.puppet.puppet import Step, Trace
from tlsexit.puppet.steps import (
    asked,
    asked_and_shown,
    certificate_message,
    certificate_request,
    certificate_verify,
    change_cipher_spec,
    client_hello,
    client_key_exchange,
    finished,
    not_resumed,
    server_hello,
    server_hello_done,
    server_key_exchange,
)
from tlsexit.puppet.writer import Sealing


def honest_client() -> Trace:
    """A client's side of whatever handshake the server leads it through, resumption and client certificate included."""
    return (
        client_hello,
        replace(certificate_message, when=asked),
        replace(client_key_exchange, when=not_resumed),
        replace(certificate_verify, when=asked_and_shown),
        change_cipher_spec,
        finished,
    )


def client_trace(suite: int, *, certificate: bool = False) -> Trace:
    """A client's side of a full handshake; ``certificate`` if the server asks for one."""
    steps = [client_hello, client_key_exchange, change_cipher_spec, finished]
    if certificate:
        steps.insert(1, certificate_message)
        steps.insert(3, certificate_verify)
    return tuple(steps)


def server_trace(suite: int, *, request: bool = False) -> Trace:
    """A server's side of a full handshake; ``request`` to ask for a certificate."""
    exchange = SUITES[suite].key_exchange
    return (
        server_hello,
        *((certificate_message,) if exchange.certificate is not None else ()),
        *((server_key_exchange,) if exchange.server_key_exchange else ()),
        *((certificate_request,) if request else ()),
        server_hello_done,
        change_cipher_spec,
        finished,
    )


def resumed_trace(role: Role) -> Trace:
    """Either side of an abbreviated handshake, for a puppet that has the session."""
    return (client_hello if role is Role.CLIENT else server_hello, change_cipher_spec, finished)


# ------------------------------------------------------------------------------------------------ editing


def position(trace: Trace, name: str) -> int:
    """Where the step is; KeyError if it is not there."""
    for index, step in enumerate(trace):
        if step.name == name:
            return index
    raise KeyError(name)


def until(trace: Trace, name: str) -> Trace:
    """The steps before ``name``."""
    return trace[: position(trace, name)]


def drop(trace: Trace, *names: str) -> Trace:
    """Leave steps out."""
    for name in names:
        at = position(trace, name)
        trace = trace[:at] + trace[at + 1 :]
    return trace


def repeat(trace: Trace, name: str) -> Trace:
    """Do one step twice in a row."""
    return insert(trace, trace[position(trace, name)], after=name)


def swap(trace: Trace, first: str, second: str) -> Trace:
    """Exchange two steps."""
    steps = list(trace)
    a, b = position(trace, first), position(trace, second)
    steps[a], steps[b] = steps[b], steps[a]
    return tuple(steps)


def insert(trace: Trace, step: Step, *, before: str | None = None, after: str | None = None) -> Trace:
    """Add a step in one place."""
    at = position(trace, before) if before is not None else position(trace, after or "") + 1
    return (*trace[:at], step, *trace[at:])


def put(trace: Trace, name: str, step: Step) -> Trace:
    """Do another step in place of one."""
    at = position(trace, name)
    return (*trace[:at], step, *trace[at + 1 :])


def alter(trace: Trace, name: str, function: Callable[[bytes], bytes]) -> Trace:
    """Change the bytes of a message, its header included, before it is sent and hashed."""
    old = trace[position(trace, name)]
    return put(trace, name, replace(old, build=lambda puppet: function(old.build(puppet))))


def seal(trace: Trace, name: str, how: Sealing) -> Trace:
    """Protect the records of a step in another way."""
    return put(trace, name, replace(trace[position(trace, name)], sealing=how))


def split(trace: Trace, name: str, size: int) -> Trace:
    """Send a message in records of ``size`` bytes."""
    old = trace[position(trace, name)]
    return put(trace, name, replace(old, cut=lambda data: pieces_of(data, size)))


def pieces_of(data: bytes, size: int) -> Iterable[bytes]:
    """Cut into pieces of ``size`` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]

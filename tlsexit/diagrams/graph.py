"""Two graphs of one role, made of the steps that were walked: the phases an exit is asked, and the states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyExchange, Premaster
from tlsexit.diagrams.walk import DH_ANON, Kind, Transition, transitions, walks
from tlsexit.drivers.drive import run
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import CryptDataCall, ExitCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import inputs, states
from tlsexit.handshake.table import RELEASED
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.tasks import Task


class Shape(Enum):
    """What a node is."""

    QUESTION = "question"
    """Something is asked whose answer counts."""

    NOTICE = "notice"
    """The exit is told of an end."""

    WAITING = "waiting"
    """A state that expects the peer's next message."""

    RESTING = "resting"
    """A state in which nothing needs to happen."""


@dataclass(frozen=True)
class Node:
    """A phase or a state; ``note`` says when it is met, if not always."""

    name: str
    shape: Shape
    note: str = ""


@dataclass(frozen=True)
class Edge:
    """What may follow what; ``labels`` are the ways, each the messages or the event that lead there."""

    source: str
    target: str
    labels: tuple[str, ...] = ()
    resumed: bool = False
    """Whether this is the way of an abbreviated handshake."""

    again: bool = False
    """Whether this is the way of an established connection into a renegotiation, or of one that is refused."""


@dataclass(frozen=True)
class Graph:
    """A picture's contents. From any of ``fragile`` a failure leads to ``alert``."""

    title: str
    role: Role
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    fragile: tuple[str, ...]
    alert: str = ExitPhase.HANDSHAKE_ALERT.value


# ------------------------------------------------------------------------------------------------ phases


def phase_graph(role: Role) -> Graph:
    """Return which phase may follow which, and after which messages of the peer."""
    ways: dict[tuple[str, str, bool], list[tuple[str, ...]]] = {}
    kinds: dict[str, list[Kind]] = {}
    fragile: dict[str, None] = {}
    for source, target, messages, resumed in _task_steps():
        ways.setdefault((source, target, resumed), []).append(messages)
    for walk in walks():
        if walk.role is not role:
            continue
        for asked, step, messages in _questions(walk.steps):
            name = phase_name(step.question)
            kinds.setdefault(name, []).append(walk.kind)
            if step.target not in RELEASED:
                fragile[name] = None
            again = name == ExitPhase.START_HANDSHAKE.value and asked is not None
            if asked is not None and again:
                ways.setdefault((asked, name, False), []).append(messages or ("renegotiate()",))
            elif asked is not None and _count(step.question) == 1:
                ways.setdefault((asked, name, _resumed(step.question)), []).append(messages)
    edges = tuple(_edge(key, found) for key, found in ways.items())
    names = _in_order((*edges, *(Edge(name, ExitPhase.HANDSHAKE_ALERT.value) for name in fragile)))
    return Graph(
        f"The phases of a {role.value}",
        role,
        tuple(Node(name, _shape(name), _note(role, kinds[name]) if name in kinds else "") for name in names),
        tuple(sorted(edges, key=lambda edge: (names.index(edge.source), names.index(edge.target), edge.resumed))),
        tuple(fragile),
    )


def phase_name(call: ExitCall | None) -> str:
    """Return ``CryptData (sign)`` and its like; the other phases have one name each."""
    assert call is not None
    if isinstance(call, CryptDataCall):
        return f"{call.phase.value} ({call.operation.value})"
    return call.phase.value


def _questions(steps: tuple[Transition, ...]) -> Iterator[tuple[str | None, Transition, tuple[str, ...]]]:
    """Yield, for each question, the one before it, its step, and the messages that came in between."""
    asked: str | None = None
    received: list[str] = []
    for step in steps:
        if step.message is not None:
            received.append(step.message)
        if step.question is not None:
            yield asked, step, tuple(received)
            asked, received = phase_name(step.question), []


def _task_steps() -> Iterator[tuple[str, str, tuple[str, ...], bool]]:
    """Yield how a real task frames its sessions: one that fails at once, and one that is established."""
    for fails in (False, True):
        task = Task(system_config())
        told = [_pending(task)]
        task.answer(Handled())
        profile = Profile.client(cipher_suites=(DH_ANON,))
        connection = task.connection(profile)
        connection.start()
        told.append(_pending(connection))
        yield told[0], told[1], (), False
        if fails:
            connection.abort()
        else:
            _establish(connection)
            connection.close()
        told.append(_pending(connection))
        task.end()
        connection.answer(Handled())
        if not fails:
            yield ExitPhase.HANDSHAKE_DONE.value, told[2], (), False
        yield told[2], _pending(task), (), False


def _pending(target: Task | Connection) -> str:
    return phase_name(target.pending_exit)


def _establish(connection: Connection) -> None:
    task = Task(system_config())
    task.answer(Handled())
    server = task.connection(Profile.server(cipher_suites=(DH_ANON,), verify=Verify.NONE))
    server.start()
    while not connection.established:
        for end, other in ((connection, server), (server, connection)):
            run(end, None, BuiltinPki())
            other.receive_data(end.data_to_send())


def _count(call: ExitCall | None) -> int:
    return 0 if call is None or not hasattr(call, "context") else call.context.handshake_count


def _resumed(call: ExitCall | None) -> bool:
    return call is not None and hasattr(call, "context") and call.context.resumed


def _edge(key: tuple[str, str, bool], ways: list[tuple[str, ...]]) -> Edge:
    """Keep the ways that say something new: a way that only adds messages to another one says nothing."""
    different = sorted(set(ways), key=len)
    kept = [way for way in different if not any(other != way and _within(other, way) for other in different)]
    source, target, resumed = key
    again = source == ExitPhase.HANDSHAKE_DONE.value and target == ExitPhase.START_HANDSHAKE.value
    return Edge(source, target, tuple(sorted(", ".join(way) for way in kept if way)), resumed, again)


def _within(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Whether ``short`` is what is left of ``long`` when some messages are taken out."""
    rest = iter(long)
    return all(message in rest for message in short)


def _in_order(edges: Iterable[Edge]) -> list[str]:
    """Return the names so that all edges go downwards, those of a renegotiation aside."""
    names = list(dict.fromkeys(name for edge in edges for name in (edge.source, edge.target)))
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for edge in edges:
            if not edge.again:
                depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    return sorted(names, key=lambda name: (depth[name], names.index(name)))


def _shape(name: str) -> Shape:
    notices = {ExitPhase.HANDSHAKE_ALERT.value, ExitPhase.END_SESSION.value, ExitPhase.END_TASK.value}
    return Shape.NOTICE if name in notices else Shape.QUESTION


def _exchange(kind: Kind) -> KeyExchange:
    return SUITES[kind.suite].key_exchange


_CONDITIONS: Final[tuple[tuple[str, Callable[[Kind], bool]], ...]] = (
    ("if the client is asked for a certificate", lambda kind: kind.verify is not Verify.NONE),
    ("in PSK suites", lambda kind: _exchange(kind).premaster.psk),
    ("in DHE and ECDHE suites", lambda kind: _exchange(kind).signed),
    ("in RSA suites", lambda kind: _exchange(kind).premaster in (Premaster.RSA, Premaster.RSA_PSK)),
    ("unless anonymous or with a pre-shared key alone", lambda kind: _exchange(kind).certificate is not None),
)


def _note(role: Role, kinds: list[Kind]) -> str:
    """Return the first condition that all these kinds of handshake meet, and some other kind does not."""
    others = [walk.kind for walk in walks() if walk.role is role and walk.kind not in kinds]
    if not others:
        return ""
    return next(
        (
            text
            for text, holds in _CONDITIONS
            if all(holds(kind) for kind in kinds) and not all(holds(kind) for kind in others)
        ),
        "",
    )


# ------------------------------------------------------------------------------------------------ states


def state_graph(role: Role) -> Graph:
    """Return which state may follow which, and on what input."""
    steps = transitions(role)
    found: dict[tuple[str, str], dict[str, None]] = {}
    for step in steps:
        key = step.source.__name__, step.target.__name__
        found.setdefault(key, {})[_input(step)] = None
    classes = dict.fromkeys(state for step in steps for state in (step.source, step.target))
    asked = {step.target: phase_name(step.question) for step in steps if step.question is not None}
    edges = tuple(
        Edge(
            *key,
            labels=() if tuple(labels) == ("answered",) else tuple(labels),
            resumed="Resumed" in "".join(key),
            again=key[0] == states.Established.__name__,
        )
        for key, labels in found.items()
    )
    end = ExitPhase.END_SESSION.value
    edges += tuple(Edge(state.__name__, end, ("the end",)) for state in RELEASED)
    order = _in_order(edges)
    return Graph(
        f"The states of a {role.value}",
        role,
        (
            *(
                Node(state.__name__, _state_shape(state), asked.get(state, ""))
                for state in sorted(classes, key=lambda state: order.index(state.__name__))
            ),
            Node(end, Shape.NOTICE),
        ),
        edges,
        tuple(state.__name__ for state in classes if state not in RELEASED and state is not states.Idle),
    )


def _state_shape(state: type[states.State]) -> Shape:
    if state in (states.Idle, states.Established):
        return Shape.RESTING
    return Shape.QUESTION if state.__name__.startswith("Ask") else Shape.WAITING


_INPUTS: Final = {
    inputs.Start: "start()",
    inputs.Answered: "answered",
    inputs.Refused: "failed",
    inputs.Renegotiate: "renegotiate()",
    inputs.RenegotiationRefused: "no_renegotiation",
}


def _input(step: Transition) -> str:
    return step.message or _INPUTS[step.given]

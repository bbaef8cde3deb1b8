"""The graphs agree with the grammar of phases, which was written from the page about the exit."""

from __future__ import annotations

import itertools

import pytest

from tests.support.grammar import HANDSHAKES, LETTERS
from tlsexit.constants import Role
from tlsexit.diagrams.graph import Edge, Graph, Shape, phase_graph, state_graph
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake.table import RELEASED, TABLES

WORDS = {letter: phase.value for phase, letter in LETTERS.items()}


def plain(name: str) -> str:
    """A phase without what CryptData does."""
    return name.partition(" (")[0]


def pairs(graph: Graph) -> set[tuple[str, str]]:
    return {(plain(edge.source), plain(edge.target)) for edge in graph.edges}


@pytest.mark.parametrize("role", Role)
def test_phases_follow_each_other_as_described(role: Role) -> None:
    """Two independent sources: the words of the grammar, and handshakes that took place."""
    described = {(WORDS[a], WORDS[b]) for word in HANDSHAKES[role] for a, b in itertools.pairwise(word)}
    frame = {
        ("StartTask", "StartHandshake"),
        ("HandshakeDone", "StartHandshake"),
        ("HandshakeDone", "EndSession"),
        ("EndSession", "EndTask"),
        ("HandshakeAlert", "EndTask"),
    }
    assert pairs(phase_graph(role)) == described | frame


@pytest.mark.parametrize("role", Role)
def test_nothing_but_the_task_comes_after_an_alert(role: Role) -> None:
    """HandshakeAlert closes the account of a session, and EndSession needs a HandshakeDone before it."""
    graph = phase_graph(role)
    assert {edge.target for edge in graph.edges if edge.source == "HandshakeAlert"} == {"EndTask"}
    assert {edge.source for edge in graph.edges if edge.target == "EndSession"} == {"HandshakeDone"}
    outside = {"StartTask", "HandshakeDone", "HandshakeAlert", "EndSession", "EndTask"}
    assert set(graph.fragile) == {node.name for node in graph.nodes} - outside


@pytest.mark.parametrize(
    ("role", "phase", "note"),
    [
        (Role.SERVER, "GetCAList", "if the client is asked for a certificate"),
        (Role.SERVER, "CheckCertificate", "if the client is asked for a certificate"),
        (Role.CLIENT, "GetCertificate", "if the client is asked for a certificate"),
        (Role.CLIENT, "CryptData (sign)", "if the client is asked for a certificate"),
        (Role.SERVER, "CryptData (decrypt)", "in RSA suites"),
        (Role.SERVER, "StartHandshake", ""),
    ],
)
def test_phases_that_are_not_always_asked(role: Role, phase: str, note: str) -> None:
    """As the manual says below its figures."""
    (node,) = (node for node in phase_graph(role).nodes if node.name == phase)
    assert node.note == note


def test_the_ways() -> None:
    """Some that the manual names, with their messages."""
    graph = phase_graph(Role.SERVER)
    assert Edge("StartHandshake", "HandshakeDone", ("ClientHello, ChangeCipherSpec, Finished",), True) in graph.edges
    assert Edge("CryptData (sign)", "GetCAList") in graph.edges
    assert Edge("CheckCertificate", "CryptData (decrypt)", ("ClientKeyExchange",)) in graph.edges


@pytest.mark.parametrize("role", Role)
def test_every_state_is_drawn(role: Role) -> None:
    graph = state_graph(role)
    drawn = {node.name for node in graph.nodes}
    assert drawn == {state.__name__ for state, _ in TABLES[role]} | {ExitPhase.END_SESSION.value}
    asking = {node.name for node in graph.nodes if node.shape is Shape.QUESTION}
    assert asking == {name for name in drawn if name.startswith("Ask")}
    ends = {edge.source for edge in graph.edges if edge.target == ExitPhase.END_SESSION.value}
    assert ends == {state.__name__ for state in RELEASED}

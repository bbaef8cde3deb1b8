"""Every form shows the whole graph, and the pictures in the documentation are those of today's state tables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from html import unescape
from xml.etree import ElementTree

import pytest

from tests.diagrams.__main__ import PICTURES, TARGET, graphs, page
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.diagrams.drawing import FORMATS, dot, mermaid, svg, text
from tlsexit.diagrams.graph import Edge, Graph, Node, Shape

SMALL = Graph(
    "Small",
    Role.CLIENT,
    (Node("A", Shape.QUESTION, "sometimes"), Node("B", Shape.WAITING), Node("C", Shape.RESTING)),
    (Edge("A", "B", ("one, two", "three")), Edge("A", "C", ("four",), True), Edge("C", "A", (), again=True)),
    ("A",),
)
GRAPHS = [SMALL, *graphs().values()]
TEXT = """\
Small

A  (sometimes)
  ▶ B  one, two
  ▶ B  three
  ▶ C  four (abbreviated)
  ✕ HandshakeAlert

B

C
  ▶ A  renegotiation
"""


def test_text() -> None:
    assert text(SMALL) == TEXT


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.title)
def test_mermaid_and_dot_show_everything(graph: Graph) -> None:
    """Each node once, each edge once, each message."""
    for drawn, arrow in ((mermaid(graph), r"-\.?->"), (dot(graph), "->")):
        for node in graph.nodes:
            assert node.name in drawn
            assert node.note in drawn
        for edge in graph.edges:
            for way in edge.labels:
                assert all(message in drawn for message in way.split(", "))
        # and one more for failures
        assert (
            len(re.findall(rf"^ +\S.* {arrow}", drawn, re.MULTILINE)) + ("-. failure" in drawn) == len(graph.edges) + 1
        )


@pytest.mark.parametrize("name", graphs())
def test_the_pictures_are_up_to_date(name: str) -> None:
    """``python -m tests.diagrams`` draws them. Where things stand is Graphviz's affair, what stands there is not."""
    graph = graphs()[name]
    root = ElementTree.parse(PICTURES / f"{name}.svg").getroot()
    space = {"svg": "http://www.w3.org/2000/svg"}
    drawn: dict[str, list[tuple[str, list[str]]]] = {"node": [], "edge": []}
    for group in root.iterfind(".//svg:g", space):
        kind = group.get("class", "")
        if kind in drawn:
            title = unescape(group.findtext("svg:title", "", space))
            words = [(item.text or "").strip() for item in group.iterfind(".//svg:text", space)]
            drawn[kind].append((title, [word for word in words if word != "―"]))
    nodes = [(node.name, [node.name, *([node.note] if node.note else [])]) for node in graph.nodes]
    if graph.alert not in {node.name for node in graph.nodes}:
        nodes.append((graph.alert, [graph.alert]))
    assert sorted(drawn["node"]) == sorted(nodes)
    edges = [
        (f"{edge.source}->{edge.target}", [word for way in edge.labels for word in way.split(", ")])
        for edge in graph.edges
    ]
    edges.append(
        (f"{[n.name for n in graph.nodes if n.name in graph.fragile][-1]}->{graph.alert}", ["a failure in here"])
    )
    assert sorted(drawn["edge"]) == sorted(edges)


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == page()


def test_svg_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalError, match="install graphviz"):
        svg(SMALL)


@pytest.mark.skipif(
    shutil.which("dot") is None and os.environ.get("TLSEXIT_REQUIRE_PEERS") != "1", reason="Graphviz is not installed"
)
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.title)
def test_svg(graph: Graph) -> None:
    assert ElementTree.fromstring(svg(graph)).tag.endswith("svg")


def test_a_dot_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 1, b"", b"no fonts\n")

    monkeypatch.setattr(shutil, "which", lambda name: "/bin/dot")
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(LocalError, match="dot failed: no fonts"):
        svg(SMALL)


def test_forms() -> None:
    assert set(FORMATS) == {"text", "mermaid", "dot", "svg"}

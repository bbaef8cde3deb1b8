"""A graph as text, Mermaid, DOT and SVG.

Text, Mermaid and DOT are written here; SVG is laid out by Graphviz, whose program ``dot`` must be installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Final

from tlsexit.alerts import LocalError
from tlsexit.diagrams.graph import Edge, Graph, Node, Shape

_COLOURS: Final = {
    Shape.QUESTION: ("#e8f0fe", "#3367d6"),
    Shape.NOTICE: ("#f1f3f4", "#5f6368"),
    Shape.WAITING: ("#ffffff", "#5f6368"),
    Shape.RESTING: ("#e6f4ea", "#188038"),
}
"""Fill and outline."""

_RESUMED: Final = "#00796b"
_FAILURE: Final = "#c5221f"
_AGAIN: Final = "#8430ce"
_FONT: Final = "Helvetica,Arial,sans-serif"
_GAP: Final = "\N{EN SPACE}\N{EN SPACE}"
_INK: Final = "#202124"
_FAINT: Final = "#5f6368"


def text(graph: Graph) -> str:
    """Return the graph for a terminal: each node with what may follow."""
    width = max(len(edge.target) for edge in graph.edges)
    lines = [graph.title]
    for node in graph.nodes:
        lines += ["", node.name + (f"  ({node.note})" if node.note else "")]
        for edge in graph.edges:
            if edge.source == node.name:
                ways = edge.labels or ("",)
                lines += [f"  ▶ {edge.target:<{width}}  {_way(edge, way)}".rstrip() for way in ways]
        if node.name in graph.fragile:
            lines.append(f"  ✕ {graph.alert}")
    return "\n".join(lines) + "\n"


def _way(edge: Edge, way: str) -> str:
    """What leads along an edge, with the kind of handshake if it is not a full one."""
    kind = "abbreviated" if edge.resumed else "renegotiation" if edge.again else ""
    return f"{way} ({kind})" if kind and way else way or kind


def mermaid(graph: Graph) -> str:
    """Return the graph for Mermaid, which many viewers of Markdown draw."""
    ids = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    ids.setdefault(graph.alert, "alert")
    opening = {Shape.QUESTION: '["', Shape.NOTICE: '(["', Shape.WAITING: '["', Shape.RESTING: '(["'}
    closing = {Shape.QUESTION: '"]', Shape.NOTICE: '"])', Shape.WAITING: '"]', Shape.RESTING: '"])'}

    def declare(node: Node) -> str:
        note = f"<br/><i>{node.note}</i>" if node.note else ""
        return f"{ids[node.name]}{opening[node.shape]}{node.name}{note}{closing[node.shape]}:::{node.shape.value}"

    lines = ["flowchart TD", '  subgraph fragile ["a failure in here ends with HandshakeAlert"]']
    lines += [f"    {declare(node)}" for node in graph.nodes if node.name in graph.fragile]
    lines.append("  end")
    lines += [f"  {declare(node)}" for node in graph.nodes if node.name not in graph.fragile]
    if graph.alert not in {node.name for node in graph.nodes}:
        lines.append(f'  {ids[graph.alert]}(["{graph.alert}"]):::notice')
    for edge in graph.edges:
        arrow = "-.->" if edge.resumed or edge.again else "-->"
        label = "<br/>".join(_way(edge, way) for way in edge.labels)
        arrow += f'|"{label}"|' if label else ""
        lines.append(f"  {ids[edge.source]} {arrow} {ids[edge.target]}")
    lines.append(f"  fragile -. failure .-> {ids[graph.alert]}")
    for shape, (fill, stroke) in _COLOURS.items():
        lines.append(f"  classDef {shape.value} fill:{fill},stroke:{stroke},color:{_INK}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return the graph in DOT, the language of Graphviz."""
    inside = [node for node in graph.nodes if node.name in graph.fragile]
    lines = [
        f"digraph {_quoted(graph.title)} {{",
        '  graph [compound=true ranksep=0.5 nodesep=0.45 pad=0.3 bgcolor="#ffffff"]',
        f'  node [fontname="{_FONT}" fontsize=13 fontcolor="{_INK}" shape=box style="rounded,filled"'
        ' margin="0.18,0.09" penwidth=1.2]',
        f'  edge [fontname="{_FONT}" fontsize=10.5 color="{_FAINT}" fontcolor="{_INK}" arrowsize=0.7]',
        "  subgraph cluster_fragile {",
        f'    style="rounded,dashed" color="{_FAILURE}" margin=18',
    ]
    lines += [f"    {_dot_node(node)}" for node in inside]
    lines.append("  }")
    lines += [f"  {_dot_node(node)}" for node in graph.nodes if node.name not in graph.fragile]
    if graph.alert not in {node.name for node in graph.nodes}:
        lines.append(f"  {_dot_node(Node(graph.alert, Shape.NOTICE))}")
    lines += [f"  {_dot_edge(edge)}" for edge in graph.edges]
    lines.append(
        f"  {_quoted(inside[-1].name)} -> {_quoted(graph.alert)}"
        f' [ltail=cluster_fragile style=dashed color="{_FAILURE}" fontcolor="{_FAILURE}"'
        f' label="{_GAP}a failure in here"]'
    )
    return "\n".join([*lines, "}"]) + "\n"


def _dot_node(node: Node) -> str:
    fill, stroke = _COLOURS[node.shape]
    note = f'<br/><font point-size="10" color="{_FAINT}">{node.note}</font>' if node.note else ""
    return f'{_quoted(node.name)} [label=<{node.name}{note}> fillcolor="{fill}" color="{stroke}"]'


def _dot_edge(edge: Edge) -> str:
    attributes = []
    if edge.labels:
        label = f"\\l{_GAP}―\\l".join(_GAP + way.replace(", ", f"\\l{_GAP}") for way in edge.labels)
        attributes.append(f'label="{label}\\l"')
    if edge.resumed:
        attributes.append(f'style=dashed color="{_RESUMED}" fontcolor="{_RESUMED}"')
    if edge.again:
        # upwards, without a say in who stands above whom
        attributes.append(f'style=dotted constraint=false color="{_AGAIN}" fontcolor="{_AGAIN}"')
    return f"{_quoted(edge.source)} -> {_quoted(edge.target)} [{' '.join(attributes)}]"


def _quoted(name: str) -> str:
    return f'"{name}"'


def svg(graph: Graph) -> str:
    """Return the graph as SVG; :class:`~tlsexit.alerts.LocalError` without Graphviz."""
    program = shutil.which("dot")
    if program is None:
        raise LocalError("SVG is drawn by Graphviz, and there is no program named dot; install graphviz")
    drawn = subprocess.run([program, "-Tsvg"], input=dot(graph).encode(), capture_output=True, check=False)
    if drawn.returncode:
        raise LocalError(f"dot failed: {drawn.stderr.decode(errors='replace').strip()}")
    return drawn.stdout.decode()


FORMATS: Final[dict[str, Callable[[Graph], str]]] = {"text": text, "mermaid": mermaid, "dot": dot, "svg": svg}
"""What a graph can be written as."""

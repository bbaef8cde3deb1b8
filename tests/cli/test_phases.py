"""``tlsexit phases``."""

from __future__ import annotations

import pytest

from tests.support.command import run
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.diagrams.drawing import dot, mermaid, text
from tlsexit.diagrams.graph import phase_graph, state_graph


def test_the_phases_of_a_server() -> None:
    ran = run("phases")
    assert (ran.status, ran.out) == (codes.OK, text(phase_graph(Role.SERVER)))


@pytest.mark.parametrize(("form", "draw"), [("text", text), ("mermaid", mermaid), ("dot", dot)])
@pytest.mark.parametrize("role", Role)
def test_forms(role: Role, form: str, draw: object) -> None:
    assert callable(draw)
    ran = run("phases", "--role", role.value, "--states", "--format", form)
    assert (ran.status, ran.out) == (codes.OK, draw(state_graph(role)))


def test_without_graphviz() -> None:
    """One sentence, and a status of its own."""
    ran = run("phases", "--format", "svg", env={"PATH": ""})
    assert (ran.status, ran.out) == (codes.FAILED, "")
    assert ran.err == "tlsexit: SVG is drawn by Graphviz, and there is no program named dot; install graphviz\n"

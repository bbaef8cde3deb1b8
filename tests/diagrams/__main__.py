"""Write ``docs/phases.md`` and the pictures in it: ``python -m tests.diagrams``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tlsexit.constants import Role
from tlsexit.diagrams.drawing import mermaid, svg, text
from tlsexit.diagrams.graph import Graph, phase_graph, state_graph

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "docs" / "phases.md"
PICTURES: Final = ROOT / "docs" / "pictures"

HEAD: Final = """\
# Phases and states

Drawn by `python -m tests.diagrams`; do not edit. Nothing in the pictures is written down by hand: handshakes of every
kind are walked through in memory, with the state tables (`tlsexit/handshake/table.py`) that every connection uses, and
what was met is drawn. A test walks through them again and compares. `tlsexit phases` prints the same as text, Mermaid,
DOT or SVG.

What each phase asks and answers is in [exits.md](exits.md).

How to read them:

- A blue box is a question to the exit; a grey one only tells it of an end. In the pictures of the states white boxes
  wait for the peer's next message, and green ones for nothing in particular.
- Beside an arrow stand the messages of the peer that come in between; without any, the next question follows at once.
  Messages that may or may not come (CertificateStatus, NewSessionTicket, ...) are left out of the pictures of phases.
- Dashed green: an abbreviated handshake. Dotted violet: a renegotiation, where the profile allows it.
- Whatever fails inside the red frame, here or at the peer, ends with HandshakeAlert. The exit is not asked again for
  that session, not even EndSession. After HandshakeDone there is only EndSession.
- StartTask comes before the first session of a task, EndTask after the last: whatever the number of sessions, they are
  asked once each.
"""


def graphs() -> dict[str, Graph]:
    """Every picture, by the name of its file."""
    return {
        f"{kind}-{role.value}": make(role)
        for kind, make in (("phases", phase_graph), ("states", state_graph))
        for role in (Role.SERVER, Role.CLIENT)
    }


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, graph in graphs().items():
        parts.append(f"\n## {graph.title}\n\n![{graph.title}](pictures/{name}.svg)\n")
        parts.append(f"\n<details><summary>as text</summary>\n\n```text\n{text(graph)}```\n\n</details>\n")
        parts.append(f"\n<details><summary>as Mermaid</summary>\n\n```mermaid\n{mermaid(graph)}```\n\n</details>\n")
    return "".join(parts)


def main() -> int:
    """Draw everything."""
    PICTURES.mkdir(exist_ok=True)
    for name, graph in graphs().items():
        (PICTURES / f"{name}.svg").write_text(svg(graph), encoding="utf-8")
    TARGET.write_text(page(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)} and {len(graphs())} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``tlsexit phases``: what is asked after what, as a picture."""

from __future__ import annotations

import click

from tlsexit.alerts import LocalError
from tlsexit.cli import codes
from tlsexit.cli.problems import Problem
from tlsexit.constants import Role


@click.command(epilog=codes.EPILOG)
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.SERVER.value,
    show_default=True,
    help="Whose phases.",
)
@click.option("--states", is_flag=True, help="Show every state of the handshake, not the phases alone.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "dot", "svg"]),
    default="text",
    show_default=True,
    help="How to write it; svg needs the program dot of Graphviz.",
)
def phases(role: str, states: bool, form: str) -> None:
    """Show which phase of the exit may follow which, and after which messages of the peer.

    Nothing of it is written down anywhere: handshakes of every kind are walked through, in memory, with the state
    machine that connections use. docs/phases.md has the pictures.

    \b
    Examples:
      tlsexit phases
      tlsexit phases --role client --states
      tlsexit phases --role server --format svg > server.svg
    """
    from tlsexit.diagrams.drawing import FORMATS
    from tlsexit.diagrams.graph import phase_graph, state_graph

    graph = (state_graph if states else phase_graph)(Role(role))
    try:
        click.echo(FORMATS[form](graph), nl=False)
    except LocalError as error:
        raise Problem(str(error), codes.FAILED) from error

"""What the fuzzing commands share: their options, and what these mean."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tlsexit.cli.options import PATH, Amount
from tlsexit.cli.problems import Problem

if TYPE_CHECKING:
    from tlsexit.conformance.pki import Workshop
    from tlsexit.conformance.targets import Target
    from tlsexit.fuzzing.campaign import Budget
    from tlsexit.fuzzing.conversation import Terms

F = TypeVar("F", bound=Callable[..., Any])

WARNING: Final = "the fuzzer sends malformed and hostile messages"

TARGET_OPTIONS: Final = (
    click.option("--pki", "folder", type=PATH, metavar="DIR", help="Certificates to show, from `conform pki`."),
    click.option(
        "--patience",
        type=Amount(min=0, min_open=True),
        default=1.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an answer is waited for.",
    ),
)

BUDGET_OPTIONS: Final = (
    click.option("--seconds", type=Amount(min=0, min_open=True), metavar="N", help="Stop then. [60]"),
    click.option("--examples", type=click.IntRange(min=1), metavar="N", help="Stop after so many conversations."),
)


def with_options(options: tuple[Any, ...]) -> Callable[[F], F]:
    """Return what gives a command these options, in this order."""

    def added(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return added


def budget(options: dict[str, Any]) -> Budget:
    """Return how long to go on: a minute, unless the options say otherwise."""
    from tlsexit.fuzzing.campaign import Budget

    return Budget(options["seconds"] or (None if options["examples"] else 60.0), options["examples"])


def need_hypothesis() -> None:
    """Raise :class:`Problem` where Hypothesis is not installed."""
    if find_spec("hypothesis") is None:
        raise Problem("fuzzing needs Hypothesis; install with: python -m pip install 'tlsexit[fuzzing]'")


def terms(target: Target, workshop: Workshop, options: dict[str, Any]) -> Terms:
    """Return the terms of conversations with the target."""
    from tlsexit.fuzzing.conversation import Terms

    return Terms(workshop.shown_by(target.tests.peer), options["patience"])

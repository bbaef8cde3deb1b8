"""Probes as data, and what they can find out.

A :class:`Probe` names the requirements it checks, whose implementation it tests, what that must be able to do, and a
conversation: actions from :mod:`tlsexit.conformance.actions`, played one by one. Nothing in it knows the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tlsexit.conformance.catalogue import Requirement, by_id
from tlsexit.constants import Role

if TYPE_CHECKING:
    from tlsexit.conformance.actions import Action, Connect
    from tlsexit.conformance.needs import Need


class Verdict(StrEnum):
    """What a probe has found."""

    PASS = "pass"
    FAIL = "fail"
    """A MUST is not kept."""
    WARNING = "warning"
    """A SHOULD is not kept, or a MUST in a way that everybody tolerates."""
    FLAKY = "flaky"
    """The same conversation ended in different ways."""
    INCONCLUSIVE = "inconclusive"
    """The conversation did not get as far as the point in question."""
    NOT_APPLICABLE = "not applicable"
    """The target lacks what the probe is about."""

    @property
    def bad(self) -> bool:
        """Whether it speaks against the target."""
        return self in (Verdict.FAIL, Verdict.FLAKY)


SEVERITY: Final = (
    Verdict.FAIL,
    Verdict.FLAKY,
    Verdict.WARNING,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)
"""The verdicts, the one that decides about a group of probes first."""


def worst(verdicts: Iterator[Verdict]) -> Verdict:
    """Return the verdict on a group; not applicable if there is none."""
    found = set(verdicts)
    return next((verdict for verdict in SEVERITY if verdict in found), Verdict.NOT_APPLICABLE)


class Reading(StrEnum):
    """Which text decides where RFCs differ."""

    STRICT = "strict"
    """RFC 2246 by the letter."""
    LATER = "later"
    """RFC 2246 with what later RFCs and attacks have taught: RFC 4346, RFC 5246, RFC 7457 and the others."""


ATTACKS: Final = "attacks"
"""The group of the probes that are attacks."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question put to an implementation.

    ``id`` is ``server/7.1/early``: the role of the implementation it tests, the group (a section of RFC 2246, another
    RFC with its section, or ``attacks``) and a name. ``requirements`` are ids of the catalogue; the first decides about
    the severity unless ``level`` does. ``needs`` are the preconditions. ``connect`` says how the first connection is
    made. ``readings`` are the profiles in which the question makes sense. ``meaning`` tells what a failure means to
    somebody who runs the target. A probe that is ``opt_in`` runs only when asked for.
    """

    id: str
    title: str
    tests: Role
    requirements: tuple[str, ...]
    conversation: tuple[Action, ...] = ()
    needs: tuple[Need, ...] = ()
    connect: Connect | None = None
    level: str | None = None
    readings: tuple[Reading, ...] = tuple(Reading)
    meaning: str = ""
    opt_in: bool = False
    survey: bool = False
    """Whether it looks at everything that was said in the whole run, instead of holding a conversation."""

    @property
    def group(self) -> str:
        """The middle part of the id."""
        return self.id.split("/")[1]

    @property
    def entries(self) -> tuple[Requirement, ...]:
        """The requirements themselves."""
        return tuple(by_id()[id] for id in self.requirements)

    @property
    def failing(self) -> Verdict:
        """The verdict when the target does something else than expected."""
        level = self.level or self.entries[0].level
        return Verdict.WARNING if level.startswith("SHOULD") else Verdict.FAIL

    @property
    def alerts(self) -> tuple[str, ...]:
        """The names of the alerts that the requirements give as the answer to a violation."""
        return tuple(dict.fromkeys(name for item in self.entries for name in item.expected_alert))


@dataclass(frozen=True, slots=True)
class Group:
    """Makes the probes of one section: the declarations stay free of what they share."""

    name: str
    needs: tuple[Need, ...] = field(default=())

    def server(self, slug: str, title: str, *requirements: str, **fields: object) -> Probe:
        """A probe that tests a server."""
        return self._probe(Role.SERVER, slug, title, requirements, fields)

    def client(self, slug: str, title: str, *requirements: str, **fields: object) -> Probe:
        """A probe that tests a client."""
        return self._probe(Role.CLIENT, slug, title, requirements, fields)

    def both(self, slug: str, title: str, *requirements: str, **fields: object) -> tuple[Probe, Probe]:
        """The same conversation for either role."""
        return (self.server(slug, title, *requirements, **fields), self.client(slug, title, *requirements, **fields))

    def _probe(
        self, tests: Role, slug: str, title: str, requirements: tuple[str, ...], fields: dict[str, object]
    ) -> Probe:
        unknown = [id for id in requirements if id not in by_id()]
        if unknown or not requirements:
            raise ValueError(f"{slug}: no such requirement: {', '.join(unknown) or 'none given'}")
        id = f"{tests.value}/{self.name}/{slug}"
        made = Probe(id, title, tests, requirements, **fields)  # type: ignore[arg-type]
        return replace(made, needs=(*self.needs, *made.needs))

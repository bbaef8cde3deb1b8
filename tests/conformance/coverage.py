"""Which probes and tests answer for each requirement: ``python -m tests.conformance.coverage`` writes the page.

A requirement that can be observed has a probe for each role it applies to, or ``unprobed.toml`` says why not; what can
only be seen from inside has a test of tlsexit, or ``tests/catalogue/reasons.toml`` says why not.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.catalogue import ROOT, citations, reasons
from tlsexit.conformance.catalogue import Requirement, requirements, unprobed
from tlsexit.conformance.model import Probe
from tlsexit.conformance.probes import all_probes
from tlsexit.constants import Role

TARGET: Final = ROOT / "docs" / "conformance-coverage.md"

HEAD: Final = """\
# Requirements and their probes

Written by `python -m tests.conformance.coverage` from the probes and the tests; do not edit. *Implied* marks what the
RFC states as a plain fact. Where both roles have a probe of one name, `*` stands for the role. Tests are those of
tlsexit itself.

"""


def roles(item: Requirement) -> tuple[Role, ...]:
    """The roles that a requirement binds."""
    return {"client": (Role.CLIENT,), "server": (Role.SERVER,)}.get(item.applies_to, tuple(Role))


def probes_of(item: Requirement) -> dict[Role, list[Probe]]:
    """The probes of a requirement by the role they test."""
    found: dict[Role, list[Probe]] = {role: [] for role in Role}
    for probe in all_probes():
        if item.id in probe.requirements:
            found[probe.tests].append(probe)
    return found


def left_out(item: Requirement) -> list[str]:
    """What is missing for a requirement, in words; empty if nothing is."""
    if item.observable is None:
        answered = item.id in citations() or item.id in reasons() or any(probes_of(item).values())
        return [] if answered else ["neither test nor reason"]
    found, excused = probes_of(item), unprobed()
    if item.id in excused:
        return []
    if item.applies_to in ("client", "server") and any(found.values()):
        return []  # what binds one role may be seen in how the other takes its breach
    return [
        f"no probe for a {role.value}, and no reason"
        for role in roles(item)
        if not found[role] and f"{item.id} {role.value}" not in excused
    ]


def totals() -> str:
    """One paragraph with the numbers."""
    everything = requirements()
    observable = [item for item in everything if item.observable is not None]
    probed = [item for item in observable if any(probes_of(item).values())]
    inside = [item for item in everything if item.observable is None]
    tested = [item for item in inside if item.id in citations()]
    count = {role: sum(probe.tests is role for probe in all_probes()) for role in Role}
    return (
        f"{len(everything)} requirements. {len(observable)} can be observed: {len(probed)} have probes, "
        f"{len(observable) - len(probed)} a reason why not. {len(inside)} can only be seen from inside: {len(tested)} "
        f"have tests, {len(inside) - len(tested)} a reason why not. "
        f"{len(all_probes())} probes: {count[Role.SERVER]} of servers, {count[Role.CLIENT]} of clients.\n"
    )


def page() -> str:
    """The whole page."""
    parts = [HEAD, totals(), "\n## Without a probe\n\n"]
    parts += [f"- **{id}**: {reason}\n" for id, reason in unprobed().items()]
    rfc = ""
    for item in requirements():
        if item.rfc != rfc:
            rfc = item.rfc
            parts.append(f"\n## RFC {rfc}\n\n| requirement | level | probes | tests |\n|---|---|---|---|\n")
        parts.append(_row(item))
    return "".join(parts)


def _row(item: Requirement) -> str:
    level = f"{item.level} *implied*" if item.implied else item.level
    found = probes_of(item)
    names = {role: {probe.id.partition("/")[2] for probe in found[role]} for role in Role}
    both = names[Role.SERVER] & names[Role.CLIENT]
    shown = [f"\\*/{name}" for name in sorted(both)]
    shown += [f"{role.value}/{name}" for role in Role for name in sorted(names[role] - both)]
    if not shown:
        shown = ["none: see above" if item.observable else "not observable"]
    return f"| {item.id} | {level} | {'<br>'.join(shown)} | {len(citations().get(item.id, ()))} |\n"


def main() -> int:
    """Write the page; the result is the exit status, 1 if a requirement is left out."""
    TARGET.write_text(page(), encoding="utf-8")
    missing = {item.id: what for item in requirements() if (what := left_out(item))}
    for id, what in missing.items():
        print(f"{id}: {'; '.join(what)}", file=sys.stderr)
    print(f"{TARGET.relative_to(ROOT)}: {totals()}", end="")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

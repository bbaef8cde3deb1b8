"""Write ``docs/requirements.md``: ``python -m tests.catalogue``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.catalogue import ROOT, citations, reasons
from tlsexit.conformance.catalogue import Requirement, corrections, requirements

TARGET = ROOT / "docs" / "requirements.md"

HEAD = """\
# Requirements and their tests

Written by `python -m tests.catalogue` from `tlsexit/conformance/requirements.json` and from the ids that the tests
cite; do not edit. A citation means that the test fails if the requirement is broken. *Implied* marks what the RFC
states as a plain fact, not with must, should or may.

"""


def main() -> int:
    """Write the page; the result is the exit status, 1 if a requirement has neither test nor reason."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page(), encoding="utf-8")
    tested, excused = citations(), reasons()
    missing = [item.id for item in requirements() if item.id not in tested and item.id not in excused]
    for id in missing:
        print(f"{id}: neither test nor reason", file=sys.stderr)
    print(f"{TARGET.relative_to(ROOT)}: {totals()}")
    return 1 if missing else 0


def totals() -> str:
    """One sentence with the numbers."""
    tested, everything = citations(), requirements()
    covered = sum(item.id in tested for item in everything)
    functions = {test for tests in tested.values() for test in tests}
    return (
        f"{len(everything)} requirements: {covered} tested by {len(functions)} test functions, "
        f"{len(everything) - covered} with a reason why not."
    )


def page() -> str:
    """The whole page."""
    tested, excused = citations(), reasons()
    parts = [HEAD, totals() + "\n", _by_rfc(tested)]
    parts.append("\n## Without a test\n\n")
    parts += [f"- **{id}**: {reason}\n" for id, reason in excused.items()]
    parts.append("\n## Corrected in the list\n\n")
    parts += [f"- **{id}**: {text}\n" for id, text in corrections().items()]
    parts.append("\n## Requirement by requirement\n")
    rfc = ""
    for item in requirements():
        if item.rfc != rfc:
            rfc = item.rfc
            parts.append(f"\n### RFC {rfc}\n\n| requirement | level | statement | tests |\n|---|---|---|---|\n")
        parts.append(_row(item, tested.get(item.id, ()), excused.get(item.id)))
    return "".join(parts)


def _by_rfc(tested: dict[str, tuple[str, ...]]) -> str:
    lines = ["\n| RFC | requirements | tested | with a reason |\n|---|---|---|---|\n"]
    everything = requirements()
    for rfc in dict.fromkeys(item.rfc for item in everything):
        mine = [item.id for item in everything if item.rfc == rfc]
        covered = sum(id in tested for id in mine)
        lines.append(f"| {rfc} | {len(mine)} | {covered} | {len(mine) - covered} |\n")
    return "".join(lines)


def _row(item: Requirement, tests: tuple[str, ...], reason: str | None) -> str:
    level = f"{item.level} *implied*" if item.implied else item.level
    answer = "<br>".join(_link(test) for test in tests) or f"none: {reason}"
    statement = item.statement.replace("|", "\\|")
    return f"| {item.id} | {level} | {statement} | {answer} |\n"


def _link(test: str) -> str:
    file, name = test.split("::")
    return f"[{Path(file).relative_to('tests').as_posix()}](../{file})::{name}"


if __name__ == "__main__":
    sys.exit(main())

"""``docs/conformance-peers.md``: what the probes find out about other implementations, by section."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.catalogue import ROOT
from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.model import ATTACKS, SEVERITY, Verdict
from tlsexit.conformance.probes import all_probes
from tlsexit.conformance.results import Report, Result, read_report

TARGET: Final = ROOT / "docs" / "conformance-peers.md"
NOTES: Final = Path(__file__).parent / "findings.md"
"""What a person has to say about the findings; it stands in front of the tables."""

_JUDGED: Final = (Verdict.PASS, Verdict.WARNING, Verdict.FAIL, Verdict.FLAKY)


def write_page(folder: Path) -> int:
    """Write the page from the reports in ``folder``; returns the exit status."""
    reports: dict[tuple[str, str], list[Report]] = {}
    for file in sorted(folder.glob("*.json")):
        name, role, _ = file.stem.split(".")
        reports.setdefault((name, role), []).append(read_report(file.read_text(encoding="utf-8"), str(file)))
    if not reports:
        print(f"{folder}: no reports")
        return 1
    TARGET.write_text(page(reports), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(reports)} implementations by role")
    return 0


def page(reports: dict[tuple[str, str], list[Report]]) -> str:
    """Return the page."""
    parts = [NOTES.read_text(encoding="utf-8")]
    for role in ("server", "client"):
        mine = {name: merged(found) for (name, kind), found in reports.items() if kind == role}
        titles = {name: found[0].target for (name, kind), found in reports.items() if kind == role}
        if mine:
            parts.append(f"\n## {role.capitalize()}s by section\n\n{_table(mine, titles)}")
    parts.append("\n## Every finding\n\nWhat fails or is flaky, and what the target did instead.\n")
    for (name, role), found in reports.items():
        parts.append(_findings(name, role, found[0].target, merged(found).values()))
    return "".join(parts)


def merged(reports: Sequence[Report]) -> dict[str, Result]:
    """Return the result of each probe over all configurations: the first that says most against the target."""
    found: dict[str, Result] = {}
    today = {probe.id: probe.failing for probe in all_probes()}
    for report in reports:
        for result in report.results:
            if result.verdict is Verdict.FAIL and today.get(result.id) is Verdict.WARNING:
                result = replace(result, verdict=Verdict.WARNING)  # the level was corrected after the run
            before = found.get(result.id)
            if before is None or SEVERITY.index(result.verdict) < SEVERITY.index(before.verdict):
                found[result.id] = result
    return found


def _title(target: str) -> str:
    """The implementation's name and version, without the configuration."""
    name, _, rest = target.partition(",")
    return f"{name} {rest[rest.find('(') :]}" if "(" in rest else name


def _table(mine: dict[str, dict[str, Result]], titles: dict[str, str]) -> str:
    sections = list(dict.fromkeys(_section(item) for found in mine.values() for item in found.values()))
    heads = [_title(titles[name]).partition(" (")[0] for name in mine]
    lines = [f"| section | {' | '.join(heads)} |\n|---|{'---|' * len(mine)}\n"]
    for section in sections:
        cells = [_cell([item for item in found.values() if _section(item) == section]) for found in mine.values()]
        if set(cells) != {"n/a"}:
            lines.append(f"| {section} | {' | '.join(cells)} |\n")
    cells = [_cell(list(found.values())) for found in mine.values()]
    lines.append(f"| **all** | {' | '.join(f'**{cell}**' for cell in cells)} |\n")
    return "".join(lines)


def _section(item: Result) -> str:
    """The group a reader looks for: two levels of RFC 2246, other RFCs whole."""
    if item.group == ATTACKS:
        return "attacks"
    entry = by_id()[item.requirements[0]]
    if entry.rfc != "2246":
        return f"RFC {entry.rfc}"
    parts = entry.section.split(".")
    return f"§{'.'.join(parts[:2])}" if parts[0].isdigit() else f"appendix {parts[0]}"


def _cell(results: Iterable[Result]) -> str:
    """Passes, and behind them warnings and failures where there are any."""
    counted = {verdict: sum(item.verdict is verdict for item in results) for verdict in _JUDGED}
    if not any(counted.values()):
        return "n/a"
    bad = counted[Verdict.FAIL] + counted[Verdict.FLAKY]
    text = str(counted[Verdict.PASS])
    text += f" +{counted[Verdict.WARNING]}w" if counted[Verdict.WARNING] else ""
    return text + (f" **{bad}f**".replace("**", "") if bad else "")


def _findings(name: str, role: str, target: str, results: Iterable[Result]) -> str:
    bad = [item for item in results if item.verdict.bad]
    warned = sum(item.verdict is Verdict.WARNING for item in results)
    head = f"\n### {_title(target)}, {role}\n\n"
    if not bad:
        return head + f"Nothing fails; {warned} warnings.\n"
    rows = "".join(f"| `{item.id}` | {item.title} | {_clean(item.reason)} |\n" for item in bad)
    return head + f"{warned} warnings besides.\n\n| probe | about | what came |\n|---|---|---|\n{rows}"


def _clean(reason: str) -> str:
    return reason.partition(", where ")[0].replace("|", "\\|")

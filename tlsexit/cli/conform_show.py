"""What ``tlsexit conform`` shows on a terminal: progress, the table of verdicts, and findings with their ladders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.compare import Change, Kind
from tlsexit.conformance.model import Verdict, worst
from tlsexit.conformance.results import Report, Result, rung

STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.WARNING: "yellow",
    Verdict.FLAKY: "magenta",
    Verdict.INCONCLUSIVE: "blue",
    Verdict.NOT_APPLICABLE: "dim",
}

_HEADS: Final = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.WARNING: "warn",
    Verdict.FLAKY: "flaky",
    Verdict.INCONCLUSIVE: "incon.",
    Verdict.NOT_APPLICABLE: "n/a",
}


class Bar:
    """A progress bar on standard error; nothing where there is no terminal."""

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("asking what the target can do", total=total)
        self._bad = 0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def advance(self, result: Result) -> None:
        """Count one result."""
        self._bad += result.verdict.bad
        failed = f", [red]{self._bad} failed[/red]" if self._bad else ""
        self._progress.update(self._task, advance=1, description=f"§{result.group}{failed}")


def print_summary(out: Console, report: Report) -> None:
    """Print the table: a row for each group, a column for each verdict."""
    shown = [verdict for verdict in Verdict if report.count(verdict)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("section")
    for verdict in shown:
        table.add_column(Text(_HEADS[verdict], STYLES[verdict]), justify="right")
    for name, results in report.groups():
        overall = worst(item.verdict for item in results)
        cells = [_count(results, verdict) for verdict in shown]
        table.add_row(Text(name if not name[0].isdigit() else f"§{name}", STYLES[overall]), *cells)
    table.add_row()
    table.add_row(Text("all", "bold"), *(_count(report.results, verdict) for verdict in shown))
    out.print(table)


def _count(results: Iterable[Result], verdict: Verdict) -> Text:
    number = sum(item.verdict is verdict for item in results)
    return Text(str(number), STYLES[verdict]) if number else Text("·", "dim")


def print_findings(out: Console, report: Report, *, everything: bool = False, ladders: bool = False) -> None:
    """Print each finding that is not a plain pass; with ``everything`` the others too."""
    quiet = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    for result in report.results:
        if result.verdict in quiet and not result.unexpected_pass and not everything:
            continue
        print_result(out, result)
        if ladders:
            for number, rows in enumerate(result.connections, 1):
                if len(result.connections) > 1:
                    out.print(Text(f"    connection {number}", "dim"))
                for line in ladder_lines(rows):
                    out.print(Text("    ") + line)


def print_result(out: Console, result: Result) -> None:
    """Print one finding: the verdict and the probe, the reason, and what it is about."""
    head = Text(f"{_HEADS[result.verdict]:7}", STYLES[result.verdict])
    head.append(result.id, "bold")
    head.append(f"  {result.title}", "")
    out.print(head)
    if result.reason:
        out.print(Text(f"       {result.reason}"))
    if result.unexpected_pass:
        out.print(Text("       passes although it is listed as an expected failure", "yellow"))
    elif result.expected is not None:
        out.print(Text(f"       expected: {result.expected}", "dim"))
    if result.verdict.bad or result.verdict is Verdict.WARNING:
        if result.meaning:
            out.print(Text(f"       {result.meaning}", "italic"))
        for id in result.requirements:
            item = by_id()[id]
            out.print(Text(f"       {item.id} ({item.title}, {item.level}): {item.statement}", "dim"))


def ladder_lines(rows: Sequence[dict[str, Any]], width: int = 72) -> Iterable[Text]:
    """Return a ladder of a kept conversation: an arrow for each message, ``!`` where the probe departs from honesty."""
    yield Text("client" + "server".rjust(width - 6), "dim")
    for row in rows:
        stroke, label, shaft = rung(row, width)
        style = "bold red" if row["name"] == "Alert" else "bold green" if row["protected"] else "bold"
        if row["from"] == "client":
            yield Text.assemble(("├" + stroke, "dim"), (label, style), (shaft + "▶│", "dim"))
        else:
            yield Text.assemble(("│◀" + shaft, "dim"), (label, style), (stroke + "┤", "dim"))


def print_changes(out: Console, changes: Sequence[Change]) -> None:
    """Print what has changed between two runs."""
    styles = {Kind.WORSE: "bold red", Kind.BETTER: "green", Kind.NEW: "cyan", Kind.GONE: "dim", Kind.OTHER: "blue"}
    for change in changes:
        out.print(Text(str(change), styles[change.kind]))
    if not changes:
        out.print("nothing has changed")

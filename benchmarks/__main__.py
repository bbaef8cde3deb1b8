"""Everything at once: ``python -m benchmarks``; tables, a JSON file and two charts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import breakdown, compare, compare_codecs, cores, exits, growth, memory, startup
from benchmarks.contenders.base import Handshake, KeyExchange
from benchmarks.curve import Curve
from benchmarks.growth import server, sizes
from benchmarks.progress import steps
from benchmarks.table import show

BREAKDOWNS = {
    "RSA": Handshake(),
    "RSA, mutual": Handshake(mutual=True),
    "ECDHE": Handshake(KeyExchange.ECDHE),
    "resumption": Handshake(resumed=True),
}

SETTLED = {"byte": 1000, "certificate": 4, "connection": 1000}
"""From which size on a cost per unit should be flat, by what is counted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure everything that was asked for, print, write and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of half an hour, rougher figures")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder for JSON and charts")
    options = parser.parse_args(arguments)
    wanted = options.parts or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no part {min(unknown)!r}; there are {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    environment = compare.environment()
    for name, value in environment.items():
        print(f"{name:>10}  {value}")
    found: dict[str, Any] = {"environment": environment}
    for part in wanted:
        found[part] = PARTS[part](options.quick, options.out)
        (options.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"written: {', '.join(str(path) for path in sorted(options.out.iterdir()))}")


def _ratios(quick: bool, out: Path) -> Any:
    results = compare.with_progress(
        compare.run_rows(compare.ROWS, 7 if quick else 21, 0.04 if quick else 0.15, tlslite=not quick), compare.ROWS
    )
    compare.show_results(results)
    _draw(lambda charts: charts.draw_ratios(results, out / "ratios.svg"))
    return compare.as_json(results)["rows"]


def _codecs(quick: bool, out: Path) -> Any:
    lines = list(steps("codecs", compare_codecs.lines(7 if quick else 31), compare_codecs.COUNT))
    compare_codecs.show_lines(lines)
    return lines


def _memory(quick: bool, out: Path) -> Any:
    sizes, ratio = memory.measure(2 if quick else 5)
    line = (*(f"{size / 1024:.1f}" for size in sizes.values()), f"{ratio.median:.2f}", f"≤ {memory.TARGET}")
    caption = f"growth of a process over {memory.PAIRS} pairs of ends"
    show(("KiB per idle connection, both ends", *sizes, "÷ openssl", "target"), [("", *line)], caption)
    return {"bytes": sizes, "ratio": ratio.median}


def _imports(quick: bool, out: Path) -> Any:
    times = startup.measure(5 if quick else 21)
    base = next(iter(times.values()))
    lines = [(name, f"{value:.1f}", f"{value / base:.2f}") for name, value in times.items()]
    show(("import", "ms of CPU", "÷ first"), lines, f"target of tlsexit: ≤ {startup.TARGET}")
    return times


def _exits(quick: bool, out: Path) -> Any:
    cost = exits.measure(7 if quick else 31)
    show(("exit round trip", "µs of CPU", "target"), [("beyond the method", f"{cost:.2f}", f"< {exits.TARGET:.0f}")])
    return cost


def _growth(quick: bool, out: Path) -> Any:
    curves = list(steps("growth", chain(server.curves(quick=quick), sizes.curves(quick=quick)), growth.COUNT))
    for curve in curves:
        _show_curve(curve)
    _draw(lambda charts: charts.draw_growth(curves, out / "growth.svg"))
    return [asdict(curve) for curve in curves]


def _show_curve(curve: Curve) -> None:
    lines = [(f"{size:,} {curve.unit}{'s' if size > 1 else ''}", f"{cost:,.1f}") for size, cost in curve.points]
    settled = SETTLED[curve.unit]
    caption = f"from {settled:,} on × {curve.steepness(settled):.2f}; flat or falling: linear in total"
    show((curve.title, f"{curve.cost} per {curve.unit}"), lines, caption)


def _cores(quick: bool, out: Path) -> Any:
    rates = list(cores.measure(1.0 if quick else 5.0))
    lines = [(str(count), f"{wall:,.0f}", f"{cpu:,.0f}", f"{cpu / rates[0][2]:.2f}") for count, wall, cpu in rates]
    show(("task processes", "handshakes/s", "per second of CPU of each, summed", "× one process"), lines)
    return rates


def _breakdown(quick: bool, out: Path) -> Any:
    measured = steps("breakdown", _breakdowns(3 if quick else 15), len(BREAKDOWNS))
    found = dict(measured)
    parts = list(next(iter(found.values())))
    lines = [(part, *(f"{times[part]:,.0f}" for times in found.values())) for part in parts]
    lines.append(("together", *(f"{sum(times.values()):,.0f}" for times in found.values())))
    show(("µs of CPU per handshake, both ends", *found), lines)
    return found


def _breakdowns(seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    for title, kind in BREAKDOWNS.items():
        yield title, breakdown.measure(kind, seconds)


def _draw(work: Callable[[Any], None]) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("no chart: it takes matplotlib, of the bench extra")
        return
    from benchmarks import charts

    work(charts)


PARTS: dict[str, Callable[[bool, Path], Any]] = {
    "ratios": _ratios,
    "codecs": _codecs,
    "memory": _memory,
    "imports": _imports,
    "exits": _exits,
    "growth": _growth,
    "cores": _cores,
    "breakdown": _breakdown,
}


if __name__ == "__main__":
    main()

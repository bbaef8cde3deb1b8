"""Charts of what was measured: the ratios to OpenSSL, and the growth curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.compare import OPENSSL, Result
from benchmarks.curve import Curve

_WITHIN, _BEYOND = "#3a7d44", "#c8762b"


def draw_ratios(results: Sequence[Result], path: Path) -> None:
    """Draw a bar for each row, ours ÷ OpenSSL's, its quartiles and its target."""
    from matplotlib.figure import Figure

    rows = [(result, ratio) for result in results if (ratio := result.ratio(OPENSSL)) is not None][::-1]
    figure = Figure(figsize=(9, 0.5 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for number, (result, ratio) in enumerate(rows):
        target = result.row.target
        missed = target is not None and ratio.median > target
        axes.barh(number, ratio.median, color=_BEYOND if missed else _WITHIN, height=0.6)
        axes.plot((ratio.low, ratio.high), (number, number), color="black", linewidth=1)
        if target is not None:
            axes.plot((target, target), (number - 0.4, number + 0.4), color="black", linewidth=2.5)
    axes.set_yticks(range(len(rows)), [result.row.title for result, _ in rows])
    axes.axvline(1, color="gray", linewidth=0.8, linestyle="--")
    axes.set_xlabel("CPU time, tlsexit ÷ OpenSSL: lower is better; thick mark: target, thin line: quartiles")
    figure.savefig(path)


def draw_growth(curves: Sequence[Curve], path: Path) -> None:
    """Draw each curve: cost per unit by number of units, both axes logarithmic."""
    from matplotlib.figure import Figure

    columns = 3
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 3 * lines), layout="constrained")
    for number, curve in enumerate(curves, 1):
        axes = figure.add_subplot(lines, columns, number)
        sizes, costs = zip(*curve.points, strict=True)
        axes.plot(sizes, costs, marker="o", color=_WITHIN)
        axes.set(
            xscale="log", yscale="log", title=curve.title, xlabel=f"{curve.unit}s", ylabel=f"{curve.cost} per unit"
        )
        axes.title.set_fontsize(9)
        if max(costs) < 10 * min(costs):
            middle = sum(costs) / len(costs)
            axes.set_ylim(middle / 10, middle * 10)  # or noise looks like growth
    figure.savefig(path)

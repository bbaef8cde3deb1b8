"""Each grammar beside hand-written ``struct`` code and stock construct: ``python -m benchmarks.compare_codecs``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.baselines import by_hand, stock
from benchmarks.contenders.base import Unit
from benchmarks.measure import Samples, interleave, ratio
from benchmarks.progress import steps
from benchmarks.samples import SAMPLES, Sample, reading_anew
from benchmarks.table import show
from tlsexit.wire import build, parse

WAYS = ("grammar", "by hand", "construct")


def parsers(sample: Sample) -> dict[str, Callable[[bytes], Any]]:
    """Return what parses the sample, by way."""
    return {
        "grammar": partial(parse, sample.grammar),
        "by hand": by_hand.PARSERS[sample.name],
        "construct": stock.GRAMMARS[sample.name].parse,
    }


def builders(sample: Sample) -> dict[str, Callable[[Any], bytes]]:
    """Return what builds the sample, by way; construct builds from :func:`benchmarks.baselines.stock.plain`."""
    return {
        "grammar": partial(build, sample.grammar),
        "by hand": by_hand.BUILDERS[sample.name],
        "construct": stock.GRAMMARS[sample.name].build,
    }


def unit(function: Callable[[Any], Any], argument: Any) -> Unit:
    """Return one call as a unit of work."""

    def call() -> None:
        function(argument)

    return call


def cells(title: str, samples: dict[str, Samples]) -> tuple[str, ...]:
    """Return one line of the table."""
    ours, hand, construct = (samples[way] for way in WAYS)
    return (
        title,
        *(f"{item.median * 1e6:.2f}" for item in (ours, hand, construct)),
        f"{ratio(ours, hand).median:.2f}",
        f"{ratio(construct, ours).median:.1f}",
    )


COUNT = 2 * len(SAMPLES)


def lines(rounds: int) -> Iterator[tuple[str, ...]]:
    """Measure and yield the lines of the table."""
    for verb, ways in (("parse", parsers), ("build", builders)):
        for sample in SAMPLES:
            values = dict.fromkeys(WAYS, sample.wire if verb == "parse" else sample.value)
            if verb == "build":
                values["construct"] = stock.plain(sample.value)
            units = {way: unit(function, values[way]) for way, function in ways(sample).items()}
            with reading_anew():
                measured = interleave(units, rounds, 0.004)
            yield cells(f"{verb} {sample.name}", measured)


def show_lines(found: Sequence[tuple[str, ...]]) -> None:
    """Print the table."""
    show(
        ("structure", *WAYS, "grammar ÷ by hand", "construct ÷ grammar"),
        found,
        caption="µs of CPU; targets: within 3 of hand-written code, 6 times as fast as construct",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare_codecs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    show_lines(list(steps("codecs", lines(parser.parse_args(arguments).rounds), COUNT)))


if __name__ == "__main__":
    main()

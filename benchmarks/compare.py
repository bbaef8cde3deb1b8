"""tlsexit beside OpenSSL (through :mod:`ssl`) and tlslite-ng: ``python -m benchmarks.compare``.

The method and its reasons are in README.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).parents[1]))

from cryptography.hazmat.backends.openssl import backend

from benchmarks.contenders.base import Contender, Handshake, KeyExchange, Transfer, Unit
from benchmarks.contenders.openssl import OpenSsl
from benchmarks.contenders.ours import Tlsexit
from benchmarks.measure import Ratio, Samples, interleave, ratio
from benchmarks.table import show

OURS: Final = "tlsexit"
OPENSSL: Final = "openssl"
TLSLITE: Final = "tlslite-ng"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work, and the ratio to OpenSSL that is aimed at."""

    title: str
    work: Handshake | Transfer
    target: float | None
    cold: bool = False
    """Whether tlsexit forgets, before each handshake, all certificates it has seen."""


ROWS: Final = (
    Row("full handshake, RSA 2048", Handshake(), 1.0),
    Row("full handshake, RSA 2048, mutual", Handshake(mutual=True), 1.0),
    Row("full handshake, ECDHE-RSA (secp256r1)", Handshake(KeyExchange.ECDHE), 1.1),
    Row("full handshake, DHE-RSA (ffdhe2048)", Handshake(KeyExchange.DHE), 1.1),
    Row("resumption by session id", Handshake(resumed=True), 1.0),
    Row("one way, 1 MiB writes", Transfer(2**20), 1.0),
    Row("one way, 16 KiB writes", Transfer(2**14), 1.1),
    Row("one way, 64-byte writes", Transfer(64), 1.5),
    Row("full handshake, RSA 2048, certificates never seen", Handshake(), None, cold=True),
    Row("the same, mutual", Handshake(mutual=True), None, cold=True),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one row gave, by contender's name."""

    row: Row
    samples: dict[str, Samples]
    carried: dict[str, int]

    def ratio(self, other: str) -> Ratio | None:
        """Ours ÷ theirs; None if the other did not take part."""
        return ratio(self.samples[OURS], self.samples[other]) if other in self.samples else None


def contenders(row: Row, *, tlslite: bool) -> dict[str, Contender]:
    """Return the contenders of a row by name."""
    found: dict[str, Contender] = {OURS: Tlsexit(remembering=not row.cold), OPENSSL: OpenSsl()}
    if tlslite and not row.cold:
        try:
            from benchmarks.contenders.tlslite import TlsliteNg
        except ImportError:
            pass  # it is in the `bench` extra; the comparison that matters needs only the standard library
        else:
            found[TLSLITE] = TlsliteNg()
    return found


def prepare(contender: Contender, work: Handshake | Transfer) -> Unit:
    """Return one unit of the work, ready to run."""
    return contender.handshake(work) if isinstance(work, Handshake) else contender.transfer(work)


def run_row(row: Row, rounds: int, seconds: float, tlslite: bool) -> Result:
    """Measure one row, all contenders in turn in this process."""
    taking_part = contenders(row, tlslite=tlslite)
    units = {name: prepare(contender, row.work) for name, contender in taking_part.items()}
    samples = interleave(units, rounds, seconds)
    return Result(row, samples, {name: contender.carried for name, contender in taking_part.items()})


def environment() -> dict[str, str]:
    """What the figures depend on."""
    versions = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {processor()}",
        "python": platform.python_version(),
        OURS: f"{Tlsexit().version} over {backend.openssl_version_text()}",
        OPENSSL: OpenSsl.version,
    }
    other = contenders(ROWS[0], tlslite=True).get(TLSLITE)
    return versions if other is None else {**versions, TLSLITE: other.version}


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything measured; times are in seconds of CPU per unit, ratios are ours ÷ theirs."""
    return {
        "environment": environment(),
        "rows": [
            {
                "title": result.row.title,
                "target": result.row.target,
                "contenders": {
                    name: {
                        "median": samples.median,
                        "samples": list(samples.by_round.values()),
                        "batch": samples.batch,
                        "bytes_on_the_wire": result.carried[name],
                    }
                    for name, samples in result.samples.items()
                },
                "ratios": {
                    name: {"median": found.median, "quartiles": [found.low, found.high]}
                    for name in result.samples
                    if name != OURS and (found := result.ratio(name)) is not None
                },
            }
            for result in results
        ],
    }


HEADINGS: Final = ("work", "tlsexit", OPENSSL, TLSLITE, "÷ openssl", "(quartiles)", "target", "÷ tlslite-ng")


def cells(result: Result) -> tuple[str, ...]:
    """Return one line of the table."""
    times = [_microseconds(result.samples.get(name)) for name in (OURS, OPENSSL, TLSLITE)]
    openssl, tlslite = result.ratio(OPENSSL), result.ratio(TLSLITE)
    assert openssl is not None
    target = "" if result.row.target is None else f"≤ {result.row.target}"
    return (
        result.row.title,
        *times,
        f"{openssl.median:.2f}",
        f"{openssl.low:.2f}–{openssl.high:.2f}",
        target,
        "" if tlslite is None else f"1/{1 / tlslite.median:,.0f}",
    )


def _microseconds(samples: Samples | None) -> str:
    if samples is None:
        return ""
    value = samples.median * 1e6
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def show_results(results: Sequence[Result]) -> None:
    """Print the table; rows that miss their target are marked."""
    missed = [
        number
        for number, result in enumerate(results)
        if result.row.target is not None and (found := result.ratio(OPENSSL)) and found.median > result.row.target
    ]
    caption = "µs of CPU per unit, both ends; ratio = ours ÷ theirs, lower is better"
    show(HEADINGS, [cells(result) for result in results], caption, missed)


def run_rows(rows: Sequence[Row], rounds: int, seconds: float, tlslite: bool) -> Iterator[Result]:
    """Measure each row in a fresh process: large writes leave the memory allocator in a state that favours the next."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        for row in rows:
            yield pool.submit(run_row, row, rounds, seconds, tlslite).result()


def with_progress(results: Iterator[Result], rows: Sequence[Row]) -> list[Result]:
    """Return all results, with a bar meanwhile if rich is there and this is a terminal."""
    try:
        from rich.progress import Progress
    except ImportError:
        return list(results)
    found = []
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=len(rows))
        for row in rows:
            bar.update(task, description=row.title)
            found.append(next(results))
            bar.advance(task)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: half a minute, rougher figures")
    parser.add_argument("--rounds", type=int, help="rounds per row (default: 21, quick: 7)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows with TEXT in their title")
    parser.add_argument("--no-tlslite", action="store_true", help="leave out tlslite-ng, which takes most of the time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    options = parser.parse_args(arguments)
    rounds = options.rounds or (7 if options.quick else 21)
    seconds = 0.04 if options.quick else 0.15
    rows = [row for row in ROWS if options.only.lower() in row.title.lower()]
    if not rows:
        parser.error(f"no row has {options.only!r} in its title; there are: {', '.join(row.title for row in ROWS)}")
    tlslite = not options.no_tlslite
    for name, value in environment().items():
        print(f"{name:>10}  {value}")
    results = with_progress(run_rows(rows, rounds, seconds, tlslite), rows)
    show_results(results)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(results), indent=1) + "\n")


if __name__ == "__main__":
    main()

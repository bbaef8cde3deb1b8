"""Long runs against tlsexit itself: ``python -m tests.fuzzing.soak inputs|conversations [--count N] [--seed N]``.

``inputs`` feeds every parser, and the readers of records and of handshake messages, with legal texts that have been
damaged at random; ``conversations`` holds whole conversations with an engine in both roles. Both fail on an exception
that is not documented, on an input that takes longer than 2 s, and on memory that keeps growing. The same seed makes
the same inputs.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tlsexit.conformance.engine import CONFIGURATIONS, EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import ContentType
from tlsexit.fuzzing import STRUCTURES, Structure, entry, from_grammar
from tlsexit.fuzzing.campaign import Budget, Campaign
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.targets import abilities
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.records.framing import RECORD_HEADER
from tlsexit.wire import build

LIMIT: Final = 2.0
"""Seconds that one input may take."""

GROWTH: Final = 64
"""MiB by which the process may grow once it has warmed up."""

_SPECIMENS: Final = 40
_ROUND: Final = 10_000
_LONGEST: Final = 4096
"""Bytes of the longest text that is damaged: longer ones show no more, and take their time."""


def specimens(structure: Structure) -> list[bytes]:
    """Return legal texts of a structure, the same every time."""
    texts: list[bytes] = []

    @seed(0)
    @settings(
        max_examples=_SPECIMENS,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(from_grammar(structure.grammar))
    def collect(value: object) -> None:
        text = build(structure.grammar, value)
        if len(text) <= _LONGEST:
            texts.append(text)

    collect()
    return texts


def damaged(source: random.Random, texts: list[bytes]) -> bytes:
    """Return one of the texts with one to three things wrong with it."""
    text = bytearray(source.choice(texts))
    for _ in range(source.randrange(1, 4)):
        place = source.randrange(len(text) + 1)
        match source.randrange(6):
            case 0 if text:
                text[place - 1] ^= 1 << source.randrange(8)
            case 1 if text:
                text[place - 1] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del text[place:]
            case 3:
                del text[place : place + source.randrange(1, 5)]
            case 4:
                text[place:place] = source.randbytes(source.randrange(1, 5))
            case _:
                text[place:] = source.choice(texts)[source.randrange(len(text) + 1) :]
    return bytes(text)


Parser = Callable[[bytes], bool]
"""Takes any bytes; returns whether they were taken as something legal, and raises only for a bug."""


def parsers() -> Iterator[tuple[str, Parser, list[bytes]]]:
    """Yield everything that reads what a peer sends, with legal texts for it."""
    messages = []
    for structure in STRUCTURES:
        texts = specimens(structure)
        yield structure.name, partial(entry.structure, structure.grammar), texts
        messages += [
            bytes([kind]) + len(text).to_bytes(3, "big") + text
            for kind, (_, grammar) in GRAMMARS.items()
            if grammar is structure.grammar
            for text in texts
        ]
    yield "handshake messages", entry.handshake, messages
    headed = [RECORD_HEADER.pack(ContentType.HANDSHAKE, 0x0301, len(text)) + text for text in messages]
    yield "records", entry.record, headed


@dataclass
class Watch:
    """What a long run has taken."""

    slowest: float = 0.0
    grown: float = 0.0
    _first: int = field(default_factory=lambda: _peak())

    def settle(self) -> None:
        """Call what has been used so far the start."""
        self._first = _peak()

    def look(self) -> None:
        """Raise AssertionError if it was too much."""
        self.grown = (_peak() - self._first) / 1024
        assert self.slowest < LIMIT, f"an input took {self.slowest:.1f} s"
        assert self.grown < GROWTH, f"grown by {self.grown:.0f} MiB"


def _peak() -> int:
    """Return the most memory this process has held, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def inputs(count: int, number: int) -> Watch:
    """Feed ``count`` inputs, the same share to every parser; raises whatever a parser raises."""
    watch = Watch()
    every = list(parsers())
    share = -(-count // len(every))
    watch.settle()
    for place, (name, parser, texts) in enumerate(every):
        source = random.Random(number * len(every) + place)
        taken = done = 0
        start = time.process_time()
        while done < share:
            for _ in range(min(_ROUND, share - done)):
                data = damaged(source, texts)
                began = time.thread_time()
                try:
                    taken += parser(data)
                except Exception:
                    print(f"{name}: {data.hex()}", file=sys.stderr)
                    raise
                watch.slowest = max(watch.slowest, time.thread_time() - began)
                done += 1
            watch.look()
        seconds = time.process_time() - start
        print(f"{name:40}{done:10} inputs {taken / done:7.0%} legal {done / seconds:10.0f} a second", flush=True)
    return watch


def conversations(count: int, number: int) -> Watch:
    """Hold ``count`` conversations, the same share in every configuration; a finding is an AssertionError."""
    watch = Watch()
    names = [name for name in CONFIGURATIONS if name.split("-")[-1] not in ("closing", "hello")]
    found: list[str] = []
    for name in names:
        target = EngineTarget(name)
        terms = Terms(workshop().shown_by(target.tests.peer))
        budget = Budget(seconds=None, examples=-(-count // len(names)))
        campaign = Campaign(target.lane(), name, abilities(target, workshop()), terms, budget, number=number)
        report = campaign.run()
        found += [f"{name}: {item.finding}\n{item.script}" for item in report.discoveries]
        watch.slowest = max(watch.slowest, report.slowest)
        watch.look()
        print(f"{name:40}{report.conversations:10} conversations in {report.seconds:.0f} s", flush=True)
    assert not found, "\n".join(["", *found])
    return watch


KINDS: Final = {"inputs": (inputs, 10_000_000), "conversations": (conversations, 100_000)}


def main() -> None:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzzing.soak", description=__doc__)
    options.add_argument("kind", choices=KINDS)
    options.add_argument("--count", type=int)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    run, usual = KINDS[given.kind]
    watch = run(given.count or usual, given.seed)
    print(f"the slowest took {watch.slowest * 1000:.1f} ms; the process grew by {watch.grown:.1f} MiB")


if __name__ == "__main__":
    main()

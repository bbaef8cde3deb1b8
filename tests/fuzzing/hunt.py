"""Which seeded faults the fuzzer finds, and with how much: ``python -m tests.fuzzing.hunt`` prints the table."""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache
from itertools import islice

from tests import faults
from tests.faults import FAULTS, Fault
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.departures import Plan, sweep
from tlsexit.fuzzing.findings import Finding
from tlsexit.fuzzing.plans import Abilities, plans
from tlsexit.fuzzing.play import play, rehearse
from tlsexit.fuzzing.script import Script

ENOUGH = 1_500
"""Conversations after which a fault counts as missed."""

SUITES = {
    "server-everything": (0x002F, 0x0005, 0x0033, 0xC013),
    "client-everything": (0x002F, 0x0005, 0x0033, 0xC013),
    "server-mutual": (0x002F, 0x0033),
    "client": (0x002F, 0x0033, 0xC013),
}


@dataclass(frozen=True)
class Hunted:
    """How a hunt ended; ``seconds`` are those of one core, making the faulty copy included."""

    fault: Fault
    conversations: int
    seconds: float
    finding: Finding | None


@cache
def prepared(configuration: str) -> tuple[Script, ...]:
    """The first scripts of a sweep against the healthy engine in a configuration."""
    target = EngineTarget(configuration)
    lane, terms = target.lane(), Terms(workshop().shown_by(target.tests.peer))
    found = Abilities(target.tests, SUITES[configuration], tickets=True, renegotiates=True)
    good = []
    for script in plans(found):
        rehearsal = rehearse(lane, script, terms)
        if rehearsal.works:
            good.append(Plan.of(rehearsal))
    return tuple(islice(sweep(tuple(good)), ENOUGH))


def hunt(fault: Fault) -> Hunted:
    """Play scripts against a copy of the engine with the fault until one shows something."""
    scripts = prepared(fault.configuration)
    start = time.process_time()
    lane = faults.target(fault).lane()
    terms = Terms(workshop().shown_by(Role.SERVER if fault.configuration.startswith("client") else Role.CLIENT))
    for number, script in enumerate(scripts, 1):
        findings = play(lane, script, terms).findings
        if findings:
            return Hunted(fault, number, time.process_time() - start, findings[0])
    return Hunted(fault, len(scripts), time.process_time() - start, None)


def main() -> int:
    """Hunt every fault, or those named, and print how it went; the exit status is the number of those missed."""
    warnings.simplefilter("ignore")
    hunted = []
    for name in sys.argv[1:] or FAULTS:
        hunted.append(hunt(FAULTS[name]))
        one = hunted[-1]
        print(f"{one.fault.name:40}{one.conversations:6}{one.seconds:8.2f} s  {one.finding or 'MISSED'}", flush=True)
    missed = [one for one in hunted if one.finding is None]
    total = sum(one.seconds for one in hunted)
    print(f"{len(hunted) - len(missed)} of {len(hunted)} found in {total:.1f} s of one core")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())

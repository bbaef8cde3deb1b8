"""The fuzzer finds the seeded faults, and none in the healthy engine (see test_conversation)."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, Fault
from tests.fuzzing.hunt import ENOUGH, hunt, prepared
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.fuzzing.conversation import Terms
from tlsexit.fuzzing.play import play

CONFIGURATIONS = sorted({fault.configuration for fault in FAULTS.values()})


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=str)
def test_the_fault_is_found(fault: Fault) -> None:
    hunted = hunt(fault)
    assert hunted.finding is not None, f"{fault.title}: not within {ENOUGH} conversations"


@pytest.mark.slow
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_same_conversations_find_nothing_in_the_healthy_engine(configuration: str) -> None:
    target = EngineTarget(configuration)
    lane, terms = target.lane(), Terms(workshop().shown_by(target.tests.peer))
    found = [(script, finding) for script in prepared(configuration) for finding in play(lane, script, terms).findings]
    assert not found

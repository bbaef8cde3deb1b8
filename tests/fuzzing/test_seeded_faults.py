"""The fuzzer finds every seeded fault, and none in the healthy engine (see test_conversation)."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, Fault
from tests.fuzzing.hunt import ENOUGH, hunt


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=str)
def test_the_fault_is_found(fault: Fault) -> None:
    hunted = hunt(fault)
    assert hunted.finding is not None, f"{fault.title}: not within {ENOUGH} conversations"

"""The fuzzer finds the seeded faults, and none in the healthy engine (see test_conversation).

Those in ``BEYOND`` are not reached by the first conversations of a sweep; the probes of ``tlsexit.conformance`` find
them (tests/conformance/test_faults.py).
"""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, Fault
from tests.fuzzing.hunt import ENOUGH, hunt

BEYOND = {
    "dh-public-range-not-checked",
    "extended-master-secret-dropped",
    "premaster-oracle",  # on a busy machine
    "resumed-with-another-suite",
    "server-key-exchange-optional",
    "session-without-its-suite",
    "suite-not-offered",
    "unbounded-message",
    "undocumented-exception",
}


def marked(fault: Fault) -> object:
    """The fault as a parameter."""
    if fault.name not in BEYOND:
        return fault
    reason = f"not within {ENOUGH} conversations; probes find it"
    return pytest.param(fault, marks=pytest.mark.xfail(reason=reason, strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("fault", [marked(fault) for fault in FAULTS.values()], ids=str)
def test_the_fault_is_found(fault: Fault) -> None:
    hunted = hunt(fault)
    assert hunted.finding is not None, f"{fault.title}: not within {ENOUGH} conversations"

"""Every seeded fault is found by a probe of the section that the fault breaks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests import faults
from tests.conformance.test_runner import terms
from tests.faults import FAULTS, Fault
from tlsexit.conformance.discovery import NotConforming, discover
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.model import Probe, Reading, Verdict
from tlsexit.conformance.needs import Capabilities
from tlsexit.conformance.probes import all_probes
from tlsexit.conformance.runner import Options, Runner


def suspects(fault: Fault) -> list[Probe]:
    """The probes of the requirements that the fault breaks, and behind them the others of the same sections."""
    wanted = set(fault.requirements)
    sections = {id.rpartition("-")[0] for id in fault.requirements}
    mine = [probe for probe in all_probes() if wanted & set(probe.requirements)]
    near = [probe for probe in all_probes() if any(id.rpartition("-")[0] in sections for id in probe.requirements)]
    return [replace(probe, opt_in=False) for probe in dict.fromkeys((*mine, *near))]


@cache
def healthy(configuration: str) -> Capabilities:
    """What the engine without a fault can do."""
    target = EngineTarget(configuration)
    return discover(target, terms(target.tests))


def findings(fault: Fault) -> dict[str, str]:
    """What speaks against the faulty engine, by probe."""
    # what it can do is what the healthy engine can do: a fault may spoil the discovery itself
    role = EngineTarget(fault.configuration).tests
    known = healthy(fault.configuration)
    found: dict[str, str] = {}
    try:
        discover(faults.target(fault), terms(role))
    except NotConforming as error:
        return {"discovery": str(error)}
    for reading in Reading:
        target = faults.target(fault)
        runner = Runner(target, known, terms(role, reading=reading), Options(jobs=1, tries=1), lambda _: None)
        for probe in sorted(suspects(fault), key=lambda item: item.survey):
            if probe.tests is role and not found:
                result = runner.one(probe) if not probe.survey else runner.result(probe)
                if result.verdict in (Verdict.FAIL, Verdict.WARNING, Verdict.FLAKY):
                    found[probe.id] = result.reason
        runner.close()
    return found


@pytest.mark.parametrize("fault", FAULTS.values(), ids=str)
def test_is_found(fault: Fault) -> None:
    """The healthy engine passes the same probes, as test_probes.py shows."""
    assert findings(fault), f"no probe of {', '.join(fault.requirements)} sees it"

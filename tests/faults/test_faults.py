"""The seeded faults fit the source they are seeded in, change nothing outside their copy, and are many enough."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import pytest

from tests import faults
from tests.faults import FAULTS, DoesNotApply, Edit, Fault
from tlsexit import connection as healthy
from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.engine import CONFIGURATIONS, EngineTarget
from tlsexit.conformance.honest import honest
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.puppet import EngineTransport, Puppet

every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=str)

FAILS_HONEST_PEERS = {
    "sequence-number-not-reset",
    "record-type-not-authenticated",
    "transcript-without-certificate-verify",
}
"""Faults that no honest peer can overlook."""


def handshake(target: EngineTarget) -> Puppet:
    """An honest handshake with a target of either role."""
    role = target.configuration.role
    mine = Role.SERVER if role.value == "client" else Role.CLIENT
    transport = target.lane().open()
    puppet = Puppet(mine, transport, (0x002F,), credentials=workshop().shown_by(mine))
    return puppet.play(honest(mine))


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 25
    assert {CONFIGURATIONS[fault.configuration].role for fault in FAULTS.values()} == set(Role)


@every_fault
def test_its_requirements_are_in_the_catalogue(fault: Fault) -> None:
    assert fault.requirements
    assert set(fault.requirements) <= by_id().keys()


@every_fault
def test_the_copy_runs_and_differs(fault: Fault) -> None:
    before = set(sys.modules)
    copy = faults.load(fault)
    assert copy.__name__ != "tlsexit"
    engine = importlib.import_module(f"{copy.__name__}.connection")
    assert engine.Connection is not healthy.Connection
    for edit in fault.edits:
        edited = importlib.import_module(f"{copy.__name__}.{edit.module}")
        assert edited is not importlib.import_module(f"tlsexit.{edit.module}")
    assert not any("tlsexit." in name and name.startswith("tests.") for name in set(sys.modules) - before)
    puppet = handshake(faults.target(fault))
    assert puppet.established is (fault.name not in FAILS_HONEST_PEERS), puppet.reaction


def test_the_healthy_engine_is_untouched() -> None:
    for fault in FAULTS.values():
        faults.load(fault)
    for name in CONFIGURATIONS:
        if name != "client-v2-hello":
            assert handshake(EngineTarget(name)).established, name


def test_an_edit_that_does_not_fit_is_an_error() -> None:
    fault = FAULTS["mac-not-checked"]
    for number, old in enumerate(("no such line", "self")):
        moved = replace(fault, name=f"moved-{number}", edits=(Edit("records.protection", old, "x"),))
        with pytest.raises(DoesNotApply, match="moved"):
            faults.load(moved)


def test_modules_that_the_edit_cannot_reach_are_shared() -> None:
    copy = faults.load(FAULTS["close-notify-not-answered"])
    shared = importlib.import_module(f"{copy.__name__}.constants")
    assert shared is sys.modules["tlsexit.constants"]
    assert isinstance(handshake(EngineTarget("server")).transport, EngineTransport)

"""The state machines: nothing to complain about in the healthy engine, and a fault found."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import faults
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing.conversation import Conversation, Terms
from tlsexit.fuzzing.findings import Flaw
from tlsexit.fuzzing.machines import Violation, client_machine, server_machine
from tlsexit.fuzzing.play import play
from tlsexit.fuzzing.script import Move

QUICK = settings(
    max_examples=15,
    stateful_step_count=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)


def test_a_client_against_the_server() -> None:
    target = EngineTarget("server-everything")
    machine = client_machine(target.lane, suites=(0x002F, 0xC013), terms=Terms(workshop().clients))
    run_state_machine_as_test(machine, settings=QUICK)


def test_a_server_against_the_client() -> None:
    target = EngineTarget("client-everything")
    machine = server_machine(target.lane, suites=(0x002F, 0x0033), terms=Terms(workshop().servers))
    run_state_machine_as_test(machine, settings=QUICK)


def test_a_violation_can_be_played_again() -> None:
    target = faults.target(faults.FAULTS["data-before-finished"])
    terms = Terms(workshop().clients)
    machine = client_machine(target.lane, terms=terms)()
    machine.conversation = Conversation(target.lane(), machine.script, terms)
    machine.go_on(0)
    machine.finish()
    machine.teardown()
    again = client_machine(target.lane, terms=terms)()
    again.conversation = Conversation(target.lane(), again.script, terms)
    again.go_on(0)
    again._make(Move("data", data=b"early"))
    with pytest.raises(Violation) as caught:
        again.teardown()
    assert {item.flaw for item in caught.value.findings} & {Flaw.EARLY_DATA, Flaw.IGNORED, Flaw.ACCEPTED}
    assert "Script(" in str(caught.value)
    played = play(target.lane(), caught.value.script, terms)
    assert {item.flaw for item in played.findings} == {item.flaw for item in caught.value.findings}


def test_a_machine_needs_suites() -> None:
    with pytest.raises(ValueError, match="suites"):
        client_machine(EngineTarget("server").lane, suites=(0x1301,))
    assert server_machine(EngineTarget("client").lane).role is Role.SERVER

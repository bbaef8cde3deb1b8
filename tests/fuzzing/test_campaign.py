"""A run finds, and does not fall over what a target does only sometimes."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import pytest
from hypothesis import strategies as st

from tests import faults
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing import campaign as module
from tlsexit.fuzzing.campaign import Budget, Campaign
from tlsexit.fuzzing.conversation import Lane, Terms
from tlsexit.fuzzing.mutation import Kind, Mutation
from tlsexit.fuzzing.plans import Abilities, full
from tlsexit.fuzzing.script import Leg
from tlsexit.puppet import Transport

FAULT = faults.FAULTS["finished-not-compared"]
ABILITIES = Abilities(Role.SERVER, (0x002F,))


HONEST = full(Role.CLIENT, 0x002F)
MOVES = tuple(
    replace(move, mutation=Mutation(Kind.FLIPPED, "Finished.verify_data")) if move.say == "finished" else move
    for move in HONEST.legs[0].moves
)
WRONG = replace(HONEST, legs=(Leg(MOVES),))


@pytest.fixture(autouse=True)
def _nothing_but_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sweep: what is found has been drawn by Hypothesis, often enough."""
    monkeypatch.setattr(module, "sweep", lambda plans: ())
    monkeypatch.setattr(module, "scripts", lambda plans: st.sampled_from([HONEST, WRONG]))


def found(lane: Lane) -> set[str]:
    campaign = Campaign(lane, "target", ABILITIES, Terms(workshop().clients), Budget(None, 60))
    return {discovery.finding.requirements[0] for discovery in campaign.run().discoveries}


def test_drawn_conversations_find() -> None:
    assert "R2246-7.4.9-03" in found(faults.target(FAULT).lane())


class Fickle:
    """Two targets that take turns."""

    def __init__(self, *lanes: Lane) -> None:
        self._lanes = cycle(lanes)

    def open(self) -> Transport:
        return next(self._lanes).open()


def test_what_does_not_repeat_itself_is_found_all_the_same() -> None:
    healthy = EngineTarget(FAULT.configuration).lane()
    assert "R2246-7.4.9-03" in found(Fickle(faults.target(FAULT).lane(), healthy))

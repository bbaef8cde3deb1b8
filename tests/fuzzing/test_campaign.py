"""A run finds, and does not fall over what a target does only sometimes."""

from __future__ import annotations

from itertools import cycle

import pytest

from tests import faults
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.pki import workshop
from tlsexit.constants import Role
from tlsexit.fuzzing import campaign as module
from tlsexit.fuzzing.campaign import Budget, Campaign
from tlsexit.fuzzing.conversation import Lane, Terms
from tlsexit.fuzzing.plans import Abilities
from tlsexit.puppet import Transport

FAULT = faults.FAULTS["finished-not-compared"]
ABILITIES = Abilities(Role.SERVER, (0x002F,))


@pytest.fixture(autouse=True)
def _nothing_but_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sweep: what is found has been drawn by Hypothesis."""
    monkeypatch.setattr(module, "sweep", lambda plans: ())


def found(lane: Lane) -> set[str]:
    campaign = Campaign(lane, "target", ABILITIES, Terms(workshop().clients), Budget(None, 1_500))
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

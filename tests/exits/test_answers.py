"""Handled, NotHandled, Failed, and the reasons that are recognised."""

from __future__ import annotations

import pytest

from tlsexit.exits.answers import REFUSAL_ALERTS, Failed, Handled, ReturnCode, is_recognised
from tlsexit.exits.phases import ExitPhase

# the list in the manual of the exit
DOCUMENTED = {40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 71, 80, 90}


def test_the_recognised_reasons() -> None:
    assert set(map(int, REFUSAL_ALERTS)) == DOCUMENTED


@pytest.mark.parametrize("reason", sorted(DOCUMENTED))
@pytest.mark.parametrize("phase", ExitPhase)
def test_recognised_in_every_phase(phase: ExitPhase, reason: int) -> None:
    assert is_recognised(phase, reason)


@pytest.mark.parametrize("reason", [-1, 0, 10, 20, 41, 70, 86, 100, 110, 256, None, "48", 48.5, [48]])
def test_not_recognised(reason: object) -> None:
    assert not is_recognised(ExitPhase.CHECK_CERTIFICATE, reason)


def test_alerts_that_later_rfcs_made_for_a_phase() -> None:
    """RFC 4279 §2 and RFC 6066 §8: each in its own phase only."""
    assert is_recognised(ExitPhase.GET_PRE_SHARED_KEY, 115)
    assert not is_recognised(ExitPhase.CHECK_CERTIFICATE, 115)
    assert is_recognised(ExitPhase.CHECK_CERTIFICATE, 113)
    assert not is_recognised(ExitPhase.GET_CERTIFICATE, 113)


def test_values_are_not_shown() -> None:
    """What is handled may be a private key, what is behind a failure may hold one."""
    assert "secret" not in repr(Handled("secret"))
    assert "secret" not in repr(Failed(80, ValueError("secret")))


def test_return_codes() -> None:
    assert (ReturnCode.HANDLED, ReturnCode.NOT_HANDLED, ReturnCode.ERROR) == (0, 1, -1)

"""How soon tasks that keep dying are replaced."""

from __future__ import annotations

from tests.tasks.test_placement import Clock
from tlsexit.tasks.backoff import LONGEST_DELAY, MAX_FAILED_STARTS, STEADY, Backoff


def delays(backoff: Backoff, clock: Clock, number: int) -> list[float]:
    """The waits after so many failures that come one after the other, each as soon as it may."""
    waits = []
    for _ in range(number):
        wait = backoff.failed(had_started=True) - clock.now
        waits.append(wait)
        clock.now += wait
    return waits


def test_the_first_are_replaced_at_once_and_the_others_ever_later() -> None:
    clock = Clock()
    waits = delays(Backoff(clock, burst=3), clock, 40)
    assert waits[:10] == [0, 0, 0, 0.5, 1, 2, 4, 8, 16, 30]
    assert set(waits[10:]) == {LONGEST_DELAY}


def test_a_quiet_time_makes_up_for_everything() -> None:
    clock = Clock()
    backoff = Backoff(clock, burst=1)
    assert delays(backoff, clock, 3) == [0, 0.5, 1]
    clock.now += STEADY
    assert delays(backoff, clock, 2) == [0, 0.5]
    clock.now += STEADY - 1
    assert delays(backoff, clock, 1) == [1]


def test_starts_that_never_succeed_end_the_patience() -> None:
    clock = Clock()
    backoff = Backoff(clock, burst=1)
    for _ in range(MAX_FAILED_STARTS - 1):
        backoff.failed(had_started=False)
        assert not backoff.exhausted
    backoff.started()
    for _ in range(2 * MAX_FAILED_STARTS):
        # tasks that did start only make the delays longer
        backoff.failed(had_started=True)
    for _ in range(MAX_FAILED_STARTS):
        assert not backoff.exhausted
        backoff.failed(had_started=False)
    assert backoff.exhausted

"""The placement of sessions: one rule after the other, then all of them against a model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tlsexit.alerts import LocalError
from tlsexit.tasks.placement import PERMANENT, Limits, Placed, Placement


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def placement(clock: Clock | None = None, **limits: int) -> Placement:
    return Placement(Limits(**limits), clock or Clock())


def tasks(policy: Placement, sessions: int) -> list[int | None]:
    """Where so many sessions go, one after the other."""
    placed = [policy.place() for _ in range(sessions)]
    return [None if item is None else item.task for item in placed]


def moment(policy: Placement) -> float | None:
    """When something changes next."""
    return policy.next_change


# ------------------------------------------------------------------------------------------------ limits


def test_the_defaults_are_the_product_s() -> None:
    assert Limits() == Limits(8, 3, 1441)


@pytest.mark.parametrize(
    ("name", "values"), [("max_tasks", (1, 64)), ("sessions_per_task", (1, 1000)), ("idle_minutes", (1, 1441))]
)
def test_limits_have_ranges(name: str, values: tuple[int, int]) -> None:
    lowest, highest = values
    for value in values:
        assert getattr(Limits(**{name: value}), name) == value
    wrong: list[Any] = [lowest - 1, highest + 1, True, 2.0, "3", None]
    for value in wrong:
        with pytest.raises(LocalError, match=f"{name} is a number from {lowest} to {highest}, not "):
            Limits(**{name: value})


# ------------------------------------------------------------------------------------------------ placing


def test_a_task_is_filled_before_the_next_is_created() -> None:
    policy = placement(max_tasks=8, sessions_per_task=3)
    assert [policy.place() for _ in range(4)] == [
        Placed(1, created=True),
        Placed(1, created=False),
        Placed(1, created=False),
        Placed(2, created=True),
    ]


def test_the_oldest_task_with_room_is_taken() -> None:
    policy = placement(sessions_per_task=2)
    assert tasks(policy, 5) == [1, 1, 2, 2, 3]
    policy.release(2)
    policy.release(1)
    assert tasks(policy, 4) == [1, 2, 3, 4]


def test_at_the_maximum_sessions_spread_evenly() -> None:
    policy = placement(max_tasks=3, sessions_per_task=2)
    assert tasks(policy, 6) == [1, 1, 2, 2, 3, 3]
    assert tasks(policy, 7) == [1, 2, 3, 1, 2, 3, 1]
    policy.release(3)
    policy.release(3)
    assert tasks(policy, 3) == [3, 3, 2]


def test_a_task_that_is_gone_makes_room_for_another() -> None:
    """Its sessions went with it, and its reference does not come back."""
    policy = placement(max_tasks=2, sessions_per_task=1)
    assert tasks(policy, 4) == [1, 2, 1, 2]
    policy.remove(1)
    assert policy.create() == 3
    assert tasks(policy, 1) == [3]
    assert policy.sessions == {2: 2, 3: 1}


def test_a_task_is_created_ahead_of_its_sessions() -> None:
    policy = placement(max_tasks=1)
    assert policy.create() == 1
    assert policy.create() is None
    assert policy.place() == Placed(1, created=False)


def test_a_task_that_is_shut_gets_nothing_and_counts_until_it_is_gone() -> None:
    policy = placement(max_tasks=2, sessions_per_task=1)
    assert tasks(policy, 2) == [1, 2]
    policy.shut(1)
    assert tasks(policy, 2) == [2, 2]
    policy.shut(2)
    assert policy.place() is None
    policy.remove(1)
    assert policy.place() == Placed(3, created=True)


def test_a_hold_puts_off_new_tasks() -> None:
    clock = Clock()
    policy = placement(clock, sessions_per_task=1)
    assert tasks(policy, 1) == [1]
    policy.hold(clock.now + 5)
    policy.hold(clock.now + 2)
    assert moment(policy) == clock.now + 5
    clock.now += 4.5
    assert tasks(policy, 1) == [1]
    policy.remove(1)
    assert policy.place() is None
    clock.now += 0.5
    assert moment(policy) is None
    assert tasks(policy, 1) == [2]


# ------------------------------------------------------------------------------------------------ idle tasks


def test_an_idle_task_is_shut_exactly_in_time() -> None:
    clock = Clock()
    policy = placement(clock, sessions_per_task=1, idle_minutes=2)
    assert tasks(policy, 2) == [1, 2]
    assert moment(policy) is None
    clock.now += 1000
    policy.release(1)
    assert moment(policy) == clock.now + 120
    clock.now += 119.5
    assert policy.shut_idle() == ()
    clock.now += 0.5
    assert policy.shut_idle() == (1,)
    assert policy.shut_idle() == ()
    assert policy.sessions == {1: 0, 2: 1}


def test_a_session_ends_the_idle_time() -> None:
    clock = Clock()
    policy = placement(clock, idle_minutes=1)
    assert policy.create() == 1
    clock.now += 59
    assert tasks(policy, 1) == [1]
    clock.now += 59
    policy.release(1)
    clock.now += 59
    assert policy.shut_idle() == ()
    clock.now += 1
    assert policy.shut_idle() == (1,)


def test_permanent_tasks_are_never_shut() -> None:
    clock = Clock()
    policy = placement(clock, idle_minutes=PERMANENT)
    assert policy.create() == 1
    clock.now += 1e9
    assert policy.shut_idle() == ()
    assert moment(policy) is None


# ------------------------------------------------------------------------------------------------ misuse


def test_what_cannot_have_happened_is_refused() -> None:
    policy = placement()
    for act in (policy.release, policy.remove, policy.shut):
        with pytest.raises(LocalError, match="there is no task 1"):
            act(1)
    policy.create()
    with pytest.raises(LocalError, match="task 1 has no session"):
        policy.release(1)


# ------------------------------------------------------------------------------------------------ all together


class PlacementMachine(RuleBasedStateMachine):
    """Anything may happen in any order; the model keeps the sessions of each task and since when it has none."""

    @initialize(
        max_tasks=st.integers(1, 4),
        sessions_per_task=st.integers(1, 4),
        idle_minutes=st.sampled_from([1, 2, 3, PERMANENT]),
    )
    def begin(self, max_tasks: int, sessions_per_task: int, idle_minutes: int) -> None:
        self.clock = Clock()
        self.limits = Limits(max_tasks, sessions_per_task, idle_minutes)
        self.policy = Placement(self.limits, self.clock)
        self.sessions: dict[int, int] = {}
        self.idle_since: dict[int, float] = {}
        self.shut: set[int] = set()
        self.known: set[int] = set()
        self.held_until = 0.0

    def open_tasks(self) -> dict[int, int]:
        return {task: sessions for task, sessions in self.sessions.items() if task not in self.shut}

    def may_create(self) -> bool:
        return len(self.sessions) < self.limits.max_tasks and self.clock.now >= self.held_until

    def learn(self, task: int) -> None:
        assert task not in self.known, "references are unique"
        self.known.add(task)
        self.sessions[task] = 0
        self.idle_since[task] = self.clock.now

    @rule()
    def place(self) -> None:
        before = self.open_tasks()
        room = [task for task, sessions in before.items() if sessions < self.limits.sessions_per_task]
        may_create = self.may_create()
        placed = self.policy.place()
        if placed is None:
            assert not before
            assert not may_create
            return
        if placed.created:
            assert not room, "never a new task while one has room"
            assert may_create
            self.learn(placed.task)
        elif room:
            assert placed.task in room
        else:
            assert not may_create
            assert before[placed.task] == min(before.values()), "spread evenly"
        self.sessions[placed.task] += 1

    @rule(extra=st.integers(1, 20))
    def burst(self, extra: int) -> None:
        """Sessions that come without any going: once all are full, no two tasks differ by more than one."""
        highest = max(self.sessions.values(), default=0)
        for _ in range(extra):
            self.place()
        loads = list(self.open_tasks().values())
        if loads and min(loads) >= max(highest, self.limits.sessions_per_task):
            assert max(loads) - min(loads) <= 1

    @rule()
    def create(self) -> None:
        may_create = self.may_create()
        task = self.policy.create()
        assert (task is not None) is may_create
        if task is not None:
            self.learn(task)

    @precondition(lambda self: any(self.sessions.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from([task for task, sessions in self.sessions.items() if sessions]))
        self.policy.release(task)
        self.sessions[task] -= 1
        if not self.sessions[task]:
            self.idle_since[task] = self.clock.now

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.sessions)))
        self.policy.remove(task)
        del self.sessions[task]
        self.shut.discard(task)

    @precondition(lambda self: self.open_tasks())
    @rule(data=st.data())
    def shut_one(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.open_tasks())))
        self.policy.shut(task)
        self.shut.add(task)

    @rule(seconds=st.sampled_from([0.0, 0.5, 30.0, 59.5, 60.0, 120.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def wait_for_the_next_change(self) -> None:
        moment = self.policy.next_change
        if moment is not None:
            self.clock.now = max(self.clock.now, moment)

    @rule(seconds=st.sampled_from([0.5, 40.0]))
    def hold(self, seconds: float) -> None:
        self.policy.hold(self.clock.now + seconds)
        self.held_until = max(self.held_until, self.clock.now + seconds)

    @rule()
    def shut_idle(self) -> None:
        patience = 60.0 * self.limits.idle_minutes
        due = {
            task
            for task, sessions in self.open_tasks().items()
            if not sessions
            and self.clock.now - self.idle_since[task] >= patience
            and self.limits.idle_minutes != PERMANENT
        }
        assert set(self.policy.shut_idle()) == due
        self.shut |= due

    @invariant()
    def the_numbers_agree(self) -> None:
        assert dict(self.policy.sessions) == self.sessions
        assert len(self.sessions) <= self.limits.max_tasks, "never above the maximum"


TestPlacement = PlacementMachine.TestCase
TestPlacement.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

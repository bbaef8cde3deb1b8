"""What tests of session stores share: a key, a clock, and an ear for failures."""

from __future__ import annotations

from typing import Any

from tests.support.sessions import old_session
from tlsexit.session import Session

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))

START = 1_700_000_000.0


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Failures(list[tuple[str, Exception]]):
    """What a store has reported through ``on_error``."""

    def __call__(self, operation: str, error: Exception) -> None:
        self.append((operation, error))

    @property
    def operations(self) -> list[str]:
        """What was being tried."""
        return [operation for operation, _ in self]


def session(clock: Clock, number: int = 0, **fields: Any) -> Session:
    """A session of this moment with an id of its own."""
    return old_session(**{"session_id": number.to_bytes(32, "big"), "created": clock.now, **fields})

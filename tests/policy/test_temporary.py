"""Temporary RSA keys that serve several handshakes, but not for long (RFC 2246 appendix D.1)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tlsexit.alerts import LocalError
from tlsexit.policy.temporary import TemporaryRSAKeys


def keys(**bounds: float) -> tuple[TemporaryRSAKeys, list[float]]:
    """Keys that go by the clock that comes with them."""
    now = [1000.0]
    return TemporaryRSAKeys(os.urandom, lambda: now[0], **bounds), now  # type: ignore[arg-type]


def test_a_key_serves_several_handshakes() -> None:
    """R2246-D.1-01: "it is acceptable to use the same temporary key for multiple transactions", but not for many."""
    key, _ = keys(uses=3)
    served = [key() for _ in range(7)]
    assert [served.count(item) for item in dict.fromkeys(served)] == [3, 3, 1]


@pytest.mark.parametrize(("seconds", "same"), [(3599, True), (3600, False), (-1, False)])
def test_a_key_serves_for_a_while(seconds: int, same: bool) -> None:
    key, now = keys()
    first = key()
    now[0] += seconds
    assert (key() is first) is same


@pytest.mark.parametrize("bounds", [{"uses": 0}, {"uses": 501}, {"lifetime": 0}, {"lifetime": 86_401}])
def test_bounds_of_the_rfc(bounds: dict[str, int]) -> None:
    """Appendix D.1: "changed daily or every 500 transactions"."""
    keys(uses=500, lifetime=86_400)
    with pytest.raises(LocalError, match="1 to 500 handshakes"):
        keys(**bounds)


def test_threads_share_a_key() -> None:
    """None of them is handed out once too often."""
    key, _ = keys(uses=5)
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda _: key(), range(40)))
    assert max(served.count(item) for item in served) == 5

"""Sessions and the store in memory (RFC 2246 §7.3, appendix F.1.4)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.session import MemorySessionStore, Session


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def session(name: bytes, created: float = 1000.0) -> Session:
    return Session(name, 0x0301, 0x002F, b"the master secret of 48 bytes, more or less.....", created)


def test_what_is_put_is_found() -> None:
    store = MemorySessionStore(Clock())
    store.put(session(b"one"))
    assert store.get(b"one") == session(b"one")
    assert store.get(b"two") is None
    assert len(store) == 1


def test_removing() -> None:
    """R2246-7.2-03: forgotten at once; an unknown id is no error."""
    store = MemorySessionStore(Clock())
    store.put(session(b"one"))
    store.remove(b"one")
    store.remove(b"one")
    assert store.get(b"one") is None
    assert len(store) == 0


@pytest.mark.parametrize(("age", "alive"), [(0, True), (59.9, True), (60, False), (61, False), (-0.1, False)])
def test_lifetime(age: float, alive: bool) -> None:
    """R2246-F.1.4-02: an entry that is too old, or from the future, is dropped when it is looked for."""
    clock = Clock()
    store = MemorySessionStore(clock, lifetime=60)
    store.put(session(b"one"))
    clock.now += age
    assert (store.get(b"one") is not None) is alive
    assert len(store) == alive


def test_the_default_lifetime() -> None:
    """R2246-F.1.4-02: 24 hours."""
    clock = Clock()
    store = MemorySessionStore(clock)
    store.put(session(b"one"))
    clock.now += 24 * 3600 - 1
    assert store.get(b"one") is not None
    clock.now += 1
    assert store.get(b"one") is None


def test_the_session_not_used_for_longest_goes_first() -> None:
    store = MemorySessionStore(Clock(), capacity=2)
    for name in (b"one", b"two"):
        store.put(session(name))
    store.get(b"one")
    store.put(session(b"three"))
    assert [store.get(name) is not None for name in (b"one", b"two", b"three")] == [True, False, True]


def test_putting_again_replaces() -> None:
    store = MemorySessionStore(Clock(), capacity=2)
    store.put(session(b"one"))
    store.put(replace(session(b"one"), cipher_suite=0x0035))
    assert len(store) == 1
    found = store.get(b"one")
    assert found is not None
    assert found.cipher_suite == 0x0035


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "remove"]), st.integers(0, 9))), st.integers(1, 4))
def test_never_more_than_its_capacity(steps: list[tuple[str, int]], capacity: int) -> None:
    """And always the ones used last."""
    store = MemorySessionStore(Clock(), capacity=capacity)
    recent: list[bytes] = []
    for step, number in steps:
        name = b"%d" % number
        if step == "put":
            store.put(session(name))
            recent = [*(item for item in recent if item != name), name][-capacity:]
        elif step == "get":
            assert (store.get(name) is not None) is (name in recent)
            if name in recent:
                recent = [*(item for item in recent if item != name), name]
        else:
            store.remove(name)
            recent = [item for item in recent if item != name]
        assert len(store) == len(recent) <= capacity


def test_secrets_are_not_shown() -> None:
    """R2246-F.1.4-03: neither the master secret nor a ticket gets into a log by way of repr."""
    shown = repr(replace(session(b"one"), ticket=b"the ticket"))
    assert "the master secret" not in shown
    assert "the ticket" not in shown

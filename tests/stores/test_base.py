"""What every store does, whatever it keeps its sessions in."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from typing import Any, ClassVar

import pytest

from tests.support.stores import KEY, OTHER_KEY, Clock, Failures, session
from tlsexit.alerts import LocalError
from tlsexit.stores import SealedSessionStore
from tlsexit.stores.base import log_error
from tlsexit.stores.sealing import SealingKey

MakeStore = Callable[..., SealedSessionStore]


def test_what_is_put_is_got(make_store: MakeStore, clock: Clock) -> None:
    """Every field of it, from another instance too, and again and again."""
    kept = session(clock, server_name="localhost", peer_chain=(b"leaf", b"root"), authentication="B")
    store = make_store()
    assert store.get(kept.session_id) is None
    store.put(kept)
    for instance in (store, store, make_store()):
        assert instance.get(kept.session_id) == kept


def test_put_replaces(make_store: MakeStore, clock: Clock) -> None:
    store, first = make_store(), session(clock)
    store.put(first)
    second = replace(first, master_secret=bytes(48))
    store.put(second)
    assert store.get(first.session_id) == second


def test_remove(make_store: MakeStore, clock: Clock) -> None:
    """R2246-7.2-03, for all who share the store; an unknown id is no error."""
    store, kept = make_store(), session(clock)
    store.put(kept)
    make_store().remove(kept.session_id)
    assert store.get(kept.session_id) is None
    store.remove(kept.session_id)


@pytest.mark.parametrize("session_id", [b"", b"\0", bytes(32), b"%s'\"; --\r\n*", bytes(range(32)), b"x" * 300])
def test_any_id_may_be_asked_for(session_id: bytes, make_store: MakeStore) -> None:
    """Clients make them up."""
    assert make_store().get(session_id) is None
    make_store().remove(session_id)


def test_ids_are_bytes(make_store: MakeStore, clock: Clock) -> None:
    store = make_store()
    ids = [b"", b"\0", b"\0\0", b"a", b"A", bytes(32), b"'%s", b"\xff\xfe"]
    kept = [session(clock, session_id=item, cipher_suite=number) for number, item in enumerate(ids)]
    for item in kept:
        store.put(item)
    assert [store.get(item.session_id) for item in kept] == kept


@pytest.mark.parametrize(
    ("age", "found"), [(0, True), (99, True), (100, False), (1e6, False), (-60, True), (-61, False)]
)
def test_lifetime(age: float, found: bool, make_store: MakeStore, clock: Clock) -> None:
    """R2246-F.1.4-02; the clocks of those who share a store may differ a little."""
    store, kept = make_store(lifetime=100.0), session(clock)
    store.put(kept)
    clock.now += age
    assert (store.get(kept.session_id) is not None) is found
    if not found:
        # gone for good, not just out of sight
        clock.now = kept.created
        assert store.get(kept.session_id) is None


def test_a_dead_session_is_not_kept(make_store: MakeStore, clock: Clock) -> None:
    store, kept = make_store(lifetime=100.0), session(clock)
    clock.now += 100
    store.put(kept)
    clock.now -= 50
    assert store.get(kept.session_id) is None


def test_another_key(make_store: MakeStore, clock: Clock) -> None:
    """It opens nothing, and does no harm either: while keys are being changed both are in use."""
    kept = session(clock)
    make_store().put(kept)
    assert make_store(OTHER_KEY).get(kept.session_id) is None
    assert make_store().get(kept.session_id) == kept


def test_a_change_of_keys(make_store: MakeStore, clock: Clock) -> None:
    """Old sessions open, new ones are sealed with the new key alone."""
    old, new = session(clock, 1), session(clock, 2)
    make_store().put(old)
    changed = make_store(OTHER_KEY, old_keys=[KEY])
    changed.put(new)
    assert changed.get(old.session_id) == old
    assert make_store(OTHER_KEY).get(new.session_id) == new
    assert make_store().get(new.session_id) is None


def test_contexts_do_not_mix(make_store: MakeStore, clock: Clock) -> None:
    """A session brings back who the client was. Asking in the wrong place finds nothing, and spoils nothing."""
    kept = session(clock)
    make_store(context=b"staff").put(kept)
    for context in (b"guests", b"", b"staff!"):
        assert make_store(context=context).get(kept.session_id) is None
    assert make_store(context=b"staff").get(kept.session_id) == kept


def test_threads(make_store: MakeStore, clock: Clock) -> None:
    """One store may serve them all."""
    store = make_store(timeout=20.0)
    lost = []

    def work(number: int) -> None:
        for step in range(25):
            kept = session(clock, 1000 * number + step)
            store.put(kept)
            if store.get(kept.session_id) != kept:
                lost.append(kept)
            store.remove(kept.session_id)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_forks(make_store: MakeStore, clock: Clock) -> None:
    """Parent and child go on with the same store, each seeing what the other keeps."""
    store = make_store(timeout=20.0)
    mine, theirs = session(clock, 1), session(clock, 2)
    store.put(mine)
    child = os.fork()
    if child == 0:
        try:
            store.put(theirs)
            os._exit(0 if store.get(mine.session_id) == mine else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert store.get(theirs.session_id) == theirs
    assert store.get(mine.session_id) == mine


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32])
def test_keys_that_are_none(key: bytes, make_store: MakeStore) -> None:
    """CVE-2020-13777's lesson holds for stores too."""
    with pytest.raises(LocalError):
        make_store(key)
    with pytest.raises(LocalError):
        make_store(KEY, old_keys=[key])


@pytest.mark.parametrize("elements", [{"lifetime": 0.0}, {"lifetime": -1.0}], ids=str)
def test_elements_that_make_no_sense(elements: dict[str, float], make_store: MakeStore) -> None:
    with pytest.raises(LocalError):
        make_store(**elements)


# ------------------------------------------------------------------------------------------------ spoilt contents


class Dictionary(SealedSessionStore):
    """A store whose backend is laid open to the test."""

    ERRORS: ClassVar[tuple[type[Exception], ...]] = (OSError,)

    def __init__(self, clock: Clock, failures: Failures, **elements: Any) -> None:
        defaults = {"old_keys": (), "context": b"", "lifetime": 86_400.0}
        super().__init__(**{"key": KEY, "clock": clock, "on_error": failures, **defaults, **elements})
        self.kept: dict[bytes, object] = {}
        self.broken = False

    def close(self) -> None:
        self.broken = True

    def _load(self, session_id: bytes) -> object:
        self._fail()
        return self.kept.get(session_id)

    def _save(self, session_id: bytes, sealed: bytes, expires: float) -> None:
        self._fail()
        self.kept[session_id] = sealed

    def _delete(self, session_id: bytes) -> None:
        self._fail()
        self.kept.pop(session_id, None)

    def _fail(self) -> None:
        if self.broken:
            raise OSError("no")


@pytest.fixture
def dictionary(clock: Clock, failures: Failures) -> Dictionary:
    return Dictionary(clock, failures)


def test_the_backend_sees_ciphertext(dictionary: Dictionary, clock: Clock) -> None:
    """Neither the master secret nor who the peer was."""
    kept = session(clock, server_name="secret.example", peer_chain=(b"certificate",))
    dictionary.put(kept)
    (sealed,) = dictionary.kept.values()
    assert isinstance(sealed, bytes)
    for hidden in (kept.master_secret, b"secret.example", b"certificate"):
        assert hidden not in sealed


@pytest.mark.parametrize("position", range(16, 200, 7))
def test_a_spoilt_session_is_removed(position: int, dictionary: Dictionary, clock: Clock) -> None:
    kept = session(clock)
    dictionary.put(kept)
    sealed = bytearray(dictionary.kept[kept.session_id])  # type: ignore[call-overload]
    sealed[min(position, len(sealed) - 1)] ^= 1
    dictionary.kept[kept.session_id] = bytes(sealed)
    assert dictionary.get(kept.session_id) is None
    assert dictionary.kept == {}


@pytest.mark.parametrize("content", [b"", b"short", 12, "text", 1.5])
def test_what_was_never_a_session_is_removed(content: object, dictionary: Dictionary) -> None:
    dictionary.kept[b"id"] = content
    assert dictionary.get(b"id") is None
    assert dictionary.kept == {}


def test_a_session_of_another_version_of_this_package(dictionary: Dictionary) -> None:
    """Rightly sealed, but not to be decoded: removed."""
    sealed = SealingKey(KEY).seal(b"\xff of the future", b"tlsexit session\0%d\0%b" % (2, b"id"), os.urandom)
    dictionary.kept[b"id"] = sealed
    assert dictionary.get(b"id") is None
    assert dictionary.kept == {}


def test_sessions_cannot_be_swapped(dictionary: Dictionary, clock: Clock) -> None:
    """Whoever can write to the backend cannot pass one client's session off as another's."""
    one, other = session(clock, 1), session(clock, 2)
    dictionary.put(one)
    dictionary.kept = {other.session_id: dictionary.kept[one.session_id]}
    assert dictionary.get(other.session_id) is None


def test_expiry_is_not_the_backends_to_say(dictionary: Dictionary, clock: Clock) -> None:
    """The age that counts is sealed with the session."""
    kept = session(clock)
    dictionary.put(kept)
    clock.now += 86_400
    assert dictionary.get(kept.session_id) is None


# ------------------------------------------------------------------------------------------------ failures


def test_failures_stay_inside(dictionary: Dictionary, clock: Clock, failures: Failures) -> None:
    kept = session(clock)
    dictionary.put(kept)
    dictionary.broken = True
    assert dictionary.get(kept.session_id) is None
    dictionary.put(kept)
    dictionary.remove(kept.session_id)
    assert failures.operations == ["get", "put", "remove"]
    dictionary.broken = False
    assert dictionary.get(kept.session_id) == kept


def test_mistakes_come_out(dictionary: Dictionary, clock: Clock) -> None:
    """A session that cannot be written at all is the caller's error, not the backend's."""
    with pytest.raises(LocalError):
        dictionary.put(session(clock, master_secret=b"short"))


def test_failures_are_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """By default, as warnings of the logger tlsexit.stores."""
    store = Dictionary(clock, Failures(), on_error=log_error)
    store.broken = True
    with caplog.at_level(logging.WARNING):
        store.get(b"id")
    assert caplog.record_tuples == [("tlsexit.stores", logging.WARNING, "session store: get failed: no")]

"""Ticket keys: their rotation, their exchange between processes, and what they refuse (RFC 5077)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from threading import Thread
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sessions import old_session, sessions
from tests.support.stores import START, Clock
from tlsexit.alerts import LocalError
from tlsexit.session import Session
from tlsexit.stores import KEY_SIZE, TicketKeys
from tlsexit.stores.sealing import SealingKey
from tlsexit.stores.tickets import CLOCK_SKEW

HOUR = 3600.0


def ticket_keys(clock: Clock, **elements: Any) -> TicketKeys:
    """Keys that seal for one hour and open for two more; sessions live for ten."""
    return TicketKeys(clock, **{"interval": HOUR, "overlap": 2 * HOUR, "lifetime": 10 * HOUR, **elements})


def fresh(clock: Clock) -> Session:
    """A session made just now."""
    return old_session(created=clock.now)


# ------------------------------------------------------------------------------------------------ tickets


@given(sessions(created=st.just(START)))
def test_a_ticket_brings_the_whole_session_back(session: Session) -> None:
    """Certificates, names and flags included; the key is current, so nothing needs renewal."""
    keys = ticket_keys(Clock())
    assert keys.open(keys.seal(session)) == (session, False)


def test_a_ticket_shows_nothing_of_the_session(clock: Clock) -> None:
    """R5077-5.2-01: encrypted, so neither secret nor name nor certificate is in it."""
    session = replace(fresh(clock), server_name="secret.example", peer_chain=(b"certificate",))
    ticket = ticket_keys(clock).seal(session)
    for hidden in (session.master_secret, b"secret.example", b"certificate"):
        assert hidden not in ticket
    assert ticket_keys(clock).seal(session) != ticket


@given(st.data())
def test_no_byte_of_a_ticket_can_be_changed(data: st.DataObject) -> None:
    """R5077-5.2-01, R5077-3.2-02: authenticated; a ticket that does not verify is none, and no error."""
    clock = Clock()
    keys = ticket_keys(clock)
    ticket = bytearray(keys.seal(fresh(clock)))
    ticket[data.draw(st.integers(0, len(ticket) - 1))] ^= data.draw(st.integers(1, 255))
    assert keys.open(bytes(ticket)) is None


@given(st.binary(max_size=300))
def test_anything_else_is_no_ticket(data: bytes) -> None:
    """R5077-3.2-02."""
    keys = ticket_keys(Clock())
    assert keys.open(data) is None
    assert keys.open(keys.seal(fresh(Clock()))[:28] + data) is None


def test_tickets_of_others(clock: Clock) -> None:
    """Every instance draws keys of its own."""
    assert ticket_keys(clock).open(ticket_keys(clock).seal(fresh(clock))) is None


def test_contexts_do_not_mix(clock: Clock) -> None:
    """A session brings back who the client was, so a server that trusts others must not take it."""
    one, other = ticket_keys(clock, context=b"one"), ticket_keys(clock, context=b"other")
    other.import_keys(one.export_keys())
    assert other.open(one.seal(fresh(clock))) is None


# ------------------------------------------------------------------------------------------------ CVE-2020-13777


def zero_keys() -> Iterator[bytes]:
    """Keys that an attacker need not learn."""
    yield bytes(KEY_SIZE)
    yield b"\xff" * KEY_SIZE


def test_never_a_key_that_anybody_knows(clock: Clock) -> None:
    """CVE-2020-13777: from the first ticket on, before any rotation and after each, the key is a random one."""
    keys = ticket_keys(clock)
    seen = []
    for _ in range(5):
        ticket = keys.seal(fresh(clock))
        seen.append(ticket[:16])
        for key in zero_keys():
            with pytest.raises(InvalidTag):
                AESGCMSIV(key).decrypt(ticket[16:28], ticket[28:], b"tlsexit ticket\0")
        clock.now += HOUR
    assert all(first != second for first, second in combinations(seen, 2))


@pytest.mark.parametrize("value", [0, 255])
def test_a_generator_that_does_not_work(value: int, clock: Clock) -> None:
    """CVE-2020-13777: better no server than one whose tickets all can read."""
    with pytest.raises(LocalError, match="no key"):
        ticket_keys(clock, random=lambda size: bytes([value]) * size)


def test_a_known_key_is_not_imported(clock: Clock) -> None:
    exported = ticket_keys(clock).export_keys()
    keys = ticket_keys(clock)
    ticket = keys.seal(fresh(clock))
    for key in zero_keys():
        with pytest.raises(LocalError, match="no key"):
            keys.import_keys(exported[:-KEY_SIZE] + key)
    assert keys.open(ticket) == (fresh(clock), False)


# ------------------------------------------------------------------------------------------------ rotation


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, "opens"), (0.999, "opens"), (1, "renews"), (2.999, "renews"), (3, "is unknown"), (1000, "is unknown")],
)
def test_a_key_ages(hours: float, expected: str, clock: Clock) -> None:
    """Sealed at the beginning of a key's hour: good for that hour, renewed for two more, then nothing."""
    keys = ticket_keys(clock, lifetime=10_000 * HOUR)
    session = fresh(clock)
    ticket = keys.seal(session)
    clock.now += hours * HOUR
    assert keys.open(ticket) == {"opens": (session, False), "renews": (session, True), "is unknown": None}[expected]


def test_the_last_ticket_of_a_key(clock: Clock) -> None:
    """Whenever it was sealed, it opens for the overlap at least."""
    keys = ticket_keys(clock)
    clock.now += HOUR - 1
    ticket = keys.seal(fresh(clock))
    clock.now += 2 * HOUR
    opened = keys.open(ticket)
    assert opened is not None
    assert opened[1]


def test_a_renewed_ticket_goes_on_with_the_new_key(clock: Clock) -> None:
    """Yet no renewal prolongs the session (R2246-F.1.4-02)."""
    keys = ticket_keys(clock)
    session = fresh(clock)
    ticket = keys.seal(session)
    for _ in range(9):
        clock.now += HOUR
        assert keys.open(ticket) == (session, True)
        ticket = keys.seal(session)
        assert keys.open(ticket) == (session, False)
    clock.now += HOUR
    assert keys.open(ticket) is None
    assert keys.seal(session) == b""


def test_after_a_long_silence(clock: Clock) -> None:
    """Nobody rotated meanwhile; the next ticket has a new key all the same, for a whole interval."""
    keys = ticket_keys(clock)
    old = keys.seal(fresh(clock))
    clock.now += 1000.5 * HOUR
    new = keys.seal(fresh(clock))
    assert new[:16] != old[:16]
    clock.now += 0.9 * HOUR
    assert keys.seal(fresh(clock))[:16] == new[:16]


def test_a_clock_that_goes_back(clock: Clock) -> None:
    """There is always a key, and the one to come does not seal early."""
    keys = ticket_keys(clock)
    ticket = keys.seal(fresh(clock))
    clock.now -= 100 * HOUR
    session = fresh(clock)
    early = keys.seal(session)
    assert early[:16] != ticket[:16]
    assert keys.open(early) == (session, False)


@given(st.lists(st.floats(0, 20_000), max_size=20), st.floats(1, 10_000), st.floats(0, 10_000))
def test_at_any_time_a_new_ticket_opens(steps: list[float], interval: float, overlap: float) -> None:
    """And needs no renewal, whatever the clock does between."""
    clock = Clock()
    keys = ticket_keys(clock, interval=interval, overlap=overlap)
    for seconds in steps:
        clock.now += seconds
        session = fresh(clock)
        assert keys.open(keys.seal(session)) == (session, False)


def test_threads(clock: Clock) -> None:
    """While keys change, no thread seals with a key that is lost."""
    keys = ticket_keys(clock, interval=0.001, overlap=HOUR)
    refused = []

    def work() -> None:
        for _ in range(200):
            clock.now += 0.001
            if keys.open(keys.seal(old_session(created=START))) is None:
                refused.append(clock.now)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []


# ------------------------------------------------------------------------------------------------ bounds


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (HOUR - 1, True), (HOUR, False), (-CLOCK_SKEW, True), (-CLOCK_SKEW - 1, False)]
)
def test_a_ticket_dies_with_its_session(age: float, good: bool, clock: Clock) -> None:
    """R2246-F.1.4-02: however young the key; other machines' clocks may be a little ahead."""
    keys = ticket_keys(clock, lifetime=HOUR, interval=10 * HOUR)
    session = fresh(clock)
    ticket = keys.seal(session)
    clock.now += age
    assert (keys.open(ticket) is not None) is good
    assert bool(keys.seal(session)) is good


def test_size_limit(clock: Clock) -> None:
    """Too long a ticket becomes none (RFC 5077 §3.3: a zero-length one)."""
    session = fresh(clock)
    size = len(ticket_keys(clock).seal(session))
    assert len(ticket_keys(clock, max_size=size).seal(session)) == size
    assert ticket_keys(clock, max_size=size - 1).seal(session) == b""
    huge = replace(session, peer_chain=(bytes(20_000),))
    assert ticket_keys(clock).seal(huge) == b""
    assert len(ticket_keys(clock, max_size=2**16 - 1).seal(huge)) > 20_000


def test_lifetime_hints(clock: Clock) -> None:
    """RFC 5077 §3.3: seconds; 0 leaves it to the client."""
    assert ticket_keys(clock).lifetime_hint == 36_000
    assert ticket_keys(clock, lifetime_hint=0).lifetime_hint == 0
    assert ticket_keys(clock, lifetime_hint=300).lifetime_hint == 300


@pytest.mark.parametrize(
    "elements",
    [
        {"interval": 0},
        {"lifetime": 0},
        {"overlap": -1},
        {"lifetime_hint": -1},
        {"lifetime_hint": 2**32},
        {"max_size": 2**16},
        {"max_size": -1},
    ],
    ids=str,
)
def test_elements_that_make_no_sense(elements: dict[str, float], clock: Clock) -> None:
    with pytest.raises(LocalError):
        ticket_keys(clock, **elements)


# ------------------------------------------------------------------------------------------------ sharing


def test_shared_keys(clock: Clock) -> None:
    """Both open what either seals, and agree on which key is current."""
    leader, follower = ticket_keys(clock), ticket_keys(clock, rotate=False)
    follower.import_keys(leader.export_keys())
    session = fresh(clock)
    assert follower.open(leader.seal(session)) == (session, False)
    assert leader.open(follower.seal(session)) == (session, False)


def test_a_follower_knows_the_next_key_before_it_is_used(clock: Clock) -> None:
    """One export per interval is enough: never is a ticket declined because a key has not yet arrived."""
    leader, follower = ticket_keys(clock), ticket_keys(clock, rotate=False)
    for _ in range(10):
        follower.import_keys(leader.export_keys())
        clock.now += 0.999 * HOUR
        session = fresh(clock)
        for ticket in (leader.seal(session), follower.seal(session)):
            assert ticket
            for keys in (leader, follower):
                opened = keys.open(ticket)
                assert opened is not None
                assert opened[0] == session


def test_without_a_key_there_are_no_tickets(clock: Clock) -> None:
    """CVE-2020-13777: a follower that has not been given keys makes none up, and does not do without."""
    keys = ticket_keys(clock, rotate=False)
    assert keys.seal(fresh(clock)) == b""
    leader = ticket_keys(clock)
    ticket = leader.seal(fresh(clock))
    assert keys.open(ticket) is None
    keys.import_keys(leader.export_keys())
    assert keys.seal(fresh(clock)) != b""


def test_a_follower_that_is_forgotten(clock: Clock) -> None:
    """It stops sealing; it still opens, and promises no renewal that it could not give."""
    leader, follower = ticket_keys(clock), ticket_keys(clock, rotate=False)
    follower.import_keys(leader.export_keys())
    session = fresh(clock)
    clock.now += 1.5 * HOUR
    ticket = follower.seal(session)
    assert ticket
    clock.now += HOUR
    assert follower.seal(session) == b""
    assert follower.open(ticket) == (session, False)


def test_a_restart(clock: Clock) -> None:
    """An export brings all tickets over."""
    before = ticket_keys(clock)
    session = fresh(clock)
    old = before.seal(session)
    clock.now += HOUR
    ticket = before.seal(session)
    after = ticket_keys(clock)
    after.import_keys(before.export_keys())
    assert after.open(old) == (session, True)
    opened = after.open(ticket)
    assert opened is not None
    assert opened[0] == session


def test_two_leaders(clock: Clock) -> None:
    """Keys of both are known to both after an exchange, and both seal with the same one."""
    one, other = ticket_keys(clock), ticket_keys(clock)
    session = fresh(clock)
    tickets = [one.seal(session), other.seal(session)]
    exported = one.export_keys()
    one.import_keys(other.export_keys())
    other.import_keys(exported)
    for keys in (one, other):
        for ticket in tickets:
            assert keys.open(ticket) == (session, False)
    assert one.seal(session)[:16] == other.seal(session)[:16]


def test_imported_keys_die_too(clock: Clock) -> None:
    leader = ticket_keys(clock)
    ticket, exported = leader.seal(fresh(clock)), leader.export_keys()
    clock.now += 5 * HOUR
    follower = ticket_keys(clock)
    follower.import_keys(exported)
    assert follower.open(ticket) is None


@given(st.data())
def test_only_exports_are_imported(data: st.DataObject) -> None:
    """Anything else is refused, and changes nothing."""
    clock = Clock()
    exported = ticket_keys(clock).export_keys()
    keys = ticket_keys(clock)
    ticket = keys.seal(fresh(clock))
    for bad in (exported[: data.draw(st.integers(0, len(exported) - 1))], exported + b"\0", b"\2" + exported[1:]):
        with pytest.raises(LocalError):
            keys.import_keys(bad)
    with suppress(LocalError):
        keys.import_keys(data.draw(st.binary(max_size=100)))
    assert keys.open(ticket) == (fresh(clock), False)


def test_a_ticket_of_another_version_of_this_package(clock: Clock) -> None:
    """Sealed with a shared key, but not to be decoded: declined (R5077-3.2-02)."""
    keys = ticket_keys(clock)
    key = SealingKey(keys.export_keys()[-KEY_SIZE:])
    assert keys.open(key.seal(b"\xff of the future", b"tlsexit ticket\0", os.urandom)) is None


def test_nothing_secret_is_printed(clock: Clock) -> None:
    keys = ticket_keys(clock)
    exported = keys.export_keys()
    assert exported[-KEY_SIZE:].hex() not in repr(vars(keys))
    assert repr(exported[-KEY_SIZE:]) not in repr(vars(keys))

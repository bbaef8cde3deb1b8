"""A peer may send anything at any point: documented errors, one alert, a closed connection; never anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import honest, opposite
from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_RSA, RSA, check_phases
from tests.support.forge import Forge, Trace
from tests.support.traces import alter, pieces_of
from tlsexit.alerts import AlertLevel, AlertReceived, ExitFailed, LocalError, PeerError, TruncatedError
from tlsexit.constants import Role
from tlsexit.events import Closed, MessageSeen
from tlsexit.fuzzing.tuned import messages
from tlsexit.handshake.codec import encode
from tlsexit.records.grammar import Alert

DOCUMENTED = (PeerError, AlertReceived, TruncatedError, ExitFailed)

# a hang would show as a time-out
pytestmark = pytest.mark.timeout(60)

roles = st.sampled_from(Role)
kinds = st.sampled_from([(RSA, True), (RSA, False), (DHE_RSA, True), (ECDHE_RSA, False), (DH_ANON, False)])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Trace, Forge]:
    """A forge with a fresh engine, and the honest trace that it would play."""
    role = draw(roles, "role")
    suite, mutual = draw(kinds, "kind")
    return honest(role, suite, mutual=mutual), opposite(role, suite, mutual=mutual)


@st.composite
def interrupted(draw: st.DrawFn) -> Forge:
    """A forge somewhere on its way through a handshake, or behind it."""
    trace, forge = draw(conversations())
    return forge.play(trace[: draw(st.integers(0, len(trace)), "steps")])


def check(forge: Forge) -> None:
    """End the transport, and look at what is left."""
    end = forge.target
    end.connection.receive_eof()
    end.drive()
    assert end.connection.closed
    error = end.connection.error
    assert error is None or isinstance(error, DOCUMENTED)
    assert isinstance(end.events[-1], Closed)
    assert end.events[-1].error is error
    sent = [item.message for item in end.seen if isinstance(item, MessageSeen) and item.sent]
    fatal = [item for item in sent if isinstance(item, Alert) and item.level == AlertLevel.FATAL]
    assert len(fatal) <= 1
    if fatal:
        assert sent[-1] is fatal[0]
        assert isinstance(error, (PeerError, ExitFailed))
        assert error.description == fatal[0].description
    else:
        assert not isinstance(error, (PeerError, ExitFailed))
    check_phases(end)


@given(interrupted(), st.binary(max_size=400), st.integers(1, 100))
def test_any_bytes(forge: Forge, data: bytes, size: int) -> None:
    """Bytes straight on the wire."""
    for piece in pieces_of(data, size):
        forge.send_bytes(piece)
    check(forge)


@given(
    interrupted(),
    st.integers(0, 255),
    st.sampled_from([0x0301, 0x0300, 0x0302, 0x0303]) | st.integers(0, 0xFFFF),
    st.binary(max_size=100),
    st.integers(0, 2**16 - 1) | st.none(),
)
def test_any_record_in_the_clear(forge: Forge, kind: int, version: int, fragment: bytes, length: int | None) -> None:
    """Records with any header, also where they ought to be protected."""
    announced = len(fragment) if length is None else length
    forge.send_bytes(bytes([kind]) + version.to_bytes(2, "big") + announced.to_bytes(2, "big") + fragment)
    check(forge)


@given(interrupted(), st.lists(st.tuples(st.sampled_from([20, 21, 22, 23, 24]), st.binary(max_size=80)), max_size=6))
def test_any_protected_records(forge: Forge, records: list[tuple[int, bytes]]) -> None:
    """Records under the right keys, of any type and with any content."""
    for kind, fragment in records:
        forge.send_record(kind, fragment)
    check(forge)


@given(interrupted(), st.lists(messages(), min_size=1, max_size=3), st.integers(1, 2**14))
def test_any_messages(forge: Forge, several: list[object], size: int) -> None:
    """Well-formed handshake messages with any content, in records of any size."""
    for message in several:
        try:
            data = encode(message)
        except LocalError:
            continue
        for fragment in pieces_of(data, max(size, len(data) // 50)):
            forge.send_record(22, fragment)
    check(forge)


@given(st.data(), conversations(), st.integers(0, 2000), st.integers(0, 4), st.binary(max_size=8))
def test_any_change_of_an_honest_message(
    data: st.DataObject, conversation: tuple[Trace, Forge], at: int, removed: int, put_in: bytes
) -> None:
    """One message with bytes changed, put in or left out, its length made to fit; then the rest of the trace."""
    trace, forge = conversation
    name = data.draw(st.sampled_from([step.name for step in trace if step.content_type == 22]), "message")

    def spoil(raw: bytes) -> bytes:
        body = bytearray(raw[4:])
        place = at % (len(body) + 1)  # the length of a signature or public value differs from run to run
        body[place : place + removed] = put_in
        return raw[:1] + len(body).to_bytes(3, "big") + bytes(body)

    # the forge itself may no longer understand what comes back; the engine must come out of it well
    with suppress(PeerError):
        forge.play(alter(trace, name, spoil))
    check(forge)

"""However the stream is cut, the same things happen: events, questions, messages, output bytes, the final state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, check_phases, client_end, server_end
from tests.support.pair import End, pump
from tests.support.replay import Cut, feed, recordings, trace
from tlsexit.profile import Verify

NAMES = ("server", "server, mutual", "server, resumed", "client, resumed")

cuts: st.SearchStrategy[list[Cut]] = st.lists(
    st.tuples(st.one_of(st.integers(1, 8), st.integers(1, 2000)), st.booleans()), max_size=60
)


@pytest.mark.parametrize("name", NAMES)
def test_the_recordings_are_complete(name: str) -> None:
    """The honest stream, all at once: handshake, data, orderly end."""
    recording = recordings()[name]
    end = recording.make()
    sent, seen = feed(end, recording.stream)
    assert end.received == b"a question of some length" + b"!" * 300
    assert end.connection.error is None
    assert end.connection.peer_closed
    assert sent
    assert str(seen["phases"]).endswith("DE")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 97])
def test_pieces_of_one_size(name: str, size: int, answered: bool) -> None:
    """R2246-6.2.1-09: byte by byte and otherwise, answering at once or only at the end."""
    recording = recordings()[name]
    pieces: list[Cut] = [(size, answered)] * (len(recording.stream) // size)
    assert feed(recording.make(), recording.stream, pieces) == feed(recording.make(), recording.stream)


@given(st.sampled_from(NAMES), cuts, st.booleans())
def test_any_cuts(name: str, pieces: list[Cut], eof: bool) -> None:
    """The honest stream."""
    recording = recordings()[name]
    whole = feed(recording.make(), recording.stream, eof=eof)
    assert feed(recording.make(), recording.stream, pieces, eof=eof) == whole


@given(st.data(), st.sampled_from(NAMES), cuts, st.booleans())
def test_any_cuts_of_a_spoilt_stream(data: st.DataObject, name: str, pieces: list[Cut], eof: bool) -> None:
    """A stream with bytes changed, put in or left out: what was good before the fault counts in every cut."""
    recording = recordings()[name]
    stream = bytearray(recording.stream)
    at = data.draw(st.integers(0, len(stream) - 1), "at")
    match data.draw(st.sampled_from(["change", "insert", "delete", "truncate"])):
        case "change":
            stream[at] ^= data.draw(st.integers(1, 255), "xor")
        case "insert":
            stream[at:at] = data.draw(st.binary(min_size=1, max_size=40), "inserted")
        case "delete":
            del stream[at : at + data.draw(st.integers(1, 40), "deleted")]
        case _:
            del stream[at:]
    whole = feed(recording.make(), bytes(stream), eof=eof)
    end = recording.make()
    assert feed(end, bytes(stream), pieces, eof=eof) == whole
    check_phases(end)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA])
@pytest.mark.parametrize("verify", [Verify.NONE, Verify.REQUIRED])
def test_live_handshakes_in_pieces(suite: int, verify: Verify) -> None:
    """Where keys are new each time, what is said stays the same, and so does the length of all of it."""

    def shape(size: int | None) -> list[object]:
        ends: list[End] = [client_end(suite), server_end(suite, verify=verify)]
        pump(*ends, size=size)
        found: list[object] = []
        for end in ends:
            seen = trace(end)
            messages = seen["messages"]
            assert isinstance(messages, list)
            found.append((seen["phases"], seen["state"], [(sent, kind, raw[0]) for sent, kind, raw, _ in messages]))
        return found

    assert shape(1) == shape(7) == shape(1000) == shape(None)

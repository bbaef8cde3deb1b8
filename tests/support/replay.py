"""Everything a connection lets the world see, in a form that two runs can be compared by; and repeatable runs.

Randomness and time come from counters, so with an RSA suite a server answers the same bytes with the same bytes. A
client does so only in an abbreviated handshake, for the padding of PKCS #1 comes from the library beneath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.ends import RSA, client_end, server_end
from tests.support.grammar import phases
from tests.support.pair import End
from tests.support.sessions import Sessions, old_session
from tlsexit.events import ApplicationData, Closed, Event, HandshakeCompleted, MessageSeen, WarningReceived
from tlsexit.profile import Verify

Cut = tuple[int, bool]
"""How many bytes the next chunk has, and whether the questions pending behind it are answered at once."""


NOW = 1_000_000_000.0
"""What :func:`fixed` takes for the time."""


def counted() -> Callable[[int], bytes]:
    """A source of "random" bytes that is the same for every run."""
    counter = iter(range(1, 10**9))
    return lambda size: next(counter).to_bytes(size, "big")


def fixed(**more: Any) -> dict[str, Any]:
    """A configuration without chance."""
    return {"random": counted(), "clock": lambda: NOW, **more}


def visible_events(events: Iterable[Event]) -> list[object]:
    """The events without what differs from run to run, as the number of the task."""
    shown: list[object] = []
    for event in events:
        if isinstance(event, HandshakeCompleted):
            context = event.context
            shown.append(("completed", context.cipher_suite, context.session_id, context.authentication))
        elif isinstance(event, ApplicationData):
            shown.append(event.data)
        elif isinstance(event, WarningReceived):
            shown.append(event.description)
        else:
            assert isinstance(event, Closed)
            shown.append((type(event.error), str(event.error)))
    return shown


def trace(end: End) -> dict[str, object]:
    """Events, phases, messages and the state in which it ended."""
    messages = [
        (item.sent, item.content_type, item.raw, item.protected) for item in end.seen if isinstance(item, MessageSeen)
    ]
    return {
        "events": visible_events(end.events),
        "phases": phases(end.seen),
        "messages": messages,
        "state": type(end.connection.state),
    }


def feed(end: End, stream: bytes, cuts: Iterable[Cut] = (), *, eof: bool = False) -> tuple[bytes, dict[str, object]]:
    """Give ``stream`` to a started end in pieces, the rest in one; return all that it sent, and its trace."""
    sent = end.connection.data_to_send()
    start = 0
    for size, answered in (*cuts, (len(stream), True)):
        end.connection.receive_data(stream[start : start + size])
        start += size
        if answered:
            end.drive()
        sent += end.connection.data_to_send()
        if start >= len(stream):
            break
    if eof:
        end.connection.receive_eof()
    end.drive()
    return sent + end.connection.data_to_send(), trace(end)


@dataclass(frozen=True)
class Recording:
    """All the bytes that an end received in an honest conversation, and how to make such an end again."""

    make: Callable[[], End]
    stream: bytes


def record(make: Callable[[], End], peer: End) -> Recording:
    """Let ``peer`` talk to a fresh end: a handshake, data in several records, an orderly end."""
    end = make()
    stream = b""

    def carry() -> None:
        nonlocal stream
        while True:
            arriving, leaving = peer.connection.data_to_send(), end.connection.data_to_send()
            if not arriving and not leaving:
                return
            stream += arriving
            end.connection.receive_data(arriving)
            end.drive()
            peer.connection.receive_data(leaving)
            peer.drive()

    carry()
    assert end.connection.established, end.connection.error
    peer.connection.send(b"a question of some length")
    peer.connection.send(b"!" * 300)
    carry()
    peer.connection.close()
    carry()
    assert end.connection.closed
    return Recording(make, stream)


@cache
def recordings() -> dict[str, Recording]:
    """A server in a full handshake, with and without a client certificate, and both roles in an abbreviated one."""
    session = old_session(created=NOW)

    def server(**profile: Any) -> End:
        return server_end(RSA, config=fixed(session_store=Sessions(session)), **profile)

    def resuming_client() -> End:
        return client_end(RSA, session=session, extended_master_secret=False, config=fixed())

    return {
        "server": record(server, client_end(RSA)),
        "server, mutual": record(lambda: server(verify=Verify.REQUIRED), client_end(RSA)),
        "server, resumed": record(server, resuming_client()),
        "client, resumed": record(resuming_client, server()),
    }

"""The end of a connection: close_notify, truncation, giving up in the middle (RFC 2246 §7.2.1, §7.2.2)."""

from __future__ import annotations

import pytest

from tests.support.conversation import alert_call, ended_by_peer, established, honest, is_over, opposite, refused
from tests.support.ends import DHE_RSA, RSA, check_phases, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.grammar import phases
from tests.support.pair import End, make_end, pump
from tests.support.scripted import ScriptedExit
from tests.support.traces import client_trace, hello_request, server_trace, until
from tlsexit.alerts import AlertDescription, AlertLevel, AlertReceived, LocalError, TruncatedError
from tlsexit.constants import Role
from tlsexit.events import ApplicationData, Closed, HandshakeCompleted, Observation
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.tasks import Task

CLOSE = (AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
TRACES = {role: honest(role, DHE_RSA, mutual=True) for role in Role}
PLACES = [
    pytest.param(role, step.name, id=f"{role.value}-before-{step.name}")
    for role, trace in TRACES.items()
    for step in trace
]


def joined() -> tuple[End, End]:
    """A client and a server with their handshake complete."""
    client, server = client_end(), server_end()
    handshake(client, server)
    return client, server


# ------------------------------------------------------------------------------------------------ close_notify


@pytest.mark.parametrize("closer", Role)
def test_close_notify_from_either_side(closer: Role) -> None:
    """R2246-7.2.1-01, R2246-7.2.1-02: announced, answered, and both ends say that nothing is missing."""
    ends = {Role.CLIENT: client_end(), Role.SERVER: server_end()}
    handshake(ends[Role.CLIENT], ends[Role.SERVER])
    first, second = ends[closer], ends[closer.peer]
    first.connection.send(b"the last words")
    first.connection.close()
    first.drive()
    pump(first, second)
    assert second.received == b"the last words"
    for end in (first, second):
        assert end.connection.closed
        assert end.connection.error is None
        assert end.connection.peer_closed
        assert end.events[-1] == Closed(None)
        assert phases(end.seen)[-1] == "E"
        is_over(end)


def test_the_answer_is_the_last_that_is_sent() -> None:
    """R2246-7.2.1-02, R2246-7.2.1-03: one close_notify in return, and nothing behind it."""
    forge = established(Role.CLIENT)
    forge.send_alert(*CLOSE)
    assert forge.warnings == [AlertDescription.CLOSE_NOTIFY]
    with pytest.raises(LocalError, match="closed"):
        forge.target.connection.send(b"too late")
    forge.target.connection.close()
    forge.listen()
    assert len(forge.alerts) == 1
    is_over(forge.target)


def test_data_behind_close_notify_is_ignored() -> None:
    """R2246-7.2.1-03: "any data received after a closure alert is ignored", in the same segment too."""
    forge = established(Role.CLIENT)
    forge.send_bytes(forge.seal(23, b"before") + forge.seal(21, bytes(CLOSE)) + forge.seal(23, b"after"))
    assert forge.target.received == b"before"
    assert forge.target.connection.error is None
    is_over(forge.target)


def test_trailing_data_is_handed_over_as_it_came() -> None:
    """R2246-7.2.1-05: what follows close_notify belongs to whatever the transport carries next."""
    forge = established(Role.CLIENT)
    assert forge.target.connection.trailing_data() == b""
    forge.send_bytes(forge.seal(21, bytes(CLOSE)) + b"220 plain text again\r\n")
    assert forge.target.connection.trailing_data() == b"220 plain text again\r\n"
    assert forge.target.connection.trailing_data() == b""


def test_trailing_data_after_our_own_close() -> None:
    """R2246-7.2.1-05, for the side that closed first; data of the peer's that was on its way is discarded."""
    forge = established(Role.CLIENT)
    connection = forge.target.connection
    connection.close()
    forge.send_record(23, b"still on its way")
    assert connection.trailing_data() == b""
    forge.send_bytes(forge.seal(21, bytes(CLOSE)) + b"plain")
    assert connection.peer_closed
    assert connection.trailing_data() == b"plain"
    assert forge.target.received == b""
    forge.target.drive()
    check_phases(forge.target)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_waiting_for_the_peers_close_notify_in_pieces(size: int) -> None:
    """R2246-7.2.1-05: whatever the chunks."""
    forge = established(Role.CLIENT)
    connection = forge.target.connection
    connection.close()
    data = forge.seal(23, b"data") + forge.seal(21, bytes(CLOSE)) + b"plain"
    for start in range(0, len(data), size):
        connection.receive_data(data[start : start + size])
    assert connection.peer_closed
    if size == 100:
        assert connection.trailing_data() == b"plain"


def test_garbage_instead_of_the_peers_close_notify() -> None:
    """R2246-7.2.1-05: then the transport stays unusable; no alert, for nothing may follow our close_notify."""
    forge = established(Role.CLIENT)
    connection = forge.target.connection
    connection.close()
    forge.target.drive()
    forge.listen()
    connection.receive_data(b"\x17\3\1\0\x20" + bytes(32))
    connection.receive_data(forge.seal(21, bytes(CLOSE)))
    assert not connection.peer_closed
    assert connection.error is None
    assert connection.data_to_send() == b""


def test_close_twice() -> None:
    """The second time changes nothing."""
    client, server = joined()
    client.connection.close()
    sent = client.connection.data_to_send()
    client.connection.close()
    client.drive()
    assert client.connection.data_to_send() == b""
    server.connection.receive_data(sent)
    server.drive()
    assert server.connection.peer_closed
    server.connection.data_to_send()
    is_over(server)


def test_both_close_at_once() -> None:
    """Two close_notify that cross are two orderly ends."""
    client, server = joined()
    for end in (client, server):
        end.connection.close()
        end.drive()
    pump(client, server)
    for end in (client, server):
        assert end.connection.peer_closed
        assert end.connection.error is None
        check_phases(end)


def test_close_notify_at_fatal_level() -> None:
    """R2246-7.2.1-08: it is a warning; at the other level it still ends the connection in order."""
    forge = established(Role.CLIENT)
    forge.send_alert(AlertLevel.FATAL, AlertDescription.CLOSE_NOTIFY)
    assert forge.target.connection.closed
    assert forge.fatal is None
    is_over(forge.target)


@pytest.mark.parametrize("description", [10, 20, 40])
def test_a_fatal_alert_is_not_answered_with_close_notify(description: int) -> None:
    """R2246-7.2-02: at once."""
    forge = established(Role.SERVER)
    forge.send_alert(AlertLevel.FATAL, description)
    forge.target.connection.close()
    forge.listen()
    assert forge.alerts == []
    ended_by_peer(forge, description)


# ------------------------------------------------------------------------------------------------ in the handshake


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_the_peer_closes_during_the_handshake(role: Role, name: str) -> None:
    """R2246-7.2.1-08: it terminates a handshake in progress as well, and is answered."""
    forge = opposite(role, DHE_RSA, mutual=True).play(until(TRACES[role], name))
    forge.send_alert(*CLOSE)
    ended_by_peer(forge, AlertDescription.CLOSE_NOTIFY, level=AlertLevel.WARNING)
    assert forge.warnings == [AlertDescription.CLOSE_NOTIFY]
    assert phases(forge.target.seen)[-1] == "A"


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_giving_up_during_the_handshake(role: Role, name: str) -> None:
    """R2246-7.2.2-23: user_canceled, followed by close_notify; no error of anybody's."""
    forge = opposite(role, DHE_RSA, mutual=True).play(until(TRACES[role], name))
    end = forge.target
    end.connection.close()
    end.drive()
    forge.listen()
    assert forge.warnings == [AlertDescription.USER_CANCELED, AlertDescription.CLOSE_NOTIFY]
    assert forge.fatal is None
    assert end.connection.error is None
    is_over(end)
    call = alert_call(end)
    assert call is not None
    assert (call.description, call.remote) == (AlertDescription.USER_CANCELED, False)


@pytest.mark.parametrize("role", Role)
def test_giving_up_while_an_exit_is_asked(role: Role) -> None:
    """The pending question gives way to HandshakeAlert; a late answer belongs to nothing."""
    task = Task(system_config())

    task.answer(Handled())
    connection = task.connection(Profile.client() if role is Role.CLIENT else Profile.server())
    connection.start()
    first = connection.pending_exit
    connection.close()
    second = connection.pending_exit
    assert first is not None
    assert second is not None
    assert second.phase.value == "HandshakeAlert"
    connection.answer(Handled())
    assert connection.pending_exit is None
    with pytest.raises(LocalError, match="no exit is pending"):
        connection.answer(Handled())


# ------------------------------------------------------------------------------------------------ truncation


@pytest.mark.parametrize("role", Role)
def test_the_transport_ends(role: Role) -> None:
    """R2246-7.2.1-06: data may be missing, and the application is told so."""
    forge = established(role)
    forge.send_record(23, b"all there was")
    end = forge.target
    end.connection.receive_eof()
    end.drive()
    assert isinstance(end.connection.error, TruncatedError)
    assert end.events[-2:] == [ApplicationData(b"all there was"), Closed(end.connection.error)]
    assert end.connection.data_to_send() == b""
    assert phases(end.seen)[-1] == "E"
    is_over(end)


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_the_transport_ends_during_the_handshake(role: Role, name: str) -> None:
    """R2246-7.2.1-06; the exit hears HandshakeAlert, from the other side."""
    forge = opposite(role, DHE_RSA, mutual=True).play(until(TRACES[role], name))
    end = forge.target
    end.connection.receive_eof()
    end.drive()
    assert isinstance(end.connection.error, TruncatedError)
    is_over(end)
    call = alert_call(end)
    assert call is not None
    assert call.remote


def test_half_a_record_is_a_truncation() -> None:
    """R2246-7.2.1-06."""
    forge = established(Role.CLIENT)
    forge.send_bytes(forge.seal(23, b"cut")[:-1])
    forge.target.connection.receive_eof()
    forge.target.drive()
    assert isinstance(forge.target.connection.error, TruncatedError)
    assert forge.target.received == b""


def test_the_transport_ends_behind_close_notify() -> None:
    """Nothing is missing then."""
    forge = established(Role.CLIENT)
    forge.send_alert(*CLOSE)
    forge.target.connection.receive_eof()
    forge.target.drive()
    assert forge.target.connection.error is None
    is_over(forge.target)


def test_the_transport_ends_behind_our_close_notify() -> None:
    """R2246-7.2.1-04: the initiator need not wait; but it knows that the peer's never came."""
    client, _ = joined()
    client.connection.close()
    client.connection.receive_eof()
    client.drive()
    assert client.connection.error is None
    assert not client.connection.peer_closed
    client.connection.data_to_send()
    is_over(client)


def test_the_transport_ends_while_an_exit_is_asked() -> None:
    """The question is answered first; then comes the end, with what had been received before it."""
    server = server_end(exits=ScriptedExit())
    forge = Forge(server, RSA)
    hello = client_trace(RSA)[0].build(forge)
    server.connection.receive_data(forge.seal(22, hello))
    assert server.connection.pending_exit is not None
    server.connection.receive_eof()
    assert not server.connection.closed
    server.drive()
    assert isinstance(server.connection.error, TruncatedError)
    assert phases(server.seen) == "SCA"
    server.connection.data_to_send()
    is_over(server)


def test_the_transport_ends_before_the_connection_is_started() -> None:
    """Nothing had begun, so the exit hears nothing."""
    end = make_unstarted()
    end.connection.receive_eof()
    end.drive()
    assert end.connection.closed
    assert phases(end.seen) == ""


def test_closing_before_the_connection_is_started() -> None:
    """Likewise."""
    end = make_unstarted()
    end.connection.close()
    end.drive()
    assert end.events == [Closed(None)]
    assert phases(end.seen) == ""
    assert end.connection.data_to_send() == b""


def make_unstarted() -> End:
    """An end whose connection has been made, no more."""
    seen: list[Observation] = []
    task = Task(system_config(observer=seen.append))
    task.answer(Handled())
    return End(task.connection(Profile.client()), None, BuiltinPki(), seen=seen)


# ------------------------------------------------------------------------------------------------ one end only


@pytest.mark.parametrize("role", Role)
def test_a_failing_handshake_done_is_followed_by_end_session(role: Role) -> None:
    """After HandshakeDone only EndSession is asked, even if HandshakeDone itself failed."""
    exits = ScriptedExit({ExitPhase.HANDSHAKE_DONE: Failed(AlertDescription.ACCESS_DENIED)})
    if role is Role.SERVER:
        forge = Forge(client_end(RSA, exits=exits), RSA).play(server_trace(RSA))
        assert phases(forge.target.seen) == "SKDE"
    else:
        forge = Forge(server_end(RSA, exits=exits), RSA).play(client_trace(RSA))
        assert phases(forge.target.seen) == "SCXDE"
    refused(forge, AlertDescription.ACCESS_DENIED)
    assert not any(isinstance(event, HandshakeCompleted) for event in forge.target.events)


def test_the_events_before_a_failure_are_kept() -> None:
    """What arrived in good order is delivered, although the same chunk ends in an error."""
    forge = established(Role.CLIENT)
    forge.send_bytes(forge.seal(23, b"good") + forge.seal(22, hello_request.build(forge)))
    assert forge.target.received == b"good"
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_the_error_of_an_early_close_is_the_peers() -> None:
    """A server that hangs up in order is still no success."""
    client = client_end()
    forge = Forge(client, RSA)
    forge.send_alert(*CLOSE)
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.CLOSE_NOTIFY


def test_make_end_starts() -> None:
    """The helper's own promise: a started end that has sent its hello."""
    assert make_end(Profile.client()).connection.data_to_send() != b""

"""A connection as its caller sees it: what may be called when, what comes out, what an observer is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import established, honest
from tests.support.ends import DHE_RSA, RSA, RSA_RC4, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.pair import End, make_end, pump
from tests.support.replay import counted
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tests.support.traces import client_hello, client_trace
from tests.support.walk import records_of
from tlsexit.alerts import AlertDescription, AlertReceived, ExitFailed, InternalError, LocalError
from tlsexit.connection import Connection
from tlsexit.constants import ContentType, Role
from tlsexit.events import ApplicationData, HandshakeCompleted, MessageSeen, PhaseSeen
from tlsexit.exits.answers import Handled, NotHandled
from tlsexit.exits.calls import StartHandshakeCall, StartHandshakeResult, StartTaskResult
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task


def new_connection(role: Role = Role.CLIENT, **config: Any) -> Connection:
    """A connection of its own, not yet started."""
    task = Task(system_config(**config))
    task.answer(Handled())
    profile = Profile.client(cipher_suites=(RSA,)) if role is Role.CLIENT else Profile.server(cipher_suites=(RSA,))
    return task.connection(profile)


# ------------------------------------------------------------------------------------------------ life


@pytest.mark.parametrize("role", Role)
def test_a_new_connection(role: Role) -> None:
    connection = new_connection(role)
    assert connection.role is role
    assert isinstance(connection.state, states.Idle)
    assert connection.pending_exit is None
    assert not connection.established
    assert not connection.closed
    assert not connection.peer_closed
    assert connection.error is None
    assert connection.session is None
    assert connection.next_event() is None
    assert connection.data_to_send() == b""
    assert connection.context.role is role


@pytest.mark.parametrize("role", Role)
def test_start_handshake_is_asked_before_any_byte(role: Role) -> None:
    """On an established transport, before any byte is exchanged: by a client, and by a server."""
    connection = new_connection(role)
    connection.start()
    call = connection.pending_exit
    assert isinstance(call, StartHandshakeCall)
    assert connection.data_to_send() == b""
    with pytest.raises(LocalError, match="started already"):
        connection.start()
    connection.answer(Handled(StartHandshakeResult("mine", {"parm": "text"})))
    assert connection.pending_exit is None
    assert connection.context.exit_reference == "mine"
    assert connection.context.profile.parm == "text"
    assert bool(connection.data_to_send()) is (role is Role.CLIENT)


def test_nothing_is_pending() -> None:
    with pytest.raises(LocalError, match="no exit is pending"):
        new_connection().answer(Handled())


def test_nobody_handled_it() -> None:
    """NotHandled is for drivers, which then ask the built-in PKI; here it is a failure."""
    connection = new_connection()
    connection.start()
    connection.answer(NotHandled())
    assert isinstance(connection.error, ExitFailed)
    assert connection.error.description is AlertDescription.INTERNAL_ERROR
    assert connection.data_to_send() == b"\x15\3\1\0\2\2\x50"


@pytest.mark.parametrize("role", Role)
def test_an_established_connection(role: Role) -> None:
    forge = established(role)
    connection = forge.target.connection
    assert (connection.established, connection.closed) == (True, False)
    assert type(connection.state) is states.Established
    assert [type(event) for event in forge.target.events] == [HandshakeCompleted]
    assert connection.session is not None
    connection.close()
    assert (connection.established, connection.closed) == (False, True)


@pytest.mark.parametrize("when", ["new", "started", "closed"])
def test_when_data_cannot_be_sent(when: str) -> None:
    """R2246-7.4.9-08."""
    connection = new_connection()
    if when != "new":
        connection.start()
    if when == "closed":
        connection.close()
    with pytest.raises(LocalError, match="closed" if when == "closed" else "not complete"):
        connection.send(b"data")


# ------------------------------------------------------------------------------------------------ output


def test_output_in_portions() -> None:
    """What is asked for, in order, and each byte once."""
    connection = client_end(RSA).connection
    whole = client_end(RSA).connection.data_to_send()
    parts = [connection.data_to_send(10) for _ in range(len(whole) // 10 + 2)]
    assert all(len(part) <= 10 for part in parts)
    assert len(b"".join(parts)) == len(whole)
    assert parts[-1] == b""
    assert parts[0] == whole[:10]


@pytest.mark.parametrize(("suite", "split"), [(RSA, True), (RSA, False), (RSA_RC4, True)])
def test_splitting_against_beast(suite: int, split: bool) -> None:
    """R4346-6.2.3.2-02: one byte in a record of its own where the IV is predictable, unless switched off."""
    client, server = client_end(suite, config={"split_cbc": split}), server_end(suite)
    handshake(client, server)
    client.connection.send(b"attack at dawn")
    pump(client, server)
    expected = [b"a", b"ttack at dawn"] if split and suite == RSA else [b"attack at dawn"]
    assert [event.data for event in server.events if isinstance(event, ApplicationData)] == expected


def test_smaller_fragments() -> None:
    """The configuration's own bound on what is written, handshake messages included."""
    client, server = client_end(RSA), server_end(RSA, config={"max_fragment": 300, "split_cbc": False})
    handshake(client, server)
    server.connection.send(bytes(1000))
    data = server.connection.data_to_send()
    assert len(list(records_of(data))) == 4
    client.connection.receive_data(data)
    client.drive()
    assert client.received == bytes(1000)


def test_what_a_client_says_first() -> None:
    """R2246-6.2.1-09, R2246-7.4.1.2-01: one record {3,1} that holds ClientHello and nothing else."""
    data = client_end(RSA).connection.data_to_send()
    assert data[:3] == b"\x16\3\1"
    assert len(data) == 5 + int.from_bytes(data[3:5], "big")
    assert data[5] == 1


# ------------------------------------------------------------------------------------------------ sources


def test_the_random_source_is_the_only_one() -> None:
    """R2246-D.2-01: two runs on the same source say the same; a hello takes 28 bytes of it."""
    hellos = [
        client_end(RSA, config={"random": counted(), "clock": lambda: 0x01020304}).connection.data_to_send()
        for _ in range(2)
    ]
    assert hellos[0] == hellos[1]
    assert b"\1\2\3\4" + (1).to_bytes(28, "big") in hellos[0]


def test_the_key_log() -> None:
    """The format that capture tools read: once a handshake, the same line at both ends."""
    lines: dict[str, list[str]] = {"client": [], "server": []}
    client = client_end(DHE_RSA, config={"key_log": lines["client"].append})
    server = server_end(DHE_RSA, config={"key_log": lines["server"].append})
    handshake(client, server)
    assert lines["client"] == lines["server"]
    assert len(lines["client"]) == 1
    label, random, secret = lines["client"][0].split(" ")
    assert label == "CLIENT_RANDOM"
    assert len(bytes.fromhex(random)) == 32
    assert len(bytes.fromhex(secret)) == 48


def test_no_key_log_no_line() -> None:
    """Nothing is logged that nobody asked for; and the secrets are in no observation's repr."""
    logged: list[str] = []
    client = client_end(RSA, config={"key_log": logged.append})
    server = server_end(RSA)
    handshake(client, server)
    secret = logged[0].split(" ")[2]
    for end in (client, server):
        shown = repr(end.seen) + repr(end.events) + repr(end.connection.state)
        assert secret not in shown
        assert repr(bytes.fromhex(secret)) not in shown


# ------------------------------------------------------------------------------------------------ the observer


def messages(end: End) -> list[MessageSeen]:
    """What the observer of an end was told of messages."""
    return [item for item in end.seen if isinstance(item, MessageSeen)]


def test_what_an_observer_is_told() -> None:
    """R2246-7.3-01, R2246-7.3-02: every message in order, sent and received, with keys in force or not."""
    client, server = client_end(RSA), server_end(RSA)
    handshake(client, server)
    client.connection.send(b"x")
    pump(client, server)
    told = [
        (item.sent, type(item.message).__name__, item.protected)
        for item in client.seen
        if isinstance(item, MessageSeen)
    ]
    assert told == [
        (True, "ClientHello", False),
        (False, "ServerHello", False),
        (False, "Certificate", False),
        (False, "ServerHelloDone", False),
        (True, "ClientKeyExchange", False),
        (True, "ChangeCipherSpec", False),
        (True, "Finished", True),
        (False, "ChangeCipherSpec", False),
        (False, "Finished", True),
        (True, "NoneType", True),
    ]
    mirrored = [(not item.sent, item.raw) for item in messages(server)]
    assert sorted(mirrored) == sorted((item.sent, item.raw) for item in messages(client))


def test_phases_are_seen_asked_and_answered() -> None:
    client, server = client_end(RSA), server_end(RSA)
    handshake(client, server)
    seen = [item for item in server.seen if isinstance(item, PhaseSeen)]
    for asked, answered in zip(seen[::2], seen[1::2], strict=True):
        assert asked.answer is None
        assert answered.answer is not None
        assert asked.phase is answered.phase
        assert asked.call is answered.call


def test_an_observer_makes_no_difference() -> None:
    """The same bytes with and without one."""

    def run(**config: Any) -> bytes:
        task = Task(system_config(random=counted(), clock=lambda: 1.0, **config))
        task.answer(Handled())
        connection = task.connection(Profile.client(cipher_suites=(RSA,)))
        connection.start()
        connection.answer(Handled())
        return connection.data_to_send()

    assert run() == run(observer=lambda item: None)


def test_messages_and_content_types() -> None:
    """Each message is told with the type of the records that carried it."""
    forge = established(Role.CLIENT)
    forge.send_alert(1, 200)
    kinds = {
        type(item.message).__name__: item.content_type for item in forge.target.seen if isinstance(item, MessageSeen)
    }
    assert kinds["ClientHello"] is ContentType.HANDSHAKE
    assert kinds["ChangeCipherSpec"] is ContentType.CHANGE_CIPHER_SPEC
    assert kinds["Alert"] is ContentType.ALERT


# ------------------------------------------------------------------------------------------------ exits


def test_only_one_question_at_a_time() -> None:
    """Whatever has arrived waits until it is answered."""
    server = server_end(RSA, exits=ScriptedExit())
    forge = Forge(server, RSA)
    server.connection.receive_data(forge.seal(22, client_hello.build(forge)))
    call = server.connection.pending_exit
    assert call is not None
    assert call.phase is ExitPhase.GET_CERTIFICATE
    assert server.connection.pending_exit is call
    assert server.connection.data_to_send() == b""


def test_the_context_grows() -> None:
    """Each question shows what is known by then."""
    exits = ScriptedExit()
    server = server_end(DHE_RSA, exits=exits)
    Forge(server, DHE_RSA).play(client_trace(DHE_RSA))
    start, done = exits.last(ExitPhase.START_HANDSHAKE).context, exits.last(ExitPhase.HANDSHAKE_DONE).context
    signing = exits.last(ExitPhase.CRYPT_DATA).context
    assert (start.cipher_suite, start.own_chain, start.authentication) == (None, (), None)
    assert signing.cipher_suite == DHE_RSA
    assert signing.own_chain
    assert done.authentication is not None
    assert done.reference == start.reference
    assert done.private_area is start.private_area


@pytest.mark.parametrize("role", Role)
def test_the_suite_that_start_handshake_chose(role: Role) -> None:
    """The exit may change the cipher list, before the hello."""
    exits = ScriptedExit(
        {ExitPhase.START_HANDSHAKE: Handled(StartHandshakeResult(changes={"cipher_suites": (DHE_RSA,)}))}
    )
    end = client_end(RSA, exits=exits) if role is Role.SERVER else server_end(RSA, exits=exits)
    Forge(end, DHE_RSA).play(honest(role, DHE_RSA))
    assert end.connection.context.cipher_suite == DHE_RSA


def test_the_private_area_lasts() -> None:
    """What the exit writes there in one phase it finds in the next."""
    found: list[bytes] = []

    def note(call: Any) -> Any:
        found.append(bytes(call.context.private_area))
        call.context.private_area[:] = b"kept"
        return NotHandled()

    phases = (ExitPhase.START_HANDSHAKE, ExitPhase.CHECK_CERTIFICATE, ExitPhase.HANDSHAKE_DONE)
    script = {ExitPhase.START_TASK: Handled(StartTaskResult(private_area_size=4)), **dict.fromkeys(phases, note)}
    Forge(client_end(RSA, exits=ScriptedExit(script)), RSA).play(honest(Role.SERVER))
    assert found == [bytes(4), b"kept", b"kept"]


def test_the_global_area_reaches_the_application() -> None:
    exits = ScriptedExit({ExitPhase.HANDSHAKE_DONE: Handled(b"partner 7")})
    client = client_end(RSA, exits=exits)
    Forge(client, RSA).play(honest(Role.SERVER))
    event = client.events[0]
    assert isinstance(event, HandshakeCompleted)
    assert event.global_area == b"partner 7".ljust(64, b"\0")
    assert event.context is client.connection.context
    assert b"partner 7" not in repr(event).encode()


def test_make_end_with_nothing() -> None:
    """A server without identities: no certificate to show is the local side's failure."""
    server = make_end(Profile.server(cipher_suites=(RSA,)))
    forge = Forge(server, RSA)
    forge.send(client_hello)
    assert forge.fatal is AlertDescription.HANDSHAKE_FAILURE


def test_a_store_that_fails_when_the_handshake_is_done_is_an_internal_error() -> None:
    """The session is put away after HandshakeDone has been answered, with no input under way."""

    class Full(Sessions):
        def put(self, session: Session) -> None:
            raise OSError("no space left")

    client, server = client_end(), server_end(config={"session_store": Full()})
    pump(client, server)
    error = server.connection.error
    assert isinstance(error, InternalError)
    assert isinstance(error.__cause__, OSError)
    assert server.connection.closed
    assert isinstance(client.connection.error, AlertReceived)
    assert client.connection.error.description == AlertDescription.INTERNAL_ERROR

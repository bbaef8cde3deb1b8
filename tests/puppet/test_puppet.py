"""A puppet against engines in this process and over sockets: honest, it completes every handshake; told otherwise, the
other end's reaction is seen for what it is."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import pytest

from tests.support.ends import DHE_RSA, RSA, RSA_NULL, certificates
from tests.support.keys import IDENTITY, PRE_SHARED_KEY, client_for, server_for
from tests.support.pair import End
from tests.support.sessions import Sessions
from tests.support.sockets import echo, served
from tlsexit.alerts import AlertDescription
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES, KeyExchange
from tlsexit.exits.calls import PreSharedKey
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify
from tlsexit.puppet import (
    ConnectionEngine,
    Credential,
    EngineTransport,
    Puppet,
    Reaction,
    Sealing,
    SocketTransport,
    client_trace,
    drop,
    flip_first,
    honest_client,
    seal,
    server_trace,
    throwaway_credentials,
)
from tlsexit.puppet.steps import (
    EMPTY_RENEGOTIATION_INFO,
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    alert,
    application_data,
    hang_up,
    hello_request,
    new_session_ticket,
    record,
    server_hello,
    server_key_exchange,
    v2_client_hello,
    wire,
)
from tlsexit.puppet.traces import insert, put, until
from tlsexit.session import MemorySessionStore
from tlsexit.trace import ladder, text

SERVED = [value for value, suite in SUITES.items() if not suite.key_exchange.fixed]
PSK = PreSharedKey(IDENTITY, PRE_SHARED_KEY)


def against(end: End, suite: int, **options: object) -> Puppet:
    """A puppet with what an end of the tests accepts."""
    pki = certificates(suite)
    role = end.connection.role.peer
    own = pki.client if role is Role.CLIENT else pki.server
    engine = ConnectionEngine(end.connection, end.exits, end.pki)
    return Puppet(
        role,
        EngineTransport(engine),
        (suite,),
        credentials={pki.kind: Credential(own.chain, own.key)},
        psk=PSK,
        **options,  # type: ignore[arg-type]
    )


def talks(puppet: Puppet, end: End) -> None:
    """Data arrives at both ends."""
    assert puppet.established, (puppet.reaction, end.connection.error)
    puppet.send(application_data(b"from the puppet"))
    end.drive()
    assert end.received.endswith(b"from the puppet")
    end.connection.send(b"from the engine")
    puppet.listen()
    assert puppet.application_data.endswith(b"from the engine")


@pytest.mark.parametrize("suite", SERVED, ids=lambda value: SUITES[value].name)
def test_every_suite_as_client(suite: int) -> None:
    extensions = (EMPTY_RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, ENCRYPT_THEN_MAC)
    end = server_for(suite)
    talks(against(end, suite, hello={"extensions": extensions}).play(honest_client()), end)


@pytest.mark.parametrize("suite", SERVED, ids=lambda value: SUITES[value].name)
def test_every_suite_as_server(suite: int) -> None:
    end = client_for(suite)
    trace = server_trace(suite)
    if SUITES[suite].key_exchange is KeyExchange.RSA_EXPORT:
        trace = insert(trace, server_key_exchange, after="certificate")
    talks(against(end, suite).play(trace), end)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, 0x0013, 0xC009], ids=lambda value: SUITES[value].name)
def test_client_certificate(suite: int) -> None:
    end = server_for(suite, verify=Verify.REQUIRED)
    puppet = against(end, suite).play(honest_client())
    talks(puppet, end)
    assert end.connection.context.peer_chain == puppet.own_chain


def test_resumption_by_id_and_a_server_that_forgot() -> None:
    """The same trace serves the abbreviated handshake and the full one that a declined session falls back to."""
    store = MemorySessionStore(lambda: 0.0)
    first = against(server_for(RSA, config={"session_store": store, "clock": lambda: 0.0}), RSA).play(honest_client())
    session = first.new_session()
    for kept in (True, False):
        if not kept:
            store.remove(session.session_id)
        end = server_for(RSA, config={"session_store": store, "clock": lambda: 0.0})
        puppet = against(end, RSA, session=session).play(honest_client())
        talks(puppet, end)
        assert puppet.resumed is end.connection.context.resumed is kept


def test_a_ticket_handed_out() -> None:
    promise = {"extensions": (EMPTY_RENEGOTIATION_INFO, Extension(ExtensionType.SESSION_TICKET, b""))}
    end = client_for(RSA, session_tickets=True)
    trace = insert(server_trace(RSA), new_session_ticket(b"a ticket"), before="change_cipher_spec")
    talks(against(end, RSA, hello=promise).play(trace), end)
    assert end.connection.session is not None
    assert end.connection.session.ticket == b"a ticket"


def test_renegotiation_by_either_side() -> None:
    """RFC 5746: the books know what renegotiation_info must hold."""
    end = server_for(RSA, renegotiation=True)
    puppet = against(end, RSA).play(honest_client()).play(honest_client())
    talks(puppet, end)
    assert puppet.handshakes == 2
    end = client_for(RSA, renegotiation=True)
    puppet = against(end, RSA).play(server_trace(RSA)).play((hello_request, *server_trace(RSA)))
    talks(puppet, end)
    assert puppet.handshakes == 2


def test_a_hello_in_ssl_2_format() -> None:
    end = server_for(RSA)
    talks(against(end, RSA).play(put(honest_client(), "client_hello", v2_client_hello)), end)
    end = client_for(RSA, v2_client_hello=True, extensions=False)
    talks(against(end, RSA, hello={"extensions": None}).play(server_trace(RSA)), end)


def test_what_it_sends_repeats_itself() -> None:
    """The same seed, the same bytes: what replays need. RSA leaves nothing else to chance but its padding."""
    hellos = [against(server_for(RSA_NULL), RSA_NULL).play(client_trace(RSA_NULL)).client_hello for _ in range(2)]
    assert hellos[0] == hellos[1]


@pytest.mark.parametrize(
    ("trace", "reaction"),
    [
        (seal(client_trace(RSA), "finished", Sealing(mac=flip_first)), Reaction("alert", 20)),
        (drop(client_trace(RSA), "change_cipher_spec"), Reaction("alert", 10)),
        (
            put(client_trace(RSA), "client_hello", wire(b"GET / HTTP/1.0\r\n\r\n", "client_hello")),
            Reaction("alert", 10),
        ),
        ((*client_trace(RSA), alert(1, 0)), Reaction("close_notify")),
        (client_trace(RSA), Reaction("open")),
    ],
)
def test_reactions(trace: tuple, reaction: Reaction) -> None:  # type: ignore[type-arg]
    assert against(server_for(RSA), RSA).play(trace).settle() == reaction


def test_reactions_in_words() -> None:
    assert str(Reaction("alert", 20)) == "alert bad_record_mac(20)"
    assert str(Reaction("reset")) == "reset"
    assert str(Reaction("broken", reason="no TLS")) == "broken: no TLS"


class Babbler:
    """An engine that answers with anything but TLS."""

    closed = False

    def __init__(self) -> None:
        self._out = b"220 welcome\r\n"

    def receive(self, data: bytes) -> None:
        """Take no notice."""

    def receive_eof(self) -> None:
        """Take no notice."""

    def take(self) -> bytes:
        out, self._out = self._out, b""
        return out


@pytest.mark.parametrize("content_type", [20, 21, 22])
def test_an_empty_record_is_a_record(content_type: int) -> None:
    """It goes out, whatever its type, and is refused."""
    puppet = against(server_for(RSA), RSA).play((record(content_type, b""),))
    assert puppet.writer.sequence_number == 1
    assert puppet.reaction == Reaction("alert", 10)


def test_nonsense_does_not_raise() -> None:
    puppet = Puppet(Role.CLIENT, EngineTransport(Babbler()), (RSA,)).play(honest_client())
    assert puppet.settle().kind == "broken"
    assert puppet.over


def test_the_ladder_of_what_was_said() -> None:
    """Broken messages and bytes outside records have their place in it."""
    puppet = against(server_for(RSA), RSA)
    puppet.send(wire(b"\x16\x03\x01\0\x02\x63", "wire"))
    puppet.send_record(ContentType.HANDSHAKE, b"\x01\0\0\x01")
    puppet.send_record(99, b"?")
    shown = text(ladder(puppet.talk))
    for part in ("bytes outside records 6 bytes", "malformed ClientHello 4 bytes", "record of type 99"):
        assert part in shown
    assert "Alert fatal" in shown


# ------------------------------------------------------------------------------------------------ sockets


def test_over_a_socket() -> None:
    near, far = socket.socketpair()
    thread = threading.Thread(target=lambda: served(echo)(far), daemon=True)
    thread.start()
    puppet = Puppet(Role.CLIENT, SocketTransport(near), (RSA,), patience=20.0)
    assert puppet.handshake(honest_client()), puppet.reaction
    puppet.send(application_data(b"there and back"))
    assert puppet.listen_until(lambda: puppet.application_data == b"there and back")
    puppet.send(alert(1, 0))
    assert puppet.settle() == Reaction("close_notify")
    puppet.close()
    thread.join(20.0)
    far.close()


def test_streams_that_end() -> None:
    """Closed, broken off, or silent: none of it raises, none of it waits longer than told."""
    near, far = socket.socketpair()
    puppet = Puppet(Role.SERVER, SocketTransport(near), (RSA,), patience=0.05)
    assert puppet.settle() == Reaction("open")
    far.close()
    assert puppet.settle() == Reaction("close")
    puppet.send_record(22, b"too late")
    puppet.send(hang_up)
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    near.sendall(b"never read")
    puppet = Puppet(Role.CLIENT, SocketTransport(near), (RSA,), patience=5.0)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    listener.close()
    assert puppet.settle() == Reaction("reset")
    near.close()


def test_throwaway_credentials() -> None:
    """One of each kind, the same at every call; a server that trusts them not refuses them."""
    assert throwaway_credentials(Role.CLIENT) is throwaway_credentials(Role.CLIENT)
    end = server_for(RSA, verify=Verify.REQUIRED)
    puppet = Puppet(Role.CLIENT, EngineTransport(ConnectionEngine(end.connection, end.exits, end.pki)), (RSA,))
    assert puppet.play(honest_client()).fatal == AlertDescription.UNKNOWN_CA
    assert Sessions().kept == {}


@pytest.mark.parametrize("role", Role)
def test_extensions_of_ones_own_stand_behind_the_usual_ones(role: Role) -> None:
    """In the hello of either role; the handshake is as before, since nobody knows them."""
    own = Extension(0xFEFE, b"own")
    end = server_for(RSA) if role is Role.CLIENT else client_for(RSA)
    puppet = against(end, RSA, extensions=(own,) if role is Role.CLIENT else ())
    puppet.extensions = (own,)
    puppet.play(until(honest_client() if role is Role.CLIENT else server_trace(RSA), "change_cipher_spec"))
    hello = puppet.client_hello if role is Role.CLIENT else puppet.server_hello
    assert hello is not None
    assert hello.extensions is not None
    assert (len(hello.extensions), hello.extensions[-1]) == (2, own)
    # a client refuses what it has not offered, a server skips what it does not know (RFC 4366 §2.3)
    assert puppet.over == (role is Role.SERVER)


@pytest.mark.parametrize("format", [True, False])
def test_tells_the_format_of_a_hello(format: bool) -> None:
    """Whether the client opened as SSL 2.0 would (appendix E.1)."""
    puppet = against(client_for(RSA, v2_client_hello=format), RSA)
    assert puppet.client_hello is not None
    assert puppet.v2_hello == format


def test_an_empty_message_is_an_empty_record() -> None:
    """Not nothing: the other end must have something to refuse (§6.2)."""
    puppet = against(server_for(RSA), RSA).play(until(honest_client(), "client_key_exchange"))
    puppet.send(record(ContentType.HANDSHAKE, b""))
    assert puppet.settle() == Reaction("alert", AlertDescription.UNEXPECTED_MESSAGE)


def test_a_server_never_echoes_an_id_that_it_does_not_know() -> None:
    """Not even its own from before: the client would take that for a resumption."""
    first = against(client_for(RSA), RSA)
    first.send(server_hello)
    assert first.server_hello is not None
    again = against(client_for(RSA), RSA)
    assert again.client_hello is not None
    again.client_hello = replace(again.client_hello, session_id=first.server_hello.session_id)
    again.send(server_hello)
    assert again.server_hello is not None
    assert len(again.server_hello.session_id) == 32
    assert again.server_hello.session_id != first.server_hello.session_id

"""Next protocol negotiation, which peers older than ALPN speak (draft-agl-tls-nextprotoneg-04)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import DH_ANON, DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge, Step
from tests.support.pair import End, pump
from tests.support.sessions import Sessions, old_session
from tests.support.traces import client_trace, insert, raw_message, resumed_trace, server_hello, server_trace, swap
from tests.support.walk import PlainTickets
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import ContentType
from tlsexit.events import MessageSeen
from tlsexit.handshake.enums import ExtensionType, HandshakeType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.finished import NextProtocol
from tlsexit.profile import Profile

NPN = ExtensionType.NEXT_PROTOCOL_NEGOTIATION
OFFER = Extension(NPN, b"")
ALPN = Extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b"\0\3\2h2")


def listing(*names: bytes) -> Extension:
    """What a server answers with."""
    return Extension(NPN, b"".join(bytes([len(name)]) + name for name in names))


def choice(name: bytes, padding: bytes | None = None) -> Step:
    """NextProtocol with this name."""
    padding = bytes(32 - (len(name) + 2) % 32) if padding is None else padding
    return raw_message(
        HandshakeType.NEXT_PROTOCOL, bytes([len(name)]) + name + bytes([len(padding)]) + padding, "next_protocol"
    )


def offering(*extensions: Extension, **profile: Any) -> Forge:
    """A client with these extensions before a server with this profile."""
    return Forge(server_end(**profile), RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, *extensions)})


def chosen(*ends: End) -> set[str | None]:
    """What both ends think they have agreed on."""
    return {end.connection.context.next_protocol for end in ends}


# ------------------------------------------------------------------------------------------------ both ends


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, DH_ANON])
@pytest.mark.parametrize(
    ("wanted", "served", "expected"),
    [
        (("spdy/3", "http/1.1"), ("http/1.1", "spdy/3"), "spdy/3"),
        (("spdy/3", "http/1.1"), ("http/1.1",), "http/1.1"),
        # "it MAY ... select a protocol which it supports but which the server did not advertise"
        (("spdy/3", "http/1.1"), ("h2",), "spdy/3"),
        (("spdy/3",), (), None),
        ((), ("spdy/3",), None),
        (("a" * 255,), ("b", "a" * 255), "a" * 255),
        (("smörgås",), ("smörgås",), "smörgås"),
    ],
)
def test_the_client_chooses(suite: int, wanted: tuple[str, ...], served: tuple[str, ...], expected: str | None) -> None:
    client, server = client_end(suite, npn=wanted), server_end(suite, npn=served)
    handshake(client, server, size=1 if suite == RSA else None)
    assert chosen(client, server) == {expected}
    for sender, receiver in ((client, server), (server, client)):
        sender.connection.send(b"data")
        pump(client, server)
        assert receiver.received == b"data"


def test_off_unless_asked_for() -> None:
    """Neither end has a name, neither says a word."""
    client = client_end()
    handshake(client, server_end(npn=("spdy/3",)))
    messages = [item.message for item in client.seen if isinstance(item, MessageSeen)]
    for hello in messages[:2]:
        assert find(hello.extensions, NPN) is None
    assert chosen(client) == {None}


@pytest.mark.parametrize("length", [1, 29, 30, 31, 255])
def test_the_choice_is_padded_and_protected(length: int) -> None:
    """§3: "padding_length = 32 - ((len(selected_protocol) + 2) % 32)", so that its length tells little."""
    client, server = client_end(npn=("p" * length,)), server_end(npn=("other",))
    handshake(client, server)
    (seen,) = [item for item in server.seen if isinstance(item, MessageSeen) and isinstance(item.message, NextProtocol)]
    assert seen.protected
    assert len(seen.raw) % 32 == 4  # the header
    assert set(seen.message.padding) == {0}


@pytest.mark.parametrize("tickets", [False, True])
def test_negotiated_anew_on_resumption(tickets: bool) -> None:
    store, sealer = Sessions(), PlainTickets(renew=True) if tickets else None
    config = {"session_store": store, "tickets": sealer}
    session = None
    for wanted, resumed in ((("one",), False), (("two", "one"), True), ((), True)):
        client = client_end(npn=wanted, session=session, session_tickets=tickets)
        server = server_end(npn=("one", "two"), config=config)
        handshake(client, server)
        assert client.connection.context.resumed is resumed
        assert chosen(client, server) == {wanted[0] if wanted else None}
        session = client.connection.session


def test_alpn_takes_precedence() -> None:
    """A server that answers one does not answer the other."""
    both: dict[str, Any] = {"alpn": ("h2",), "npn": ("spdy/3",)}
    client, server = client_end(**both), server_end(**both)
    handshake(client, server)
    assert chosen(client, server) == {None}
    assert client.connection.context.alpn_protocol == "h2"
    client, server = client_end(**both), server_end(npn=("spdy/3",))
    handshake(client, server)
    assert chosen(client, server) == {"spdy/3"}


def test_not_in_a_renegotiation() -> None:
    """§3: "renegotiations on the same connection MUST NOT include" it; a client that does is not answered."""
    client, server = (make(npn=("h",), renegotiation=True) for make in (client_end, server_end))
    handshake(client, server)
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    assert client.connection.context.handshake_count == 2
    hellos = [item.message for item in server.seen if isinstance(item, MessageSeen) and hasattr(item.message, "random")]
    assert [find(hello.extensions, NPN) is not None for hello in hellos] == [True, True, False, False]
    assert chosen(client, server) == {None}


# ------------------------------------------------------------------------------------------------ a server's view


@pytest.mark.parametrize("name", [b"h2", b"", b"what nobody offered", b"\xff\xfe", bytes(255)])
@pytest.mark.parametrize("padding", [None, b"", b"\x55" * 255])
def test_any_choice_will_do(name: bytes, padding: bytes | None) -> None:
    """The names are the client's affair, and nobody is told to look at the padding."""
    forge = offering(OFFER, npn=("h2",))
    carries_data(forge.play(insert(client_trace(RSA), choice(name, padding), after="change_cipher_spec")))
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, NPN) == b"\2h2"
    assert chosen(forge.target) == {name.decode("utf-8", "backslashreplace")}


def test_a_choice_that_is_missing() -> None:
    refused(offering(OFFER, npn=("h2",)).play(client_trace(RSA)), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("before", ["client_key_exchange", "change_cipher_spec", "finished"])
def test_a_choice_nobody_waits_for(before: str) -> None:
    trace = insert(client_trace(RSA), choice(b"h2"), before=before)
    refused(offering(npn=("h2",)).play(trace), AlertDescription.UNEXPECTED_MESSAGE)
    refused(offering(OFFER).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_a_choice_in_the_wrong_place() -> None:
    """Before the keys change, behind Finished, or twice."""
    trace = insert(client_trace(RSA), choice(b"h2"), after="change_cipher_spec")
    for wrong in (
        swap(trace, "change_cipher_spec", "next_protocol"),
        swap(trace, "finished", "next_protocol"),
        insert(trace, choice(b"h2"), before="finished"),
    ):
        refused(offering(OFFER, npn=("h2",)).play(wrong), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("body", [b"", b"\2h2", b"\2h2\x1c" + bytes(27), b"\2h2\x1c" + bytes(29), b"\3h2\0"])
def test_a_malformed_choice(body: bytes) -> None:
    step = raw_message(HandshakeType.NEXT_PROTOCOL, body, "next_protocol")
    forge = offering(OFFER, npn=("h2",)).play(insert(client_trace(RSA), step, after="change_cipher_spec"))
    refused(forge, AlertDescription.DECODE_ERROR)


def test_the_choice_is_part_of_finished() -> None:
    """A choice that somebody changed on the way shows in Finished."""
    step = Step("next_protocol", choice(b"h2").build, ContentType.HANDSHAKE, hashed=False)
    forge = offering(OFFER, npn=("h2",)).play(insert(client_trace(RSA), step, after="change_cipher_spec"))
    refused(forge, AlertDescription.DECRYPT_ERROR)


def test_a_resumption_without_the_choice() -> None:
    session = old_session()
    server = server_end(RSA, npn=("h2",), config={"session_store": Sessions(session)})
    forge = Forge(server, RSA, {"extensions": (EMPTY_RENEGOTIATION_INFO, OFFER)}, session=session)
    trace = resumed_trace(forge.role)
    refused(forge.play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_an_offer_with_a_body() -> None:
    refused(offering(listing(b"h2"), npn=("h2",)).play(client_trace(RSA)), AlertDescription.DECODE_ERROR)


# ------------------------------------------------------------------------------------------------ a client's view


@pytest.mark.parametrize(
    ("answer", "alert"),
    [
        ((Extension(NPN, b"\0"),), AlertDescription.DECODE_ERROR),
        ((Extension(NPN, b"\2h2\0"),), AlertDescription.DECODE_ERROR),
        ((Extension(NPN, b"\3h2"),), AlertDescription.DECODE_ERROR),
        ((listing(b"h2"), ALPN), AlertDescription.ILLEGAL_PARAMETER),
    ],
)
def test_answers_that_a_client_refuses(answer: tuple[Extension, ...], alert: AlertDescription) -> None:
    client = client_end(npn=("h2",), alpn=("h2",))
    refused(Forge(client, RSA, {"extensions": answer}).play((server_hello,)), alert)


def test_an_answer_nobody_asked_for() -> None:
    forge = Forge(client_end(), RSA, {"extensions": (listing(b"h2"),)}).play((server_hello,))
    refused(forge, AlertDescription.UNSUPPORTED_EXTENSION)


@pytest.mark.parametrize("listed", [(), (b"other",), (b"x", b"two")])
def test_a_client_answers_any_list(listed: tuple[bytes, ...]) -> None:
    """An empty one too: the server would rather not say."""
    client = client_end(npn=("one", "two"))
    forge = Forge(client, RSA, {"extensions": (listing(*listed),)})
    carries_data(forge.play(server_trace(RSA)))
    (message,) = [item for item in forge.messages if isinstance(item, NextProtocol)]
    assert message.selected_protocol == (b"two" if b"two" in listed else b"one")


def test_the_server_does_not_choose() -> None:
    """NextProtocol is the client's message."""
    forge = Forge(client_end(npn=("h2",)), RSA, {"extensions": (listing(b"h2"),)})
    trace = insert(server_trace(RSA), choice(b"h2"), after="change_cipher_spec")
    refused(forge.play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("names", [("",), ("a" * 256,), ("h2", "")])
def test_names_that_cannot_be_sent(names: tuple[str, ...]) -> None:
    with pytest.raises(LocalError, match=r"(?i)npn"):
        Profile.client(npn=names)

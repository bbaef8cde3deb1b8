"""Application-layer protocol negotiation (RFC 7301)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.conversation import carries_data, ended_by_peer, refused
from tests.support.ends import DH_ANON, DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.pair import End, pump
from tests.support.sessions import Sessions
from tests.support.traces import client_trace, server_hello, server_trace
from tlsexit.alerts import AlertDescription, AlertReceived, LocalError
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.profile import Profile

ALPN = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION


def protocols(*names: bytes) -> Extension:
    """An ALPN extension with these names."""
    body = b"".join(bytes([len(name)]) + name for name in names)
    return Extension(ALPN, len(body).to_bytes(2, "big") + body)


def offering(*names: bytes, **profile: Any) -> Forge:
    """A server's reaction to these names."""
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, protocols(*names))}
    return Forge(server_end(**profile), RSA, hello).play(client_trace(RSA))


def chosen(*ends: End) -> set[str | None]:
    """What both ends think they have agreed on."""
    return {end.connection.context.alpn_protocol for end in ends}


# ------------------------------------------------------------------------------------------------ both ends


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, DH_ANON])
@pytest.mark.parametrize(
    ("wanted", "served", "expected"),
    [
        (("h2", "http/1.1"), ("http/1.1", "h2"), "http/1.1"),
        (("h2", "http/1.1"), ("h2",), "h2"),
        (("http/1.1",), (), None),
        ((), ("http/1.1",), None),
        (("a" * 255,), ("b", "a" * 255), "a" * 255),
        (("smörgås",), ("smörgås",), "smörgås"),
    ],
)
def test_a_protocol_in_common(
    suite: int, wanted: tuple[str, ...], served: tuple[str, ...], expected: str | None
) -> None:
    """R7301-3.1-01: the server's favourite (RFC 7301 §3.2); without any on one side there is no negotiation."""
    client, server = client_end(suite, alpn=wanted), server_end(suite, alpn=served)
    handshake(client, server, size=1 if suite == RSA else None)
    assert chosen(client, server) == {expected}


def test_no_protocol_in_common() -> None:
    """R7301-3.2-01."""
    client, server = client_end(alpn=("h2",)), server_end(alpn=("http/1.1", "h3"))
    pump(client, server)
    for end in (client, server):
        assert end.connection.closed
        assert "no_application_protocol(120)" in str(end.connection.error)
    assert isinstance(client.connection.error, AlertReceived)


def test_negotiated_anew_on_resumption() -> None:
    """R7301-3.1-01: not part of the session."""
    store = Sessions()
    client = client_end(alpn=("h2", "http/1.1"))
    handshake(client, server_end(alpn=("h2",), config={"session_store": store}))
    session = client.connection.session
    for served, expected in ((("http/1.1",), "http/1.1"), ((), None)):
        client = client_end(alpn=("h2", "http/1.1"), session=session)
        server = server_end(alpn=served, config={"session_store": store})
        handshake(client, server)
        assert client.connection.context.resumed
        assert chosen(client, server) == {expected}
    client = client_end(alpn=("h2",), session=session)
    server = server_end(alpn=("spdy/1",), config={"session_store": store})
    pump(client, server)
    assert "no_application_protocol(120)" in str(client.connection.error)


# ------------------------------------------------------------------------------------------------ one end


@pytest.mark.parametrize("names", [(b"h2",), (b"x", b"h2", b"y"), (b"h2", b"h2"), (bytes(range(255)), b"h2")])
def test_the_server_answers_with_exactly_one(names: tuple[bytes, ...]) -> None:
    """R7301-3.1-01."""
    forge = offering(*names, alpn=("h2",))
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ALPN) == b"\0\3\2h2"
    carries_data(forge)


@pytest.mark.parametrize("names", [(b"H2",), (b"h2 ",), (b"h",), (b"h22",), (b"\xff\xfe",)])
def test_names_are_compared_byte_by_byte(names: tuple[bytes, ...]) -> None:
    """RFC 7301 §3.2: no folding, no prefixes."""
    refused(offering(*names, alpn=("h2",)), AlertDescription.NO_APPLICATION_PROTOCOL)


def test_a_server_without_protocols_ignores_them() -> None:
    """RFC 7301 §3.1: it does not even have to know the extension."""
    forge = offering(b"h2")
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ALPN) is None
    carries_data(forge)


@pytest.mark.parametrize(
    ("answer", "alert"),
    [
        (protocols(b"h3"), AlertDescription.ILLEGAL_PARAMETER),
        (protocols(b"H2"), AlertDescription.ILLEGAL_PARAMETER),
        (protocols(b"h2", b"http/1.1"), AlertDescription.ILLEGAL_PARAMETER),
        (protocols(b"h2", b"h2"), AlertDescription.ILLEGAL_PARAMETER),
        (protocols(), AlertDescription.DECODE_ERROR),
        (protocols(b""), AlertDescription.DECODE_ERROR),
    ],
)
def test_answers_that_a_client_refuses(answer: Extension, alert: AlertDescription) -> None:
    """R7301-3.1-01: exactly one, of those offered."""
    client = client_end(alpn=("h2", "http/1.1"))
    refused(Forge(client, RSA, {"extensions": (answer,)}).play((server_hello,)), alert)


def test_the_servers_choice_counts() -> None:
    """R7301-3.1-01: even if the client liked another one better."""
    client = client_end(alpn=("h2", "http/1.1"))
    carries_data(Forge(client, RSA, {"extensions": (protocols(b"http/1.1"),)}).play(server_trace(RSA)))
    assert client.connection.context.alpn_protocol == "http/1.1"


def test_a_server_that_finds_none() -> None:
    """R7301-3.2-01, seen from the client."""
    forge = Forge(client_end(alpn=("h2",)), RSA)
    forge.send_alert(2, AlertDescription.NO_APPLICATION_PROTOCOL)
    ended_by_peer(forge, AlertDescription.NO_APPLICATION_PROTOCOL)


@pytest.mark.parametrize("make", [Profile.client, Profile.server])
@pytest.mark.parametrize("names", [("",), ("a" * 256,), ("h2", ""), ("ö" * 128,)])
def test_names_that_cannot_be_sent(make: Callable[..., Profile], names: Sequence[str]) -> None:
    """RFC 7301 §3.1: 1 to 255 bytes each."""
    with pytest.raises(LocalError, match=r"(?i)alpn"):
        make(alpn=tuple(names))


def test_more_names_than_the_extension_holds() -> None:
    """RFC 7301 §3.1: 65535 bytes in all. Noticed when the profile is made, not in the handshake."""
    with pytest.raises(LocalError, match="ALPN"):
        Profile.client(alpn=tuple(f"{number:0255}" for number in range(256)))

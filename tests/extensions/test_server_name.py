"""server_name (RFC 6066 §3): sent, recognised, refused, remembered by the session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, ended_by_peer, opposite, refused
from tests.support.ends import RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge
from tests.support.keys import builtin
from tests.support.pki import END, START, leaf_key, pki
from tests.support.sessions import Sessions, old_session, resuming_forge
from tests.support.traces import client_trace, resumed_trace
from tlsexit.alerts import AlertDescription, AlertLevel, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen, WarningReceived
from tlsexit.exits.forms import load_certificate
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.hello import ServerHello
from tlsexit.profile import Profile


def names(*entries: tuple[int, bytes]) -> Extension:
    """A server_name extension with these (type, name) pairs."""
    body = b"".join(bytes([kind]) + len(name).to_bytes(2, "big") + name for kind, name in entries)
    return Extension(ExtensionType.SERVER_NAME, len(body).to_bytes(2, "big") + body)


def asked_for(*entries: tuple[int, bytes], **profile: Any) -> Forge:
    """A server's reaction to a hello with these names."""
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, names(*entries))}
    return Forge(server_end(**profile), RSA, hello).play(client_trace(RSA))


def answered(forge: Forge) -> bytes | None:
    """The body of the server's answer, if there is one."""
    assert forge.server_hello is not None
    return find(forge.server_hello.extensions, ExtensionType.SERVER_NAME)


# ------------------------------------------------------------------------------------------------ the client


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("localhost", b"localhost"),
        ("Server.Example", b"Server.Example"),
        ("server.example.", b"server.example"),
        ("xn--bcher-kva.example", b"xn--bcher-kva.example"),
        ("127.0.0.1", None),
        ("::1", None),
        ("[::1]", None),
        (None, None),
    ],
)
def test_what_a_client_sends(name: str | None, sent: bytes | None) -> None:
    """R4366-3.1-01: the DNS name without trailing dot, never an address."""
    forge = opposite(Role.SERVER, server_name=name)
    assert forge.client_hello is not None
    body = find(forge.client_hello.extensions, ExtensionType.SERVER_NAME)
    assert body == (None if sent is None else names((0, sent)).extension_data)


@pytest.mark.parametrize("name", ["bücher.example", "", ".", "a" * 256, "two words", "nul\0.example"])
def test_names_that_no_host_has(name: str) -> None:
    """R4366-3.1-01: ASCII (A-labels, RFC 6066 §3). Noticed when the profile is made, not in the handshake."""
    with pytest.raises(LocalError, match="server_name"):
        Profile.client(server_name=name)


@pytest.mark.parametrize("size", [None, 1])
def test_both_ends_know_the_name(size: int | None) -> None:
    """R4366-3.1-02: a server that used it answers with an empty body."""
    client, server = client_end(server_name="Server.Example"), server_end(server_names=("server.example",))
    handshake(client, server, size=size)
    assert server.connection.context.server_name == "server.example"
    hellos = [item.message for item in client.seen if isinstance(item, MessageSeen)]
    hello = next(item for item in hellos if isinstance(item, ServerHello))
    assert find(hello.extensions, ExtensionType.SERVER_NAME) == b""


def test_a_server_that_warns_of_the_name() -> None:
    """R4366-3.1-03: the warning form is reported and survived, the certificate decides."""
    forge = opposite(Role.SERVER, server_name="localhost")
    forge.send_alert(AlertLevel.WARNING, AlertDescription.UNRECOGNIZED_NAME)
    assert forge.target.events == [WarningReceived(AlertDescription.UNRECOGNIZED_NAME)]
    assert not forge.target.connection.closed
    forge = opposite(Role.SERVER, server_name="localhost")
    forge.send_alert(AlertLevel.FATAL, AlertDescription.UNRECOGNIZED_NAME)
    ended_by_peer(forge, AlertDescription.UNRECOGNIZED_NAME)


# ------------------------------------------------------------------------------------------------ the server


@pytest.mark.parametrize("name", [b"server.example", b"SERVER.example", b"other.example"])
@pytest.mark.parametrize("served", [(), ("server.example", "other.example"), ("Other.Example", "SERVER.EXAMPLE")])
def test_a_name_that_is_served(name: bytes, served: tuple[str, ...]) -> None:
    """R4366-3.1-02: host names have no case (RFC 6066 §3), whichever side writes them how."""
    forge = asked_for((0, name), server_names=served)
    assert answered(forge) == b""
    assert forge.target.connection.context.server_name == name.decode().lower()
    carries_data(forge)


@pytest.mark.parametrize("name", [b"wrong.example", b"server.example.evil", b"erver.example", b"*"])
def test_a_name_that_is_not_served(name: bytes) -> None:
    """R4366-3.1-03: fatal, since clients react to the warning in different ways."""
    refused(asked_for((0, name), server_names=("server.example",)), AlertDescription.UNRECOGNIZED_NAME)


def test_no_name_where_names_are_served() -> None:
    """R4366-4-01: who sends no name is told nothing about names."""
    carries_data(opposite(Role.CLIENT, server_names=("server.example",)).play(client_trace(RSA)))


def test_names_of_other_types() -> None:
    """RFC 6066 §3: skipped by the length that each must begin with."""
    forge = asked_for((7, b"whatever"), (0, b"server.example"), (9, b""), server_names=("server.example",))
    assert answered(forge) == b""
    carries_data(forge)
    forge = asked_for((7, b"whatever"), server_names=("server.example",))
    assert answered(forge) is None
    carries_data(forge)


@pytest.mark.parametrize(
    "entries", [((0, b"a.example"), (0, b"b.example")), ((0, b"a.example"), (0, b"a.example")), ((7, b"x"), (7, b"y"))]
)
def test_two_names_of_one_type(entries: tuple[tuple[int, bytes], ...]) -> None:
    """R6066-3-01."""
    refused(asked_for(*entries), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("name", ["bücher.example".encode(), b"\xff", bytes(range(128, 256))])
def test_a_name_that_is_not_ascii(name: bytes) -> None:
    """RFC 6066 §3: ASCII, where RFC 4366 still said UTF-8."""
    refused(asked_for((0, name)), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("name", [b"server\0.example", b"\0", b"two words", b"line\nfeed", b"\x1b[2J", b"\x7f"])
def test_a_name_that_does_not_print(name: bytes) -> None:
    """RFC 6066 §3: a DNS hostname. A log or another library would take it for something else."""
    refused(asked_for((0, name)), AlertDescription.ILLEGAL_PARAMETER)


def test_the_certificate_follows_the_name() -> None:
    """RFC 6066 §3: one server, several names."""
    issue = pki().root.issue
    leaves = [
        issue(host, key=leaf_key(KeyType.RSA), hosts=(host,), not_before=START, not_after=END)
        for host in ("first.example", "second.example")
    ]
    own = builtin(Role.SERVER, identities=[leaf.identity(str(index)) for index, leaf in enumerate(leaves)])
    for index, host in enumerate(("first.example", "second.example", "third.example")):
        client = client_end(server_name=host if index < 2 else None)
        handshake(client, server_end(builtin=own))
        shown = client.connection.context.peer_chain[0]
        assert load_certificate(shown) == leaves[index % 2].certificate


# ------------------------------------------------------------------------------------------------ resumption


def test_the_answer_is_left_out_of_a_resumption() -> None:
    """R4366-3-01, R6066-3-01."""
    forge = resuming_forge(Role.CLIENT, old_session(server_name="localhost"), extended_master_secret=False)
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, names((0, b"LOCALHOST")))
    forge.play(resumed_trace(Role.CLIENT))
    assert forge.target.connection.context.resumed
    assert answered(forge) is None
    carries_data(forge)


@pytest.mark.parametrize("entries", [((0, b"other.example"),), ()])
def test_a_session_of_another_name_is_not_resumed(entries: tuple[tuple[int, bytes], ...]) -> None:
    """R6066-3-01: a full handshake instead, with a session of its own."""
    session = old_session(server_name="localhost")
    server = server_end(config={"session_store": Sessions(session)})
    extensions = (EMPTY_RENEGOTIATION_INFO, *((names(*entries),) if entries else ()))
    hello = {"session_id": session.session_id, "extensions": extensions}
    forge = Forge(server, RSA, hello).play(client_trace(RSA))
    assert not server.connection.context.resumed
    assert forge.server_hello is not None
    assert forge.server_hello.session_id != session.session_id
    carries_data(forge)


def test_a_client_offers_a_session_to_its_own_server_only() -> None:
    """R6066-3-01."""
    session = old_session(server_name="first.example")
    for name, offered in (("first.example", session.session_id), ("second.example", b""), (None, b"")):
        forge = Forge(client_end(session=session, server_name=name), RSA)
        assert forge.client_hello is not None
        assert forge.client_hello.session_id == offered

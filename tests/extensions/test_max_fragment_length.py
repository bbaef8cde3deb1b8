"""max_fragment_length (RFC 6066 §4): asked for, granted, kept to by both ends, for the life of the session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import RSA, RSA_NULL, RSA_RC4, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge, Trace
from tests.support.pair import End, pump
from tests.support.sessions import Sessions, old_session, resuming_forge
from tests.support.traces import client_hello, client_trace, resumed_trace, server_hello, server_trace, split
from tlsexit.alerts import AlertDescription, LocalError
from tlsexit.constants import ContentType, Role
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.profile import Profile, Verify

LENGTHS = {512: 1, 1024: 2, 2048: 3, 4096: 4}
MAC = 20


def length(code: int) -> Extension:
    """The extension with this value."""
    return Extension(ExtensionType.MAX_FRAGMENT_LENGTH, bytes([code]))


def asking(code: int, suite: int = RSA_NULL, **hello: Any) -> Forge:
    """A forged client that asks for a length."""
    fields = {"extensions": (EMPTY_RENEGOTIATION_INFO, length(code)), **hello}
    return Forge(server_end(suite), suite, fields)


def short(trace: Trace, size: int) -> Trace:
    """The same messages, none in a longer record."""
    for step in trace:
        if step.content_type == ContentType.HANDSHAKE and step.name != "client_hello":
            trace = split(trace, step.name, size)
    return trace


def records(data: bytes) -> list[tuple[int, int]]:
    """Type and length of each record."""
    found = []
    while data:
        size = int.from_bytes(data[3:5], "big")
        found.append((data[0], size))
        data = data[5 + size :]
    return found


def carried(client: End, server: End) -> dict[Role, list[tuple[int, int]]]:
    """Run what there is to run, and tell which records each end sent."""
    sent: dict[Role, list[tuple[int, int]]] = {Role.CLIENT: [], Role.SERVER: []}
    moved = True
    while moved:
        moved = False
        for source, target in ((client, server), (server, client)):
            data = source.connection.data_to_send()
            sent[source.connection.role] += records(data)
            target.connection.receive_data(data)
            target.drive()
            moved |= bool(data)
    return sent


# ------------------------------------------------------------------------------------------------ both ends


@pytest.mark.parametrize("suite", [RSA_NULL, RSA_RC4, RSA], ids=hex)
@pytest.mark.parametrize("size", LENGTHS)
def test_both_ends_keep_to_it(suite: int, size: int) -> None:
    """R4366-3.2-01, R4366-3.2-02: at once, handshake messages and data alike; it is the plaintext that counts."""
    client, server = client_end(suite, max_fragment_length=size), server_end(suite, verify=Verify.REQUIRED)
    sent = carried(client, server)
    for end in (client, server):
        assert end.connection.established, end.connection.error
        end.connection.send(bytes(10_000))
    for role, some in carried(client, server).items():
        sent[role] += some
    assert client.received == server.received == bytes(10_000)
    overhead = {RSA_NULL: MAC, RSA_RC4: MAC, RSA: MAC + 16}[suite]
    for role, found in sent.items():
        later = found[1:] if role is Role.CLIENT else found  # but for the ClientHello, when nothing was agreed
        longest = max(size_ for _, size_ in later)
        assert longest <= size + overhead
        if suite == RSA_NULL:
            assert longest == size + overhead
    if size == 512:
        certificates = [item for item in sent[Role.SERVER] if item == (ContentType.HANDSHAKE, 512)]
        assert certificates, "the Certificate message of more than 512 bytes was not cut"


def test_byte_by_byte() -> None:
    """R4366-3.2-02, with the smallest records and the smallest chunks."""
    client, server = client_end(max_fragment_length=512), server_end(verify=Verify.REQUIRED)
    handshake(client, server, size=1)
    server.connection.send(bytes(2000))
    pump(client, server, size=1)
    assert client.received == bytes(2000)


def test_a_smaller_limit_of_our_own() -> None:
    """What was agreed is an upper bound: a configuration may write still smaller records."""
    client = client_end(RSA_NULL, max_fragment_length=512, config={"max_fragment": 100})
    server = server_end(RSA_NULL)
    handshake(client, server)
    client.connection.send(bytes(1000))
    assert max(size for _, size in carried(client, server)[Role.CLIENT]) == 100 + MAC


# ------------------------------------------------------------------------------------------------ enforcement


@pytest.mark.parametrize("suite", [RSA_NULL, RSA], ids=hex)
@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("role", Role)
def test_one_byte_too_many(role: Role, size: int, suite: int) -> None:
    """R4366-3.2-02: the limit holds for what is received too, plus or minus nothing."""
    for surplus in (0, 1):
        if role is Role.CLIENT:
            forge = asking(LENGTHS[size], suite).play(short(client_trace(suite), size))
        else:
            client = client_end(suite, max_fragment_length=size)
            forge = Forge(client, suite, {"extensions": (length(LENGTHS[size]),)})
            forge.play(short(server_trace(suite), size))
        carries_data(forge)
        forge.send_record(ContentType.APPLICATION_DATA, bytes(size + surplus))
        if surplus:
            refused(forge, AlertDescription.RECORD_OVERFLOW)
        else:
            assert forge.target.received.endswith(bytes(size))


@pytest.mark.parametrize("role", Role)
def test_handshake_messages_in_long_records(role: Role) -> None:
    """R4366-3.2-02: "including handshake messages"."""
    if role is Role.CLIENT:
        server = server_end(RSA, verify=Verify.REQUIRED)
        trace = split(client_trace(RSA, certificate=True), "certificate", 2**14)
        forge = Forge(server, RSA, {"extensions": (length(1),)}).play(trace)
    else:
        client = client_end(RSA, max_fragment_length=512)
        trace = split(server_trace(RSA), "certificate", 2**14)
        forge = Forge(client, RSA, {"extensions": (length(1),)}).play(trace)
    refused(forge, AlertDescription.RECORD_OVERFLOW)


@pytest.mark.parametrize("role", Role)
def test_without_it_the_limit_stays(role: Role) -> None:
    """R4366-3.2-01: a server need not grant it, and then nothing changes."""
    end = server_end(RSA) if role is Role.CLIENT else client_end(RSA, max_fragment_length=512)
    forge = Forge(end, RSA, {"extensions": ()})
    forge.play(client_trace(RSA) if role is Role.CLIENT else server_trace(RSA))
    forge.send_record(ContentType.APPLICATION_DATA, bytes(2**14))
    assert len(end.received) == 2**14
    carries_data(forge)


# ------------------------------------------------------------------------------------------------ the answer


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_the_server_echoes_the_value(code: int) -> None:
    """R4366-3.2-01."""
    forge = asking(code)
    forge.send(client_hello)
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH) == bytes([code])


@pytest.mark.parametrize("code", [0, 5, 14, 255])
def test_values_without_a_meaning(code: int) -> None:
    """R4366-3.2-01, from either side."""
    forge = asking(code)
    forge.send(client_hello)
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)
    client = client_end(RSA, max_fragment_length=512)
    refused(
        Forge(client, RSA, {"extensions": (length(code),)}).play((server_hello,)), AlertDescription.ILLEGAL_PARAMETER
    )


@pytest.mark.parametrize("code", [2, 3, 4])
def test_another_value_than_was_asked_for(code: int) -> None:
    """R4366-3.2-01: smaller or greater, the server may not bargain."""
    client = client_end(RSA, max_fragment_length=512)
    refused(
        Forge(client, RSA, {"extensions": (length(code),)}).play((server_hello,)), AlertDescription.ILLEGAL_PARAMETER
    )


@pytest.mark.parametrize("value", [0, 1, 511, 8192, 2**14])
def test_lengths_that_cannot_be_asked_for(value: int) -> None:
    with pytest.raises(LocalError, match="max_fragment_length"):
        Profile.client(max_fragment_length=value)


# ------------------------------------------------------------------------------------------------ resumption


def test_a_resumption_keeps_the_length() -> None:
    """R4366-3.2-02: for the session and its resumptions, at both ends."""
    store = Sessions()
    client = client_end(RSA_NULL, max_fragment_length=1024)
    handshake(client, server_end(RSA_NULL, config={"session_store": store}))
    client = client_end(RSA_NULL, max_fragment_length=1024, session=client.connection.session)
    server = server_end(RSA_NULL, config={"session_store": store})
    handshake(client, server)
    assert client.connection.context.resumed
    for end in (client, server):
        end.connection.send(bytes(5000))
    for found in carried(client, server).values():
        assert max(size for _, size in found) == 1024 + MAC


@pytest.mark.parametrize("extensions", [(), (length(1),), (length(4),)])
def test_the_server_keeps_it_whatever_the_hello_says(extensions: tuple[Extension, ...]) -> None:
    """R4366-3-01: on a resumption the extension is neither read nor answered; what was agreed goes on."""
    forge = resuming_forge(Role.CLIENT, old_session(max_fragment_length=512))
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, *extensions)
    forge.play(resumed_trace(Role.CLIENT))
    assert forge.server_hello is not None
    assert forge.target.connection.context.resumed
    assert find(forge.server_hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH) is None
    carries_data(forge)
    forge.send_record(ContentType.APPLICATION_DATA, bytes(513))
    refused(forge, AlertDescription.RECORD_OVERFLOW)


@pytest.mark.parametrize("extensions", [(), (length(1),)])
def test_the_client_keeps_it_with_or_without_an_answer(extensions: tuple[Extension, ...]) -> None:
    """R4366-3-01; OpenSSL answers all the same."""
    forge = resuming_forge(Role.SERVER, old_session(max_fragment_length=512), max_fragment_length=512)
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, *extensions)
    forge.play(resumed_trace(Role.SERVER))
    assert forge.target.connection.context.resumed
    carries_data(forge)
    forge.send_record(ContentType.APPLICATION_DATA, bytes(513))
    refused(forge, AlertDescription.RECORD_OVERFLOW)


def test_a_resumption_does_not_begin_with_it() -> None:
    """R4366-3-01: the session was made without."""
    forge = resuming_forge(Role.CLIENT, old_session())
    forge.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO, length(1))
    forge.play(resumed_trace(Role.CLIENT))
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH) is None
    forge.send_record(ContentType.APPLICATION_DATA, bytes(2**14))
    carries_data(forge)


@pytest.mark.parametrize(
    ("had", "wants", "offered"), [(512, 512, True), (512, 1024, False), (512, None, False), (None, 512, True)]
)
def test_the_client_offers_a_session_of_its_own_length(had: int | None, wants: int | None, offered: bool) -> None:
    """R4366-3.2-02: another length is a wish for another session; OpenSSL refuses the contradiction."""
    session = old_session(max_fragment_length=had)
    client = client_end(RSA, session=session, max_fragment_length=wants, extended_master_secret=False)
    forge = Forge(client, RSA)
    assert forge.client_hello is not None
    assert forge.client_hello.session_id == (session.session_id if offered else b"")


# ------------------------------------------------------------------------------------------------ renegotiation


def test_a_renegotiation_without_it_lifts_the_limit() -> None:
    """R4366-3.2-02: it belongs to the session, and a renegotiation makes a new one."""
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, length(1))}
    forge = Forge(server_end(RSA, renegotiation=True), RSA, hello).play(short(client_trace(RSA), 512))
    carries_data(forge)
    saved = forge.verify_data
    forge.begin()
    forge.hello = {"extensions": (Extension(ExtensionType.RENEGOTIATION_INFO, b"\x0c" + saved),)}
    forge.play(short(client_trace(RSA), 512))
    assert forge.target.connection.context.handshake_count == 2
    forge.send_record(ContentType.APPLICATION_DATA, bytes(2**14))
    carries_data(forge)


def test_a_renegotiation_that_brings_it() -> None:
    """R4366-3.2-02: data that was on its way is still long; what comes under the new keys is not."""
    forge = Forge(server_end(RSA, renegotiation=True), RSA).play(client_trace(RSA))
    saved = forge.verify_data
    forge.begin()
    info = Extension(ExtensionType.RENEGOTIATION_INFO, b"\x0c" + saved)
    forge.hello = {"extensions": (info, length(1))}
    forge.send(client_hello)
    forge.send_record(ContentType.APPLICATION_DATA, bytes(2**14))
    assert len(forge.target.received) == 2**14
    forge.play(client_trace(RSA)[1:])
    assert forge.target.connection.context.handshake_count == 2
    carries_data(forge)
    forge.send_record(ContentType.APPLICATION_DATA, bytes(513))
    refused(forge, AlertDescription.RECORD_OVERFLOW)

"""The ClientHello in SSL 2.0 format (RFC 2246 appendix E): accepted first and only first, sent on request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, established, refused
from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, check_phases, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, Forge, Step
from tests.support.pair import End, pump
from tests.support.sessions import Sessions, old_session
from tests.support.traces import client_trace, server_hello, wire
from tlsexit.alerts import AlertDescription
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, Role
from tlsexit.events import MessageSeen
from tlsexit.handshake.hello import ClientHello

SSL2_SPECS = bytes.fromhex("010080 020080 030080 040080 050080 060040 0700c0")
"""SSL 2.0's own, as old browsers sent them (R2246-E-07)."""


def v2_hello(
    *suites: int,
    version: int = 0x0301,
    challenge: bytes = bytes(range(32)),
    session_id: bytes = b"",
    specs: bytes = b"",
    lengths: tuple[int, int, int] | None = None,
) -> bytes:
    """The message from msg_type on; ``lengths`` are those of specs, session id and challenge, if they lie."""
    specs += b"".join(b"\0" + suite.to_bytes(2, "big") for suite in suites)
    sizes = lengths or (len(specs), len(session_id), len(challenge))
    header = b"\1" + version.to_bytes(2, "big") + b"".join(size.to_bytes(2, "big") for size in sizes)
    return header + specs + session_id + challenge


def framed(message: bytes, *, padding: int | None = None) -> bytes:
    """The message in a record of SSL 2.0: two bytes of length, or three where there is padding."""
    if padding is None:
        return (0x8000 | len(message)).to_bytes(2, "big") + message
    return (len(message) + padding).to_bytes(2, "big") + bytes([padding]) + message + bytes(padding)


def opening(message: bytes, suite: int = RSA) -> Step:
    """The step that opens with this hello: the handshake hashes have it from msg_type on."""

    def build(forge: Forge) -> bytes:
        forge.transcript = forge.transcript.add(message)
        challenge = message[9 + int.from_bytes(message[3:5], "big") + int.from_bytes(message[5:7], "big") :]
        version = int.from_bytes(message[1:3], "big")
        random = challenge[-32:].rjust(32, b"\0")
        forge.client_hello = ClientHello(version, random, b"", (suite,), (0,), None)
        return framed(message)

    return Step("client_hello", build, None)


def after(message: bytes, suite: int = RSA, *more: int, **profile: Any) -> Forge:
    """A conversation that opens with this hello and goes on as TLS."""
    server = server_end(suite, *more, **profile)
    return Forge(server, suite).play((opening(message, suite), *client_trace(suite)[1:]))


def hello_seen_by(end: End) -> ClientHello:
    """The hello as the server understood it."""
    messages = [item.message for item in end.seen if isinstance(item, MessageSeen)]
    return next(item for item in messages if isinstance(item, ClientHello))


# ------------------------------------------------------------------------------------------------ accepted


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA], ids=hex)
def test_the_handshake_goes_on_as_tls(suite: int) -> None:
    """R2246-E-06, R2246-E.1-01: and the hashes cover it from msg_type on, or Finished would not match."""
    forge = after(v2_hello(suite), suite)
    carries_data(forge)
    check_phases(forge.target)
    assert forge.server_hello is not None
    assert forge.server_hello.extensions is None


@pytest.mark.parametrize("size", [16, 17, 24, 31, 32, 33, 40, 48, 64, 1000])
def test_challenges(size: int) -> None:
    """R2246-E.1-04: right-justified; the derived keys would differ otherwise."""
    challenge = bytes(index % 255 + 1 for index in range(size))
    forge = after(v2_hello(RSA, challenge=challenge))
    carries_data(forge)
    assert hello_seen_by(forge.target).random == (bytes(32) + challenge)[-32:]


@pytest.mark.parametrize("size", [0, 1, 8, 15])
def test_challenges_that_are_refused(size: int) -> None:
    """R2246-E.1-05."""
    refused(after(v2_hello(RSA, challenge=bytes(size))), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303, 0x03FF, 0x0400, 0x7F00])
def test_versions(version: int) -> None:
    """R2246-E.1-01: the client's highest, which the premaster secret repeats."""
    carries_data(after(v2_hello(RSA, version=version)))


@pytest.mark.parametrize("version", [0x0000, 0x0002, 0x0200, 0x0300])
def test_versions_that_are_too_low(version: int) -> None:
    """R2246-E-03, RFC 6176 §2: neither SSL 2.0 nor SSL 3.0 is ever negotiated."""
    refused(after(v2_hello(RSA, version=version)), AlertDescription.PROTOCOL_VERSION)


def test_specs_of_ssl_2() -> None:
    """R2246-E-07: skipped; alone they leave nothing in common (R2246-E.1-06)."""
    forge = after(v2_hello(0x0A0A, RSA, specs=SSL2_SPECS))
    carries_data(forge)
    assert hello_seen_by(forge.target).cipher_suites == (0x0A0A, RSA)
    refused(after(v2_hello(specs=SSL2_SPECS)), AlertDescription.HANDSHAKE_FAILURE)
    refused(after(v2_hello(DHE_RSA)), AlertDescription.HANDSHAKE_FAILURE)


def test_whose_preference() -> None:
    """R2246-7.4.1.2-11: in the order of the specs."""
    for first, second in ((RSA, DHE_RSA), (DHE_RSA, RSA)):
        forge = Forge(server_end(RSA, DHE_RSA), first).play((opening(v2_hello(first, second), first),))
        assert forge.server_hello is not None
        assert forge.server_hello.cipher_suite == first


def test_signalling_suites() -> None:
    """R5746-3.6-01: the only way for such a client to say so. R7507-3-01: nothing higher is left to fall back from."""
    forge = after(v2_hello(RSA, EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)
    assert forge.target.connection.context.secure_renegotiation
    carries_data(forge)


def test_a_session_id() -> None:
    """R2246-E.1-03: 16 bytes, of a TLS session even; it may be resumed or not."""
    session = old_session(session_id=bytes(range(16)))
    server = server_end(config={"session_store": Sessions(session)})
    forge = Forge(server, RSA, session=session)
    forge.play((opening(v2_hello(RSA, session_id=session.session_id)),))
    assert forge.server_hello is not None
    carries_data(after(v2_hello(RSA, session_id=bytes(16))))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_in_small_pieces(size: int) -> None:
    """R2246-6.2.1-05: no chunking makes a difference, from the very first bytes on."""
    client, server = client_end(v2_client_hello=True), server_end()
    handshake(client, server, size=size)


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("message", "alert"),
    [
        (v2_hello(), AlertDescription.DECODE_ERROR),
        (v2_hello(specs=b"\0\0\x2f\0"), AlertDescription.DECODE_ERROR),
        (v2_hello(RSA, lengths=(6, 0, 32)), AlertDescription.DECODE_ERROR),
        (v2_hello(RSA, lengths=(3, 0, 31)), AlertDescription.DECODE_ERROR),
        (v2_hello(RSA, lengths=(3, 16, 32)), AlertDescription.DECODE_ERROR),
        (v2_hello(RSA, lengths=(0xFFFF, 0xFFFF, 0xFFFF)), AlertDescription.ILLEGAL_PARAMETER),
        (v2_hello(RSA) + b"!", AlertDescription.DECODE_ERROR),
        (v2_hello(RSA)[:-1], AlertDescription.DECODE_ERROR),
        (b"\1\3\1", AlertDescription.DECODE_ERROR),
        (v2_hello(RSA, session_id=bytes(15)), AlertDescription.ILLEGAL_PARAMETER),
        (v2_hello(RSA, session_id=bytes(32)), AlertDescription.ILLEGAL_PARAMETER),
    ],
)
def test_lengths_that_do_not_fit(message: bytes, alert: AlertDescription) -> None:
    """R2246-E.1-02, R2246-E.1-03."""
    refused(Forge(server_end(), RSA).play((wire(framed(message)),)), alert)


def test_a_record_with_padding() -> None:
    """Appendix E.1: "The highest bit MUST be 1"; the three-byte form of SSL 2.0 is not TLS's."""
    refused(Forge(server_end(), RSA).play((wire(framed(v2_hello(RSA), padding=3)),)), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("kind", [0, 2, 4, 9, 0x16])
def test_other_messages_of_ssl_2(kind: int) -> None:
    """R2246-E.1-01: whatever else has the top bit set is no TLS."""
    message = bytes([kind]) + v2_hello(RSA)[1:]
    refused(Forge(server_end(), RSA).play((wire(framed(message)),)), AlertDescription.PROTOCOL_VERSION)


def test_a_profile_that_does_not_accept_it() -> None:
    """RFC 6176 §3 lets a server refuse."""
    server = server_end(accept_v2_client_hello=False)
    refused(Forge(server, RSA).play((wire(framed(v2_hello(RSA))),)), AlertDescription.PROTOCOL_VERSION)


def test_not_to_a_client() -> None:
    """Appendix E.1 is about a client's first message."""
    refused(Forge(client_end(), RSA).play((wire(framed(v2_hello(RSA))),)), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("name", ["client_key_exchange", "change_cipher_spec", "finished"])
def test_not_later_in_the_handshake(name: str) -> None:
    """Only where nothing has been received yet."""
    trace = client_trace(RSA)
    at = [step.name for step in trace].index(name)
    forge = Forge(server_end(), RSA).play((*trace[:at], wire(framed(v2_hello(RSA)))))
    refused(forge, AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("renegotiation", [False, True])
def test_not_as_a_renegotiation(renegotiation: bool) -> None:
    """R2246-7.4.1-01: a new handshake is protected by the old keys."""
    forge = established(Role.CLIENT, renegotiation=renegotiation)
    forge.send(wire(framed(v2_hello(RSA))))
    refused(forge, AlertDescription.PROTOCOL_VERSION)


def test_twice() -> None:
    """R2246-7.4-04."""
    forge = Forge(server_end(), RSA).play((opening(v2_hello(RSA)), wire(framed(v2_hello(RSA)))))
    refused(forge, AlertDescription.PROTOCOL_VERSION)


# ------------------------------------------------------------------------------------------------ sent


def test_what_a_client_sends_on_request() -> None:
    """R2246-E.1-01 to R2246-E.1-04: byte by byte; RFC 6176 §3 forbids it, so only on request."""
    client = client_end(DHE_RSA, RSA, v2_client_hello=True)
    data = client.connection.data_to_send()
    assert data[:11].hex() == "8032" + "01" + "0301" + "0009" + "0000" + "0020"
    assert data[11:20].hex() == "000033" + "00002f" + "0000ff"
    assert len(data) == 2 + 9 + 9 + 32
    assert client_end(RSA).connection.data_to_send()[0] == 0x16


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA], ids=hex)
def test_both_ends(suite: int) -> None:
    """R2246-E-05, R2246-E-06, and RFC 5746 by its signalling suite."""
    client, server = client_end(suite, v2_client_hello=True), server_end(suite)
    handshake(client, server)
    for end in (client, server):
        assert end.connection.context.secure_renegotiation
        assert not end.connection.context.extended_master_secret
        check_phases(end)


def test_a_server_that_answers_extensions_all_the_same() -> None:
    """R4366-2.3-01: the format has no room for any, so none were sent."""
    client = client_end(v2_client_hello=True)
    client.connection.data_to_send()
    forge = Forge(client, RSA, {"extensions": (EXTENDED_MASTER_SECRET,)}).play((server_hello,))
    refused(forge, AlertDescription.UNSUPPORTED_EXTENSION)


def test_no_session_is_offered() -> None:
    """Appendix E.1: "Requests to resume a TLS session should use a TLS client hello"; it is left alone here."""
    session = old_session()
    client = client_end(session=session, v2_client_hello=True, extended_master_secret=False)
    assert client.connection.data_to_send()[7:9] == b"\0\0"
    forge = Forge(client, RSA, {"session_id": session.session_id, "extensions": None})
    forge.send(server_hello)
    assert not client.connection.context.resumed


def test_the_premaster_secret_has_the_version_of_the_hello() -> None:
    """R2246-7.4.7.1-02, in this format too."""
    client, server = client_end(v2_client_hello=True), server_end()
    pump(client, server)
    assert hello_seen_by(server).client_version == 0x0301
    assert server.connection.established


def test_a_renegotiation_of_such_a_connection() -> None:
    """R5746-3.5-01: the second hello is one of TLS, with renegotiation_info and all the profile's extensions."""
    client, server = client_end(v2_client_hello=True, renegotiation=True), server_end(renegotiation=True)
    handshake(client, server)
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    for end in (client, server):
        assert end.connection.context.handshake_count == 2
        assert end.connection.context.extended_master_secret

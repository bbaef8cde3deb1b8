"""Versions, suites, compression and the form of both hellos (RFC 2246 §7.4.1, appendix E)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_RSA, RSA, RSA_NULL, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, Forge
from tests.support.pair import pump
from tests.support.records import plain_record
from tests.support.traces import (
    alter,
    client_hello,
    client_key_exchange,
    client_trace,
    raw_message,
    server_hello,
    server_trace,
    split,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify

UNKNOWN_EXTENSION = Extension(0x4A4A, b"grease")


def answer_to(suite: int = RSA, server: Any = None, **hello: Any) -> Forge:
    """A forged client that has sent a hello with these fields to a server."""
    return Forge(server or server_end(suite), suite, hello).play((client_hello,))


def reaction_to(suite: int = RSA, client: Any = None, **hello: Any) -> Forge:
    """A forged server that has answered a client's hello with these fields."""
    return Forge(client or client_end(suite), suite, hello).play((server_hello,))


# ------------------------------------------------------------------------------------------------ version


@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303, 0x0304, 0x03FF, 0x0400, 0x7F12, 0xFFFF])
def test_a_client_that_knows_more(version: int) -> None:
    """R2246-7.4.1.3-01, R2246-7.4.7.1-02: answered with {3,1}; the premaster secret carries the version offered."""
    forge = Forge(server_end(RSA), RSA, {"client_version": version}).play(client_trace(RSA))
    assert forge.server_hello is not None
    assert forge.server_hello.server_version == 0x0301
    carries_data(forge)


@pytest.mark.parametrize("version", [0x0300, 0x0200, 0x0002, 0x0000, 0x02FF])
def test_a_client_that_knows_less(version: int) -> None:
    """R2246-7.2.2-20, R2246-E-03: recognised, not supported (RFC 7568 forbids SSL 3.0)."""
    refused(answer_to(client_version=version), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0303, 0x0304, 0x0002, 0x0401, 0xFFFF])
def test_a_server_with_another_version(version: int) -> None:
    """R2246-7.4.1.3-02: neither higher than offered nor lower than supported."""
    refused(reaction_to(server_version=version), AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x03FE])
def test_record_versions_of_the_first_hello(version: int) -> None:
    """R2246-E-02, R5246-E.1-01: any {3,x} will do, whatever the hello itself says."""
    server = server_end()
    forge = Forge(server, RSA)
    hello = client_hello.build(forge)
    forge.transcript = forge.transcript.add(hello)
    forge.send_record(22, hello, version)
    carries_data(forge.play(client_trace(RSA)[1:]))


@pytest.mark.parametrize("version", [0x0200, 0x0002, 0x0401, 0x0000, 0xFFFF])
@pytest.mark.parametrize("role", Role)
def test_records_that_are_no_tls(role: Role, version: int) -> None:
    """R2246-6.2.1-08: another major version is another protocol, to be refused from the header on."""
    forge = opposite(role)
    forge.send_bytes(plain_record(22, b"whatever", version)[:5])
    refused(forge, AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0303])
def test_record_version_after_the_hellos(version: int) -> None:
    """R2246-6.2.1-08: {3,1} is negotiated, so {3,1} it is."""
    forge = Forge(server_end(), RSA).play((client_hello,))
    forge.send_record(22, client_key_exchange.build(forge), version)
    refused(forge, AlertDescription.PROTOCOL_VERSION)


@pytest.mark.parametrize("role", Role)
def test_record_version_of_application_data(role: Role) -> None:
    """R2246-6.2.3-02: under a correct MAC too."""
    forge = established(role)
    forge.send_record(23, b"data", 0x0302)
    refused(forge, AlertDescription.PROTOCOL_VERSION)


# ------------------------------------------------------------------------------------------------ suites


def test_no_suite_in_common() -> None:
    """R2246-7.4.1.2-12, R2246-7.2.2-08."""
    refused(answer_to(DHE_RSA, server_end(RSA)), AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("value", [0x0000, 0x001C, 0x001D, 0x00FF, 0x5600, 0x0A0A, 0xC0FF])
def test_only_values_that_mean_no_suite(value: int) -> None:
    """R2246-A.5-01, R2246-A.5-03: neither the null suite nor reserved, signalling or unknown values are chosen."""
    refused(answer_to(server=server_end(RSA, RSA_NULL), cipher_suites=(value,)), AlertDescription.HANDSHAKE_FAILURE)


def test_unknown_suites_are_skipped() -> None:
    """R2246-7.4.1.2-13: before, between and behind the one that is known."""
    suites = (0x0A0A, 0x1301, 0x0000, RSA, 0xFAFA, 0x5600)
    carries_data(Forge(server_end(), RSA, {"cipher_suites": suites}).play(client_trace(RSA)))


def test_the_same_suite_twice() -> None:
    """Silly, but a list is a list."""
    carries_data(Forge(server_end(), RSA, {"cipher_suites": (RSA, RSA)}).play(client_trace(RSA)))


@pytest.mark.parametrize("server_preference", [False, True])
def test_whose_preference_counts(server_preference: bool) -> None:
    """R2246-7.4.1.2-11: the client's favourite first, unless the server's profile says otherwise."""
    client = client_end(ECDHE_RSA, DHE_RSA, RSA)
    server = server_end(RSA, DHE_RSA, ECDHE_RSA, server_preference=server_preference)
    handshake(client, server)
    assert client.connection.context.cipher_suite == (RSA if server_preference else ECDHE_RSA)


def test_the_client_lists_its_suites_in_order() -> None:
    """R2246-7.4.1.2-11, R2246-7.4.1.2-14, R2246-7.4.1.2-15."""
    forge = Forge(client_end(ECDHE_RSA, RSA, DHE_RSA), RSA)
    assert forge.client_hello is not None
    assert forge.client_hello.cipher_suites == (ECDHE_RSA, RSA, DHE_RSA)
    assert forge.client_hello.compression_methods == (0,)
    assert forge.client_hello.client_version == 0x0301
    assert forge.client_hello.session_id == b""  # R2246-7.4.1.2-16


@pytest.mark.parametrize("suite", [0x0000, 0x0035, RSA_NULL, 0x0003, 0xC0FF, 0x1301, 0x00FF])
def test_a_server_that_chooses_what_was_not_offered(suite: int) -> None:
    """R2246-7.4.1.3-09: known or unknown, stronger or weaker."""
    refused(reaction_to(cipher_suite=suite), AlertDescription.ILLEGAL_PARAMETER)


def test_anonymous_suites_are_not_offered_by_default() -> None:
    """R2246-A.5-02, R2246-D.4-01."""
    from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES

    assert not any(SUITES[value].key_exchange.anonymous for value in DEFAULT_SUITES)
    assert not any(SUITES[value].weak for value in DEFAULT_SUITES)


def test_an_anonymous_suite_cannot_carry_the_certificate_that_is_required() -> None:
    """R2246-7.4.4-03: so a server that requires one passes it over."""
    server = server_end(DH_ANON, RSA, verify=Verify.REQUIRED)
    client = client_end(DH_ANON, RSA)
    handshake(client, server)
    assert client.connection.context.cipher_suite == RSA
    only = server_end(DH_ANON, verify=Verify.REQUIRED)
    refused(answer_to(DH_ANON, only), AlertDescription.HANDSHAKE_FAILURE)


# ------------------------------------------------------------------------------------------------ compression


@pytest.mark.parametrize("methods", [(1,), (64, 1), (255,)])
def test_no_null_compression(methods: tuple[int, ...]) -> None:
    """R2246-7.4.1.2-14."""
    refused(answer_to(compression_methods=methods), AlertDescription.ILLEGAL_PARAMETER)


def test_null_compression_is_chosen_among_others() -> None:
    """R2246-7.4.1.2-14; anything but null invites CRIME."""
    forge = Forge(server_end(), RSA, {"compression_methods": (1, 64, 0, 255)}).play(client_trace(RSA))
    assert forge.server_hello is not None
    assert forge.server_hello.compression_method == 0
    carries_data(forge)


@pytest.mark.parametrize("method", [1, 64, 255])
def test_a_server_that_compresses(method: int) -> None:
    """R2246-7.4.1.3-10."""
    refused(reaction_to(compression_method=method), AlertDescription.ILLEGAL_PARAMETER)


# ------------------------------------------------------------------------------------------------ form


def _hello_body(*, session_id: bytes = b"\0", suites: bytes = b"\0\2\0\x2f", rest: bytes = b"\1\0") -> bytes:
    return b"\3\1" + bytes(32) + session_id + suites + rest


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_hello_body(session_id=b"\x21" + bytes(33)), id="session id of 33 bytes"),
        pytest.param(_hello_body(session_id=b"\xff"), id="session id longer than the message"),
        pytest.param(_hello_body(suites=b"\0\0"), id="no suites"),
        pytest.param(_hello_body(suites=b"\0\3\0\x2f\0"), id="odd suites"),
        pytest.param(_hello_body(suites=b"\xff\xfe\0\x2f"), id="suites longer than the message"),
        pytest.param(_hello_body(rest=b"\0"), id="no compression methods"),
        pytest.param(_hello_body(rest=b"\2\0"), id="compression methods longer than the message"),
        pytest.param(_hello_body(rest=b""), id="nothing after the suites"),
        pytest.param(_hello_body(rest=b"\1\0\0"), id="one byte behind"),
        pytest.param(_hello_body(rest=b"\1\0\0\1"), id="extensions longer than the message"),
        pytest.param(_hello_body(rest=b"\1\0\0\0\0"), id="bytes behind the extensions"),
        pytest.param(_hello_body(rest=b"\1\0\0\3\0\x0a\0"), id="half an extension"),
        pytest.param(_hello_body(rest=b"\1\0\0\4\0\x0a\0\1"), id="an extension longer than the list"),
        pytest.param(_hello_body(rest=b"\1\0\0\5\0\x17\0\1!"), id="extended_master_secret with a body"),
        pytest.param(_hello_body(rest=b"\1\0\0\5\0\x0a\0\1\0"), id="supported_groups that do not parse"),
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"\3\1", id="only a version"),
    ],
)
def test_client_hellos_that_do_not_parse(body: bytes) -> None:
    """R2246-4.3-03, R2246-4.3-04, R2246-4.3-05, R2246-7.4.1.2-06, R4366-2.1-01, R2246-7.2.2-17."""
    forge = Forge(server_end(), RSA)
    forge.send(raw_message(1, body))
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\3\1" + bytes(32) + b"\x21" + bytes(33) + b"\0\x2f\0", id="session id of 33 bytes"),
        pytest.param(b"\3\1" + bytes(32) + b"\0\0\x2f", id="no compression method"),
        pytest.param(b"\3\1" + bytes(32) + b"\0\0\x2f\0\0", id="one byte behind"),
        pytest.param(b"\3\1" + bytes(31), id="short random"),
        pytest.param(b"", id="nothing at all"),
    ],
)
def test_server_hellos_that_do_not_parse(body: bytes) -> None:
    """R2246-7.4.1.3-07, R2246-7.4.1.2-21."""
    forge = Forge(client_end(), RSA)
    forge.send(raw_message(2, body))
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("session_id", [b"", b"x", bytes(32)])
def test_any_length_of_session_id(session_id: bytes) -> None:
    """R2246-7.4.1.2-06, R2246-7.4.1.3-06: an id that nobody knows leads to a full handshake."""
    carries_data(Forge(server_end(), RSA, {"session_id": session_id}).play(client_trace(RSA)))
    carries_data(Forge(client_end(), RSA, {"session_id": session_id}).play(server_trace(RSA)))


def test_the_server_gives_out_an_id_of_its_own() -> None:
    """R2246-7.4.1.3-05: never the one that was offered and not accepted."""
    forge = answer_to(session_id=bytes(range(32)))
    assert forge.server_hello is not None
    assert len(forge.server_hello.session_id) == 32
    assert forge.server_hello.session_id != bytes(range(32))


def test_the_randoms_differ() -> None:
    """R2246-7.4.1.2-05, R2246-7.4.1.3-03: independent, and new for every handshake."""
    first, second = answer_to(), answer_to()
    assert first.server_hello is not None
    assert second.server_hello is not None
    assert len({first.server_hello.random, second.server_hello.random, bytes(range(32))}) == 3


@pytest.mark.parametrize("time", [bytes(4), b"\xff\xff\xff\xff", b"\x7f\0\0\0"])
def test_nobody_judges_the_time(time: bytes) -> None:
    """R2246-7.4.1.2-04."""
    carries_data(Forge(server_end(), RSA, {"random": time + bytes(28)}).play(client_trace(RSA)))
    carries_data(Forge(client_end(), RSA, {"random": time + bytes(28)}).play(server_trace(RSA)))


def test_the_random_begins_with_the_time() -> None:
    """R2246-7.4.1.2-03: seconds since 1970 in four bytes."""
    forge = Forge(client_end(config={"clock": lambda: 0x1234_5678 + 0.9}), RSA)
    assert forge.client_hello is not None
    assert forge.client_hello.random[:4] == bytes.fromhex("12345678")


@pytest.mark.parametrize("size", [1, 2, 5, 7])
@pytest.mark.parametrize("role", Role)
def test_every_message_in_tiny_records(role: Role, size: int) -> None:
    """R2246-6.2.1-05: split at any byte, the hello too."""
    trace = honest(role, DHE_RSA, mutual=True)
    for step in trace:
        if step.content_type == 22:
            trace = split(trace, step.name, size)
    carries_data(opposite(role, DHE_RSA, mutual=True).play(trace))


@pytest.mark.parametrize(("extended", "alert"), [(False, "decrypt_error"), (True, "bad_record_mac")])
def test_changes_on_the_way_are_noticed(extended: bool, alert: str) -> None:
    """R2246-F.1.3-01: both ends hash what they saw; with RFC 7627 not even the keys agree then."""
    client, server = client_end(RSA, DHE_RSA, extended_master_secret=extended), server_end(RSA, DHE_RSA)
    hello = bytearray(client.connection.data_to_send())
    assert hello.count(b"\0\x2f\0\x33") == 1
    at = hello.index(b"\0\x2f\0\x33")
    hello[at : at + 4] = b"\0\x33\0\x2f"  # a man in the middle exchanges the suites
    server.connection.receive_data(bytes(hello))
    server.drive()
    pump(client, server)
    assert client.connection.context.cipher_suite == DHE_RSA
    assert client.connection.closed
    assert server.connection.closed
    assert alert in str(server.connection.error)


# ------------------------------------------------------------------------------------------------ extensions


@pytest.mark.parametrize("extensions", [None, (), (UNKNOWN_EXTENSION,), (EMPTY_RENEGOTIATION_INFO, UNKNOWN_EXTENSION)])
def test_client_extensions_of_any_kind(extensions: tuple[Extension, ...] | None) -> None:
    """R4366-2.1-01, R4366-2.3-03: none, an empty list, unknown ones; what is not understood is ignored."""
    forge = Forge(server_end(), RSA, {"extensions": extensions}).play(client_trace(RSA))
    assert forge.server_hello is not None
    answered = {item.extension_type for item in forge.server_hello.extensions or ()}
    assert answered <= {item.extension_type for item in extensions or ()}
    carries_data(forge)


def test_no_extensions_to_a_client_without() -> None:
    """R4366-2.3-01: not even an empty list."""
    forge = answer_to(extensions=None)
    assert forge.server_hello is not None
    assert forge.server_hello.extensions is None


@pytest.mark.parametrize(
    "extension",
    [UNKNOWN_EXTENSION, Extension(0, b""), Extension(5, b""), Extension(16, b"\0\3\2h2"), Extension(35, b"")],
    ids=lambda item: str(item.extension_type),
)
def test_a_server_extension_that_nobody_asked_for(extension: Extension) -> None:
    """R4366-2.3-01."""
    forge = reaction_to(extensions=(EMPTY_RENEGOTIATION_INFO, extension))
    refused(forge, AlertDescription.UNSUPPORTED_EXTENSION)


@pytest.mark.parametrize("extension", [EXTENDED_MASTER_SECRET, ENCRYPT_THEN_MAC])
def test_server_extensions_that_the_profile_does_not_want(extension: Extension) -> None:
    """R4366-2.3-01: what the profile switches off is not offered."""
    client = client_end(extended_master_secret=False, encrypt_then_mac=False)
    refused(reaction_to(client=client, extensions=(extension,)), AlertDescription.UNSUPPORTED_EXTENSION)


def test_an_extension_twice() -> None:
    """R4366-2.3-02: refused in both directions, known or not; no alert is named."""
    twice = (UNKNOWN_EXTENSION, EMPTY_RENEGOTIATION_INFO, UNKNOWN_EXTENSION)
    refused(answer_to(extensions=twice), AlertDescription.ILLEGAL_PARAMETER)
    refused(
        reaction_to(extensions=(EMPTY_RENEGOTIATION_INFO, EMPTY_RENEGOTIATION_INFO)),
        AlertDescription.ILLEGAL_PARAMETER,
    )


@pytest.mark.parametrize("kind", [22, 23])
def test_server_extensions_with_a_body_they_should_not_have(kind: int) -> None:
    """R7627-5.2-01, R2246-7.4.1.2-21."""
    refused(reaction_to(extensions=(Extension(kind, b"!"),)), AlertDescription.DECODE_ERROR)


def test_encrypt_then_mac_for_a_stream_cipher() -> None:
    """R7366-3-02: the client refuses it, the server does not answer it."""
    refused(reaction_to(0x0005, extensions=(ENCRYPT_THEN_MAC,)), AlertDescription.ILLEGAL_PARAMETER)
    forge = answer_to(0x0005, extensions=(ENCRYPT_THEN_MAC,))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions is None


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
@pytest.mark.parametrize("role", Role)
def test_record_and_secret_extensions(role: Role, extended: bool, encrypt_then_mac: bool) -> None:
    """R7627-5.2-01, R7366-3-01: each applies exactly if both hellos have it."""
    extensions = (*((EXTENDED_MASTER_SECRET,) if extended else ()), *((ENCRYPT_THEN_MAC,) if encrypt_then_mac else ()))
    end = server_end(RSA) if role is Role.CLIENT else client_end(RSA)
    forge = Forge(end, RSA, {"extensions": extensions}).play(honest(role))
    assert end.connection.context.extended_master_secret is extended
    carries_data(forge)


def test_a_hello_cut_short_waits() -> None:
    """R2246-7.4-05: half a message is no error, as long as more may come."""
    forge = opposite(Role.CLIENT)
    forge.play(alter((client_hello,), "client_hello", lambda data: data[:-1]))
    assert not forge.target.connection.closed
    assert not forge.alerts

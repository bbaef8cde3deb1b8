"""Messages left out, repeated or exchanged: the state machine attacks (SMACK, SKIP) on both roles (RFC 2246 §7.4)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.support.conversation import carries_data, honest, opposite, refused
from tests.support.ends import DH_ANON, DHE_RSA, ECDHE_RSA, RSA, client_end, server_end
from tests.support.forge import Forge, Step, Trace
from tests.support.sessions import old_session, resuming_forge
from tests.support.traces import (
    alter,
    certificate_message,
    client_hello,
    client_trace,
    drop,
    insert,
    raw_message,
    repeat,
    resumed_trace,
    server_key_exchange,
    server_trace,
    swap,
    until,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.handshake import states
from tlsexit.handshake.enums import HandshakeType
from tlsexit.profile import Verify

# who the forge plays, the suite, and whether the client is asked for a certificate
CONVERSATIONS = [
    (role, suite, asked)
    for role in Role
    for suite, asked in ((RSA, False), (RSA, True), (DHE_RSA, True), (ECDHE_RSA, False), (DH_ANON, False))
]
Conversation = tuple[Role, int, bool]


def trace_of(conversation: Conversation) -> Trace:
    """The honest side that the forge plays."""
    role, suite, asked = conversation
    return honest(role, suite, mutual=asked)


def forge_for(conversation: Conversation) -> Forge:
    """A forge with a fresh engine at the other end."""
    role, suite, asked = conversation
    return opposite(role, suite, mutual=asked)


def label(conversation: Conversation) -> str:
    role, suite, asked = conversation
    return f"{role.value}-{suite:04x}{'-mutual' if asked else ''}"


def edits(*, pairs: bool = False, but: str = "") -> list[object]:
    """Every conversation with every step, or every pair of neighbouring steps, of the forge's side."""
    found: list[object] = []
    for conversation in CONVERSATIONS:
        names = [step.name for step in trace_of(conversation) if step.name != but]
        for edit in pairwise(names) if pairs else names:
            name = edit if isinstance(edit, str) else "-".join(edit)
            found.append(pytest.param(conversation, edit, id=f"{label(conversation)}-{name}"))
    return found


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=label)
def test_the_honest_conversation(conversation: Conversation) -> None:
    """Unedited, each trace completes, so that what follows is due to the edit alone."""
    carries_data(forge_for(conversation).play(trace_of(conversation)))


# a server that leaves out CertificateRequest has changed its mind, which is its right
@pytest.mark.parametrize(("conversation", "name"), edits(but="certificate_request"))
def test_a_message_left_out(conversation: Conversation, name: str) -> None:
    """R2246-7.4-02, R2246-7.4.2-01, R2246-7.4.3-01, R2246-7.4.7-01, R2246-7.4.8-02, R2246-7.4.9-02, R2246-7.3-03."""
    forge = forge_for(conversation).play(drop(trace_of(conversation), name))
    if name == "finished":
        assert not forge.target.connection.established
        assert not forge.target.connection.closed  # it waits
        return
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(("conversation", "name"), edits())
def test_a_message_repeated(conversation: Conversation, name: str) -> None:
    """R2246-7.4-04, R2246-6.1-03: what occurs once in a handshake is not accepted twice."""
    forge = forge_for(conversation).play(repeat(trace_of(conversation), name))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(("conversation", "names"), edits(pairs=True))
def test_neighbours_exchanged(conversation: Conversation, names: tuple[str, str]) -> None:
    """R2246-7.4-02, R2246-7.3-04, R2246-7.4.4-02: "in the order presented below"."""
    forge = forge_for(conversation).play(swap(trace_of(conversation), *names))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_straight_to_finished() -> None:
    """SMACK's "SKIP": a server that leaves out everything between ServerHello and Finished is not authenticated."""
    trace = drop(server_trace(RSA), "certificate", "server_hello_done")
    refused(Forge(client_end(RSA), RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_finished_straight_after_server_hello_done() -> None:
    """A client that sends neither ClientKeyExchange nor ChangeCipherSpec has agreed on nothing."""
    forge = Forge(server_end(RSA), RSA).play(drop(client_trace(RSA), "client_key_exchange", "change_cipher_spec"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_nothing_but_application_data() -> None:
    """A client that goes from the hello straight to data (R2246-7.4.9-09)."""
    forge = Forge(server_end(RSA), RSA).play((client_hello,))
    forge.send_record(23, b"let me in")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_client_certificate_that_nobody_asked_for() -> None:
    """R2246-7.4.6-01."""
    trace = insert(client_trace(RSA), certificate_message, before="client_key_exchange")
    refused(Forge(server_end(RSA), RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_certificate_verify_after_an_empty_certificate() -> None:
    """R2246-7.4.8-01: there is no key that could have signed."""
    server = server_end(RSA, verify=Verify.OPTIONAL)
    forge = Forge(server, RSA, show_certificate=False).play(client_trace(RSA, certificate=True))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_certificate_from_an_anonymous_server() -> None:
    """R2246-7.4.2-02."""
    trace = insert(server_trace(DH_ANON), certificate_message, after="server_hello")
    refused(Forge(client_end(DH_ANON), DH_ANON).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_server_key_exchange_that_the_suite_does_not_have() -> None:
    """R2246-7.4.3-02, FREAK (CVE-2015-0204): plain RSA has no temporary key."""
    trace = insert(
        server_trace(RSA), raw_message(HandshakeType.SERVER_KEY_EXCHANGE, b"\0\1\3\0\1\3\0\1\3"), after="certificate"
    )
    refused(Forge(client_end(RSA), RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("kind", [1, 2, 11, 13, 14, 15, 16, 20])
def test_first_message_to_a_client(kind: int) -> None:
    """R2246-7.4.1.2-19: after ClientHello only ServerHello (or HelloRequest) will do, whatever the others contain."""
    bodies = {14: b"", 20: bytes(12), 11: bytes(3), 15: b"\0\0", 16: b"", 13: b"\1\1\0\0"}
    forge = Forge(client_end(RSA), RSA)
    if kind == 1:
        forge.send(client_hello)
    elif kind == 2:
        forge.play(server_trace(RSA)[:1] * 2)
    else:
        forge.send(raw_message(kind, bodies[kind]))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("kind", [3, 5, 9, 21, 23, 66, 68, 200, 255])
@pytest.mark.parametrize("role", Role)
def test_unknown_handshake_types(role: Role, kind: int) -> None:
    """R2246-7.4-03, R2246-A.4-01: refused at the first byte, before its length is believed."""
    forge = Forge(client_end() if role is Role.SERVER else server_end(), RSA)
    forge.send_record(22, bytes([kind]))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("kind", HandshakeType)
@pytest.mark.parametrize("role", Role)
def test_malformed_messages_out_of_place(role: Role, kind: HandshakeType) -> None:
    """R2246-7.2.2-03: what may not come at all is not judged by its form."""
    expected = HandshakeType.SERVER_HELLO if role is Role.SERVER else HandshakeType.CLIENT_HELLO
    allowed = {expected, HandshakeType.HELLO_REQUEST} if role is Role.SERVER else {expected}
    alert = AlertDescription.DECODE_ERROR if kind in allowed else AlertDescription.UNEXPECTED_MESSAGE
    forge = opposite(role)
    forge.send_record(22, bytes([kind, 0, 0, 1, 99]))
    refused(forge, alert)


@pytest.mark.parametrize("name", ["client_hello", "client_key_exchange", "certificate_verify"])
def test_surplus_bytes_in_client_messages(name: str) -> None:
    """R2246-7.4.1.2-21, R2246-7.2.2-17: a message has to match its description exactly."""
    _surplus(Forge(server_end(DHE_RSA, verify=Verify.REQUIRED), DHE_RSA), client_trace(DHE_RSA, certificate=True), name)


@pytest.mark.parametrize("name", ["server_hello", "server_key_exchange", "certificate_request", "server_hello_done"])
def test_surplus_bytes_in_server_messages(name: str) -> None:
    """R2246-7.4.1.2-21, R2246-7.4.5-02."""
    _surplus(Forge(client_end(DHE_RSA), DHE_RSA), server_trace(DHE_RSA, request=True), name)


def _surplus(forge: Forge, trace: Trace, name: str) -> None:
    def one_more(data: bytes) -> bytes:
        return data[:1] + (len(data) - 3).to_bytes(3, "big") + data[4:] + b"\0"

    refused(forge.play(alter(trace, name, one_more)), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("step", [certificate_message, raw_message(16, bytes(8)), raw_message(15, b"\0\0")])
def test_abbreviated_handshakes_have_no_such_client_messages(step: Step) -> None:
    """R2246-7.3-06."""
    trace = insert(resumed_trace(Role.CLIENT), step, after="client_hello")
    refused(resuming_forge(Role.CLIENT, old_session()).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("step", [certificate_message, server_key_exchange, raw_message(14, b"")])
def test_abbreviated_handshakes_have_no_such_server_messages(step: Step) -> None:
    """R2246-7.3-06: the echoed id has settled that this is a resumption."""
    trace = insert(resumed_trace(Role.SERVER), step, after="server_hello")
    refused(resuming_forge(Role.SERVER, old_session()).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "edit",
    [
        lambda trace: drop(trace, "change_cipher_spec"),
        lambda trace: repeat(trace, "change_cipher_spec"),
        lambda trace: repeat(trace, "finished"),
        lambda trace: swap(trace, "change_cipher_spec", "finished"),
    ],
    ids=["no-ccs", "two-ccs", "two-finished", "late-ccs"],
)
def test_edited_abbreviated_handshakes(role: Role, edit: Callable[[Trace], Trace]) -> None:
    """R2246-7.3-05, R2246-7.4-02 in an abbreviated handshake."""
    forge = resuming_forge(role, old_session()).play(edit(resumed_trace(role)))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_an_honest_abbreviated_handshake(role: Role) -> None:
    """R2246-7.3-05, R2246-7.4.1.3-04: unedited, both roles resume."""
    forge = resuming_forge(role, old_session()).play(resumed_trace(role))
    carries_data(forge)
    assert forge.target.connection.context.resumed


def test_the_server_waits_after_half_a_flight() -> None:
    """No alert for what may still come: a state is left only by an input."""
    forge = Forge(server_end(RSA), RSA).play(until(client_trace(RSA), "change_cipher_spec"))
    assert isinstance(forge.target.connection.state, states.AwaitClientChangeCipherSpec)
    assert not forge.alerts

"""Every state takes exactly what it should: each input is in the table, or it is an unexpected_message and the end.

The states come from real handshakes. What each may take is written out here once more, from RFC 2246 §7.3 and the RFCs
of the later messages, so that a slip in the table does not pass for the rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import honest, opposite, refused
from tests.support.ends import DH_ANON, DHE_RSA, RSA
from tests.support.forge import Forge
from tests.support.traces import ANY_MESSAGE, change_cipher_spec, record, until
from tests.support.walk import PSK, Place, places
from tlsexit.alerts import AlertDescription, ExitFailed, LocalError, PeerError, UnexpectedMessage
from tlsexit.constants import Role
from tlsexit.exits.phases import ExitPhase
from tlsexit.fuzzing.tuned import messages
from tlsexit.handshake import states
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.finished import Finished, NewSessionTicket, NextProtocol
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello, ServerHelloDone
from tlsexit.handshake.inputs import (
    Answered,
    ChangeCipherSpecReceived,
    Input,
    Received,
    Refused,
    Renegotiate,
    RenegotiationRefused,
    Start,
)
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.handshake.machine import step

CLIENT, SERVER = Role.CLIENT, Role.SERVER

SAMPLES: Final[tuple[Any, ...]] = (
    HelloRequest(),
    ClientHello(0x0301, bytes(32), b"", (RSA,), (0,), None),
    ServerHello(0x0301, bytes(32), b"", RSA, 0, None),
    NewSessionTicket(0, b"ticket"),
    Certificate((b"no certificate",)),
    ServerKeyExchange(bytes(8)),
    CertificateRequest((1,), (b"\x30\0",)),
    ServerHelloDone(),
    CertificateVerify(bytes(8)),
    ClientKeyExchange(bytes(8)),
    Finished(bytes(12)),
    CertificateStatus(1, b"status"),
    NextProtocol(b"h2", bytes(28)),
)
"""One message of each type."""

ACCEPTED: Final[dict[tuple[Role, str], set[type[Any]]]] = {
    (CLIENT, "Idle"): {Start},
    # §7.4.1.2: "any other handshake message returned by the server except for a hello request is a fatal error"
    (CLIENT, "AwaitServerHello"): {ServerHello, RenegotiationRefused},
    (CLIENT, "AwaitServerCertificate"): {Certificate},
    # RFC 6066 §8: the server may leave CertificateStatus out
    (CLIENT, "AwaitCertificateStatus"): {CertificateStatus, ServerKeyExchange, CertificateRequest, ServerHelloDone},
    (CLIENT, "AwaitServerKeyExchange"): {ServerKeyExchange},
    (CLIENT, "AwaitPskHint"): {ServerKeyExchange, ServerHelloDone},
    (CLIENT, "AwaitCertificateRequest"): {CertificateRequest, ServerHelloDone},
    (CLIENT, "AwaitServerHelloDone"): {ServerHelloDone},
    (CLIENT, "AwaitNewSessionTicket"): {NewSessionTicket},
    (CLIENT, "AwaitServerChangeCipherSpec"): {ChangeCipherSpecReceived},
    (CLIENT, "AwaitServerFinished"): {Finished},
    (CLIENT, "AwaitResumedNewSessionTicket"): {NewSessionTicket},
    (CLIENT, "AwaitResumedServerChangeCipherSpec"): {ChangeCipherSpecReceived},
    (CLIENT, "AwaitResumedServerFinished"): {Finished},
    (CLIENT, "Established"): {Renegotiate, RenegotiationRefused},
    (SERVER, "Idle"): {Start},
    (SERVER, "AwaitClientHello"): {ClientHello},
    (SERVER, "AwaitClientCertificate"): {Certificate},
    (SERVER, "AwaitClientKeyExchange"): {ClientKeyExchange},
    (SERVER, "AwaitCertificateVerify"): {CertificateVerify},
    (SERVER, "AwaitClientChangeCipherSpec"): {ChangeCipherSpecReceived},
    (SERVER, "AwaitNextProtocol"): {NextProtocol},
    (SERVER, "AwaitClientFinished"): {Finished},
    (SERVER, "AwaitResumedClientChangeCipherSpec"): {ChangeCipherSpecReceived},
    (SERVER, "AwaitResumedNextProtocol"): {NextProtocol},
    (SERVER, "AwaitResumedClientFinished"): {Finished},
    (SERVER, "Established"): {ClientHello, Renegotiate, RenegotiationRefused},
}
"""What each state takes beside answers; HelloRequest is legal for a client at any time (§7.4.1.1)."""


def accepted(place: Place) -> set[type[Any]]:
    """The kinds of input that may do something here."""
    name = type(place.state).__name__
    if name == "Closed":
        return set()
    found: set[type[Any]] = {Answered} if name.startswith("Ask") else set(ACCEPTED[place.role, name])
    if place.role is CLIENT and name != "Idle":
        found.add(HelloRequest)
    return found


def kind_of(given: Input) -> type[Any]:
    return type(given.message) if isinstance(given, Received) else type(given)


def all_places() -> list[Place]:
    """One place for each state of each role, and the last one too: after a resumption or a renegotiation."""
    return [place for found in places().values() for place in (found[0], found[-1])]


def inputs_for(place: Place, message: Any) -> list[Input]:
    """Everything that can happen, with this message among it."""
    call = place.pending or _some_call()
    failure = ExitFailed(ExitPhase.CRYPT_DATA.value, AlertDescription.INTERNAL_ERROR, "failed")
    return [
        Start(),
        ChangeCipherSpecReceived(),
        Renegotiate(),
        RenegotiationRefused(),
        Refused(call, failure),
        Received(message, encode(message)),
    ]


def _some_call() -> Any:
    return next(place.pending for place in all_places() if place.pending is not None)


def test_the_walk_has_met_every_state() -> None:
    """So that nothing is missing below: each state class, in the roles that have it."""
    met = {kind for _, kind in places()}
    classes = {item for item in vars(states).values() if isinstance(item, type) and issubclass(item, states.State)}
    assert met == classes - {states.State}
    named = {(role, kind.__name__) for role, kind in places() if not kind.__name__.startswith(("Ask", "Closed"))}
    assert named == set(ACCEPTED)


@pytest.mark.parametrize("message", SAMPLES, ids=lambda item: type(item).__name__)
def test_every_state_with_every_input(message: Any) -> None:
    """R2246-7.4-02, R2246-7.2.2-03: what is not in the table is an unexpected_message, and says in which state."""
    for place in all_places():
        for given_input in inputs_for(place, message):
            kind = kind_of(given_input)
            if kind in accepted(place):
                _may_do_something(place, given_input)
            elif isinstance(given_input, Refused):
                _refusal(place, given_input)
            else:
                with pytest.raises(UnexpectedMessage, match=type(place.state).__name__):
                    step(place.role, place.state, given_input, place.config)


def outcome(place: Place, given_input: Input) -> Step | PeerError | ExitFailed:
    """What the machine makes of the input; nothing else than these may come of what a peer sends."""
    try:
        return step(place.role, place.state, given_input, place.config)
    except (PeerError, ExitFailed) as error:
        return error


def _may_do_something(place: Place, given_input: Input) -> None:
    if isinstance(given_input, Renegotiate) and not place.state.context.profile.renegotiation:
        with pytest.raises(LocalError):
            outcome(place, given_input)
        return
    result = outcome(place, given_input)
    # where the samples do not fit the handshake it is their contents that are wrong, not their kind; but a PSK suite
    # has no CertificateRequest (RFC 4279 §2)
    if place.state.context.cipher_suite != PSK:
        assert not isinstance(result, UnexpectedMessage)


def _refusal(place: Place, refusal: Refused) -> None:
    """A refused phase ends the handshake with the exit's error, but for the decryption (§7.4.7.1)."""
    if isinstance(place.state, states.AskDecryptPreMasterSecret):
        result = step(place.role, place.state, refusal, place.config)
        assert isinstance(result.state, (states.AwaitClientChangeCipherSpec, states.AwaitCertificateVerify))
        return
    with pytest.raises(ExitFailed) as caught:
        step(place.role, place.state, refusal, place.config)
    assert caught.value is refusal.error


def test_the_machine_keeps_no_state() -> None:
    """The same state and input lead to the same next state; the old state is as it was."""
    for place in all_places():
        before = replace(place.state)
        for _ in range(2):
            for given_input in inputs_for(place, Certificate(())):
                try:
                    step(place.role, place.state, given_input, place.config)
                except (PeerError, ExitFailed, LocalError):
                    continue
        assert place.state == before


def test_states_show_no_secrets() -> None:
    """A state can be printed anywhere: keys and secrets stay out of it."""
    for found in places().values():
        for place in found:
            shown = repr(place.state)
            for name in ("master_secret", "substitute", "ephemeral"):
                secret = getattr(place.state, name, None)
                if isinstance(secret, bytes):
                    assert repr(secret) not in shown
                    assert secret.hex() not in shown
            keys = getattr(place.state, "read_keys", None) or getattr(place.state, "write_keys", None)
            if keys is not None and keys.key:
                assert repr(keys.key) not in shown
                assert repr(keys.mac_secret) not in shown


@given(st.data())
def test_any_contents(data: st.DataObject) -> None:
    """A message of a legal kind with any contents: a step, or an error that names an alert; nothing else."""
    role, kind = data.draw(st.sampled_from(sorted(places(), key=str)), "state")
    place = data.draw(st.sampled_from(places()[role, kind]), "place")
    message = data.draw(messages(), "message")
    try:
        raw = encode(message)
    except LocalError:
        return
    result = outcome(place, Received(message, raw))
    if type(message) not in accepted(place):
        assert isinstance(result, UnexpectedMessage)
    elif not isinstance(result, Step):
        assert isinstance(result.description, AlertDescription)


# ------------------------------------------------------------------------------------------------ on the wire

CONVERSATIONS = [
    (role, suite, mutual) for role in Role for suite, mutual in ((DHE_RSA, True), (RSA, False), (DH_ANON, False))
]


@pytest.mark.parametrize("kind", HandshakeType)
@pytest.mark.parametrize(("role", "suite", "mutual"), CONVERSATIONS)
def test_any_message_at_any_point(role: Role, suite: int, mutual: bool, kind: HandshakeType) -> None:
    """R2246-7.4-02: the same on the wire; the connection ends with the alert unless it is that message's turn."""
    trace = honest(role, suite, mutual=mutual)
    sent = ANY_MESSAGE[kind]
    for position, due in enumerate(trace):
        if sent.name in _legal(role, due.name):
            continue
        forge = opposite(role, suite, mutual=mutual).play(trace[:position])
        forge.send(sent)
        refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def _legal(role: Role, due: str) -> set[str]:
    """The names of what the forge may send in place of the step that is due."""
    legal = {due}
    if role is SERVER:
        legal.add("hello_request")
        if due in ("certificate_request", "server_hello_done"):
            legal |= {"certificate_request", "server_hello_done"}  # whether to ask is up to the server
    return legal


@pytest.mark.parametrize("content_type", [20, 23])
@pytest.mark.parametrize(("role", "suite", "mutual"), CONVERSATIONS)
def test_change_cipher_spec_and_data_at_any_point(role: Role, suite: int, mutual: bool, content_type: int) -> None:
    """R2246-7.1-07, R2246-7.4.9-09."""
    trace = honest(role, suite, mutual=mutual)
    for due in trace:
        if content_type == 20 and due.name == "change_cipher_spec":
            continue
        forge: Forge = opposite(role, suite, mutual=mutual).play(until(trace, due.name))
        forge.send(change_cipher_spec if content_type == 20 else record(23, b"data"))
        refused(forge, AlertDescription.UNEXPECTED_MESSAGE)

"""What may be different in the second handshake of a connection, and what may not (RFC 5746, RFC 7366, RFC 7627)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import alert_call, carries_data, ended_by_peer, established, is_over, refused
from tests.support.ends import DHE_RSA, ECDHE_ECDSA, RSA, RSA_RC4, check_phases, client_end, handshake, server_end
from tests.support.forge import ENCRYPT_THEN_MAC, Forge
from tests.support.grammar import phases
from tests.support.keys import builtin
from tests.support.pair import End, pump
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tests.support.traces import client_hello, client_trace, drop, hello_request, resumed_trace, server_trace
from tlsexit.alerts import AlertDescription, AlertLevel, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.events import HandshakeCompleted, WarningReceived
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import Credentials, StartHandshakeResult
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import states
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify


def joined(client: dict[str, Any] | None = None, server: dict[str, Any] | None = None, *suites: int) -> tuple[End, End]:
    """Two ends that allow renegotiation, with their first handshake complete."""
    suites = suites or (RSA,)
    one = client_end(*suites, **{"renegotiation": True, **(client or {})})
    other = server_end(*suites, **{"renegotiation": True, **(server or {})})
    handshake(one, other)
    return one, other


def renegotiate(client: End, server: End, opener: Role = Role.CLIENT) -> None:
    """One more handshake, which must succeed."""
    before = client.connection.context.handshake_count
    (client if opener is Role.CLIENT else server).connection.renegotiate()
    client.drive()
    pump(client, server)
    for end in (client, server):
        assert isinstance(end.connection.state, states.Established), end.connection.error
        assert end.connection.context.handshake_count == before + 1
        check_phases(end)


def on_the_second(**changes: Any) -> ScriptedExit:
    """An exit that changes the profile in the second handshake."""

    def start(call: Any) -> Handled:
        return Handled(StartHandshakeResult(changes=changes if call.context.handshake_count == 2 else {}))

    return ScriptedExit({ExitPhase.START_HANDSHAKE: start})


def again(role: Role = Role.CLIENT, *extensions: Extension, suite: int = RSA, **profile: Any) -> Forge:
    """An established forge, about to handshake once more with these extensions."""
    forge = established(role, suite, renegotiation=True, **profile)
    state = forge.target.connection.state
    assert isinstance(state, states.Established)
    saved = state.finished.client if role is Role.CLIENT else state.finished.client + state.finished.server
    forge.begin()
    info = Extension(ExtensionType.RENEGOTIATION_INFO, bytes([len(saved)]) + saved)
    forge.hello = {"extensions": (info, *extensions)}
    if role is Role.SERVER:
        forge.send(hello_request)
    return forge


# ------------------------------------------------------------------------------------------------ who is who


@pytest.mark.parametrize("opener", Role)
@pytest.mark.parametrize("size", [None, 1])
def test_the_client_shows_its_certificate_later(opener: Role, size: int | None) -> None:
    """The exit is asked again from StartHandshake on, on the same session with its counter raised."""
    exits = on_the_second(verify=Verify.REQUIRED)
    client, server = joined(server={"exits": exits})
    assert server.connection.context.authentication is Authentication.SERVER
    (client if opener is Role.CLIENT else server).connection.renegotiate()
    client.drive()
    pump(client, server, size=size)
    for end in (client, server):
        assert end.connection.context.authentication is Authentication.BOTH
    assert server.connection.context.peer_trusted
    starts = [call for call in exits.calls if call.phase is ExitPhase.START_HANDSHAKE]
    contexts = [call.context for call in starts]  # type: ignore[union-attr]
    assert [context.handshake_count for context in contexts] == [1, 2]
    assert contexts[0].reference == contexts[1].reference
    assert contexts[0].private_area is contexts[1].private_area
    assert phases(server.seen) == "SCXDSCLKXD"


def test_the_client_no_longer_shows_it() -> None:
    """What the first handshake proved does not count for the second."""
    client, server = joined(server={"verify": Verify.REQUIRED, "exits": on_the_second(verify=Verify.NONE)})
    assert server.connection.context.peer_trusted
    renegotiate(client, server)
    context = server.connection.context
    assert (context.peer_chain, context.peer_trusted) == ((), False)
    assert context.authentication is Authentication.SERVER


def test_a_certificate_that_is_demanded_and_not_there() -> None:
    """R2246-7.4.6-03: the second handshake fails, and the connection with it."""
    client, server = joined(
        client={"builtin": builtin(Role.CLIENT)}, server={"exits": on_the_second(verify=Verify.REQUIRED)}
    )
    server.connection.renegotiate()
    pump(client, server)
    for end in (client, server):
        assert end.connection.closed
        check_phases(end)
    assert "handshake_failure(40)" in str(server.connection.error)
    assert phases(server.seen)[-1] == "A"


@pytest.mark.parametrize("extended", [False, True])
def test_the_server_shows_another_certificate(extended: bool) -> None:
    """RFC 7627 §1: harmless with the extended master secret, the triple handshake attack without."""
    chains = [pki().server.chain, pki().intermediate_server.chain]

    def certificate(call: Any) -> Handled:
        return Handled(Credentials(chains[call.context.handshake_count - 1]))

    exits = ScriptedExit(
        {ExitPhase.GET_CERTIFICATE: certificate, ExitPhase.CRYPT_DATA: lambda call: Handled(pki().server.key)}
    )
    client, server = joined(client={"extended_master_secret": extended}, server={"exits": exits})
    assert client.connection.context.peer_chain == chains[0]
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    if extended:
        assert client.connection.context.peer_chain == chains[1]
        assert client.connection.established
    else:
        assert "handshake_failure(40)" in str(client.connection.error)


def test_the_client_shows_another_certificate() -> None:
    """CheckCertificate is asked about each."""
    leaves = [pki().client, pki(KeyType.EC).client]

    def index(call: Any) -> int:
        return int(call.context.handshake_count) - 1

    exits = ScriptedExit(
        {
            ExitPhase.GET_CERTIFICATE: lambda call: Handled(leaves[index(call)].chain),
            ExitPhase.CRYPT_DATA: lambda call: Handled(leaves[index(call)].key),
        }
    )
    roots = builtin(Role.SERVER, *KeyType)
    client, server = joined(client={"exits": exits}, server={"verify": Verify.REQUIRED, "builtin": roots})
    assert server.connection.context.peer_chain == leaves[0].chain
    renegotiate(client, server, Role.SERVER)
    assert server.connection.context.peer_chain == leaves[1].chain


@pytest.mark.parametrize(
    ("role", "phase"),
    [
        (Role.CLIENT, ExitPhase.START_HANDSHAKE),
        (Role.CLIENT, ExitPhase.CHECK_CERTIFICATE),
        (Role.SERVER, ExitPhase.START_HANDSHAKE),
        (Role.SERVER, ExitPhase.GET_CERTIFICATE),
    ],
)
def test_the_exit_refuses_the_second_time(role: Role, phase: ExitPhase) -> None:
    """A handshake that fails: HandshakeAlert, no EndSession, and the alert that the exit named."""

    def refuse(call: Any) -> Any:
        return Failed(AlertDescription.ACCESS_DENIED) if call.context.handshake_count == 2 else NotHandled()

    exits = ScriptedExit({phase: refuse})
    client, server = joined(**{role.value: {"exits": exits}})
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    refusing = client if role is Role.CLIENT else server
    assert "access_denied(49)" in str(refusing.connection.error)
    call = alert_call(refusing)
    assert call is not None
    assert (call.description, call.remote) == (AlertDescription.ACCESS_DENIED, False)
    check_phases(refusing)
    assert ExitPhase.END_SESSION not in exits.phases


def test_the_global_area_is_new() -> None:
    """HandshakeDone is asked again, and the application is told the answer."""
    exits = ScriptedExit({ExitPhase.HANDSHAKE_DONE: lambda call: Handled(bytes([call.context.handshake_count]))})
    client, server = joined(server={"exits": exits})
    renegotiate(client, server)
    areas = [event.global_area[:2] for event in server.events if isinstance(event, HandshakeCompleted)]
    assert areas == [b"\1\0", b"\2\0"]


# ------------------------------------------------------------------------------------------------ what is agreed


@pytest.mark.parametrize(("first", "second"), [(RSA, DHE_RSA), (DHE_RSA, RSA), (RSA, RSA_RC4), (RSA_RC4, RSA)])
def test_another_suite(first: int, second: int) -> None:
    """R2246-7.4.1.2-02: the exit may change the list; from block to stream cipher and back."""
    exits = on_the_second(cipher_suites=(second,))
    client, server = joined({"exits": exits}, None, first, second)
    assert client.connection.context.cipher_suite == first
    renegotiate(client, server)
    assert server.connection.context.cipher_suite == second


def test_a_new_session() -> None:
    """R2246-7.4.1.3-05: with an id and a master secret of its own; the old one may still be resumed."""
    store = Sessions()
    client, server = joined(server={"config": {"session_store": store}})
    first = client.connection.session
    renegotiate(client, server)
    second = client.connection.session
    assert first is not None
    assert second is not None
    assert first.session_id != second.session_id
    assert first.master_secret != second.master_secret
    assert set(store.kept) == {first.session_id, second.session_id}
    for session in (first, second):
        resuming = client_end(session=session, renegotiation=True)
        handshake(resuming, server_end(renegotiation=True, config={"session_store": store}))
        assert resuming.connection.context.resumed


def test_resumption_inside_a_connection() -> None:
    """R2246-7.4.1.2-07, R5746-3.7-01: by an id in the second hello."""
    store = Sessions()
    forge = Forge(server_end(RSA, renegotiation=True, config={"session_store": store}), RSA).play(client_trace(RSA))
    saved = forge.verify_data
    (forge.session,) = store.kept.values()
    forge.begin()
    forge.hello = {"extensions": (Extension(ExtensionType.RENEGOTIATION_INFO, b"\x0c" + saved),)}
    forge.play(resumed_trace(Role.CLIENT))
    assert forge.target.connection.context.resumed
    assert phases(forge.target.seen) == "SCXDSD"
    carries_data(forge)


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
@pytest.mark.parametrize("role", Role)
def test_encrypt_then_mac_is_not_dropped(role: Role, suite: int) -> None:
    """R7366-3-02 and RFC 7366 §3.1: "MUST NOT" go back to MAC-then-encrypt, from either side."""
    end = server_end(suite, renegotiation=True) if role is Role.CLIENT else client_end(suite, renegotiation=True)
    info = Extension(ExtensionType.RENEGOTIATION_INFO, b"\0")
    forge = Forge(end, suite, {"extensions": (info, ENCRYPT_THEN_MAC)})
    forge.play(client_trace(suite) if role is Role.CLIENT else server_trace(suite))
    carries_data(forge)
    state = end.connection.state
    assert isinstance(state, states.Established)
    saved = state.finished.client + (b"" if role is Role.CLIENT else state.finished.server)
    forge.begin()
    forge.hello = {"extensions": (Extension(ExtensionType.RENEGOTIATION_INFO, bytes([len(saved)]) + saved),)}
    if role is Role.SERVER:
        forge.send(hello_request)
    forge.send((client_trace(suite) if role is Role.CLIENT else server_trace(suite))[0])
    refused(forge, AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("role", Role)
def test_encrypt_then_mac_may_begin(role: Role) -> None:
    """RFC 7366 §3.1: the other way round is an improvement."""
    forge = again(role, ENCRYPT_THEN_MAC)
    forge.play(client_trace(RSA) if role is Role.CLIENT else server_trace(RSA))
    state = forge.target.connection.state
    assert isinstance(state, states.Established)
    assert state.finished.encrypt_then_mac
    carries_data(forge)


def test_application_protocols_are_agreed_anew() -> None:
    """RFC 7301 §3.1: "a new negotiation" each time."""
    client, server = joined({"alpn": ("h2",)}, {"alpn": ("h2",)})
    renegotiate(client, server)
    assert client.connection.context.alpn_protocol == server.connection.context.alpn_protocol == "h2"


def test_every_kind_of_suite_follows_every_other() -> None:
    """The keys of one handshake leave nothing behind for the next."""
    suites = (RSA, RSA_RC4, DHE_RSA, 0x0002, 0xC013, 0x000A)

    def start(call: Any) -> Handled:
        chosen = suites[(call.context.handshake_count - 1) % len(suites)]
        return Handled(StartHandshakeResult(changes={"cipher_suites": (chosen,)}))

    exits = ScriptedExit({ExitPhase.START_HANDSHAKE: start})
    client, server = joined({"exits": exits}, None, *suites)
    for number in range(1, 8):
        client.connection.send(b"?")
        server.connection.send(b"!")
        pump(client, server)
        assert (client.received, server.received) == (b"!" * number, b"?" * number)
        renegotiate(client, server)


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize("role", Role)
def test_refused_by_a_fatal_alert(role: Role) -> None:
    """R2246-7.2.2-24: a warning by the book; at the other level it is the end (Java does so)."""
    forge = established(role, renegotiation=True)
    forge.target.connection.renegotiate()
    forge.target.drive()
    forge.listen()
    forge.send_alert(AlertLevel.FATAL, AlertDescription.NO_RENEGOTIATION)
    ended_by_peer(forge, AlertDescription.NO_RENEGOTIATION)


@pytest.mark.parametrize("role", Role)
def test_refused_by_a_warning_and_again(role: Role) -> None:
    """R2246-7.2.2-25: the old keys and parameters stay, and another try is possible."""
    forge = established(role, renegotiation=True)
    for _ in range(3):
        forge.target.connection.renegotiate()
        forge.target.drive()
        forge.listen()
        forge.send_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION)
        assert forge.target.events[-1] == WarningReceived(AlertDescription.NO_RENEGOTIATION)
        assert isinstance(forge.target.connection.state, states.Established)
        forge.send_record(23, b"data")
    assert forge.target.received == b"data" * 3


def test_a_refusal_that_comes_too_late() -> None:
    """After ServerHello there is nothing to refuse any more: a warning like others."""
    forge = again(Role.SERVER)
    forge.play(server_trace(RSA)[:2])
    forge.send_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION)
    assert not isinstance(forge.target.connection.state, states.Established)
    forge.play(server_trace(RSA)[2:])
    carries_data(forge)


def test_a_refusal_of_what_nobody_wanted() -> None:
    """R2246-7.2.2-24: without a request it changes nothing."""
    for role in Role:
        forge = established(role, renegotiation=True)
        forge.send_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION)
        carries_data(forge)


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.parametrize("opener", Role)
def test_the_limit(opener: Role, limit: int) -> None:
    """Each costs a handshake; the configuration says how many, and each side counts for itself."""
    bound = {"config": {"max_renegotiations": limit}}
    client, server = joined(bound if opener is Role.CLIENT else None, bound if opener is Role.SERVER else None)
    for _ in range(limit):
        renegotiate(client, server, opener)
    with pytest.raises(LocalError, match=f"{limit} times"):
        (client if opener is Role.CLIENT else server).connection.renegotiate()
    other = server if opener is Role.CLIENT else client
    other.connection.renegotiate()
    client.drive()
    pump(client, server)
    assert other.events[-1] == WarningReceived(AlertDescription.NO_RENEGOTIATION)
    assert client.connection.established


# ------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize("name", [step.name for step in client_trace(RSA)[1:]])
def test_the_peer_closes_in_the_middle(name: str) -> None:
    """R2246-7.2.1-08: close_notify ends the connection in order, and the handshake without result."""
    trace = client_trace(RSA)
    at = [step.name for step in trace].index(name)
    forge = again().play(trace[:at])
    forge.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
    assert forge.fatal is None
    is_over(forge.target)
    assert phases(forge.target.seen)[-1] == "A"


@pytest.mark.parametrize("name", ["client_key_exchange", "change_cipher_spec", "finished"])
def test_a_message_left_out(name: str) -> None:
    """R2246-7.4-02: the order is as strict as the first time."""
    forge = again().play((*drop(client_trace(RSA), name), client_hello))
    assert forge.fatal in (AlertDescription.UNEXPECTED_MESSAGE, AlertDescription.BAD_RECORD_MAC)


def test_with_an_ecdsa_server() -> None:
    """Signatures over the second pair of randoms."""
    client, server = joined(None, None, ECDHE_ECDSA)
    for opener in Role:
        renegotiate(client, server, opener)

"""What passes for proven, and when: nobody is anybody before Finished, nor by way of another one's session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ends import RSA, certificates, client_end, handshake, server_end
from tests.support.pair import End, make_end, pump
from tests.support.pki import NOW
from tests.support.scripted import ScriptedExit
from tests.support.sessions import old_session
from tlsexit.alerts import AlertDescription, ExitFailed, InternalError, LocalError
from tlsexit.bindings import channel_binding
from tlsexit.constants import Role
from tlsexit.drivers.drive import run, trust_of
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    CryptOperation,
    GetCertificateCall,
    StartHandshakeResult,
)
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.session import MemorySessionStore, Session
from tlsexit.tasks import Task

PSK = 0x008C


def renegotiating(verify: Verify, *suites: int, **more: Any) -> tuple[End, End]:
    client = client_end(*(suites or (RSA,)), renegotiation=True)
    server = server_end(*(suites or (RSA,)), renegotiation=True, verify=verify, **more)
    handshake(client, server)
    return client, server


def test_a_renegotiation_shows_nothing_until_it_is_complete() -> None:
    """R2246-7.4.8-02: data under the old keys is judged by what the old handshake has proven."""
    client, server = renegotiating(Verify.OPTIONAL)
    before = server.connection.context
    client.connection.renegotiate()
    client.drive()
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    client.connection.receive_data(server.connection.data_to_send())
    client.drive()
    flight = client.connection.data_to_send()
    server.connection.receive_data(flight[:-64])  # all but its ChangeCipherSpec and Finished
    server.drive()
    assert server.connection.state.context.peer_chain
    assert server.connection.context == before
    server.connection.receive_data(flight[-64:])
    server.drive()
    pump(client, server)
    assert server.connection.context.handshake_count == 2


def test_a_failed_handshake_leaves_nobody_authenticated() -> None:
    client = client_end(RSA)
    server = server_end(RSA, verify=Verify.REQUIRED)
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    client.connection.receive_data(server.connection.data_to_send())
    client.drive()
    flight = bytearray(client.connection.data_to_send())
    flight[-1] ^= 1
    server.connection.receive_data(bytes(flight))
    server.drive()
    context = server.connection.context
    assert server.connection.closed
    assert (context.peer_trusted, context.authentication, context.psk_identity) == (False, None, None)


def test_a_renegotiation_forgets_the_pre_shared_key() -> None:
    """First a PSK suite, then RSA: the key proves nothing about who is there now."""
    own = certificates(RSA)
    keys = {b"mallory": b"key"}
    client_pki = BuiltinPki((), {"root": [own.root.certificate]}, clock=NOW.timestamp, pre_shared_keys=keys)
    server_pki = BuiltinPki([own.server.identity("own")], clock=NOW.timestamp, pre_shared_keys=keys)
    client = make_end(Profile.client(cipher_suites=(PSK, RSA), renegotiation=True), client_pki)
    choosing = ScriptedExit(
        {
            ExitPhase.START_HANDSHAKE: lambda call: Handled(
                StartHandshakeResult(changes={"cipher_suites": (PSK,) if call.context.handshake_count == 1 else (RSA,)})
            )
        }
    )
    profile = Profile.server(cipher_suites=(PSK, RSA), verify=Verify.NONE, renegotiation=True)
    server = make_end(profile, server_pki, choosing)
    handshake(client, server)
    assert server.connection.context.psk_identity == b"mallory"
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    now = server.connection.context
    assert (now.handshake_count, now.psk_identity, now.authentication) == (2, None, Authentication.SERVER)


@pytest.mark.parametrize("filters", [{"root_ca_ids": ("rsa",)}, {"dn_user": ("CN=alice",)}], ids=str)
def test_a_key_without_a_name_does_not_pass_a_filter(filters: dict[str, Any]) -> None:
    client = make_end(Profile.client(cipher_suites=(PSK,)), BuiltinPki(pre_shared_keys={b"a": b"key"}))
    profile = Profile.server(cipher_suites=(PSK,), verify=Verify.REQUIRED, **filters)
    server = make_end(profile, BuiltinPki(pre_shared_keys={b"a": b"key"}))
    pump(client, server)
    assert getattr(server.connection.error, "description", None) is AlertDescription.HANDSHAKE_FAILURE


class RefusesEverybody:
    def start_task(self, call: Any) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Failed(AlertDescription.ACCESS_DENIED)


def server_of(pki: BuiltinPki, exits: object, store: MemorySessionStore, **config: Any) -> End:
    """A server in a task of its own, on the store that others use too."""
    task = Task(system_config(session_store=store, **config))
    run(task, exits, pki)
    connection = task.connection(Profile.server(cipher_suites=(RSA,), verify=Verify.REQUIRED))
    end = End(connection, exits, pki)
    connection.start()
    end.drive()
    return end


@pytest.mark.parametrize("other", ["the same", "authorities", "exit", "context"])
def test_sessions_do_not_cross_from_one_trust_to_another(other: str) -> None:
    """R2246-F.1.4-01: a store that two servers share is no way round CheckCertificate."""
    store = MemorySessionStore(lambda: 0.0)
    pki = certificates(RSA).builtin(Role.SERVER)
    client = client_end(RSA)
    handshake(client, server_of(pki, None, store, clock=lambda: 0.0))
    own = certificates(RSA)
    authorities = {"root": [own.root.certificate]}
    if other == "authorities":
        authorities["another"] = [certificates(0xC009).root.certificate]
    strange = BuiltinPki([own.server.identity("own")], authorities, clock=NOW.timestamp)
    exits = RefusesEverybody() if other == "exit" else None
    config = {"session_context": b"elsewhere"} if other == "context" else {}
    again = client_end(RSA, session=client.connection.session)
    pump(again, server_of(strange, exits, store, clock=lambda: 0.0, **config))
    assert again.connection.context.resumed is (other == "the same")


def test_what_stands_for_trust() -> None:
    assert trust_of(None, BuiltinPki()) == trust_of(None, BuiltinPki())
    assert trust_of(RefusesEverybody(), BuiltinPki()) == trust_of(RefusesEverybody, BuiltinPki())
    assert trust_of(None, BuiltinPki()) != trust_of(RefusesEverybody(), BuiltinPki())


def test_a_session_keeps_no_chain_of_a_peer_it_does_not_trust() -> None:
    store = MemorySessionStore(lambda: 0.0)
    client = client_end(RSA)
    strangers = BuiltinPki((), {"root": [certificates(0xC009).root.certificate]}, clock=NOW.timestamp)
    server = make_end(
        Profile.server(cipher_suites=(RSA,), verify=Verify.OPTIONAL),
        _WithAuthorities(strangers, certificates(RSA).builtin(Role.SERVER)),
        session_store=store,
        clock=lambda: 0.0,
    )
    pump(client, server)
    assert server.connection.context.peer_chain
    kept = store.get(server.connection.context.session_id)
    assert kept is not None
    assert kept.peer_chain == ()


class _WithAuthorities:
    """Asks for certificates of the right authorities, and then trusts none of them."""

    def __init__(self, strangers: BuiltinPki, right: BuiltinPki) -> None:
        self._strangers, self._right = strangers, right

    def answer(self, call: Any) -> Answer:
        return (self._strangers if isinstance(call, CheckCertificateCall) else self._right).answer(call)


def test_an_exit_cannot_empty_a_filter() -> None:
    profile = Profile.server(root_ca_ids=("rsa",), dn_user=("CN=alice",))
    for name in ("root_ca_ids", "dn_user"):
        with pytest.raises(LocalError, match="cannot be emptied"):
            profile.changed({name: ()})


def test_tls_unique_needs_the_extended_master_secret_after_a_resumption() -> None:
    """RFC 7627 §5.4: the triple handshake makes it the same on two connections."""
    store = MemorySessionStore(lambda: 0.0)
    config = {"session_store": store, "clock": lambda: 0.0}
    session: Session | None = None
    for _ in range(2):
        client = client_end(RSA, session=session, extended_master_secret=False, config={"clock": lambda: 0.0})
        handshake(client, server_end(RSA, config=config))
        session = client.connection.session
    assert client.connection.context.resumed
    with pytest.raises(LocalError, match="does not identify"):
        channel_binding(client.connection)
    assert len(channel_binding(client.connection, allow_legacy=True)) == 12


class Decrypts:
    """An exit whose key is gone."""

    def start_task(self, call: Any) -> Answer:
        return Handled()

    def crypt_data(self, call: CryptDataCall) -> Answer:
        if call.operation is CryptOperation.DECRYPT:
            raise OSError("the token is gone")
        return NotHandled()


def test_a_failed_decryption_is_told_here_and_only_here() -> None:
    """R2246-7.4.7.1-04: the peer sees a wrong record, the owner why."""
    client = client_end(RSA)
    server = server_end(RSA, exits=Decrypts())
    pump(client, server)
    assert getattr(client.connection.error, "description", None) == AlertDescription.BAD_RECORD_MAC
    failure = server.connection.exit_failure
    assert isinstance(failure, ExitFailed)
    assert isinstance(failure.__cause__, OSError)
    assert server.connection.error is not None
    assert server.connection.error.__cause__ is failure


class Answers:
    """An exit with one answer to GetCertificate."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def start_task(self, call: Any) -> Answer:
        return Handled()

    def get_certificate(self, call: GetCertificateCall) -> Any:
        return self._answer


def circle() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


@pytest.mark.parametrize(
    "answer",
    [
        Failed(46, "revoked"),  # type: ignore[arg-type]
        Failed(cause=circle()),
        Handled([certificates(RSA).server.certificate] * 17),
    ],
    ids=["a reason in words", "causes in a circle", "seventeen certificates"],
)
def test_answers_out_of_the_ordinary_end_in_an_alert(answer: Answer) -> None:
    client = client_end(RSA)
    server = server_end(RSA, exits=Answers(answer))
    pump(client, server)
    assert isinstance(server.connection.error, ExitFailed)
    assert client.connection.closed


class Broken:
    """A session store that is out of order."""

    def get(self, session_id: bytes) -> Session | None:
        raise ConnectionError("no store")

    put = remove = get


def test_a_broken_store_ends_one_connection_with_its_alert() -> None:
    client = client_end(RSA, session=old_session(), extended_master_secret=False)
    server = server_end(RSA, config={"session_store": Broken()})
    pump(client, server)
    assert isinstance(server.connection.error, InternalError)
    assert isinstance(server.connection.error.__cause__, ConnectionError)
    assert getattr(client.connection.error, "description", None) == AlertDescription.INTERNAL_ERROR


def test_an_abort_asks_the_last_question_only() -> None:
    server = server_end(RSA)
    server.connection.abort()
    assert server.connection.closed
    assert server.connection.data_to_send() == b""
    assert server.connection.pending_exit is not None
    assert server.connection.pending_exit.phase.value == "HandshakeAlert"


@pytest.mark.parametrize("extended", [True, False])
def test_a_server_may_change_its_certificate_only_under_the_extended_master_secret(extended: bool) -> None:
    """RFC 7627 §1: the third handshake of the attack is a renegotiation with another server."""
    own = certificates(RSA)
    shown = [own.server, own.intermediate_server]
    script = {
        ExitPhase.GET_CERTIFICATE: lambda call: Handled(shown[call.context.handshake_count - 1].chain),
        ExitPhase.CRYPT_DATA: lambda call: Handled(shown[call.context.handshake_count - 1].key),
    }
    client = client_end(RSA, renegotiation=True, extended_master_secret=extended)
    server = server_end(RSA, renegotiation=True, exits=ScriptedExit(script))
    handshake(client, server)
    client.connection.renegotiate()
    client.drive()
    pump(client, server)
    if extended:
        assert client.connection.context.handshake_count == 2
    else:
        assert "another certificate" in str(client.connection.error)

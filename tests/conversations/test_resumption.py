"""Which sessions are taken up again, and which are not (RFC 2246 §7.3, §7.4.1.3, appendix F.1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, RSA, RSA_RC4, check_phases, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET, Forge
from tests.support.grammar import phases
from tests.support.pair import End, pump
from tests.support.sessions import Sessions, demands, old_session, resuming_forge
from tests.support.traces import client_hello, client_trace, finished, resumed_trace, server_hello, server_trace
from tlsexit.alerts import AlertDescription, AlertLevel, PeerError
from tlsexit.constants import Role
from tlsexit.events import HandshakeCompleted
from tlsexit.exits.context import Authentication
from tlsexit.handshake import states
from tlsexit.handshake.extensions import Extension
from tlsexit.profile import Verify
from tlsexit.session import MemorySessionStore, Session


class Twice:
    """A client and a server that meet as often as they like, with one session store behind the server."""

    def __init__(self, **profiles: Any) -> None:
        self.now = 1_000_000.0
        self.store = MemorySessionStore(self.clock, **profiles.pop("store", {}))
        self.client_profile: dict[str, Any] = profiles.pop("client", {})
        self.server_profile: dict[str, Any] = profiles.pop("server", {})
        self.suites: tuple[int, ...] = profiles.pop("suites", (RSA,))
        assert not profiles

    def clock(self) -> float:
        """The time for both ends and for the store."""
        return self.now

    def meet(self, session: Session | None = None) -> tuple[End, End]:
        """Run a handshake in which the client offers ``session``."""
        client = client_end(*self.suites, session=session, config={"clock": self.clock}, **self.client_profile)
        config = {"clock": self.clock, "session_store": self.store}
        server = server_end(*self.suites, config=config, **self.server_profile)
        handshake(client, server)
        return client, server

    def again(self, client: End, **changes: Any) -> bool:
        """Whether a second handshake resumes the first client's session; both ends must agree."""
        self.client_profile |= changes
        second = self.meet(client.connection.session)
        resumed = {end.connection.context.resumed for end in second}
        assert len(resumed) == 1
        for end in second:
            check_phases(end)
            if resumed == {True}:
                assert phases(end.seen) == "SD"
        return resumed.pop()


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, RSA_RC4])
@pytest.mark.parametrize("options", [{}, {"extended_master_secret": False}, {"encrypt_then_mac": False}])
def test_a_session_is_resumed(suite: int, options: dict[str, bool]) -> None:
    """R2246-7.4.1.3-04, R2246-7.4.1.3-08, R7627-5.3-01: with its suite, kind of master secret and certificates."""
    twice = Twice(suites=(suite,), client=options)
    first, _ = twice.meet()
    session = first.connection.session
    assert session is not None
    client, server = twice.meet(session)
    for end in (client, server):
        context = end.connection.context
        assert context.resumed
        assert context.cipher_suite == suite
        assert context.session_id == session.session_id
        assert context.authentication is Authentication.SERVER
        assert phases(end.seen) == "SD"
    assert client.connection.context.peer_chain == first.connection.context.peer_chain
    client.connection.send(b"again")
    pump(client, server)
    assert server.received == b"again"


def test_the_authentication_of_both_sides_comes_back() -> None:
    """What the first handshake proved holds for the second, on both sides."""
    twice = Twice(server={"verify": Verify.REQUIRED})
    first, _ = twice.meet()
    client, server = twice.meet(first.connection.session)
    assert client.connection.context.resumed
    for end in (client, server):
        assert end.connection.context.authentication is Authentication.BOTH
        assert end.connection.context.peer_trusted
        assert end.connection.context.peer_chain


def test_new_randoms_and_keys_every_time() -> None:
    """R2246-7.4.1.2-05: the master secret stays, the connection's keys do not."""
    twice = Twice()
    first, _ = twice.meet()
    records = []
    for _ in range(2):
        client, _server = twice.meet(first.connection.session)
        assert client.connection.context.resumed
        client.connection.send(b"the same data")
        records.append(client.connection.data_to_send())
    assert records[0] != records[1]


@pytest.mark.parametrize(("seconds", "resumed"), [(0, True), (86_399, True), (86_400, False), (10**6, False)])
def test_sessions_expire(seconds: int, resumed: bool) -> None:
    """R2246-F.1.4-02: 24 hours, the suggested bound."""
    twice = Twice()
    first, _ = twice.meet()
    twice.now += seconds
    assert twice.again(first) is resumed


@pytest.mark.parametrize(("seconds", "resumed"), [(86_399, True), (86_400, False)])
def test_clients_let_sessions_expire_too(seconds: int, resumed: bool) -> None:
    """R2246-F.1.4-02: whatever the server would still take up."""
    twice = Twice(store={"lifetime": 10.0**9})
    first, _ = twice.meet()
    twice.now += seconds
    assert twice.again(first) is resumed


def test_a_resumption_does_not_prolong_a_session() -> None:
    """R2246-F.1.4-02: its age counts from the full handshake."""
    twice = Twice()
    first, _ = twice.meet()
    twice.now += 50_000
    assert twice.again(first)
    twice.now += 50_000
    assert not twice.again(first)


def test_a_clock_that_went_back() -> None:
    """A session from the future is none."""
    twice = Twice()
    first, _ = twice.meet()
    twice.now -= 1
    assert not twice.again(first)


def test_capacity() -> None:
    """The session not used for longest goes first."""
    twice = Twice(store={"capacity": 2})
    first, _ = twice.meet()
    second, _ = twice.meet()
    assert twice.again(first)
    twice.meet()
    assert twice.again(first)
    assert not twice.again(second)


def test_no_store_no_id() -> None:
    """R2246-7.4.1.3-06: an empty id says that there is nothing to resume."""
    client, server = client_end(), server_end(config={"session_store": None})
    handshake(client, server)
    assert client.connection.context.session_id == b""
    assert client.connection.session is None
    again = client_end(session=old_session())
    handshake(again, server_end(config={"session_store": None}))
    assert not again.connection.context.resumed


@pytest.mark.parametrize("name", ["other.example", None])
def test_another_server_name(name: str | None) -> None:
    """R6066-3-01: a session belongs to the name it was made for."""
    session = old_session(server_name="localhost")
    server = server_end(config={"session_store": Sessions(session)})
    extensions: Any = (EMPTY_RENEGOTIATION_INFO,)
    if name is not None:
        host = name.encode()
        body = b"\0" + len(host).to_bytes(2, "big") + host
        extensions = (*extensions, Extension(0, len(body).to_bytes(2, "big") + body))
    hello = {"session_id": session.session_id, "extensions": extensions}
    carries_data(Forge(server, RSA, hello).play(client_trace(RSA)))
    assert not server.connection.context.resumed


@pytest.mark.parametrize("change", [{"server_name": "localhost"}, {"extended_master_secret": False}])
def test_sessions_that_a_client_does_not_offer(change: dict[str, Any]) -> None:
    """R7627-5.3-01, R6066-3-01: what the server would have to refuse is not offered; and a session of another suite."""
    twice = Twice()
    first, _ = twice.meet()
    session = first.connection.session
    forge = Forge(client_end(RSA, session=session, **change), RSA)
    assert forge.client_hello is not None
    assert forge.client_hello.session_id == b""
    other = Forge(client_end(DHE_RSA, session=session), DHE_RSA)
    assert other.client_hello is not None
    assert other.client_hello.session_id == b""


def test_a_client_that_insists_on_being_asked_does_not_resume_without() -> None:
    """``enforced`` holds for what is resumed too."""
    one_sided = Forge(client_end(RSA, session=old_session(), verify=Verify.ENFORCED, extended_master_secret=False), RSA)
    assert one_sided.client_hello is not None
    assert one_sided.client_hello.session_id == b""
    mutual = old_session(authentication="B")
    both = Forge(client_end(RSA, session=mutual, verify=Verify.ENFORCED, extended_master_secret=False), RSA)
    assert both.client_hello is not None
    assert both.client_hello.session_id == mutual.session_id


def test_a_server_that_requires_a_certificate_does_not_resume_without() -> None:
    """A session in which nobody showed one would get round the profile."""
    session = old_session(peer_trusted=False)
    forge = resuming_forge(Role.CLIENT, session, verify=Verify.REQUIRED)
    forge.play((client_hello,))
    assert forge.server_hello is not None
    assert forge.server_hello.session_id != session.session_id
    assert not forge.target.connection.context.resumed


def test_the_server_no_longer_has_the_suite() -> None:
    """R2246-7.4.1.3-08: then a full handshake with another one."""
    session = old_session()
    server = server_end(DHE_RSA, config={"session_store": Sessions(session)})
    hello = {"session_id": session.session_id, "cipher_suites": (RSA, DHE_RSA)}
    forge = Forge(server, DHE_RSA, hello).play(client_trace(DHE_RSA))
    carries_data(forge)
    assert not server.connection.context.resumed


def test_the_client_offers_a_session_without_its_suite() -> None:
    """R2246-7.4.1.2-17."""
    session = old_session()
    server = server_end(RSA, DHE_RSA, config={"session_store": Sessions(session)})
    forge = Forge(server, DHE_RSA, {"session_id": session.session_id}).play((client_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_the_server_resumes_with_another_suite() -> None:
    """R2246-7.4.1.3-08."""
    client = client_end(RSA, DHE_RSA, session=old_session(), extended_master_secret=False)
    forge = Forge(client, RSA, {"cipher_suite": DHE_RSA}, session=old_session()).play((server_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_an_id_that_nobody_knows() -> None:
    """R2246-7.4.1.2-10, R2246-7.4.1.3-05: forged ids lead to a full handshake with a new one."""
    session = old_session()
    forge = Forge(server_end(RSA), RSA, session=session, hello={"session_id": session.session_id})
    forge.play((client_hello,))
    assert forge.server_hello is not None
    assert forge.server_hello.session_id not in (b"", session.session_id)


def test_an_id_alone_opens_nothing() -> None:
    """R2246-7.4.1.2-10: whoever knows the id but not the master secret does not get past Finished."""
    forge = resuming_forge(Role.CLIENT, old_session())
    forge.master_secret = bytes(48)
    with pytest.raises(PeerError, match="bad_record_mac"):
        forge.send(client_hello)  # what the server sends after its hello is not for this client
    server = forge.target.connection
    server.receive_data(forge.seal(20, b"\1"))
    forge.change_write_keys()
    server.receive_data(forge.seal(22, finished.build(forge)))
    assert server.closed
    assert "bad_record_mac" in str(server.error)


@pytest.mark.parametrize(
    ("session_has", "hello_has", "profile_has", "outcome"),
    [
        (True, True, True, "resumed"),
        (False, False, True, "resumed"),
        (False, False, False, "resumed"),
        (False, True, True, "full"),
        (True, True, False, "full"),
        (False, True, False, "resumed"),
        (True, False, True, "refused"),
        (True, False, False, "refused"),
    ],
)
def test_the_kind_of_master_secret_for_a_server(
    session_has: bool, hello_has: bool, profile_has: bool, outcome: str
) -> None:
    """R7627-5.3-01: full if only the hello has it, abort if only the session has it."""
    session = old_session(extended_master_secret=session_has)
    server = server_end(config={"session_store": Sessions(session)}, extended_master_secret=profile_has)
    extensions = (EMPTY_RENEGOTIATION_INFO, *((EXTENDED_MASTER_SECRET,) if hello_has else ()))
    forge = Forge(server, RSA, {"extensions": extensions}, session=session).play((client_hello,))
    if outcome == "refused":
        refused(forge, AlertDescription.HANDSHAKE_FAILURE)
        return
    assert server.connection.context.resumed is (outcome == "resumed")


@pytest.mark.parametrize("session_has", [False, True])
def test_the_kind_of_master_secret_for_a_client(session_has: bool) -> None:
    """R7627-5.3-01: the client aborts on any mismatch in the reply."""
    session = old_session(extended_master_secret=session_has)
    extensions = (EMPTY_RENEGOTIATION_INFO, *(() if session_has else (EXTENDED_MASTER_SECRET,)))
    forge = Forge(client_end(RSA, session=session), RSA, {"extensions": extensions}, session=session)
    refused(forge.play((server_hello,)), AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_the_order_of_mac_is_settled_anew(role: Role, encrypt_then_mac: bool) -> None:
    """RFC 7366 §3: it belongs to the connection, not to the session."""
    forge = resuming_forge(role, old_session())
    forge.hello = {"extensions": (ENCRYPT_THEN_MAC,) if encrypt_then_mac else None}
    carries_data(forge.play(resumed_trace(role)))


def test_session_scoped_extensions_are_not_answered() -> None:
    """R4366-3-01, R5746-3.4-01: renegotiation_info is, server_name and the like are not."""
    forge = resuming_forge(Role.CLIENT, old_session())
    forge.hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, Extension(11, b"\1\0"), Extension(10, b"\0\2\0\x17"))}
    forge.play(resumed_trace(Role.CLIENT))
    assert forge.server_hello is not None
    assert forge.server_hello.extensions == (EMPTY_RENEGOTIATION_INFO,)
    carries_data(forge)


# ------------------------------------------------------------------------------------------------ the end of a session


@pytest.mark.parametrize("sent_by", Role)
def test_a_fatal_alert_ends_the_session_too(sent_by: Role) -> None:
    """R2246-7.2-03: "the session identifier must be invalidated", whoever sent the alert."""
    sessions = Sessions()
    server = server_end(RSA, config={"session_store": sessions})
    forge = Forge(server, RSA).play(client_trace(RSA))
    assert len(sessions.kept) == 1
    if sent_by is Role.CLIENT:
        forge.send_alert(AlertLevel.FATAL, AlertDescription.INTERNAL_ERROR)
    else:
        forge.send_record(20, b"\1")
    assert server.connection.closed
    assert sessions.kept == {}


@pytest.mark.parametrize("sent_by", Role)
def test_a_fatal_alert_ends_the_clients_session_too(sent_by: Role) -> None:
    """R2246-7.2-03, for the one that the client would offer next time."""
    client = client_end(RSA)
    forge = Forge(client, RSA).play(server_trace(RSA))
    assert client.connection.session is not None
    if sent_by is Role.SERVER:
        forge.send_alert(AlertLevel.FATAL, AlertDescription.INTERNAL_ERROR)
    else:
        forge.send_record(20, b"\1")
    assert client.connection.session is None


def test_a_failed_resumption_ends_the_session() -> None:
    """R2246-7.2-03: the one that was being taken up."""
    session = old_session()
    forge = resuming_forge(Role.CLIENT, session)
    forge.play((client_hello,))
    forge.send_record(23, b"too early")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)
    again = resuming_forge(Role.CLIENT, session)
    assert again.target.connection.context.session_id == b""


@pytest.mark.parametrize("closer", Role)
def test_close_notify_leaves_the_session(closer: Role) -> None:
    """§7.2.1: an orderly end does not invalidate, and (RFC 4346 §7.2.1) a disorderly one no longer does either."""
    twice = Twice()
    client, server = twice.meet()
    (client if closer is Role.CLIENT else server).connection.close()
    pump(client, server)
    assert client.connection.session is not None
    assert twice.again(client)


def test_a_session_counts_only_when_the_handshake_is_complete() -> None:
    """R2246-7.4.1.2-08: not before both Finished, and not before the exit has said so."""
    sessions = Sessions()
    server = server_end(RSA, config={"session_store": sessions})
    forge = Forge(server, RSA)
    for step in client_trace(RSA):
        assert sessions.kept == {}
        forge.send(step)
    assert len(sessions.kept) == 1
    client = client_end(RSA)
    other = Forge(client, RSA)
    for step in server_trace(RSA):
        assert client.connection.session is None
        other.send(step)
    assert client.connection.session is not None


def test_two_connections_of_one_session() -> None:
    """R2246-7.4.1.2-07, R2246-7.2-03: from a live connection, and others go on when one of them fails."""
    twice = Twice()
    client, server = twice.meet()
    second, other = twice.meet(client.connection.session)
    assert second.connection.context.resumed
    other.connection.receive_data(b"\x17\3\1\0\x20" + bytes(32))
    other.drive()
    pump(second, other)
    assert second.connection.closed
    client.connection.send(b"still here")
    pump(client, server)
    assert server.received == b"still here"
    assert not twice.again(client)


def test_the_resumed_client_keeps_its_session() -> None:
    """It may be offered a third time."""
    twice = Twice()
    first, _ = twice.meet()
    second, _ = twice.meet(first.connection.session)
    assert second.connection.session == first.connection.session
    assert twice.again(second)


def test_the_global_area_of_a_resumed_session() -> None:
    """HandshakeDone is asked anew, and its answer is new."""
    twice = Twice()
    first, _ = twice.meet()
    client, _ = twice.meet(first.connection.session)
    done = [event for event in client.events if isinstance(event, HandshakeCompleted)]
    assert len(done) == 1
    assert done[0].global_area == bytes(64)
    assert isinstance(client.connection.state, states.Established)


@pytest.mark.parametrize(
    "changed", [{"id": "other"}, {"root_ca_ids": ("rsa",)}, {"depth": 1}, {"dn_user": ("CN=alice",)}], ids=str
)
@pytest.mark.parametrize("role", Role)
def test_demands_on_the_peer_are_part_of_the_session(role: Role, changed: dict[str, Any]) -> None:
    """R2246-F.1.4-01: who has met the demands of one profile has not met those of another."""
    assert demands(**changed) != demands()
    session = old_session(demands=demands(**changed))
    forge = resuming_forge(role, session)
    state = forge.play((client_hello,) if role is Role.CLIENT else ()).target.connection.state
    if role is Role.CLIENT:
        assert isinstance(state, states.AwaitClientKeyExchange)  # a full handshake is under way
    else:
        assert isinstance(state, states.AwaitServerHello)
        assert state.session is None

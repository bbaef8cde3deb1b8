"""The order of both flights, and handshakes begun again (RFC 2246 §7.3, §7.4.1)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.conversation import carries_data, refused
from tests.support.ends import (
    DH_ANON,
    DHE_DSS,
    DHE_RSA,
    ECDHE_ECDSA,
    ECDHE_RSA,
    RSA,
    client_end,
)
from tests.support.forge import Forge
from tests.support.pki import pki
from tests.support.sessions import Sessions, old_session, resuming_forge
from tests.support.traces import (
    alter,
    client_hello,
    client_trace,
    resumed_trace,
    server_hello,
)
from tests.support.wiretap import Wiretap, tapped_ends
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.handshake.finished import Finished
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Verify
from tlsexit.records.grammar import ChangeCipherSpec

RSA_EXPORT = 0x0008  # TLS_RSA_EXPORT_WITH_DES40_CBC_SHA
EVERY_KIND = [RSA, RSA_EXPORT, DHE_RSA, DHE_DSS, DH_ANON, ECDHE_RSA, ECDHE_ECDSA]
NO_CERTIFICATE = BuiltinPki((), {"root": [pki().root.certificate]})


# ------------------------------------------------------------------------------------------------ full handshakes


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("suite", EVERY_KIND)
def test_the_flight_of_the_server(suite: int, asked: bool) -> None:
    """R2246-7.3-01, R2246-7.4.4-01, R2246-7.4.2-01, R2246-7.4.2-02, R2246-7.4.3-01, R2246-7.4.3-02."""
    verify = Verify.OPTIONAL if asked else Verify.NONE
    tap = tapped_ends(suite, server={"verify": verify}).handshake()
    expected = [2]
    if suite != DH_ANON:
        expected.append(11)
    if suite != RSA:
        expected.append(12)
    if asked and suite != DH_ANON:
        expected.append(13)
    assert tap.kinds(Role.SERVER) == [*expected, 14, 20]


@pytest.mark.parametrize(
    ("asked", "has", "expected"),
    [(False, True, [1, 16, 20]), (True, True, [1, 11, 16, 15, 20]), (True, False, [1, 11, 16, 20])],
)
@pytest.mark.parametrize("suite", [RSA, DHE_RSA, ECDHE_RSA])
def test_the_flight_of_the_client(suite: int, asked: bool, has: bool, expected: list[int]) -> None:
    """R2246-7.3-02, R2246-7.3-03, R2246-7.4.6-02, R2246-7.4.7-01, R2246-7.4.8-01, R2246-7.4.8-02."""
    client = {} if has else {"builtin": NO_CERTIFICATE}
    tap = tapped_ends(suite, client=client, server={"verify": Verify.OPTIONAL if asked else Verify.NONE}).handshake()
    assert tap.kinds(Role.CLIENT) == expected
    if asked and not has:
        shown = next(item for item in tap.messages if item.sender is Role.CLIENT and item.kind == 11)
        assert shown.raw == b"\x0b\0\0\3\0\0\0"
    sent = [item.content_type for item in tap.sent(Role.CLIENT)]
    assert sent[-2:] == [20, 22]


@pytest.mark.parametrize("suite", [RSA, DHE_RSA])
def test_the_client_finishes_first(suite: int) -> None:
    """R2246-7.3-04, R2246-7.4.9-05, R2246-7.4.9-07: the tap has computed the second Finished over the first."""
    tap = tapped_ends(suite).handshake()
    assert [sender for sender, _ in tap.finished] == [Role.CLIENT, Role.SERVER]
    changes = [item.sender for item in tap.records if item.content_type == 20]
    assert changes == [Role.CLIENT, Role.SERVER]


def test_every_message_ends_with_its_record() -> None:
    """R2246-7.4-01: the last message of a flight leaves nothing behind, and every type is in the table of A.4."""
    tap = tapped_ends(DHE_RSA, server={"verify": Verify.REQUIRED}).handshake().exchange()
    assert all(item.ends_record for item in tap.messages if item.kind in (1, 14, 15, 16, 20))
    assert {item.kind for item in tap.messages} == {1, 2, 11, 12, 13, 14, 15, 16, 20}


@pytest.mark.parametrize("suite", [RSA, DH_ANON])
def test_only_the_four_content_types(suite: int) -> None:
    """R2246-A.1-01, R2246-A.4-01: over a whole run, with renegotiation, a warning and the end."""
    both = {"renegotiation": True}
    tap = tapped_ends(suite, client=both, server=both).handshake().exchange().renegotiate()
    tap.server.connection.renegotiate()
    tap.pump().exchange()
    tap.client.connection.close()
    tap.client.drive()
    tap.pump()
    assert {item.content_type for item in tap.records} == {20, 21, 22, 23}
    assert {item.kind for item in tap.messages} <= {0, 1, 2, 11, 12, 13, 14, 15, 16, 20}


# ------------------------------------------------------------------------------------------------ resumption


def resumed(suite: int = RSA, **elements: Any) -> tuple[Wiretap, Wiretap]:
    """A conversation, and another that resumes its session."""
    config = {"session_store": Sessions()}
    first = tapped_ends(suite, client=dict(elements), server={**elements, "config": config}).handshake()
    session = first.client.connection.session
    second = tapped_ends(suite, client={**elements, "session": session}, server={**elements, "config": config})
    return first, second.handshake().exchange()


@pytest.mark.parametrize("suite", [RSA, DHE_RSA, DH_ANON])
def test_the_flights_of_an_abbreviated_handshake(suite: int) -> None:
    """R2246-7.3-05, R2246-7.3-06, R2246-7.4.1.3-04, R2246-7.4.9-07: the server finishes first, nothing else is sent."""
    first, second = resumed(suite)
    assert second.kinds(Role.SERVER) == [2, 20]
    assert second.kinds(Role.CLIENT) == [1, 20]
    assert [sender for sender, _ in second.finished] == [Role.SERVER, Role.CLIENT]
    assert [item.content_type for item in second.sent(Role.SERVER)[:3]] == [22, 20, 22]
    assert second.hellos[Role.SERVER].session_id == first.hellos[Role.SERVER].session_id


def test_a_wrong_finished_in_a_resumption() -> None:
    """R2246-7.3-05: the client sends neither ChangeCipherSpec nor Finished before the server's was verified."""
    trace = alter(resumed_trace(Role.SERVER), "finished", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    forge = resuming_forge(Role.SERVER, old_session()).play(trace)
    refused(forge, AlertDescription.DECRYPT_ERROR)
    assert not any(isinstance(item, (ChangeCipherSpec, Finished)) for item in forge.messages)


def test_a_resuming_hello() -> None:
    """R2246-7.4.1.2-17, R2246-7.4.1.2-18, R2246-E-04: suite, compression and version are the session's."""
    _, second = resumed(DHE_RSA)
    hello = second.hellos[Role.CLIENT]
    assert hello.session_id
    assert DHE_RSA.to_bytes(2, "big") in [hello.suites[at : at + 2] for at in range(0, len(hello.suites), 2)]
    assert 0 in hello.compression
    assert hello.version == 0x0301


def test_a_session_without_its_compression_method() -> None:
    """R2246-7.4.1.2-18: a server resumes nothing for a hello that leaves null out."""
    session = old_session()
    forge = resuming_forge(Role.CLIENT, session)
    forge.hello["compression_methods"] = (1,)
    refused(forge.play((client_hello,)), AlertDescription.ILLEGAL_PARAMETER)
    assert forge.server_hello is None


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0303])
def test_a_session_of_another_version(version: int) -> None:
    """R2246-7.4.1.3-11: neither resumed by a server, nor offered by a client, nor taken back from a server."""
    session = old_session(version=version)
    forge = resuming_forge(Role.CLIENT, session)
    carries_data(replaced(forge).play(client_trace(RSA)))
    assert not forge.target.connection.context.resumed
    client = Forge(client_end(RSA, session=session, extended_master_secret=False), RSA)
    assert client.client_hello is not None
    assert client.client_hello.session_id == b""
    forge = resuming_forge(Role.SERVER, old_session())
    forge.hello["server_version"] = version
    refused(forge.play((server_hello,)), AlertDescription.PROTOCOL_VERSION)


def replaced(forge: Forge) -> Forge:
    """The same forge, which offers its session but goes on with a full handshake."""
    session = forge.session
    assert session is not None
    forge.hello["session_id"] = session.session_id
    forge.session = None
    forge.begin()
    return forge


def test_randoms_are_new_in_every_handshake() -> None:
    """R2246-7.4.1.2-05, R2246-7.4.1.3-03: full, resumed, renegotiated."""
    first, second = resumed()
    both = {"renegotiation": True}
    third = tapped_ends(RSA, client=both, server=both).handshake()
    before = dict(third.hellos)
    third.renegotiate()
    hellos = [*first.hellos.values(), *second.hellos.values(), *before.values(), *third.hellos.values()]
    assert len({hello.random[4:] for hello in hellos}) == 8

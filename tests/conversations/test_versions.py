"""Version negotiation (RFC 2246 §7.4.1, appendix E): every number in every place, and peers without 1.0."""

from __future__ import annotations

import ssl
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from tests.support.conversation import alert_call, carries_data, established, is_over, opposite, refused
from tests.support.ends import RSA, client_end, server_end
from tests.support.forge import Forge, Step
from tests.support.keys import builtin
from tests.support.pair import End
from tests.support.stdlib import StdlibEnd
from tests.support.traces import change_cipher_spec, client_hello, client_trace, finished, server_hello, server_trace
from tlsexit.alerts import AlertDescription, AlertReceived
from tlsexit.constants import FALLBACK_SCSV, ContentType, Role
from tlsexit.crypto.keyops import decrypt
from tlsexit.crypto.suites import KeyType
from tlsexit.events import MessageSeen
from tlsexit.handshake import keyexchange as kx
from tlsexit.wire import parse

TLS_1_0 = 0x0301
PROTOCOL_VERSION = AlertDescription.PROTOCOL_VERSION


def relabelled(step: Step, version: int) -> Step:
    """The step in one record whose header says another version."""

    def build(forge: Forge) -> bytes:
        data = step.build(forge)
        if step.content_type == ContentType.HANDSHAKE:
            forge.transcript = forge.transcript.add(data)
        assert step.content_type is not None
        return forge.seal(step.content_type, data, version)

    return Step(step.name, build, None, after=step.after)


# ------------------------------------------------------------------------------------------------ in the hellos


@pytest.mark.parametrize("major", range(5))
def test_every_version_in_a_client_hello(major: int) -> None:
    """R2246-7.4.1.3-01: from 1.0 on the answer is 1.0; RFC 7568, RFC 6176: nothing below."""
    for version in range(major << 8, (major + 1) << 8):
        forge = Forge(server_end(), RSA, {"client_version": version}).play((client_hello,))
        if version < TLS_1_0:
            refused(forge, PROTOCOL_VERSION)
        else:
            assert forge.server_hello is not None, hex(version)
            assert forge.server_hello.server_version == TLS_1_0


@pytest.mark.parametrize("version", [TLS_1_0, 0x0302, 0x0303, 0x0304, 0x03FF, 0x0400, 0xFFFF])
def test_the_premaster_secret_has_the_offered_version(version: int) -> None:
    """R2246-7.4.7.1-02, R2246-7.4.7.1-03: what the client offered, not what was agreed."""
    forge = Forge(server_end(), RSA, {"client_version": version}).play(client_trace(RSA))
    assert forge.pre_master_secret[:2] == version.to_bytes(2, "big")
    carries_data(forge)


@pytest.mark.parametrize("offered", [TLS_1_0, 0x0303])
@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x0303, 0x0000])
def test_another_version_in_the_premaster_secret(offered: int, version: int) -> None:
    """R5246-7.4.7.1-01: a roll-back shows in Finished, and nowhere before (Klima, Pokorny, Rosa)."""

    def build(forge: Forge) -> bytes:
        forge.pre_master_secret = version.to_bytes(2, "big") + bytes(range(46))
        encrypted: bytes = forge.peer_key.encrypt(forge.pre_master_secret, PKCS1v15())
        body = len(encrypted).to_bytes(2, "big") + encrypted
        return b"\x10" + len(body).to_bytes(3, "big") + body

    key_exchange = Step("client_key_exchange", build, after=Forge.derive)
    forge = Forge(server_end(), RSA, {"client_version": offered})
    forge.play((client_hello, key_exchange, change_cipher_spec))
    assert forge.alerts == []
    forge.send(finished)
    if version == offered:
        carries_data(forge)
    else:
        refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_our_own_client_offers_1_0_everywhere() -> None:
    """R2246-7.4.7.1-01: in the record, in the hello, in the premaster secret."""
    forge = opposite(Role.SERVER)
    assert forge.client_hello is not None
    assert forge.client_hello.client_version == TLS_1_0
    forge.play(server_trace(RSA))
    message = next(item for item in forge.messages if isinstance(item, kx.ClientKeyExchange))
    encrypted = parse(kx.ENCRYPTED_PRE_MASTER_SECRET, message.body, "ClientKeyExchange")
    assert decrypt(forge.own_key, encrypted.pre_master_secret)[:2] == b"\3\1"
    assert client_end().connection.data_to_send()[:3] == b"\x16\3\1"


@pytest.mark.parametrize("major", range(5))
def test_every_version_in_a_server_hello(major: int) -> None:
    """R2246-7.4.1.3-02: tlsexit has one version, so the server has one choice."""
    for version in range(major << 8, (major + 1) << 8, 7 if major not in (2, 3) else 1):
        forge = Forge(client_end(), RSA, {"server_version": version}).play((server_hello,))
        if version == TLS_1_0:
            assert forge.fatal is None
        else:
            refused(forge, PROTOCOL_VERSION)


# ------------------------------------------------------------------------------------------------ in record headers


@pytest.mark.parametrize("role", Role)
def test_every_version_in_the_first_record(role: Role) -> None:
    """R2246-E-02, RFC 5246 §E.1: any {3,x} from a peer whose version is not known yet."""
    trace = client_trace(RSA) if role is Role.CLIENT else server_trace(RSA)
    for version in range(0x0300, 0x0400, 1 if role is Role.CLIENT else 15):
        forge = opposite(role)
        forge.send(relabelled(trace[0], version))
        assert forge.alerts == [], hex(version)
    carries_data(forge.play(trace[1:]))


@pytest.mark.parametrize("version", [0x0000, 0x0002, 0x0101, 0x0200, 0x02FF, 0x0400, 0x1603, 0x5454, 0xFFFF])
@pytest.mark.parametrize("role", Role)
def test_first_records_that_are_no_tls(role: Role, version: int) -> None:
    """R2246-6.2.1-08."""
    forge = opposite(role)
    forge.send(relabelled(client_hello if role is Role.CLIENT else server_hello, version))
    refused(forge, PROTOCOL_VERSION)


@pytest.mark.parametrize("version", [0x0300, 0x0302, 0x0303])
@pytest.mark.parametrize("role", Role)
def test_strict_from_then_on(role: Role, version: int) -> None:
    """R2246-6.2.1-08: every later header has to say what was agreed, in every state and for every type."""
    trace = client_trace(RSA) if role is Role.CLIENT else server_trace(RSA)
    for step in trace[1:]:
        at = trace.index(step)
        forge = opposite(role).play((*trace[:at], relabelled(step, version)))
        refused(forge, PROTOCOL_VERSION)
    for content_type in (20, 21, 22, 23, 24):
        forge = established(role)
        forge.send_bytes(forge.seal(content_type, b"\1\x64", version))
        refused(forge, PROTOCOL_VERSION)


def test_alerts_before_the_hello_may_say_what_they_like() -> None:
    """A server that refuses the version says so in a header of its own version (RFC 5246 §E.1)."""
    for version in (0x0300, 0x0302, 0x0303, 0x0304):
        forge = opposite(Role.SERVER)
        forge.send_bytes(forge.seal(ContentType.ALERT, b"\2\x46", version))
        assert isinstance(forge.target.connection.error, AlertReceived)
        assert forge.target.connection.error.description == PROTOCOL_VERSION


# ------------------------------------------------------------------------------------------------ peers without 1.0


def modern(role: Role, minimum: ssl.TLSVersion) -> StdlibEnd:
    """OpenSSL as it is today: nothing below ``minimum``."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = minimum
    made.set_ciphers("ALL:@SECLEVEL=0")
    return StdlibEnd(made, role)


def until_it_fails(end: End, other: StdlibEnd) -> ssl.SSLError:
    """Talk until OpenSSL gives up, and let the other end hear of it."""
    try:
        for _ in range(10):
            other.feed(end.connection.data_to_send())
            end.connection.receive_data(other.run())
            end.drive()
    except ssl.SSLError as error:
        end.connection.receive_data(other.last_words())
        end.drive()
        return error
    raise AssertionError("OpenSSL has not given up")


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_without_tls_1_0(minimum: ssl.TLSVersion) -> None:
    """R2246-7.2.2-20: our side ends with an error that says what is the matter."""
    end = client_end(builtin=builtin(Role.CLIENT, KeyType.RSA))
    until_it_fails(end, modern(Role.SERVER, minimum))
    error = end.connection.error
    assert isinstance(error, AlertReceived)
    assert error.description == PROTOCOL_VERSION
    assert "protocol_version(70)" in str(error)
    assert "TLS 1.0" in str(error)
    call = alert_call(end)
    assert call is not None
    assert (call.description, call.remote) == (PROTOCOL_VERSION, True)
    is_over(end)


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
def test_a_client_without_tls_1_0(minimum: ssl.TLSVersion) -> None:
    """R2246-6.2.1-08: OpenSSL refuses our ServerHello under its own version, which by then is an error of its own."""
    server = server_end()
    until_it_fails(server, modern(Role.CLIENT, minimum))
    assert "version 0x0303" in str(server.connection.error)
    assert "perhaps the peer has no TLS 1.0" in str(server.connection.error)
    assert server.connection.data_to_send()[-2:] == b"\2\x46"
    is_over(server)


def test_a_client_with_suites_of_later_versions_only() -> None:
    """R2246-7.4.1.2-12: what a client of TLS 1.3 alone offers has no suite for us; the version explains it."""
    server = server_end()
    until_it_fails(server, modern(Role.CLIENT, ssl.TLSVersion.TLSv1_3))
    error = str(server.connection.error)
    assert "handshake_failure(40)" in error
    assert "no cipher suite in common" in error
    assert "TLS 1.0" in error


# ------------------------------------------------------------------------------------------------ TLS_FALLBACK_SCSV


@pytest.mark.parametrize("profile", [{}, {"extensions": False}, {"v2_client_hello": True}])
def test_a_client_on_its_second_try(profile: dict[str, Any]) -> None:
    """R7507-4-01: only where the profile says that this is a fallback; a signal, not a suite to choose."""
    for fallback in (False, True):
        client = client_end(fallback_scsv=fallback, **profile)
        (hello,) = [item.message for item in client.seen if isinstance(item, MessageSeen)]
        assert (FALLBACK_SCSV in hello.cipher_suites) is fallback
    client = client_end(fallback_scsv=True)
    refused(
        Forge(client, RSA, {"cipher_suite": FALLBACK_SCSV}).play((server_hello,)), AlertDescription.ILLEGAL_PARAMETER
    )


def test_a_fallback_to_our_highest_version() -> None:
    """R7507-3-01: TLS 1.0 is all this server has, so nobody has fallen back too far."""
    for version in (TLS_1_0, 0x0303):
        hello = {"cipher_suites": (RSA, FALLBACK_SCSV), "client_version": version}
        carries_data(Forge(server_end(), RSA, hello).play(client_trace(RSA)))


def test_a_fallback_below_it() -> None:
    """R7507-3-01: SSL 3.0 is not supported, which is what protocol_version says."""
    hello = {"cipher_suites": (RSA, FALLBACK_SCSV), "client_version": 0x0300}
    refused(Forge(server_end(), RSA, hello).play((client_hello,)), PROTOCOL_VERSION)


def test_a_server_that_can_do_better() -> None:
    """R7507-3-01, seen from the client: OpenSSL refuses the fallback, and the error says why."""
    client = client_end(fallback_scsv=True)
    other = modern(Role.SERVER, ssl.TLSVersion.TLSv1)
    until_it_fails(client, other)
    assert "inappropriate_fallback(86)" in str(client.connection.error)

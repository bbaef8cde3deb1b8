"""What a server sends beside its certificate: a stapled OCSP response (RFC 6066 §8) and SCTs (RFC 6962 §3.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.support.conversation import alert_call, carries_data, refused
from tests.support.ends import DH_ANON, DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import Forge, Step
from tests.support.pair import End, pump
from tests.support.pki import NOW, pki
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tests.support.traces import client_trace, drop, insert, raw_message, server_hello, server_trace, until
from tlsexit.alerts import AlertDescription
from tlsexit.crypto.keyops import PrivateKey
from tlsexit.events import MessageSeen
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.calls import Credentials, CryptDataCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake.certificate import Certificate, CertificateStatus
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.hello import ServerHello

SCTS = (b"\0" + bytes(40), b"\0another")
ASKED = Extension(ExtensionType.STATUS_REQUEST, b"")
SCT_LIST = Extension(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, b"\0\x0d\0\x0bnot an SCT!")


def response(status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD, *, age: timedelta = timedelta(hours=1)) -> bytes:
    """A response of the authority about the RSA server certificate, of some age and good for a day."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=pki().server.certificate,
        issuer=pki().root.certificate,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=NOW - age,
        next_update=NOW - age + timedelta(days=1),
        revocation_time=NOW - age if revoked else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, pki().root.certificate)
    return builder.sign(pki().root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def server_key(call: CryptDataCall) -> Handled:
    """The exit has the key too."""
    key: PrivateKey = pki().server.key
    return Handled(key)


def stapling_server(suite: int = RSA, *, config: dict[str, Any] | None = None, **credentials: Any) -> End:
    """A server whose exit answers GetCertificate with more than the chain."""
    chain = Credentials(pki().server.chain, **credentials)
    exits = ScriptedExit({ExitPhase.GET_CERTIFICATE: Handled(chain), ExitPhase.CRYPT_DATA: server_key})
    return server_end(suite, exits=exits, config=config)


def watched_client(suite: int = RSA, **profile: Any) -> tuple[End, ScriptedExit]:
    """A client, and the exit that has seen its questions."""
    exits = ScriptedExit()
    return client_end(suite, exits=exits, **profile), exits


def messages(end: End) -> list[Any]:
    """The messages that the end received."""
    return [item.message for item in end.seen if isinstance(item, MessageSeen) and not item.sent]


def answered(end: End) -> set[int]:
    """The kinds of extension in the ServerHello that the end received."""
    hello = next(item for item in messages(end) if isinstance(item, ServerHello))
    return {item.extension_type for item in hello.extensions or ()}


# ------------------------------------------------------------------------------------------------ both ends


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("suite", [RSA, DHE_RSA], ids=hex)
def test_a_stapled_response(suite: int, size: int | None) -> None:
    """R4366-3.6-01: behind Certificate, and part of the handshake hashes."""
    stapled = response()
    client, exits = watched_client(suite, status_request=True)
    handshake(client, stapling_server(suite, ocsp_response=stapled), size=size)
    kinds = [type(item) for item in messages(client)]
    assert kinds.index(CertificateStatus) == kinds.index(Certificate) + 1
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response == stapled


@pytest.mark.parametrize("size", [None, 1])
def test_scts(size: int | None) -> None:
    """RFC 6962 §3.3.1: in the extension, untouched by TLS."""
    client, exits = watched_client(signed_certificate_timestamps=True)
    handshake(client, stapling_server(sct_list=SCTS), size=size)
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).sct_list == SCTS


@pytest.mark.parametrize(
    ("asks", "has", "sent"),
    [
        ({}, {"ocsp_response": b"response", "sct_list": SCTS}, set()),
        ({"status_request": True, "signed_certificate_timestamps": True}, {}, set()),
        ({"status_request": True}, {"sct_list": SCTS}, set()),
        ({"signed_certificate_timestamps": True}, {"ocsp_response": b"response"}, set()),
        ({"signed_certificate_timestamps": True}, {"sct_list": SCTS}, {ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP}),
    ],
)
def test_only_what_one_asks_for_and_the_other_has(asks: dict[str, Any], has: dict[str, Any], sent: set[int]) -> None:
    """R4366-3.6-01, R4366-2.3-01."""
    client, exits = watched_client(**asks)
    handshake(client, stapling_server(**has))
    assert answered(client) & {5, 18} == sent
    assert CertificateStatus not in map(type, messages(client))
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response is None


def test_neither_without_a_certificate() -> None:
    """R4366-3.6-01: there is nothing that they could be about."""
    client = client_end(DH_ANON, status_request=True, signed_certificate_timestamps=True)
    handshake(client, stapling_server(DH_ANON, ocsp_response=b"response", sct_list=SCTS))
    assert not answered(client) & {5, 18}


def test_neither_on_a_resumption() -> None:
    """R4366-3-01, RFC 6962 §3.3: they belong to the session."""
    store = Sessions()
    wishes: dict[str, Any] = {"status_request": True, "signed_certificate_timestamps": True}
    client = client_end(**wishes)
    handshake(client, stapling_server(ocsp_response=response(), sct_list=SCTS, config={"session_store": store}))
    again = client_end(session=client.connection.session, **wishes)
    handshake(again, stapling_server(ocsp_response=response(), sct_list=SCTS, config={"session_store": store}))
    assert again.connection.context.resumed
    assert not answered(again) & {5, 18}


@pytest.mark.parametrize(
    ("stapled", "alert"),
    [
        (response(ocsp.OCSPCertStatus.REVOKED), AlertDescription.CERTIFICATE_REVOKED),
        (response(ocsp.OCSPCertStatus.UNKNOWN), AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE),
        (response(age=timedelta(days=2)), AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE),
        (response(age=timedelta(days=-2)), AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE),
        (b"\x30\0", AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE),
        (b"nothing", AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE),
    ],
    ids=["revoked", "unknown", "old", "from the future", "empty", "garbage"],
)
def test_responses_that_do_not_satisfy(stapled: bytes, alert: AlertDescription) -> None:
    """R4366-3.6-02."""
    client = client_end(status_request=True)
    server = stapling_server(ocsp_response=stapled)
    pump(client, server)
    assert f"({int(alert)})" in str(client.connection.error)
    call = alert_call(server)
    assert call is not None
    assert (call.description, call.remote) == (alert, True)


def test_an_exit_may_refuse_the_response() -> None:
    """R4366-3.6-02: the alert that RFC 6066 made for it is recognised in CheckCertificate."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Failed(AlertDescription.BAD_CERTIFICATE_STATUS_RESPONSE)})
    client = client_end(status_request=True, exits=exits)
    pump(client, stapling_server(ocsp_response=response()))
    assert "bad_certificate_status_response(113)" in str(client.connection.error)


@pytest.mark.parametrize(
    "credentials",
    [
        {"ocsp_response": b""},
        {"ocsp_response": "text"},
        {"ocsp_response": bytes(2**24)},
        {"sct_list": (b"",)},
        {"sct_list": ("text",)},
        {"sct_list": (bytes(2**16),)},
        {"sct_list": (bytes(2**15), bytes(2**15))},
        {"sct_list": 5},
    ],
    ids=lambda item: repr(item)[:40],
)
def test_what_an_exit_cannot_have_sent(credentials: dict[str, Any]) -> None:
    """An exit's mistake ends the handshake with internal_error, whether or not the client asked."""
    asked: dict[str, Any] = {"status_request": True, "signed_certificate_timestamps": True}
    for wishes in ({}, asked):
        client = client_end(**wishes)
        server = stapling_server(**credentials)
        pump(client, server)
        assert "internal_error(80)" in str(server.connection.error)
        assert "GetCertificate" in str(server.connection.error)
        assert "internal_error(80)" in str(client.connection.error)


# ------------------------------------------------------------------------------------------------ the client


def status(body: bytes = b"\1\0\0\x08response") -> Step:
    """A CertificateStatus message."""
    return raw_message(22, body, "certificate_status")


def stapling_forge(*extensions: Extension, suite: int = RSA, **profile: Any) -> Forge:
    """A forged server that answers with these extensions a client that accepts any certificate."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled()})
    client = client_end(suite, exits=exits, status_request=True, signed_certificate_timestamps=True, **profile)
    return Forge(client, suite, {"extensions": extensions})


@pytest.mark.parametrize("suite", [RSA, DHE_RSA], ids=hex)
@pytest.mark.parametrize("request_", [False, True])
def test_the_message_may_come_or_not(suite: int, request_: bool) -> None:
    """R4366-3.6-01: "it may also be left out", although it was announced; whatever message comes next."""
    trace = server_trace(suite, request=request_)
    carries_data(stapling_forge(ASKED, suite=suite).play(trace))
    forge = stapling_forge(ASKED, suite=suite).play(insert(trace, status(), after="certificate"))
    carries_data(forge)
    exits: Any = forge.target.exits
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).ocsp_response == b"response"


@pytest.mark.parametrize("extensions", [(), (SCT_LIST,)])
def test_a_message_that_was_not_announced(extensions: tuple[Extension, ...]) -> None:
    """R4366-3.6-01: only if ServerHello said so."""
    forge = stapling_forge(*extensions).play(insert(server_trace(RSA), status(), after="certificate"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("before", ["certificate", "server_hello_done"])
def test_a_message_in_another_place(before: str) -> None:
    """R4366-3.6-01: directly behind Certificate, once."""
    trace = insert(server_trace(DHE_RSA), status(), before=before)
    refused(stapling_forge(ASKED, suite=DHE_RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)
    twice = insert(insert(server_trace(RSA), status(), after="certificate"), status(), after="certificate")
    refused(stapling_forge(ASKED).play(twice), AlertDescription.UNEXPECTED_MESSAGE)


def test_a_message_without_a_certificate() -> None:
    """R4366-3.6-01: the announcement alone, in an anonymous suite, means nothing."""
    carries_data(stapling_forge(ASKED, suite=DH_ANON).play(server_trace(DH_ANON)))
    trace = insert(server_trace(DH_ANON), status(), after="server_hello")
    refused(stapling_forge(ASKED, suite=DH_ANON).play(trace), AlertDescription.UNEXPECTED_MESSAGE)
    refused(stapling_forge(ASKED).play(drop(server_trace(RSA), "certificate")), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(
    "body",
    [b"", b"\1", b"\1\0\0\0", b"\1\0\0\x09response", b"\1\0\0\x07response"],
    ids=lambda body: body.hex() or "empty",
)
def test_messages_that_do_not_parse(body: bytes) -> None:
    """R2246-7.2.2-17."""
    trace = (*until(server_trace(RSA), "server_hello_done"), status(body))
    refused(stapling_forge(ASKED).play(trace), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("kind", [0, 2, 255])
def test_a_response_of_another_type(kind: int) -> None:
    """RFC 6066 §8: of the type that was asked for; type 2 is ocsp_multi (RFC 6961), which was not."""
    trace = (*until(server_trace(RSA), "server_hello_done"), status(bytes([kind]) + b"\0\0\x08response"))
    refused(stapling_forge(ASKED).play(trace), AlertDescription.ILLEGAL_PARAMETER)


def test_scts_are_handed_to_the_exit_as_they_are() -> None:
    """RFC 6962 §3.3: nothing here can judge them."""
    forge = stapling_forge(SCT_LIST).play(server_trace(RSA))
    carries_data(forge)
    exits: Any = forge.target.exits
    assert exits.last(ExitPhase.CHECK_CERTIFICATE).sct_list == (b"not an SCT!",)


@pytest.mark.parametrize("body", [b"\0\2\0\0", b"\0\3\0\2x", b"\0\1\0", b"\0\3\0\1xx"])
def test_sct_lists_that_do_not_parse(body: bytes) -> None:
    """RFC 6962 §3.3: neither the list nor an entry is empty."""
    forge = stapling_forge(Extension(ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, body)).play((server_hello,))
    refused(forge, AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("kind", [2, 9])
def test_a_wish_for_another_kind_of_status(kind: int) -> None:
    """RFC 6066 §8: a server that does not know the type ignores the wish."""
    wish = Extension(ExtensionType.STATUS_REQUEST, bytes([kind]) + b"whatever")
    forge = Forge(stapling_server(ocsp_response=b"response"), RSA, {"extensions": (wish,)}).play(client_trace(RSA))
    assert forge.server_hello is not None
    assert find(forge.server_hello.extensions, ExtensionType.STATUS_REQUEST) is None
    carries_data(forge)

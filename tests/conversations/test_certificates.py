"""Certificates that are missing, empty, of the wrong kind, or not asked for, by profile (RFC 2246 §7.4.2 to §7.4.8)."""

from __future__ import annotations

import pytest

from tests.support.conversation import carries_data, opposite, refused
from tests.support.ends import DH_ANON, DHE_DSS, DHE_RSA, ECDHE_ECDSA, RSA, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.grammar import phases
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tests.support.traces import (
    certificate_request,
    client_trace,
    insert,
    message,
    put,
    raw_message,
    server_trace,
    until,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.calls import Untrusted
from tlsexit.exits.context import Authentication
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateVerify
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Verify


def server_sends(chain: tuple[bytes, ...], suite: int = RSA) -> Forge:
    """A forged server that shows this chain to a client."""
    forge = Forge(client_end(suite), suite)
    return forge.play((server_trace(suite)[0], message("certificate", Certificate(chain))))


def client_sends(chain: tuple[bytes, ...], verify: Verify = Verify.REQUIRED, **script: object) -> Forge:
    """A forged client that shows this chain to a server that asked for one."""
    forge = opposite(Role.CLIENT, RSA, verify=verify)
    return forge.play(
        put(client_trace(RSA, certificate=True), "certificate", message("certificate", Certificate(chain)))
    )


# ------------------------------------------------------------------------------------------------ the server's


def test_an_empty_chain_from_a_server() -> None:
    """R2246-7.4.2-13: the floor of appendix A.4.2; only a client may send none."""
    refused(server_sends(()), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("der", [b"\x30\x00", b"not DER at all", bytes(300), b"\x30\x82\xff\xff"])
def test_a_server_certificate_that_is_none(der: bytes) -> None:
    """R2246-7.4.2-14, R2246-7.2.2-09."""
    refused(server_sends((der,)), AlertDescription.BAD_CERTIFICATE)


def test_a_truncated_server_certificate() -> None:
    """R2246-7.2.2-09: corrupt."""
    refused(server_sends((pki().server.chain[0][:-1],)), AlertDescription.BAD_CERTIFICATE)


@pytest.mark.parametrize(
    ("suite", "kind"),
    [(RSA, KeyType.DSA), (RSA, KeyType.EC), (DHE_RSA, KeyType.EC), (DHE_DSS, KeyType.RSA), (ECDHE_ECDSA, KeyType.RSA)],
)
def test_a_server_key_that_the_suite_cannot_use(suite: int, kind: KeyType) -> None:
    """R2246-7.4.2-03, R2246-7.2.2-10."""
    refused(server_sends(pki(kind).server.chain, suite), AlertDescription.UNSUPPORTED_CERTIFICATE)


@pytest.mark.parametrize("role", Role)
def test_a_chain_without_end(role: Role) -> None:
    """Each certificate costs a parse and a signature check before anyone is authenticated: 16 are enough."""
    chain = pki().server.chain * 17
    forge = server_sends(chain) if role is Role.SERVER else client_sends(chain)
    refused(forge, AlertDescription.BAD_CERTIFICATE)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\0\0\4\0\0\1", id="list longer than the message"),
        pytest.param(b"\0\0\3\0\0\1x", id="entry longer than the list"),
        pytest.param(b"\0\0\3\0\0\0", id="empty entry"),
        pytest.param(b"\0\0\2\0\0", id="half an entry"),
        pytest.param(b"\0\0\0\0", id="bytes behind the list"),
        pytest.param(b"\0\0", id="short"),
        pytest.param(b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_certificate_messages_that_do_not_parse(role: Role, body: bytes) -> None:
    """R2246-7.4.2-12, R2246-4.3-05."""
    forge = opposite(role, RSA, mutual=True)
    trace = client_trace(RSA, certificate=True) if role is Role.CLIENT else server_trace(RSA)
    refused(forge.play(put(trace, "certificate", raw_message(11, body))), AlertDescription.DECODE_ERROR)


def test_a_server_certificate_from_an_unknown_authority() -> None:
    """R2246-7.2.2-15, R2246-D.3-01: found by the built-in PKI, sent to the server before the handshake goes on."""
    client = client_end(RSA, builtin=BuiltinPki((), {"other": [pki(KeyType.EC).root.certificate]}))
    refused(Forge(client, RSA).play(server_trace(RSA)), AlertDescription.UNKNOWN_CA)
    assert phases(client.seen) == "SKA"


# ------------------------------------------------------------------------------------------------ the client's


def test_the_client_without_a_certificate_sends_an_empty_list() -> None:
    """R2246-7.4.6-02: handshake body 00 00 00, not an omission and not an alert."""
    client = client_end(RSA, builtin=BuiltinPki((), {"root": [pki().root.certificate]}))
    forge = Forge(client, RSA).play(server_trace(RSA, request=True))
    assert Certificate(()) in forge.messages
    assert not any(isinstance(item, CertificateVerify) for item in forge.messages)
    carries_data(forge)
    assert phases(client.seen) == "SKCD"
    assert client.connection.context.authentication is Authentication.SERVER


def test_an_empty_list_where_a_certificate_is_required() -> None:
    """R2246-7.4.6-03."""
    forge = opposite(Role.CLIENT, RSA, verify=Verify.REQUIRED)
    forge.show_certificate = False
    trace = until(client_trace(RSA, certificate=True), "certificate_verify")
    refused(forge.play(trace), AlertDescription.HANDSHAKE_FAILURE)
    assert phases(forge.target.seen) == "SCLA"


def test_an_empty_list_where_a_certificate_is_optional() -> None:
    """The profile's ``optional`` tolerates it; CheckCertificate is not asked about nothing."""
    forge = opposite(Role.CLIENT, RSA, verify=Verify.OPTIONAL)
    forge.show_certificate = False
    trace = tuple(step for step in client_trace(RSA, certificate=True) if step.name != "certificate_verify")
    carries_data(forge.play(trace))
    assert phases(forge.target.seen) == "SCLXD"
    assert forge.target.connection.context.authentication is Authentication.SERVER


@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.OPTIONAL])
def test_a_good_certificate(verify: Verify) -> None:
    """R2246-7.4.4-01, R2246-7.4.8-05."""
    forge = opposite(Role.CLIENT, RSA, verify=verify).play(client_trace(RSA, certificate=True))
    carries_data(forge)
    context = forge.target.connection.context
    assert context.authentication is Authentication.BOTH
    assert context.peer_trusted
    assert context.peer_chain == pki().client.chain
    assert phases(forge.target.seen) == "SCLKXD"


def test_an_untrusted_certificate_where_one_is_required() -> None:
    """R2246-7.2.2-15."""
    server = server_end(RSA, verify=Verify.REQUIRED, builtin=_server_that_trusts(KeyType.EC))
    refused(Forge(server, RSA).play(client_trace(RSA, certificate=True)), AlertDescription.UNKNOWN_CA)


def test_an_untrusted_certificate_where_it_is_optional() -> None:
    """The handshake goes on, and nobody may call the client authenticated."""
    server = server_end(RSA, verify=Verify.OPTIONAL, builtin=_server_that_trusts(KeyType.EC))
    carries_data(Forge(server, RSA).play(client_trace(RSA, certificate=True)))
    assert server.connection.context.authentication is Authentication.SERVER
    assert not server.connection.context.peer_trusted


def test_an_untrusted_certificate_must_prove_its_key_all_the_same() -> None:
    """R2246-7.4.8-05."""
    server = server_end(RSA, verify=Verify.OPTIONAL, builtin=_server_that_trusts(KeyType.EC))
    trace = put(client_trace(RSA, certificate=True), "certificate_verify", message("cv", CertificateVerify(bytes(256))))
    refused(Forge(server, RSA).play(trace), AlertDescription.DECRYPT_ERROR)


def _server_that_trusts(kind: KeyType) -> BuiltinPki:
    return BuiltinPki([pki().server.identity("own")], {"root": [pki(kind).root.certificate]})


@pytest.mark.parametrize("kind", [KeyType.DSA, KeyType.EC])
def test_a_client_certificate_of_a_type_that_was_not_asked_for(kind: KeyType) -> None:
    """R2246-7.4.6-04."""
    names = [pki().root.certificate.subject]
    exits = ScriptedExit({ExitPhase.GET_CA_LIST: Handled(((1,), names))})
    forge = Forge(server_end(RSA, verify=Verify.REQUIRED, exits=exits), RSA)
    trace = put(client_trace(RSA, certificate=True), "certificate", message("c", Certificate(pki(kind).client.chain)))
    refused(forge.play(trace), AlertDescription.UNSUPPORTED_CERTIFICATE)


@pytest.mark.parametrize("der", [b"\x30\x00", bytes(100)])
@pytest.mark.parametrize("verify", [Verify.REQUIRED, Verify.OPTIONAL])
def test_a_client_certificate_that_is_none(der: bytes, verify: Verify) -> None:
    """R2246-7.4.2-14: ``optional`` tolerates an invalid certificate, not something that is no certificate."""
    refused(client_sends((der,), verify), AlertDescription.BAD_CERTIFICATE)


# ------------------------------------------------------------------------------------------------ what profiles enforce


def test_a_client_that_insists_on_being_asked() -> None:
    """The client's ``enforced``: a server that does not ask is refused, before anything is sent to it."""
    client = client_end(RSA, verify=Verify.ENFORCED)
    refused(Forge(client, RSA).play(server_trace(RSA)), AlertDescription.HANDSHAKE_FAILURE)
    assert phases(client.seen) == "SKA"


def test_a_client_that_insists_on_being_asked_and_has_nothing_to_show() -> None:
    """``enforced`` means mutual authentication or none at all."""
    client = client_end(RSA, verify=Verify.ENFORCED, builtin=BuiltinPki((), {"root": [pki().root.certificate]}))
    refused(Forge(client, RSA).play(server_trace(RSA, request=True)), AlertDescription.HANDSHAKE_FAILURE)


def test_a_client_that_insists_and_is_asked() -> None:
    """The good case."""
    client = client_end(RSA, verify=Verify.ENFORCED)
    carries_data(Forge(client, RSA).play(server_trace(RSA, request=True)))
    assert client.connection.context.authentication is Authentication.BOTH


def test_an_anonymous_server_that_asks() -> None:
    """R2246-7.4.4-03: one of the few places where RFC 2246 names the alert."""
    trace = insert(server_trace(DH_ANON), certificate_request, before="server_hello_done")
    refused(Forge(client_end(DH_ANON), DH_ANON).play(trace), AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\0\0\0", id="no types"),
        pytest.param(b"\1\1\0\2\0\0", id="an empty name"),
        pytest.param(b"\1\1\0\5\0\4\x30\0\0", id="a name longer than the list"),
        pytest.param(b"\1\1\0\4\0\2\x30\0\0", id="bytes behind the list"),
        pytest.param(b"\1\1", id="no list"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_certificate_requests_that_do_not_parse(body: bytes) -> None:
    """R2246-7.4.4-04, R2246-7.4.4-07."""
    trace = put(server_trace(RSA, request=True), "certificate_request", raw_message(13, body))
    refused(Forge(client_end(RSA), RSA).play(trace), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("types", [(1,), (200, 1), (5, 20, 99, 1, 64)])
def test_unknown_certificate_types_are_skipped(types: tuple[int, ...]) -> None:
    """R2246-7.4.4-05."""
    request = message("request", CertificateRequest(types, (pki().root.certificate.subject.public_bytes(),)))
    forge = Forge(client_end(RSA), RSA).play(put(server_trace(RSA, request=True), "certificate_request", request))
    carries_data(forge)
    assert forge.peer_chain == pki().client.chain


@pytest.mark.parametrize("types", [(2,), (64,), (3, 4), (200,)])
def test_no_certificate_of_a_type_asked_for(types: tuple[int, ...]) -> None:
    """R2246-7.4.6-02, R2246-7.4.6-04: then none is shown."""
    request = message("request", CertificateRequest(types, (pki().root.certificate.subject.public_bytes(),)))
    forge = Forge(client_end(RSA), RSA).play(put(server_trace(RSA, request=True), "certificate_request", request))
    carries_data(forge)
    assert forge.peer_chain == ()


def test_an_empty_list_of_authorities_is_understood() -> None:
    """R2246-7.4.4-06: RFC 2246 wants a name, servers of today send none (RFC 4346 §7.4.4); any certificate will do."""
    request = message("request", CertificateRequest((1,), ()))
    forge = Forge(client_end(RSA), RSA).play(put(server_trace(RSA, request=True), "certificate_request", request))
    carries_data(forge)
    assert forge.peer_chain == pki().client.chain


# ------------------------------------------------------------------------------------------------ the exit's verdict


@pytest.mark.parametrize("reason", [42, 43, 44, 45, 46, 48, 49, 71, 80, 90])
@pytest.mark.parametrize("role", Role)
def test_the_exit_refuses_a_certificate(role: Role, reason: int) -> None:
    """R2246-F.1.1-01: the reason that the exit names is the alert that the peer gets."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Failed(reason)})
    if role is Role.SERVER:
        forge = Forge(client_end(RSA, exits=exits), RSA).play(server_trace(RSA))
    else:
        server = server_end(RSA, exits=exits, verify=Verify.REQUIRED)
        forge = Forge(server, RSA).play(client_trace(RSA, certificate=True))
    refused(forge, AlertDescription(reason))


@pytest.mark.parametrize("reason", [0, 10, 20, 41, 70, 100, 255, -1])
def test_reasons_that_an_exit_must_not_name(reason: int) -> None:
    """Any value that is no recognised refusal is the exit's mistake: internal_error, and the error names it."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Failed(reason)})
    client = client_end(RSA, exits=exits)
    refused(Forge(client, RSA).play(server_trace(RSA)), AlertDescription.INTERNAL_ERROR)
    assert str(reason) in str(client.connection.error)


def test_untrusted_is_no_answer_for_a_client() -> None:
    """A client has no ``optional``: what it does not trust it must refuse, so the answer is the exit's mistake."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled(Untrusted("never seen"))})
    refused(Forge(client_end(RSA, exits=exits), RSA).play(server_trace(RSA)), AlertDescription.INTERNAL_ERROR)


def test_untrusted_is_no_answer_where_a_certificate_is_required() -> None:
    """Nor for a server that requires a valid one."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Handled(Untrusted("never seen"))})
    server = server_end(RSA, exits=exits, verify=Verify.REQUIRED)
    forge = Forge(server, RSA).play(client_trace(RSA, certificate=True))
    refused(forge, AlertDescription.INTERNAL_ERROR)


@pytest.mark.parametrize("kind", [KeyType.DSA, KeyType.EC])
def test_the_exit_shows_a_certificate_of_a_type_that_was_not_asked_for(kind: KeyType) -> None:
    """R2246-7.4.6-04: the exit's mistake, caught before the server sees it."""
    exits = ScriptedExit(
        {
            ExitPhase.GET_CERTIFICATE: Handled(pki(kind).client.chain),
            ExitPhase.CRYPT_DATA: Handled(pki(kind).client.key),
        }
    )
    request = message("request", CertificateRequest((1,), ()))
    forge = Forge(client_end(RSA, exits=exits), RSA)
    forge.play(put(server_trace(RSA, request=True), "certificate_request", request))
    refused(forge, AlertDescription.INTERNAL_ERROR)


@pytest.mark.parametrize("kind", list(KeyType))
def test_mutual_authentication_with_each_kind_of_key(kind: KeyType) -> None:
    """R2246-7.4.8-03: MD5 and SHA-1 for RSA, SHA-1 for the others; both ends agree."""
    suite = {KeyType.RSA: RSA, KeyType.DSA: DHE_DSS, KeyType.EC: ECDHE_ECDSA}[kind]
    client, server = client_end(suite), server_end(suite, verify=Verify.REQUIRED)
    handshake(client, server)
    assert client.connection.context.authentication is Authentication.BOTH
    assert server.connection.context.authentication is Authentication.BOTH
    assert server.connection.context.peer_chain == pki(kind).client.chain

"""Alerts that tlsexit itself sends: which, at what level, in what form, and what is left afterwards (RFC 2246 §7.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.conversation import carries_data, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, RSA_RC4, client_end, server_end
from tests.support.forge import Forge, Step
from tests.support.pki import END, NOW, START, faulty, pki
from tests.support.scripted import ScriptedExit
from tests.support.traces import (
    ANY_MESSAGE,
    alter,
    client_hello,
    client_trace,
    insert,
    message,
    position,
    put,
    raw_message,
    server_hello,
    server_key_exchange_with,
    server_trace,
    until,
)
from tlsexit.alerts import ALWAYS_FATAL, AlertDescription, AlertLevel
from tlsexit.constants import Role
from tlsexit.crypto.groups import dh_group
from tlsexit.exits.answers import Failed
from tlsexit.exits.phases import ExitPhase
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate, CertificateVerify
from tlsexit.handshake.enums import HandshakeType
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Verify
from tlsexit.wire import build

RSA_EXPORT = 0x0008  # TLS_RSA_EXPORT_WITH_DES40_CBC_SHA
DHE_RSA_EXPORT = 0x0014  # TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA


def client_shows(chain: tuple[bytes, ...]) -> Forge:
    """A forged client that shows this chain to a server that requires one."""
    trace = put(client_trace(RSA, certificate=True), "certificate", message("certificate", Certificate(chain)))
    return opposite(Role.CLIENT, RSA, verify=Verify.REQUIRED).play(trace)


def server_shows(chain: tuple[bytes, ...]) -> Forge:
    """A forged server that shows this chain to a client."""
    trace = put(server_trace(RSA), "certificate", message("certificate", Certificate(chain)))
    return opposite(Role.SERVER, RSA).play(trace)


def with_bad_mac() -> Forge:
    forge = established(Role.CLIENT)
    forge.send_bytes(forge.seal(23, b"data")[:-1] + b"!")
    return forge


VIOLATIONS: dict[AlertDescription, Callable[[], Forge]] = {
    AlertDescription.UNEXPECTED_MESSAGE: lambda: opposite(Role.CLIENT).play(client_trace(RSA)[1:]),
    AlertDescription.BAD_RECORD_MAC: with_bad_mac,
    AlertDescription.RECORD_OVERFLOW: lambda: sent(opposite(Role.SERVER), b"\x16\3\1\xff\xff"),
    AlertDescription.HANDSHAKE_FAILURE: lambda: Forge(server_end(RSA), DHE_RSA).play((client_hello,)),
    AlertDescription.BAD_CERTIFICATE: lambda: server_shows((b"\x30\0",)),
    AlertDescription.UNSUPPORTED_CERTIFICATE: lambda: server_shows(faulty().wrong_purpose.chain),
    AlertDescription.CERTIFICATE_EXPIRED: lambda: server_shows(faulty().expired.chain),
    AlertDescription.CERTIFICATE_UNKNOWN: lambda: server_shows(faulty().issued_by_a_leaf.chain),
    AlertDescription.ILLEGAL_PARAMETER: lambda: Forge(client_end(RSA), RSA, {"cipher_suite": DHE_RSA}).play(
        (server_hello,)
    ),
    AlertDescription.UNKNOWN_CA: lambda: server_shows(faulty().unknown_authority.chain),
    AlertDescription.DECODE_ERROR: lambda: opposite(Role.CLIENT).play((raw_message(1, b""),)),
    AlertDescription.DECRYPT_ERROR: lambda: opposite(Role.SERVER).play(
        alter(server_trace(RSA), "finished", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    ),
    AlertDescription.PROTOCOL_VERSION: lambda: Forge(server_end(RSA), RSA, {"client_version": 0x0300}).play(
        (client_hello,)
    ),
    AlertDescription.INSUFFICIENT_SECURITY: lambda: opposite(Role.SERVER, DHE_RSA, minimum_dh_bits=4096).play(
        server_trace(DHE_RSA)
    ),
}


def sent(forge: Forge, data: bytes) -> Forge:
    forge.send_bytes(data)
    return forge


@pytest.mark.parametrize("description", VIOLATIONS)
def test_every_error_is_reported_before_the_end(description: AlertDescription) -> None:
    """R2246-7.2.2-01, R2246-7.2-01: two bytes, of level fatal, and nothing behind them."""
    forge = VIOLATIONS[description]()
    refused(forge, description)
    assert [alert.level for alert in forge.alerts] == [AlertLevel.FATAL]


def test_no_alert_that_is_always_fatal_is_left_out() -> None:
    """R2246-7.2.2-29: what is in the list above, tested below or elsewhere, or never sent."""
    elsewhere = {
        AlertDescription.ACCESS_DENIED,
        AlertDescription.INTERNAL_ERROR,
        AlertDescription.EXPORT_RESTRICTION,
        AlertDescription.DECRYPTION_FAILED,  # never sent: an oracle
        AlertDescription.DECOMPRESSION_FAILURE,  # never sent: nothing is ever compressed
    }
    assert ALWAYS_FATAL - elsewhere <= set(VIOLATIONS)


@pytest.mark.parametrize("kind", [HandshakeType.SERVER_HELLO, HandshakeType.CERTIFICATE_REQUEST, 14])
@pytest.mark.parametrize("after", ["nothing", "client_hello", "finished"])
def test_messages_of_a_server_sent_to_a_server(kind: HandshakeType, after: str) -> None:
    """R2246-7.2.2-03."""
    trace = client_trace(RSA)
    forge = opposite(Role.CLIENT).play(() if after == "nothing" else trace[: position(trace, after) + 1])
    forge.send(ANY_MESSAGE[HandshakeType(kind)])
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(
    "kind", [HandshakeType.CLIENT_HELLO, HandshakeType.CLIENT_KEY_EXCHANGE, HandshakeType.CERTIFICATE_VERIFY]
)
@pytest.mark.parametrize("after", ["nothing", "server_hello", "server_hello_done", "finished"])
def test_messages_of_a_client_sent_to_a_client(kind: HandshakeType, after: str) -> None:
    """R2246-7.2.2-03."""
    trace = server_trace(RSA)
    forge = opposite(Role.SERVER).play(() if after == "nothing" else trace[: position(trace, after) + 1])
    forge.send(ANY_MESSAGE[kind])
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("bit", [0, 7, 31, 80, 159])
@pytest.mark.parametrize("role", Role)
def test_one_bit_of_the_mac_of_finished(role: Role, bit: int) -> None:
    """R2246-7.2.2-04: in the record of Finished, whose last 20 bytes are the MAC."""
    forge = opposite(role, RSA_RC4).play(until(honest(role, RSA_RC4), "finished"))
    data = bytearray(forge.seal(22, honest(role, RSA_RC4)[-1].build(forge)))
    data[-20 + bit // 8] ^= 1 << bit % 8
    forge.send_bytes(bytes(data))
    refused(forge, AlertDescription.BAD_RECORD_MAC)


def test_illegal_parameters() -> None:
    """R2246-7.2.2-14: a suite that was not offered; a hello without null compression."""
    forge = Forge(client_end(RSA), RSA, {"cipher_suite": 0x0035}).play((server_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)
    forge = Forge(server_end(RSA), RSA, {"compression_methods": (1,)}).play((client_hello,))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


SHORTENED = [
    pytest.param(role, suite, step.name, id=f"{role.value}-{suite:04x}-{step.name}")
    for role in Role
    for suite in (RSA, DHE_RSA, ECDHE_RSA)
    for step in honest(role, suite, mutual=True)
    if step.name not in ("change_cipher_spec", "server_hello_done")
]


@pytest.mark.parametrize(("role", "suite", "name"), SHORTENED)
def test_a_message_that_is_one_byte_short(role: Role, suite: int, name: str) -> None:
    """R2246-7.2.2-17, R2246-7.4.1.2-21: with a length that fits, the last field is cut off."""

    def shortened(data: bytes) -> bytes:
        return data[:1] + (len(data) - 5).to_bytes(3, "big") + data[4:-1]

    forge = opposite(role, suite, mutual=True).play(alter(honest(role, suite, mutual=True), name, shortened))
    refused(forge, AlertDescription.DECODE_ERROR)


# ------------------------------------------------------------------------------------------------ certificates


@pytest.mark.parametrize("role", Role)
def test_a_certificate_with_a_wrong_signature(role: Role) -> None:
    """R2246-7.2.2-09: one bit flipped in the signature, or in what it covers."""
    leaf = pki().server.chain[0] if role is Role.SERVER else pki().client.chain[0]
    shows = server_shows if role is Role.SERVER else client_shows
    refused(shows((leaf[:-1] + bytes([leaf[-1] ^ 1]),)), AlertDescription.BAD_CERTIFICATE)
    name = leaf.index(b"localhost" if role is Role.SERVER else b"Example")
    refused(shows((leaf[:name] + b"L" + leaf[name + 1 :],)), AlertDescription.BAD_CERTIFICATE)


@pytest.mark.parametrize("fault", ["expired", "not_yet_valid"])
def test_a_certificate_outside_its_validity(fault: str) -> None:
    """R2246-7.2.2-12, R2246-7.4.5-01: and nothing more is said to that server."""
    forge = server_shows(getattr(faulty(), fault).chain)
    refused(forge, AlertDescription.CERTIFICATE_EXPIRED)
    assert not any(isinstance(item, kx.ClientKeyExchange) for item in forge.messages)


def test_a_certificate_from_nobody_known() -> None:
    """R2246-7.2.2-15, R2246-7.4.5-01, R2246-D.3-01."""
    forge = server_shows(faulty().unknown_authority.chain)
    refused(forge, AlertDescription.UNKNOWN_CA)
    assert not any(isinstance(item, kx.ClientKeyExchange) for item in forge.messages)


def test_a_revoked_certificate() -> None:
    """R2246-7.2.2-11."""
    root = pki().root
    crl = root.revocation_list([pki().server.certificate], last_update=START, next_update=END)
    builtin = BuiltinPki(authorities={"root": [root.certificate]}, crls=[crl], clock=NOW.timestamp)
    refused(Forge(client_end(RSA, builtin=builtin), RSA).play(server_trace(RSA)), AlertDescription.CERTIFICATE_REVOKED)


def test_a_certificate_for_somebody_else() -> None:
    """R2246-7.2.2-13."""
    forge = opposite(Role.SERVER, RSA, server_name="other.example").play(server_trace(RSA))
    refused(forge, AlertDescription.CERTIFICATE_UNKNOWN)


def test_a_certificate_without_the_right() -> None:
    """R2246-7.2.2-16: valid, and refused by the profile's filter."""
    forge = opposite(Role.CLIENT, RSA, verify=Verify.REQUIRED, dn_user=("CN=alice",))
    refused(forge.play(client_trace(RSA, certificate=True)), AlertDescription.ACCESS_DENIED)


@pytest.mark.parametrize(("fault", "suite"), [("encipher_only", DHE_RSA), ("sign_only", RSA)])
def test_a_certificate_for_another_use(fault: str, suite: int) -> None:
    """R2246-7.4.2-06, R2246-7.4.2-07: keyUsage has to name what the key is used for."""
    issued = getattr(faulty(), fault)
    trace = put(server_trace(suite), "certificate", message("certificate", Certificate(issued.chain)))
    refused(Forge(client_end(suite), suite).play(trace), AlertDescription.UNSUPPORTED_CERTIFICATE)


@pytest.mark.parametrize(("suite", "completes"), [(RSA, False), (DHE_RSA, True)])
def test_a_server_with_a_certificate_for_signing_only(suite: int, completes: bool) -> None:
    """R2246-7.4.2-07: it does not select plain RSA."""
    builtin = BuiltinPki([faulty().sign_only.identity("own")], {"root": [pki().root.certificate]})
    forge = Forge(server_end(RSA, DHE_RSA, builtin=builtin), suite).play(client_trace(suite))
    if completes:
        carries_data(forge)
    else:
        refused(forge, AlertDescription.HANDSHAKE_FAILURE)


@pytest.mark.parametrize("reason", [40, 42, 43, 44, 45, 46, 48, 49, 51])
def test_the_level_of_certificate_alerts(reason: int) -> None:
    """R2246-7.2.2-26: the sender's choice; tlsexit ends the handshake, so it is fatal."""
    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: Failed(reason)})
    forge = Forge(client_end(RSA, exits=exits), RSA).play(server_trace(RSA))
    refused(forge, AlertDescription(reason))
    assert [alert.level for alert in forge.alerts] == [AlertLevel.FATAL]


# ------------------------------------------------------------------------------------------------ keys and signatures


def test_wrong_signatures() -> None:
    """R2246-7.2.2-18: of ServerKeyExchange and of CertificateVerify."""
    trace = put(
        server_trace(DHE_RSA), "server_key_exchange", server_key_exchange_with(signature=lambda good: good[::-1])
    )
    refused(Forge(client_end(DHE_RSA), DHE_RSA).play(trace), AlertDescription.DECRYPT_ERROR)
    step = message("certificate_verify", CertificateVerify(bytes(256)))
    trace = put(honest(Role.CLIENT, mutual=True), "certificate_verify", step)
    refused(opposite(Role.CLIENT, mutual=True).play(trace), AlertDescription.DECRYPT_ERROR)


def rsa_params(modulus: bytes, exponent: bytes) -> Callable[[Forge], bytes]:
    return lambda forge: len(modulus).to_bytes(2, "big") + modulus + len(exponent).to_bytes(2, "big") + exponent


def export_server(step: Step) -> Forge:
    """A forged server that sends this ServerKeyExchange in an RSA_EXPORT suite."""
    trace = insert(server_trace(RSA_EXPORT), step, after="certificate")
    return Forge(client_end(RSA_EXPORT), RSA_EXPORT).play(until(trace, "change_cipher_spec"))


@pytest.mark.parametrize("bits", [513, 1024, 2048])
def test_an_export_suite_with_a_long_temporary_key(bits: int) -> None:
    """R2246-7.2.2-19, R2246-C-02."""
    modulus = (2 ** (bits - 1) + 0x1235).to_bytes((bits + 7) // 8, "big")
    forge = export_server(server_key_exchange_with(rsa_params(modulus, b"\1\0\1")))
    refused(forge, AlertDescription.EXPORT_RESTRICTION)


def test_an_export_suite_with_a_long_prime() -> None:
    """R2246-7.2.2-19, R2246-C-02."""
    group = dh_group("modp1024")
    params = build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(group.p.to_bytes(128, "big"), b"\2", b"\4"))
    trace = put(server_trace(DHE_RSA_EXPORT), "server_key_exchange", server_key_exchange_with(lambda forge: params))
    forge = Forge(client_end(DHE_RSA_EXPORT), DHE_RSA_EXPORT).play(trace)
    refused(forge, AlertDescription.EXPORT_RESTRICTION)


MODULUS = (2**511 + 0x1235).to_bytes(64, "big")


@pytest.mark.parametrize(
    ("modulus", "exponent", "alert"),
    [
        pytest.param(b"", b"\1\0\1", AlertDescription.DECODE_ERROR, id="no modulus"),
        pytest.param(MODULUS, b"", AlertDescription.DECODE_ERROR, id="no exponent"),
        pytest.param(MODULUS[:-1] + b"\2", b"\1\0\1", AlertDescription.ILLEGAL_PARAMETER, id="even modulus"),
        pytest.param(MODULUS, b"\1", AlertDescription.ILLEGAL_PARAMETER, id="exponent 1"),
        pytest.param(MODULUS, b"\2", AlertDescription.ILLEGAL_PARAMETER, id="even exponent"),
        pytest.param(MODULUS[:58], b"\1\0\1", AlertDescription.ILLEGAL_PARAMETER, id="too short to encrypt with"),
        pytest.param(b"\0" * 64, b"\1\0\1", AlertDescription.ILLEGAL_PARAMETER, id="modulus 0"),
    ],
)
def test_temporary_rsa_keys_that_are_none(modulus: bytes, exponent: bytes, alert: AlertDescription) -> None:
    """R2246-7.4.3-04."""
    refused(export_server(server_key_exchange_with(rsa_params(modulus, exponent))), alert)


# ------------------------------------------------------------------------------------------------ exits

FAILING = [
    (Role.SERVER, ExitPhase.START_HANDSHAKE),
    (Role.SERVER, ExitPhase.CHECK_CERTIFICATE),
    (Role.SERVER, ExitPhase.GET_CERTIFICATE),
    (Role.SERVER, ExitPhase.CRYPT_DATA),
    (Role.SERVER, ExitPhase.HANDSHAKE_DONE),
    (Role.CLIENT, ExitPhase.START_HANDSHAKE),
    (Role.CLIENT, ExitPhase.GET_CERTIFICATE),
    (Role.CLIENT, ExitPhase.CRYPT_DATA),
    (Role.CLIENT, ExitPhase.GET_CA_LIST),
    (Role.CLIENT, ExitPhase.CHECK_CERTIFICATE),
    (Role.CLIENT, ExitPhase.HANDSHAKE_DONE),
]


@pytest.mark.parametrize(("role", "phase"), FAILING, ids=lambda value: value.value)
def test_an_exit_that_breaks(role: Role, phase: ExitPhase) -> None:
    """R2246-7.2.2-22: a failure of our own is internal_error, and an end; ``role`` is the forge's."""
    exits = ScriptedExit({phase: RuntimeError("disk full")})
    if role is Role.SERVER:
        forge = Forge(client_end(DHE_RSA, exits=exits), DHE_RSA).play(server_trace(DHE_RSA, request=True))
    else:
        forge = Forge(server_end(DHE_RSA, exits=exits, verify=Verify.REQUIRED), DHE_RSA)
        forge.play(client_trace(DHE_RSA, certificate=True))
    refused(forge, AlertDescription.INTERNAL_ERROR)
    assert "disk full" not in "".join(repr(alert) for alert in forge.alerts)

"""Export suites (RFC 2246 §7.4.3, §D.1): keys of 512 bits and no more, and never where nobody asked for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from os import urandom
from typing import Any

import pytest

from tests.support.conversation import refused
from tests.support.ends import DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import Forge, Step
from tests.support.grammar import phases
from tests.support.keys import builtin
from tests.support.pair import End, pump
from tests.support.pki import END, HOSTS, START, pki
from tests.support.traces import (
    client_hello,
    insert,
    put,
    raw_message,
    server_hello,
    server_key_exchange_with,
    server_trace,
    until,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.export import temporary_rsa_key
from tlsexit.crypto.groups import DHParameters, dh_group
from tlsexit.crypto.suites import SUITES
from tlsexit.events import MessageSeen
from tlsexit.handshake import keyexchange as kx
from tlsexit.policy import Identity, system_config
from tlsexit.wire import build, parse_prefix

RSA_EXPORT, DHE_RSA_EXPORT, DHE_DSS_EXPORT, DH_ANON_EXPORT = 0x0003, 0x0014, 0x0011, 0x0019
WITH_DH = (DHE_RSA_EXPORT, DHE_DSS_EXPORT, DH_ANON_EXPORT)


@cache
def short_identity() -> Identity:
    """A server certificate whose key is short enough for an export suite to encrypt with."""
    key = temporary_rsa_key(urandom)
    return pki().root.issue("localhost", key=key, hosts=HOSTS, not_before=START, not_after=END).identity("short")


def sent_by(end: End, kind: type[kx.ServerKeyExchange]) -> list[kx.ServerKeyExchange]:
    """The messages of one kind that the end has sent."""
    found = [item.message for item in end.seen if isinstance(item, MessageSeen) and item.sent]
    return [item for item in found if isinstance(item, kind)]


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def rsa_params(modulus: int, exponent: int = 65537) -> Callable[[Forge], bytes]:
    """ServerRSAParams in wire form."""
    return lambda forge: build(kx.SERVER_RSA_PARAMS, kx.ServerRSAParams(number(modulus), number(exponent)))


def dh_params(group: DHParameters, ys: int = 5) -> Callable[[Forge], bytes]:
    """ServerDHParams in wire form."""
    return lambda forge: build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(number(group.p), number(group.g), number(ys)))


def export_server(*steps: Step) -> Forge:
    """A forged server that plays these behind Certificate, in RSA_EXPORT."""
    trace = (*until(server_trace(RSA_EXPORT), "server_hello_done"), *steps)
    return Forge(client_end(RSA_EXPORT), RSA_EXPORT).play(trace)


# ------------------------------------------------------------------------------------------------ the temporary RSA key


def test_a_longer_key_signs_a_temporary_one() -> None:
    """R2246-7.4.3-01, R2246-D.1-02: 512 bits; the exit signs and decrypts nothing."""
    (modulus,) = moduli(1)
    assert modulus.bit_length() == 512


def test_a_temporary_key_for_a_while() -> None:
    """R2246-D.1-01: by configuration one for each handshake; by default one for some, signed each time."""
    assert len(set(moduli(2, temporary_rsa_key=None))) == 2
    assert len(set(moduli(2))) == 1


def moduli(handshakes: int, **config: Any) -> list[int]:
    """The temporary keys that a server with one configuration sends in several handshakes."""
    found = []
    shared = system_config(**config)
    for _ in range(handshakes):
        client = client_end(RSA_EXPORT)
        server = server_end(RSA_EXPORT, config={"temporary_rsa_key": shared.temporary_rsa_key})
        handshake(client, server)
        (message,) = sent_by(server, kx.ServerKeyExchange)
        params, _ = parse_prefix(kx.SERVER_RSA_PARAMS, message.body, "ServerKeyExchange")
        found.append(int.from_bytes(params.rsa_modulus, "big"))
        assert phases(server.seen) == "SCXD"
    return found


@pytest.mark.parametrize("size", [None, 1])
def test_a_short_key_needs_none(size: int | None) -> None:
    """R2246-7.4.3-02: ServerKeyExchange only beside a longer key; the client's profile must allow the length."""
    client = client_end(RSA_EXPORT, minimum_rsa_bits=512)
    server = server_end(RSA_EXPORT, builtin=builtin(Role.SERVER, identities=[short_identity()]))
    handshake(client, server, size=size)
    assert sent_by(server, kx.ServerKeyExchange) == []


def test_a_short_key_is_below_the_default() -> None:
    """A certificate that anyone can forge a signature for is no certificate, unless the profile says so."""
    client = client_end(RSA_EXPORT)
    pump(client, server_end(RSA_EXPORT, builtin=builtin(Role.SERVER, identities=[short_identity()])))
    assert "insufficient_security(71)" in str(client.connection.error)


def test_a_temporary_key_beside_a_short_one() -> None:
    """R2246-7.4.3-02: "not legal to send"."""
    client = client_end(RSA_EXPORT, minimum_rsa_bits=512)
    server = server_end(RSA_EXPORT, builtin=builtin(Role.SERVER, identities=[short_identity()]))
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    flight = server.connection.data_to_send()
    done = bytes([22, 3, 1, 0, 4, 14, 0, 0, 0])
    assert flight.endswith(done)
    extra = raw_message(12, bytes(8)).build(Forge(server_end(), RSA))
    client.connection.receive_data(flight.removesuffix(done) + b"\x16\3\1" + len(extra).to_bytes(2, "big") + extra)
    client.drive()
    assert "unexpected_message(10)" in str(client.connection.error)


def test_no_temporary_key_beside_a_longer_one() -> None:
    """R2246-7.4.3-01: the long key must not encrypt in this suite."""
    forge = Forge(client_end(RSA_EXPORT), RSA_EXPORT).play(server_trace(RSA_EXPORT))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("bits", [513, 520, 1024, 2048])
def test_a_temporary_key_that_is_too_long(bits: int) -> None:
    """R2246-7.2.2-19: export_restriction."""
    step = server_key_exchange_with(rsa_params((1 << bits) - 1))
    refused(export_server(step), AlertDescription.EXPORT_RESTRICTION)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (1 << 511, 65537),  # even
        (3, 65537),
        ((1 << 511) + 1, 1),
        ((1 << 511) + 1, 2),
        ((1 << 64) + 13, 65537),
        ((1 << 440) + 1, 65537),  # too short for 48 bytes and their padding
        ((1 << 511) + 1, (1 << 511) + 2),
    ],
)
def test_a_temporary_key_that_is_none(modulus: int, exponent: int) -> None:
    """R2246-7.2.2-14: well formed, out of range."""
    step = server_key_exchange_with(rsa_params(modulus, exponent))
    forge = export_server(step, raw_message(14, b""))
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


def test_a_temporary_key_that_somebody_else_signed() -> None:
    """R2246-7.4.3-05: FREAK's last hurdle; the signature covers both randoms."""
    step = server_key_exchange_with(rsa_params((1 << 511) + 1), lambda signature: signature[::-1])
    refused(export_server(step), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\0\0\0\0\0", b"\0\1\3\0\0\0\0", b"\0\1\3\0\1\3"])
def test_temporary_keys_that_do_not_parse(body: bytes) -> None:
    """R2246-7.4.3-04: rsa_modulus<1..2^16-1>, rsa_exponent<1..2^16-1>, then the signature."""
    refused(export_server(raw_message(12, body)), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("length", [0, 63, 65, 256])
def test_a_ciphertext_for_another_key(length: int) -> None:
    """R2246-7.4.7.1-08: it is the temporary key's length that counts, which is no secret."""
    client, server = client_end(RSA_EXPORT), server_end(RSA_EXPORT)
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    body = (length).to_bytes(2, "big") + bytes(length)
    message = b"\x10" + len(body).to_bytes(3, "big") + body
    server.connection.receive_data(b"\x16\3\1" + len(message).to_bytes(2, "big") + message)
    server.drive()
    assert "decode_error(50)" in str(server.connection.error)


@pytest.mark.parametrize("ciphertext", [bytes(64), b"\0" + b"\xaa" * 63, b"\xff" * 64], ids=["zeros", "small", "large"])
def test_a_ciphertext_that_decrypts_to_nothing(ciphertext: bytes) -> None:
    """R2246-7.4.7.1-04: no sign of it before Finished, with the temporary key as with the certificate's."""
    client, server = client_end(RSA_EXPORT), server_end(RSA_EXPORT)
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    server.connection.data_to_send()
    message = b"\x10\0\0\x42\0\x40" + ciphertext
    server.connection.receive_data(b"\x16\3\1" + len(message).to_bytes(2, "big") + message)
    server.drive()
    assert not server.connection.closed
    assert server.connection.data_to_send() == b""


# ------------------------------------------------------------------------------------------------ Diffie-Hellman


@pytest.mark.parametrize("suite", WITH_DH, ids=lambda suite: SUITES[suite].key_exchange.name)
def test_the_servers_group(suite: int) -> None:
    """R2246-D.1-01: 512 bits, whatever group the profile names for other suites."""
    client, server = client_end(suite), server_end(suite, dh_group="ffdhe4096")
    handshake(client, server)
    (message,) = sent_by(server, kx.ServerKeyExchange)
    params, _ = parse_prefix(kx.SERVER_DH_PARAMS, message.body, "ServerKeyExchange")
    assert int.from_bytes(params.dh_p, "big") == dh_group("export512").p


@pytest.mark.parametrize("suite", WITH_DH, ids=lambda suite: SUITES[suite].key_exchange.name)
@pytest.mark.parametrize(
    ("group", "alert"),
    [
        (dh_group("modp1024"), AlertDescription.EXPORT_RESTRICTION),
        (dh_group("ffdhe2048"), AlertDescription.EXPORT_RESTRICTION),
        (DHParameters((1 << 512) + 1, 2), AlertDescription.EXPORT_RESTRICTION),
        (DHParameters((1 << 510) + 1, 2), AlertDescription.INSUFFICIENT_SECURITY),
        (DHParameters((1 << 511), 2), AlertDescription.ILLEGAL_PARAMETER),
        (DHParameters((1 << 511) + 1, 1), AlertDescription.ILLEGAL_PARAMETER),
    ],
)
def test_groups_that_a_client_refuses(suite: int, group: DHParameters, alert: AlertDescription) -> None:
    """R2246-7.2.2-19: longer than 512 bits is against the rule, shorter would be worse still."""
    step = server_key_exchange_with(dh_params(group))
    forge = Forge(client_end(suite), suite).play(put(server_trace(suite), "server_key_exchange", step))
    refused(forge, alert)


# ------------------------------------------------------------------------------------------------ never unasked


@pytest.mark.parametrize("offered", [(RSA,), (RSA, RSA_EXPORT)])
def test_freak(offered: tuple[int, ...]) -> None:
    """R2246-7.4.3-02, CVE-2015-0204: a temporary key in plain RSA, though welcome in another suite."""
    step = server_key_exchange_with(rsa_params((1 << 511) + 1))
    forge = Forge(client_end(*offered), RSA)
    forge.play(insert(server_trace(RSA), step, after="certificate"))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_logjam() -> None:
    """R2246-D.4-02, CVE-2015-4000: a group of 512 bits in a suite that is not for export."""
    step = server_key_exchange_with(dh_params(dh_group("export512")))
    forge = Forge(client_end(DHE_RSA, DHE_RSA_EXPORT), DHE_RSA)
    refused(forge.play(put(server_trace(DHE_RSA), "server_key_exchange", step)), AlertDescription.INSUFFICIENT_SECURITY)


@pytest.mark.parametrize("suite", [RSA_EXPORT, *WITH_DH], ids=hex)
def test_not_by_default(suite: int) -> None:
    """R2246-D.4-01: neither offered nor accepted unless the profile names it."""
    refused(Forge(client_end(RSA), suite).play((server_hello,)), AlertDescription.ILLEGAL_PARAMETER)
    refused(Forge(server_end(RSA), suite).play((client_hello,)), AlertDescription.HANDSHAKE_FAILURE)

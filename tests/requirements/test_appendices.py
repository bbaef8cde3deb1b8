"""Constants, keys, randomness, certificates and sessions (RFC 2246 appendices A to D and F, RFC 3268)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import Forge
from tests.support.pair import pump
from tests.support.pki import HOSTS, NOW, START, pki
from tests.support.sessions import Sessions, old_session, resuming_forge
from tests.support.traces import client_hello, resumed_trace, server_trace
from tests.support.vectors import cipher_suites
from tests.support.wiretap import md5_sha1, rsa_block, tapped_ends
from tlsexit.alerts import AlertDescription
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.crypto.bulk import DirectionKeys, new_decryptor, new_encryptor
from tlsexit.crypto.suites import SUITES
from tlsexit.policy import BuiltinPki, TrustAnchors, system_config
from tlsexit.policy.x509 import LeafDemands, check_chain
from tlsexit.profile import Verify
from tlsexit.session import MemorySessionStore, Session

AES = [value for value in range(0x2F, 0x3B) if value in SUITES]
DH_ANON_EXPORT = 0x0019  # TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA
RSA_EXPORT = 0x0008  # TLS_RSA_EXPORT_WITH_DES40_CBC_SHA
DES = 0x0009  # TLS_RSA_WITH_DES_CBC_SHA
TRIPLE_DES = 0x000A  # TLS_RSA_WITH_3DES_EDE_CBC_SHA


# ------------------------------------------------------------------------------------------------ B, C


@pytest.mark.parametrize(
    "key", [bytes(8), b"\1" * 8, b"\xfe" * 8, bytes(range(8)), b"\x1f\x1f\x1f\x1f\x0e\x0e\x0e\x0e"]
)
@pytest.mark.parametrize("suite", [DES, TRIPLE_DES])
def test_des_keys_of_any_parity_and_weakness(suite: int, key: bytes) -> None:
    """R2246-B-01: eight bytes of key material a key, weak or of wrong parity, are used as they are."""
    cipher = SUITES[suite].cipher
    assert cipher.key_material == cipher.expanded_key == 8 * (1 if suite == DES else 3)
    keys = DirectionKeys(SUITES[suite], bytes(20), key * (cipher.key_material // 8), bytes(8))
    plain = bytes(range(64))
    encrypted = new_encryptor(keys).update(plain)
    assert new_decryptor(keys).update(encrypted) == plain
    triple = TripleDES(keys.key if suite == TRIPLE_DES else keys.key * 3)
    assert encrypted == Cipher(triple, CBC(bytes(8))).encryptor().update(plain)
    # parity bits are not part of the key
    other = replace(keys, key=bytes(byte ^ 1 for byte in keys.key))
    assert new_encryptor(other).update(plain) == encrypted


def test_the_export_suite_without_the_export_mark() -> None:
    """R2246-C-03, R2246-C-02: the tap derives its keys as export keys; the prime has 512 bits."""
    tap = tapped_ends(DH_ANON_EXPORT).handshake().exchange()
    assert len(tap.message(12).fields.vector(2)) == 64


def test_an_export_suite_with_a_temporary_key() -> None:
    """R2246-7.4.7.1-07, R2246-7.4.2-04, R2246-C-02: 512 bits, signed, and what the client encrypts to."""
    tap = tapped_ends(RSA_EXPORT).handshake().exchange()
    fields = tap.message(12).fields
    modulus, exponent, signature = fields.vector(2), fields.vector(2), fields.vector(2)
    assert len(modulus) == 64
    assert exponent == b"\1\0\1"
    assert rsa_block(tap.leaf(Role.SERVER), signature)[:2] == b"\0\1"
    assert len(tap.message(16).fields.vector(2)) == 64


# ------------------------------------------------------------------------------------------------ D


@pytest.mark.parametrize("suite", [DHE_RSA, RSA_EXPORT])
def test_each_handshake_has_a_signature_of_its_own(suite: int) -> None:
    """R2246-D.1-02, R2246-D.1-01: and a key of its own; the signature is over that handshake's randoms."""
    seen = set()
    for _ in range(3):
        tap = tapped_ends(suite).handshake()
        fields = tap.message(12).fields
        values = [fields.vector(2) for _ in range(3 if suite == DHE_RSA else 2)]
        params = tap.message(12).body[: -len(fields.rest)]
        signature = fields.vector(2)
        block = rsa_block(tap.leaf(Role.SERVER), signature)
        covered = tap.hellos[Role.CLIENT].random + tap.hellos[Role.SERVER].random + params
        assert block[-36:] == md5_sha1(covered)
        seen.add((values[-1] if suite == DHE_RSA else values[0], signature))
    assert len({value for value, _ in seen}) == len({signature for _, signature in seen}) == 3


def test_ephemeral_keys_are_used_once() -> None:
    """R3268-SecurityConsiderations-01: twenty handshakes, twenty different values from either side."""
    client, server = set(), set()
    for _ in range(20):
        tap = tapped_ends(DHE_RSA).handshake()
        fields = tap.message(12).fields
        fields.vector(2)
        fields.vector(2)
        server.add(fields.vector(2))
        client.add(tap.message(16).fields.vector(2))
    assert len(client) == len(server) == 20


def test_randomness_is_the_operating_systems() -> None:
    """R2246-D.2-01: seeded by the system before the first handshake, in a process just started and in forks of it."""
    program = """
import os
from tlsexit.policy import system_config
from tlsexit.crypto.groups import DHKeyPair, ECDHKeyPair, NamedCurve, dh_group
config = system_config()
assert config.random is os.urandom
def show():
    pairs = DHKeyPair.generate(dh_group("ffdhe2048")), DHKeyPair.generate(dh_group("modp1024"))
    values = [config.random(16), *(p.public for p in pairs), ECDHKeyPair.generate(NamedCurve.X25519).public]
    os.write(1, (" ".join(value.hex() for value in values) + "\\n").encode())
show()
for _ in range(2):
    if os.fork() == 0:
        show()
        os._exit(0)
    os.wait()
show()
"""
    lines = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        lines += done.stdout.splitlines()
    assert len(lines) == 8
    assert len({value for line in lines for value in line.split()}) == 32


def test_nobody_is_trusted_by_default() -> None:
    """R2246-D.3-02: the set of authorities is what the configuration names, and nothing else."""
    client = client_end(RSA, builtin=BuiltinPki())
    server = server_end(RSA)
    pump(client, server)
    assert client.connection.closed
    assert "unknown_ca" in str(client.connection.error)


def test_certificates_can_be_looked_at() -> None:
    """R2246-D.3-02, R2246-7.4.2-09, R2246-7.4.2-10: the chain in order, and the path up to the authority."""
    client = client_end(RSA)
    server = server_end(RSA, builtin=pki().builtin(Role.SERVER, intermediate=True))
    handshake(client, server)
    shown = client.connection.context.peer_certificates
    assert shown == (pki().intermediate_server.certificate, pki().intermediate.certificate)
    demands = LeafDemands(peer=Role.SERVER)
    path = check_chain(shown, TrustAnchors([pki().root.certificate]), at=NOW, leaf=demands)
    assert path[-1].certificate == pki().root.certificate


# ------------------------------------------------------------------------------------------------ F


HELLO_FIELDS: dict[str, Callable[[bytes], int]] = {
    # where in the hello's record: header 5, handshake header 4
    "version": lambda data: 10,
    "random": lambda data: 20,
    "session id": lambda data: data.index(b"SESSIONSESSION"),
    "suites": lambda data: data.index(b"\0\x2f"),
    "compression": lambda data: data.index(b"\1\0", data.index(b"\0\x2f")) + 1,
    "extensions": lambda data: data.index(b"\0\x16\0\0") + 1,
}


@pytest.mark.parametrize("field", HELLO_FIELDS)
@pytest.mark.parametrize("known", [False, True])
def test_a_client_hello_changed_on_the_way(field: str, known: bool) -> None:
    """R2246-F.1.3-01: neither end completes, whichever field it was, in a full handshake or a resumption."""
    session = old_session(session_id=b"SESSIONSESSION")
    client = client_end(RSA, session=session, extended_master_secret=False)
    data = bytearray(client.connection.data_to_send())
    data[HELLO_FIELDS[field](bytes(data))] ^= 3
    server = server_end(RSA, config={"session_store": Sessions(session) if known else None})
    server.connection.receive_data(bytes(data))
    server.drive()
    pump(client, server)
    assert not client.connection.established
    assert not server.connection.established
    assert client.connection.closed or server.connection.closed


@pytest.mark.parametrize("position", [20, 50, -1])
def test_a_server_flight_changed_on_the_way(position: int) -> None:
    """R2246-F.1.3-01: a byte of the random, of the session id, of the certificate."""
    client, server = client_end(RSA), server_end(RSA)
    server.connection.receive_data(client.connection.data_to_send())
    server.drive()
    data = bytearray(server.connection.data_to_send())
    if position == -1:
        position = len(data) - 100
    data[position] ^= 1
    client.connection.receive_data(bytes(data))
    client.drive()
    pump(client, server)
    assert not client.connection.established
    assert not server.connection.established
    assert client.connection.closed or server.connection.closed


def leaf_until(end: datetime, role: Role) -> bytes:
    """A certificate of this role that expires at ``end``."""
    issued = pki().root.issue(
        "localhost", key=pki().server.key, role=role, hosts=HOSTS, not_before=START, not_after=end
    )
    return issued.certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(("now", "resumed"), [(2025, True), (2027, False)])
@pytest.mark.parametrize("whose", ["peer", "own"])
def test_a_session_ends_with_its_certificates(whose: str, now: int, resumed: bool) -> None:
    """R2246-F.1.4-01: once one of them has expired, a full handshake is due, on both sides."""
    leaf = leaf_until(datetime(2026, 1, 1, tzinfo=UTC), Role.CLIENT)
    chain = (leaf, pki().root.certificate.public_bytes(Encoding.DER))
    clock = datetime(now, 1, 1, tzinfo=UTC).timestamp
    session = old_session(**{f"{whose}_chain": chain}, created=clock())
    config = {"clock": clock}
    client = Forge(client_end(RSA, session=session, extended_master_secret=False, config=config), RSA)
    assert client.client_hello is not None
    assert client.client_hello.session_id == (session.session_id if resumed else b"")
    store = Sessions(session)
    server = server_end(RSA, config={**config, "session_store": store})
    forge = Forge(server, RSA, session=session).play((client_hello,))
    assert server.connection.context.resumed is resumed
    assert forge.server_hello is not None
    assert (forge.server_hello.session_id == session.session_id) is resumed


def test_sessions_are_kept_for_a_day_at_most() -> None:
    """R2246-F.1.4-02: the default of the store in memory; refused from the second on."""
    now = [1e9]
    store = MemorySessionStore(lambda: now[0])
    session = Session(b"id", 0x0301, RSA, bytes(48), now[0])
    store.put(session)
    now[0] += 86_399
    assert store.get(b"id") == session
    now[0] += 1
    assert store.get(b"id") is None
    assert len(store) == 0


def test_sessions_are_kept_in_memory_only(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2246-F.1.4-03: the default store, which ends with the process; each configuration has its own."""
    monkeypatch.chdir(tmp_path)
    first, second = system_config(), system_config()
    assert isinstance(first.session_store, MemorySessionStore)
    assert first.session_store is not second.session_store
    client, server = client_end(RSA), server_end(RSA)
    handshake(client, server)
    assert list(tmp_path.iterdir()) == []
    bare = Config(random=lambda size: bytes(size), clock=lambda: 0.0)
    assert bare.session_store is None
    assert bare.tickets is None


def test_a_forged_session_is_no_authentication() -> None:
    """R2246-F.1.4-01, R2246-7.4.1.2-10: a session without the client's certificate does not stand in for one."""
    forge = resuming_forge(Role.CLIENT, old_session(), verify=Verify.REQUIRED)
    forge.play((client_hello,))
    assert not forge.target.connection.context.resumed
    carries_data(resuming_forge(Role.CLIENT, old_session()).play(resumed_trace(Role.CLIENT)))


# ------------------------------------------------------------------------------------------------ RFC 3268


@pytest.mark.parametrize("suite", AES)
def test_the_aes_suites(suite: int) -> None:
    """R3268-CipherUsage-01: the tap has 16-byte blocks and IVs, keys of 16 or 32 bytes, and HMAC-SHA-1."""
    tap = tapped_ends(suite).handshake().exchange(bytes(100))
    assert all(item.length % 16 in (0, 4) for item in tap.records if item.protected)  # 4: a MAC behind the blocks
    cipher = SUITES[suite].cipher
    assert cipher.key_material in (16, 32)
    material = 2 * (SUITES[suite].mac.size + cipher.key_material + cipher.iv_size)
    assert material == (104 if cipher.key_material == 16 else 136)


def test_no_aes_suite_is_missing() -> None:
    """R3268-CipherUsage-01: all of those that need no Diffie-Hellman certificate, and none with 192 bits."""
    rows = [row for row in cipher_suites() if 0x2F <= int(row["value"], 16) <= 0x3A]
    assert len(rows) == 12
    fixed = ("TLS_DH_DSS_", "TLS_DH_RSA_")
    assert [int(row["value"], 16) for row in rows if not row["name"].startswith(fixed)] == AES
    assert {row["key_material"] for row in rows} == {16, 32}


def test_a_small_certificate_key() -> None:
    """R2246-D.4-02: below the profile's bound, in a handshake."""
    forge = Forge(client_end(RSA, minimum_rsa_bits=3072), RSA).play(server_trace(RSA))
    refused(forge, AlertDescription.INSUFFICIENT_SECURITY)

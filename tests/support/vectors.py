"""The data files beside ``tests/vectors/key_schedule.py``, and a PRF and a record reader to judge with."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from tlsexit.constants import Role
from tlsexit.crypto.bulk import mac_of, new_decryptor, new_mac
from tlsexit.crypto.schedule import connection_keys
from tlsexit.crypto.suites import SUITES, parse_suites

FILES = Path(__file__).parents[1] / "vectors"


def reference_prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The PRF as RFC 2246 §5 writes it down, over the standard library's HMAC."""

    def p_hash(name: str, half: bytes) -> bytes:
        a, output = label + seed, b""
        while len(output) < length:
            a = hmac.digest(half, a, name)
            output += hmac.digest(half, a + label + seed, name)
        return output[:length]

    size = -(-len(secret) // 2)
    s1, s2 = secret[:size], secret[len(secret) - size :]
    return bytes(left ^ right for left, right in zip(p_hash("md5", s1), p_hash("sha1", s2), strict=True))


@dataclass(frozen=True)
class Handshake:
    """An RSA handshake that OpenSSL 1.0.2 had with itself; records come with header, from Finished on."""

    suite: str
    pre_master_secret: bytes
    master_secret: bytes
    client_random: bytes
    server_random: bytes
    messages: bytes
    client_records: tuple[bytes, ...]
    server_records: tuple[bytes, ...]

    @classmethod
    def read(cls, recorded: dict[str, Any]) -> Handshake:
        """Return what the file says about one handshake."""

        def hexadecimal(value: str | list[str]) -> Any:
            return bytes.fromhex(value) if isinstance(value, str) else tuple(map(bytes.fromhex, value))

        suite, *rest = (recorded[item.name] for item in fields(cls))
        return cls(suite, *map(hexadecimal, rest))

    def __str__(self) -> str:
        return self.suite


@cache
def _key_schedule() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FILES / "key_schedule.json").read_text(encoding="utf-8"))
    return loaded


def handshakes() -> list[Handshake]:
    """One handshake for every cipher there is with RSA key exchange."""
    return [Handshake.read(recorded) for recorded in _key_schedule()["handshakes"]]


def unprotect(handshake: Handshake, role: Role) -> list[bytes]:
    """The contents of the records that ``role`` sent, after checking padding and MAC by the letter of §6.2.3."""
    suite = SUITES[parse_suites(handshake.suite)[0]]
    keys = connection_keys(suite, handshake.master_secret, handshake.client_random, handshake.server_random)
    mine = keys.write_keys(role)
    decryptor = new_decryptor(mine)
    contents = []
    for number, record in enumerate(handshake.client_records if role is Role.CLIENT else handshake.server_records):
        plain = decryptor.update(record[5:])
        assert len(plain) == len(record) - 5
        if suite.cipher.is_block:
            padding = plain[-1]
            assert plain[-padding - 1 :] == bytes([padding]) * (padding + 1)
            plain = plain[: -padding - 1]
        content, mac = plain[: -suite.mac.size], plain[-suite.mac.size :]
        covered = number.to_bytes(8, "big") + record[:3] + len(content).to_bytes(2, "big") + content
        digest = {"MD5": "md5", "SHA": "sha1"}[suite.mac.name]
        assert mac == hmac.digest(mine.mac_secret, covered, digest)
        assert mac_of(new_mac(mine), covered) == mac
        contents.append(content)
    return contents


def exporter() -> dict[str, str]:
    """An exporter of OpenSSL 3: label in ASCII, the rest in hex."""
    exported: dict[str, str] = _key_schedule()["exporter"]
    return exported


def cipher_suites() -> list[dict[str, Any]]:
    """The registered suites TLS 1.0 can carry, from the RFCs: one object a suite, sizes in bytes."""
    rows: list[dict[str, Any]] = json.loads((FILES / "cipher_suites.json").read_text(encoding="utf-8"))
    return rows

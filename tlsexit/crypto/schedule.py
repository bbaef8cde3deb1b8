"""From premaster secret to keys and Finished (RFC 2246 §6.3, §7.4.9, §8.1; RFC 5705, RFC 7627).

The order of the two randoms changes from formula to formula; each function takes them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlsexit.alerts import LocalError
from tlsexit.constants import MASTER_SECRET_LENGTH, VERIFY_DATA_LENGTH, Role
from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.prf import KeyedPrf, prf
from tlsexit.crypto.suites import CipherSuite
from tlsexit.values import quicken

_FINISHED_LABELS: Final = {Role.CLIENT: b"client finished", Role.SERVER: b"server finished"}

_RESERVED_LABELS: Final = frozenset(
    {*_FINISHED_LABELS.values(), b"master secret", b"key expansion", b"extended master secret"}
)
"""Labels whose output is a secret of the connection itself (RFC 5705 §4)."""


@dataclass(frozen=True, slots=True)
class ConnectionKeys:
    """Both directions' keys: each end reads with the other's write keys (§6.1)."""

    client_write: DirectionKeys
    server_write: DirectionKeys

    def write_keys(self, role: Role) -> DirectionKeys:
        """The keys ``role`` sends under; its peer's are the ones it reads with."""
        return self.client_write if role is Role.CLIENT else self.server_write


def keyed(master_secret: bytes | KeyedPrf) -> KeyedPrf:
    """Return the PRF under a master secret, for whoever derives more than one thing from it."""
    return master_secret if isinstance(master_secret, KeyedPrf) else KeyedPrf(master_secret)


def master_secret(pre_master_secret: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """Return the 48-byte master secret (§8.1)."""
    return prf(pre_master_secret, b"master secret", client_random + server_random, MASTER_SECRET_LENGTH)


def extended_master_secret(pre_master_secret: bytes, session_hash: bytes) -> bytes:
    """Return the 48-byte master secret bound to the whole handshake (RFC 7627 §4).

    ``session_hash`` is MD5 || SHA-1 of all messages up to and including ClientKeyExchange.
    """
    return prf(pre_master_secret, b"extended master secret", session_hash, MASTER_SECRET_LENGTH)


def connection_keys(
    suite: CipherSuite,
    master_secret: bytes | KeyedPrf,
    client_random: bytes,
    server_random: bytes,
    *,
    encrypt_then_mac: bool = False,
) -> ConnectionKeys:
    """Return the keys of both directions (§6.3), expanded where the suite is for export (§6.3.1)."""
    cipher = suite.cipher
    # the IVs of exportable ciphers come from elsewhere, so the key block ends before them
    iv_size = 0 if cipher.exportable else cipher.iv_size
    sizes = (suite.mac.size, suite.mac.size, cipher.key_material, cipher.key_material, iv_size, iv_size)
    key_block = keyed(master_secret).derive(b"key expansion", server_random + client_random, sum(sizes))
    client_mac, server_mac, client_key, server_key, client_iv, server_iv = _cut(key_block, sizes)
    if cipher.exportable:
        randoms = client_random + server_random
        client_key = prf(client_key, b"client write key", randoms, cipher.expanded_key)
        server_key = prf(server_key, b"server write key", randoms, cipher.expanded_key)
        iv_block = prf(b"", b"IV block", randoms, 2 * cipher.iv_size)
        client_iv, server_iv = _cut(iv_block, (cipher.iv_size, cipher.iv_size))
    return ConnectionKeys(
        DirectionKeys(suite, client_mac, client_key, client_iv, encrypt_then_mac),
        DirectionKeys(suite, server_mac, server_key, server_iv, encrypt_then_mac),
    )


def verify_data(master_secret: bytes | KeyedPrf, sender: Role, handshake_hash: bytes) -> bytes:
    """Return the 12 bytes of the Finished that ``sender`` sends (§7.4.9).

    ``handshake_hash`` is MD5 || SHA-1 of all handshake messages before that Finished.
    """
    return keyed(master_secret).derive(_FINISHED_LABELS[sender], handshake_hash, VERIFY_DATA_LENGTH)


def export_keying_material(
    master_secret: bytes, label: bytes, client_random: bytes, server_random: bytes, context: bytes | None, length: int
) -> bytes:
    """Return ``length`` bytes for the application's own use (RFC 5705 §4).

    A ``context`` of None and an empty one give different results. Raises :class:`LocalError` for a label TLS itself
    uses, or a context of 2^16 bytes or more.
    """
    if label in _RESERVED_LABELS:
        raise LocalError(f"the label {label.decode()!r} belongs to TLS itself")
    seed = client_random + server_random
    if context is not None:
        if len(context) >= 2**16:
            raise LocalError("an exporter context has at most 65535 bytes")
        seed += len(context).to_bytes(2, "big") + context
    return prf(master_secret, label, seed, length)


def _cut(block: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    """Return consecutive pieces of ``block`` with the given sizes."""
    pieces = []
    start = 0
    for size in sizes:
        pieces.append(block[start : start + size])
        start += size
    return pieces


quicken(__name__)

"""Somebody who listens on the line and was given the master secrets: reads a whole conversation without tlsexit.

Framing, key block, record protection and Finished are written down here once more from RFC 2246 (and RFC 7366,
RFC 7627), with the PRF of :mod:`tests.support.vectors` and one cipher operation a record; sizes come from the table of
suites in ``tests/vectors``. Whatever does not fit is an AssertionError: a conversation that the tap has read through
kept every rule that can be seen on the line.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import md5, sha1
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.support.ends import client_end, server_end
from tests.support.pair import End
from tests.support.vectors import cipher_suites, reference_prf
from tlsexit.constants import Role

ENCRYPT_THEN_MAC: Final = 22
EXTENDED_MASTER_SECRET: Final = 23

_BLOCK_CIPHERS: Final[dict[str, Callable[[bytes], CipherAlgorithm]]] = {
    "RC2_CBC_40": decrepit.RC2,
    "DES40_CBC": lambda key: decrepit.TripleDES(key * 3),
    "DES_CBC": lambda key: decrepit.TripleDES(key * 3),
    "3DES_EDE_CBC": decrepit.TripleDES,
    "IDEA_CBC": decrepit.IDEA,
    "SEED_CBC": decrepit.SEED,
    "AES_128_CBC": AES,
    "AES_256_CBC": AES,
    "CAMELLIA_128_CBC": decrepit.Camellia,
    "CAMELLIA_256_CBC": decrepit.Camellia,
}
_HASHES: Final = {"MD5": "md5", "SHA": "sha1"}
_EXPANDED: Final = {"RC4_40": 16, "RC2_CBC_40": 16, "DES40_CBC": 8}
"""Appendix C: what the key material of an exportable cipher is expanded to, in bytes."""


class Fields:
    """A body, read field by field."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        """That many bytes."""
        assert len(self.rest) >= size, "a field reaches beyond the end"
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def number(self, size: int) -> int:
        """An integer of that many bytes, the most significant first (§4.1)."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, width: int) -> bytes:
        """A vector behind a length of ``width`` bytes (§4.3)."""
        return self.take(self.number(width))

    def vectors(self, outer: int, inner: int) -> list[bytes]:
        """A vector of vectors, with nothing left over."""
        items, found = Fields(self.vector(outer)), []
        while items.rest:
            found.append(items.vector(inner))
        return found

    def end(self) -> None:
        """Nothing may follow."""
        assert self.rest == b"", f"{len(self.rest)} surplus bytes"


@dataclass(frozen=True)
class TappedRecord:
    """A record: its header as it went over the line, and what was in it."""

    sender: Role
    content_type: int
    version: int
    length: int
    content: bytes
    protected: bool
    padding: bytes = b""
    sequence_number: int = 0


@dataclass(frozen=True)
class TappedMessage:
    """A handshake message; ``raw`` has its header."""

    sender: Role
    kind: int
    raw: bytes
    protected: bool
    ends_record: bool

    @property
    def body(self) -> bytes:
        """What follows the header."""
        return self.raw[4:]

    @property
    def fields(self) -> Fields:
        """The body, to be read."""
        return Fields(self.body)


@dataclass(frozen=True)
class Hello:
    """What the tap needs of either hello."""

    version: int
    random: bytes
    session_id: bytes
    suites: bytes
    compression: bytes
    extensions: dict[int, bytes] = field(default_factory=dict)


def read_hello(message: TappedMessage) -> Hello:
    """Take a ClientHello or ServerHello apart (§7.4.1)."""
    fields, client = message.fields, message.kind == 1
    version, random, session_id = fields.number(2), fields.take(32), fields.vector(1)
    suites, compression = (fields.vector(2), fields.vector(1)) if client else (fields.take(2), fields.take(1))
    extensions: dict[int, bytes] = {}
    if fields.rest:
        block = Fields(fields.vector(2))
        while block.rest:
            kind = block.number(2)
            assert kind not in extensions
            extensions[kind] = block.vector(2)
    fields.end()
    return Hello(version, random, session_id, suites, compression, extensions)


def md5_sha1(data: bytes) -> bytes:
    """What RSA signs in TLS 1.0 (§4.7)."""
    return md5(data).digest() + sha1(data).digest()


def rsa_block(certificate: bytes, signature: bytes) -> bytes:
    """The PKCS #1 block under an RSA signature, which is as long as the modulus."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, RSAPublicKey)
    size, numbers = (key.key_size + 7) // 8, key.public_numbers()
    assert len(signature) == size
    return pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes(size, "big")


@cache
def suite_row(value: int) -> dict[str, Any]:
    """The row of a suite in the table from the RFCs."""
    return next(row for row in cipher_suites() if int(row["value"], 16) == value)


@dataclass(frozen=True)
class Keys:
    """One direction's keys."""

    row: dict[str, Any]
    mac_secret: bytes = field(repr=False)
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


def derive_keys(suite: int, master_secret: bytes, client_random: bytes, server_random: bytes) -> dict[Role, Keys]:
    """§6.3: the key block in the order of the text, and the detour of export ciphers."""
    row = suite_row(suite)
    cipher = row["cipher"]
    expanded = _EXPANDED.get(cipher)
    mac_size, key_size = {"MD5": 16, "SHA": 20}[row["mac"]], row["key_material"]
    iv_size = row["iv_size"] if expanded is None else 0
    block = Fields(reference_prf(master_secret, b"key expansion", server_random + client_random, 400))
    client_mac, server_mac = block.take(mac_size), block.take(mac_size)
    client_key, server_key = block.take(key_size), block.take(key_size)
    client_iv, server_iv = block.take(iv_size), block.take(iv_size)
    if expanded is not None:
        randoms, size = client_random + server_random, row["iv_size"]
        client_key = reference_prf(client_key, b"client write key", randoms, expanded)
        server_key = reference_prf(server_key, b"server write key", randoms, expanded)
        ivs = Fields(reference_prf(b"", b"IV block", randoms, 2 * size))
        client_iv, server_iv = ivs.take(size), ivs.take(size)
    return {
        Role.CLIENT: Keys(row, client_mac, client_key, client_iv),
        Role.SERVER: Keys(row, server_mac, server_key, server_iv),
    }


class Direction:
    """The records of one sender, from one ChangeCipherSpec to the next."""

    def __init__(self, keys: Keys | None, encrypt_then_mac: bool = False) -> None:
        self.keys = keys
        self.encrypt_then_mac = encrypt_then_mac
        self.sequence_number = 0
        self.chained = b"" if keys is None else keys.iv
        self.stream: Any = None
        if keys is not None and keys.row["cipher"].startswith("RC4"):
            self.stream = Cipher(decrepit.ARC4(keys.key), None).decryptor()

    def open(self, sender: Role, content_type: int, version: int, fragment: bytes) -> TappedRecord:
        """Decrypt a fragment, check padding and MAC by the letter, and count it (§6.2.3)."""
        number, keys = self.sequence_number, self.keys
        self.sequence_number += 1
        if keys is None:
            return TappedRecord(sender, content_type, version, len(fragment), fragment, False, b"", number)
        size, content, mac, padding = {"MD5": 16, "SHA": 20}[keys.row["mac"]], fragment, b"", b""
        if self.encrypt_then_mac:
            content, mac = content[:-size], content[-size:]
            self._check_mac(number, content_type, version, content, mac)
        content = self._decrypt(content)
        if keys.row["type"] == "block":
            padding = content[-content[-1] - 1 :]
            assert padding == bytes([content[-1]]) * (content[-1] + 1)
            content = content[: -len(padding)]
        if not self.encrypt_then_mac:
            assert len(content) >= size
            content, mac = content[:-size], content[-size:]
            self._check_mac(number, content_type, version, content, mac)
        return TappedRecord(sender, content_type, version, len(fragment), content, True, padding, number)

    def _decrypt(self, data: bytes) -> bytes:
        assert self.keys is not None
        if self.stream is not None:
            return bytes(self.stream.update(data))
        if self.keys.row["type"] != "block":
            return data
        algorithm = _BLOCK_CIPHERS[self.keys.row["cipher"]](self.keys.key)
        operation = Cipher(algorithm, CBC(self.chained)).decryptor()
        self.chained = data[-self.keys.row["block_size"] :]
        return operation.update(data) + operation.finalize()

    def _check_mac(self, number: int, content_type: int, version: int, covered: bytes, mac: bytes) -> None:
        assert self.keys is not None
        header = number.to_bytes(8, "big") + bytes([content_type]) + version.to_bytes(2, "big")
        data = header + len(covered).to_bytes(2, "big") + covered
        assert mac == hmac.digest(self.keys.mac_secret, data, _HASHES[self.keys.row["mac"]]), "the MAC is wrong"


class Wiretap:
    """Joins a client and a server as :func:`tests.support.pair.pump` does, and reads along.

    ``secrets`` are key log lines. Make the ends with :func:`tapped_ends`, or give one of them a ``key_log`` that
    appends to a list.
    """

    def __init__(self, client: End, server: End, secrets: list[str]) -> None:
        self.client, self.server, self._secrets = client, server, secrets
        self.records: list[TappedRecord] = []
        self.messages: list[TappedMessage] = []
        self.hellos: dict[Role, Hello] = {}
        self.finished: list[tuple[Role, bytes]] = []
        self._input = dict.fromkeys(Role, b"")
        self._handshake = dict.fromkeys(Role, b"")
        self._states = {role: Direction(None) for role in Role}
        self._transcript = b""

    def pump(self) -> Wiretap:
        """Carry bytes both ways until neither side has anything to say."""
        moved = True
        while moved:
            moved = False
            for source, target in ((self.client, self.server), (self.server, self.client)):
                data = source.connection.data_to_send()
                if data:
                    moved = True
                    target.connection.receive_data(data)
                    target.drive()
                    self._read(source.connection.role, data)
        return self

    def handshake(self) -> Wiretap:
        """Run a handshake that must succeed."""
        self.pump()
        for end in (self.client, self.server):
            assert end.connection.established, end.connection.error
        return self

    def renegotiate(self) -> Wiretap:
        """Run another one, which the client starts."""
        self.client.connection.renegotiate()
        self.client.drive()
        return self.pump()

    def exchange(self, to_server: bytes = b"question", to_client: bytes = b"answer") -> Wiretap:
        """Send data both ways, which must arrive."""
        before = self.client.received, self.server.received
        self.client.connection.send(to_server)
        self.server.connection.send(to_client)
        self.pump()
        assert self.server.received == before[1] + to_server
        assert self.client.received == before[0] + to_client
        return self

    # ------------------------------------------------------------------------------------------- what it has seen

    def sent(self, sender: Role, content_type: int | None = None) -> list[TappedRecord]:
        """The records of one side, perhaps of one type."""
        return [item for item in self.records if item.sender is sender and content_type in (None, item.content_type)]

    def kinds(self, sender: Role) -> list[int]:
        """The handshake types one side sent, in order."""
        return [item.kind for item in self.messages if item.sender is sender]

    def message(self, kind: int, *, last: bool = False) -> TappedMessage:
        """The first, or last, message of a type."""
        found = [item for item in self.messages if item.kind == kind]
        return found[-1 if last else 0]

    def leaf(self, sender: Role) -> bytes:
        """The first certificate that one side showed."""
        shown = next(item for item in self.messages if item.kind == 11 and item.sender is sender)
        return shown.fields.vectors(3, 3)[0]

    def before(self, message: TappedMessage) -> bytes:
        """All messages of the same handshake before this one, without HelloRequest."""
        at = next(index for index, item in enumerate(self.messages) if item is message)
        start = max(index for index, item in enumerate(self.messages[: at + 1]) if item.kind == 1)
        return b"".join(item.raw for item in self.messages[start:at] if item.kind != 0)

    @property
    def suite(self) -> int:
        """What the last ServerHello chose."""
        return int.from_bytes(self.hellos[Role.SERVER].suites, "big")

    @property
    def master_secret(self) -> bytes:
        """The master secret of the handshake under way, as the key log has it."""
        random = self.hellos[Role.CLIENT].random.hex()
        return bytes.fromhex(next(line.split()[2] for line in self._secrets if line.split()[1] == random))

    # ------------------------------------------------------------------------------------------- reading

    def _read(self, sender: Role, data: bytes) -> None:
        self._input[sender] += data
        while len(self._input[sender]) >= 5:
            header = Fields(self._input[sender])
            content_type, version, length = header.number(1), header.number(2), header.number(2)
            if len(header.rest) < length:
                return
            fragment, self._input[sender] = header.take(length), header.rest
            record = self._states[sender].open(sender, content_type, version, fragment)
            self.records.append(record)
            if content_type == 22:
                self._on_handshake(record)
            elif content_type == 20:
                self._on_change_cipher_spec(record)

    def _on_change_cipher_spec(self, record: TappedRecord) -> None:
        assert record.content == b"\x01"
        assert self._handshake[record.sender] == b"", "ChangeCipherSpec inside a message"
        client, server = self.hellos[Role.CLIENT], self.hellos[Role.SERVER]
        keys = derive_keys(self.suite, self.master_secret, client.random, server.random)[record.sender]
        agreed = ENCRYPT_THEN_MAC in client.extensions and ENCRYPT_THEN_MAC in server.extensions
        self._states[record.sender] = Direction(keys, agreed and keys.row["type"] == "block")

    def _on_handshake(self, record: TappedRecord) -> None:
        assert record.content, "an empty handshake record"
        buffered = self._handshake[record.sender] + record.content
        while len(buffered) >= 4 and len(buffered) >= 4 + int.from_bytes(buffered[1:4], "big"):
            size = 4 + int.from_bytes(buffered[1:4], "big")
            raw, buffered = buffered[:size], buffered[size:]
            self._on_message(TappedMessage(record.sender, raw[0], raw, record.protected, not buffered))
        self._handshake[record.sender] = buffered

    def _on_message(self, message: TappedMessage) -> None:
        self.messages.append(message)
        if message.kind in (1, 2):
            self.hellos[message.sender] = read_hello(message)
        if message.kind == 1:
            self._transcript = b""
        if message.kind == 20:
            # §7.4.9, whatever the suite: label by sender, MD5 and SHA-1 of the messages so far, 12 bytes
            label = b"client finished" if message.sender is Role.CLIENT else b"server finished"
            digest = md5_sha1(self._transcript)
            assert message.body == reference_prf(self.master_secret, label, digest, 12), "Finished is wrong"
            self.finished.append((message.sender, message.body))
        if message.kind != 0:
            self._transcript += message.raw


def tapped_ends(
    suite: int,
    *,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Wiretap:
    """A client and a server with this suite and a tap between them; ``client`` and ``server`` are profile elements."""
    secrets: list[str] = []
    client, server = dict(client or {}), dict(server or {})
    client["config"] = {"key_log": secrets.append, **(config or {}), **client.get("config", {})}
    server["config"] = {**(config or {}), **server.get("config", {})}
    return Wiretap(client_end(suite, **client), server_end(suite, **server), secrets)

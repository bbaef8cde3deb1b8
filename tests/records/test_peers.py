"""Protected records of other implementations, read and written here: tlslite-ng and OpenSSL (RFC 2246 §6.2.3)."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tlsexit.constants import ContentType, Role
from tlsexit.crypto.schedule import connection_keys
from tlsexit.crypto.suites import SUITES, CipherSuite
from tlsexit.records.layer import RecordLayer
from tlsexit.records.record import Record

CCS, _, HANDSHAKE, DATA = ContentType


def suites(*names: str) -> list[CipherSuite]:
    return [suite for suite in SUITES.values() if suite.openssl_name in names]


def modes(*names: str) -> list[tuple[CipherSuite, bool]]:
    """Return the suites, those of block ciphers once more with encrypt-then-MAC."""
    return [(suite, etm) for suite in suites(*names) for etm in (False, True) if suite.cipher.is_block or not etm]


class Wire:
    """The two socket methods that tlslite-ng's record layer calls."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def send(self, data: bytes) -> int:
        self.buffer += data
        return len(data)

    def recv(self, size: int) -> bytes:
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data


@pytest.mark.parametrize(
    ("suite", "etm"), modes("NULL-MD5", "NULL-SHA", "RC4-MD5", "RC4-SHA", "DES-CBC3-SHA", "AES128-SHA", "AES256-SHA")
)
def test_tlslite_ng_reads_and_writes_the_same_records(suite: CipherSuite, etm: bool) -> None:
    """The same list of requirements as with the reference in test_protection, judged by somebody else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports asyncore
        from tlslite.messages import ApplicationData
        from tlslite.recordlayer import RecordLayer as TlsliteRecordLayer
    secret, client_random, server_random = bytes(range(48)), bytes(32), bytes([7]) * 32
    keys = connection_keys(suite, secret, client_random, server_random, encrypt_then_mac=etm)
    wire = Wire()
    theirs: Any = TlsliteRecordLayer(wire)
    theirs.client = False
    theirs.version = (3, 1)
    theirs.encryptThenMAC = etm
    theirs.calcPendingStates(suite.value, secret, client_random, server_random, ["python"])
    theirs.changeWriteState()
    theirs.changeReadState()
    ours = RecordLayer(split_cbc=False)
    ours.change_write_keys(keys.client_write)
    ours.change_read_keys(keys.server_write)

    for content in (b"one", bytes(range(256)), b"", b"4" * 16, b"5" * 1000):
        for _ in theirs.sendRecord(ApplicationData().create(bytearray(content))):
            pass
        ours.receive_data(bytes(wire.buffer))
        wire.buffer.clear()
        assert ours.next_record() == Record(DATA, 0x0301, content)

        if content:
            ours.send(DATA, content)
            wire.buffer += ours.data_to_send()
            record_header, parser = next(result for result in theirs.recvRecord() if result not in (0, 1))
            assert (record_header.type, bytes(parser.bytes)) == (DATA, content)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server.example")])
    start = datetime.datetime(2020, 1, 1)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("openssl") / "server.pem"
    key_bytes = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path.write_bytes(key_bytes + built.public_bytes(Encoding.PEM))
    return path


SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS = 0x00000800
SSL_OP_NO_ENCRYPT_THEN_MAC = 0x00080000


class OpenSslPair:
    """A handshake between two ends of the ssl module, with all that passed between them and its master secret."""

    def __init__(
        self, suite: CipherSuite, certificate: Path, key_log: Path, *, etm: bool = False, empty_fragments: bool = False
    ) -> None:
        self.wires: dict[Role, bytes] = dict.fromkeys(Role, b"")
        self.ends: dict[Role, ssl.SSLObject] = {}
        self.inputs = {role: ssl.MemoryBIO() for role in Role}
        self.outputs = {role: ssl.MemoryBIO() for role in Role}
        for role, protocol in ((Role.SERVER, ssl.PROTOCOL_TLS_SERVER), (Role.CLIENT, ssl.PROTOCOL_TLS_CLIENT)):
            context = ssl.SSLContext(protocol)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers(f"{suite.openssl_name}:@SECLEVEL=0")
            if not etm:
                context.options |= SSL_OP_NO_ENCRYPT_THEN_MAC
            if not empty_fragments:
                context.options |= SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS
            if role is Role.SERVER:
                context.load_cert_chain(certificate)
            else:
                context.keylog_filename = str(key_log)
            self.ends[role] = context.wrap_bio(self.inputs[role], self.outputs[role], role is Role.SERVER)
        for _ in range(4):
            for role in (Role.CLIENT, Role.SERVER):
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.ends[role].do_handshake()
                self.carry(role)
        (line,) = (line for line in key_log.read_text().splitlines() if line.startswith("CLIENT_RANDOM"))
        _, self.client_random, self.master_secret = (
            bytes.fromhex(part) if index else b"" for index, part in enumerate(line.split())
        )
        # ServerHello is the server's first message: record header, message header, version, random (§7.4.1.3).
        self.server_random = self.wires[Role.SERVER][11:43]

    def carry(self, sender: Role) -> bytes:
        """Take what ``sender`` has to send to its peer, and return it."""
        data = self.outputs[sender].read()
        self.wires[sender] += data
        self.inputs[sender.peer].write(data)
        return data


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("suite", "etm"),
    modes("NULL-SHA", "NULL-MD5", "RC4-SHA", "DES-CBC3-SHA", "AES128-SHA", "AES256-SHA", "CAMELLIA128-SHA", "SEED-SHA"),
)
def test_openssl_and_this_record_layer_can_take_each_others_place(
    suite: CipherSuite, etm: bool, certificate: Path, tmp_path: Path
) -> None:
    """Its records are read here; the records made here of the same content are its own, bit for bit, and it reads more.

    R2246-6.1-04, R2246-6.1-06, R2246-6.2.3.1-01, R2246-6.2.3.2-02, R2246-6.2.3.2-07, R2246-6.2.3.2-10, R7366-3-01.
    """
    try:
        pair = OpenSslPair(suite, certificate, tmp_path / "keys.log", etm=etm)
    except ssl.SSLError as error:
        pytest.skip(f"this OpenSSL does not do {suite.openssl_name} at TLS 1.0: {error}")
    keys = connection_keys(suite, pair.master_secret, pair.client_random, pair.server_random, encrypt_then_mac=etm)
    for role in Role:
        pair.ends[role].write(b"written by OpenSSL")
        pair.carry(role)
        assert pair.ends[role.peer].read() == b"written by OpenSSL"

        read, write = RecordLayer(), RecordLayer(split_cbc=False)
        read.receive_data(pair.wires[role])
        seen = []
        while (record := read.next_record()) is not None:
            write.send(record.content_type, record.fragment)
            if record.content_type == CCS:
                read.change_read_keys(keys.write_keys(role))
                write.change_write_keys(keys.write_keys(role))
            elif read.read_protected:
                seen.append(record)
        finished, data = seen
        assert (finished.content_type, finished.fragment[:4]) == (HANDSHAKE, b"\x14\x00\x00\x0c")
        assert data == Record(DATA, 0x0301, b"written by OpenSSL")
        if role is Role.SERVER:  # the client's first record may be labelled otherwise, and so differ
            assert write.data_to_send() == pair.wires[role]
        write.data_to_send()

        for content in (b"x", bytes(5000), bytes(2**14)):
            write.send(DATA, content)
            pair.inputs[role.peer].write(write.data_to_send())
            assert pair.ends[role.peer].read(2**15) == content


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_empty_records_of_openssl_are_read(certificate: Path, tmp_path: Path) -> None:
    """R5246-6.2.1-01, R4346-6.2.3.2-02: it counters BEAST with an empty record before each write."""
    (suite,) = suites("AES128-SHA")
    pair = OpenSslPair(suite, certificate, tmp_path / "keys.log", empty_fragments=True)
    keys = connection_keys(suite, pair.master_secret, pair.client_random, pair.server_random)
    for _ in range(40):
        pair.ends[Role.CLIENT].write(b"data")
    pair.carry(Role.CLIENT)
    read = RecordLayer()
    read.receive_data(pair.wires[Role.CLIENT])
    fragments = []
    while (record := read.next_record()) is not None:
        if record.content_type == CCS:
            read.change_read_keys(keys.client_write)
        elif record.content_type == DATA:
            fragments.append(record.fragment)
    assert fragments == [b"", b"data"] * 40

"""A peer that speaks TLS correctly, in whatever order a test tells it to.

The :class:`Forge` keeps the books of an honest endpoint (transcript, randoms, premaster secret, keys) and talks to a
tlsexit :class:`~tests.support.pair.End` in memory. What it sends is a trace: a tuple of :class:`Step` values, from
:mod:`tests.support.traces`, which a test may edit before it is played. Records, messages and keys are made with
tlsexit's own codecs, so a trace that nobody edited completes a handshake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import md5, sha1
from typing import Any, Final

from cryptography import x509

from tests.support.delivery import drain, pieces
from tests.support.ends import certificates
from tests.support.pair import End
from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.groups import DHKeyPair, DHParameters, ECDHKeyPair, NamedCurve
from tlsexit.crypto.keyops import PrivateKey, decrypt
from tlsexit.crypto.schedule import (
    ConnectionKeys,
    connection_keys,
    extended_master_secret,
    master_secret,
    verify_data,
)
from tlsexit.crypto.suites import SUITES, KeyType, Premaster
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension, find
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.handshake.transcript import Transcript
from tlsexit.records.grammar import ALERT, Alert, ChangeCipherSpec
from tlsexit.records.layer import RecordLayer
from tlsexit.records.protection import new_write_state
from tlsexit.session import Session
from tlsexit.wire import parse

EMPTY_RENEGOTIATION_INFO: Final = Extension(ExtensionType.RENEGOTIATION_INFO, b"\0")
EXTENDED_MASTER_SECRET: Final = Extension(ExtensionType.EXTENDED_MASTER_SECRET, b"")
ENCRYPT_THEN_MAC: Final = Extension(ExtensionType.ENCRYPT_THEN_MAC, b"")


def whole(data: bytes) -> Iterable[bytes]:
    """Do not cut a message: one record."""
    return (data,)


@dataclass(frozen=True)
class Step:
    """One thing that the forge sends: a message, made when its turn comes, and the records it is cut into.

    ``content_type`` None puts the bytes on the wire as they are, without a record. A step that is not ``hashed`` stays
    out of the transcript, as HelloRequest does. ``after`` runs when the step has been sent.
    """

    name: str
    build: Callable[[Forge], bytes]
    content_type: int | None = ContentType.HANDSHAKE
    hashed: bool = True
    cut: Callable[[bytes], Iterable[bytes]] = whole
    after: Callable[[Forge], None] | None = None


Trace = tuple[Step, ...]


@dataclass(eq=False)
class Forge:
    """The other end of ``target``. ``hello`` overrides fields of the hello that this role sends.

    ``show_certificate`` is whether a client that is asked has one; ``session`` is what both ends resume.
    """

    target: End
    suite: int
    hello: dict[str, Any] = field(default_factory=dict)
    session: Session | None = None
    show_certificate: bool = True

    def __post_init__(self) -> None:
        self.role = self.target.connection.role.peer
        self.pki = certificates(self.suite)
        self.records = RecordLayer()  # for reading
        self.write_state = new_write_state(None)
        self.reader = HandshakeReader(2**24 - 1)
        self.begin()
        # what has arrived
        self.messages: list[Any] = []
        self.alerts: list[Alert] = []
        self.application_data = b""
        self.listen()

    def begin(self) -> None:
        """Forget the last handshake: a new one starts."""
        self.transcript = Transcript()
        self.client_hello: ClientHello | None = None
        self.server_hello: ServerHello | None = None
        self.peer_chain: tuple[bytes, ...] = ()
        self.server_params: kx.ServerDHParams | kx.ServerECDHParams | None = None
        self.key_pair: DHKeyPair | ECDHKeyPair | None = None
        self.pre_master_secret = bytes(48)  # what an attacker who never agreed on anything would assume
        self.master_secret = bytes(48) if self.session is None else self.session.master_secret
        self.verify_data = b""
        self.peer_finished_is_right = False

    # ------------------------------------------------------------------------------------------- sending

    def play(self, trace: Trace) -> Forge:
        """Send the steps one by one, listening after each, until the other end has closed."""
        for step in trace:
            if self.target.connection.closed:
                break
            self.send(step)
        return self

    def send(self, step: Step) -> None:
        """Send one step."""
        data = step.build(self)
        if step.content_type is None:
            self.send_bytes(data)
        else:
            if step.content_type == ContentType.HANDSHAKE and step.hashed:
                self.transcript = self.transcript.add(data)
            for piece in step.cut(data):
                self.send_record(step.content_type, piece)
        if step.after is not None:
            step.after(self)

    def seal(self, content_type: int, fragment: bytes, version: int = 0x0301) -> bytes:
        """Return exactly one record under the current keys, whatever its length and version."""
        memory = bytearray(len(fragment) + self.write_state.overhead)
        size = self.write_state.seal(content_type, version, fragment, memoryview(memory))
        return bytes(memory[:size])

    def send_record(self, content_type: int, fragment: bytes, version: int = 0x0301) -> None:
        """Send one record under the current keys, and listen."""
        self.send_bytes(self.seal(content_type, fragment, version))

    def send_alert(self, level: int, description: int) -> None:
        """Send an alert, and listen."""
        self.send_record(ContentType.ALERT, bytes([level, description]))

    def send_bytes(self, data: bytes) -> None:
        """Put bytes on the wire, and listen."""
        for piece in pieces(data):
            self.target.connection.receive_data(piece)
            self.target.drive()
        self.listen()

    # ------------------------------------------------------------------------------------------- listening

    def listen(self) -> None:
        """Read what the other end has sent."""
        self.records.receive_data(drain(self.target.connection))
        while (record := self.records.next_record()) is not None:
            if record.content_type == ContentType.ALERT:
                self.alerts.append(parse(ALERT, record.fragment, "Alert"))
            elif record.content_type == ContentType.CHANGE_CIPHER_SPEC:
                self.messages.append(ChangeCipherSpec(record.fragment[0]))
                self.records.change_read_keys(self.keys.write_keys(self.role.peer))
            elif record.content_type == ContentType.APPLICATION_DATA:
                self.application_data += record.fragment
            else:
                self.reader.feed(record.fragment)
                while (complete := self.reader.next_message()) is not None:
                    self._on_message(*complete)

    def _on_message(self, raw: bytes, message: Any) -> None:
        self.messages.append(message)
        if isinstance(message, HelloRequest):
            return
        if isinstance(message, Finished):
            expected = verify_data(self.master_secret, self.role.peer, self.transcript.digest())
            self.peer_finished_is_right = message.verify_data == expected
        self.transcript = self.transcript.add(raw)
        if isinstance(message, ClientHello):
            self.client_hello = message
        elif isinstance(message, ServerHello):
            self.server_hello = message
        elif isinstance(message, Certificate):
            self.peer_chain = message.certificate_list
        elif isinstance(message, ServerKeyExchange):
            self.server_params = self._read_params(message)
        elif isinstance(message, ClientKeyExchange):
            self.pre_master_secret = self._read_client_key_exchange(message)
            self.derive()

    def _read_params(self, message: ServerKeyExchange) -> kx.ServerDHParams | kx.ServerECDHParams:
        exchange = SUITES[self.suite].key_exchange
        if exchange.premaster is Premaster.DH:
            return kx.parse_server_key_exchange(kx.SERVER_DH_PARAMS, message, signed=exchange.signed)[0]
        return kx.parse_server_key_exchange(kx.SERVER_ECDH_PARAMS, message, signed=exchange.signed)[0]

    def _read_client_key_exchange(self, message: ClientKeyExchange) -> bytes:
        if isinstance(self.key_pair, DHKeyPair):
            return self.key_pair.agree(kx.parse_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, message).dh_Yc)
        if isinstance(self.key_pair, ECDHKeyPair):
            public = kx.parse_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, message).ecdh_Yc
            return self.key_pair.agree(public)
        encrypted = kx.parse_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, message)
        return decrypt(self.own_key, encrypted.pre_master_secret)

    # ------------------------------------------------------------------------------------------- the books

    @property
    def own_chain(self) -> tuple[bytes, ...]:
        """The chain this side shows."""
        return self.pki.client.chain if self.role is Role.CLIENT else self.pki.server.chain

    @property
    def own_key(self) -> PrivateKey:
        """The key of the first certificate in it."""
        return self.pki.client.key if self.role is Role.CLIENT else self.pki.server.key

    @property
    def peer_key(self) -> Any:
        """The public key in the first certificate that the other end has shown."""
        return x509.load_der_x509_certificate(self.peer_chain[0]).public_key()

    @property
    def randoms(self) -> tuple[bytes, bytes]:
        """Both hello randoms, zeros in place of one that is not known yet."""
        return (
            bytes(32) if self.client_hello is None else self.client_hello.random,
            bytes(32) if self.server_hello is None else self.server_hello.random,
        )

    @property
    def keys(self) -> ConnectionKeys:
        """The keys that follow from the master secret, whether or not anybody agreed to them."""
        return connection_keys(
            SUITES[self.suite],
            self.master_secret,
            *self.randoms,
            encrypt_then_mac=self._agreed(ExtensionType.ENCRYPT_THEN_MAC),
        )

    def derive(self) -> None:
        """Compute the master secret; the transcript ends with ClientKeyExchange."""
        if self._agreed(ExtensionType.EXTENDED_MASTER_SECRET):
            self.master_secret = extended_master_secret(self.pre_master_secret, self.transcript.digest())
        else:
            self.master_secret = master_secret(self.pre_master_secret, *self.randoms)

    def change_write_keys(self) -> None:
        """Send under the new keys from now on."""
        self.write_state = new_write_state(self.keys.write_keys(self.role))

    def transcript_digest(self) -> bytes:
        """What CertificateVerify signs with this side's kind of key (§7.4.8)."""
        return self.transcript.digest() if self.pki.kind is KeyType.RSA else self.transcript.sha1()

    def params_digest(self, params: bytes) -> bytes:
        """What ServerKeyExchange's signature covers (§7.4.3)."""
        data = b"".join(self.randoms) + params
        both = md5(data).digest() + sha1(data).digest()
        return both if self.pki.kind is KeyType.RSA else both[16:]

    def agree_as_client(self) -> bytes:
        """Make a key pair that answers the server's parameters, note the premaster secret, return the public value."""
        params = self.server_params
        if isinstance(params, kx.ServerDHParams):
            group = DHParameters(int.from_bytes(params.dh_p, "big"), int.from_bytes(params.dh_g, "big"))
            pair = DHKeyPair.generate(group)
            self.pre_master_secret = pair.agree(params.dh_Ys)
            return pair.public
        assert params is not None, "the server has sent no parameters"
        point = ECDHKeyPair.generate(NamedCurve(params.named_curve))
        self.pre_master_secret = point.agree(params.public)
        return point.public

    def _agreed(self, kind: ExtensionType) -> bool:
        hellos = (self.client_hello, self.server_hello)
        return all(hello is not None and find(hello.extensions, kind) is not None for hello in hellos)

    # ------------------------------------------------------------------------------------------- the verdict

    @property
    def fatal(self) -> AlertDescription | None:
        """The only fatal alert that has arrived, None if there was none; more than one is a bug of the other end."""
        fatal = [alert.description for alert in self.alerts if alert.level == AlertLevel.FATAL]
        assert len(fatal) <= 1, fatal
        return AlertDescription(fatal[0]) if fatal else None

    @property
    def warnings(self) -> list[AlertDescription]:
        """The warning alerts that have arrived."""
        return [AlertDescription(alert.description) for alert in self.alerts if alert.level == AlertLevel.WARNING]

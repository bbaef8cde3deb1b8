"""What an honest end remembers of a handshake: messages, randoms, secrets and keys (RFC 2246 §7.3, §8).

Nothing here judges. The books follow whatever was sent and received, so that cryptography stays right at any depth of
a conversation, however odd the order; what was never agreed on is zeros, as an attacker would assume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlsexit.alerts import PeerError
from tlsexit.config import Config
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, MAX_PLAINTEXT, Role
from tlsexit.crypto.groups import DHKeyPair, ECDHKeyPair, NamedCurve
from tlsexit.crypto.keyops import PrivateKey, decrypt, key_type
from tlsexit.crypto.schedule import (
    ConnectionKeys,
    connection_keys,
    extended_master_secret,
    master_secret,
    verify_data,
)
from tlsexit.crypto.suites import SUITES, CipherSuite, KeyExchange, KeyType, Premaster
from tlsexit.exits.calls import PreSharedKey
from tlsexit.exits.forms import certificate_key
from tlsexit.handshake import agreement
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate, CertificateRequest
from tlsexit.handshake.enums import ClientCertificateType, ExtensionType
from tlsexit.handshake.extensions import SUPPORTED_GROUPS, find
from tlsexit.handshake.finished import Finished, NewSessionTicket
from tlsexit.handshake.hello import ClientHello, ServerHello, ServerHelloDone
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange
from tlsexit.handshake.negotiation import Negotiation
from tlsexit.handshake.transcript import Transcript
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.puppet.credentials import Credential, Credentials
from tlsexit.session import Session
from tlsexit.wire import parse

_SIGNERS: Final[Mapping[int, KeyType]] = {
    ClientCertificateType.RSA_SIGN: KeyType.RSA,
    ClientCertificateType.DSS_SIGN: KeyType.DSA,
    ClientCertificateType.ECDSA_SIGN: KeyType.EC,
}

KeyPair = DHKeyPair | ECDHKeyPair | RSAPrivateKey


class Books:
    """The state of one end, ``role``; :meth:`begin` opens a new page for the next handshake of the connection.

    ``suites`` and ``groups`` (curves) are numbers, favourite first: what a client offers and a server chooses from.
    ``session`` is what both ends may resume. ``random`` returns that many bytes; runs with the same ``random`` repeat
    themselves as far as Diffie-Hellman lets them.
    """

    def __init__(
        self,
        role: Role,
        suites: tuple[int, ...],
        credentials: Credentials,
        random: Callable[[int], bytes],
        *,
        session: Session | None = None,
        psk: PreSharedKey | None = None,
        psk_identity_hint: bytes = b"",
        groups: tuple[int, ...] = tuple(NamedCurve),
    ) -> None:
        self.role = role
        self.suites = suites
        self.credentials = credentials
        self.random = random
        self.session = session
        self.psk = psk
        self.psk_identity_hint = psk_identity_hint
        self.groups = groups
        self.previous: Mapping[Role, bytes] = {}
        """Both verify_data of the handshake before on this connection (RFC 5746)."""
        self.secure_renegotiation = False
        """Whether both ends signalled RFC 5746 in that handshake."""
        self.peer_finished_is_right = False
        """Whether the last Finished that came was the one that the books expect."""
        self.handshakes = 0
        """How many handshakes have been completed, with the peer's Finished right."""
        self._open_page()

    def begin(self) -> None:
        """Start a new handshake; the verify_data of a complete one are kept for renegotiation_info."""
        if self.complete:
            self.previous = dict(self.finished)
            self.secure_renegotiation = self._signalled_by_both()
        self._open_page()

    def _open_page(self) -> None:
        self.transcript = Transcript()
        self.client_hello: ClientHello | None = None
        self.server_hello: ServerHello | None = None
        self.peer_chain: tuple[bytes, ...] = ()
        self.request: CertificateRequest | None = None
        self.server_params: agreement.ServerParams | None = None
        self.server_done = False
        self.ticket: NewSessionTicket | None = None
        self.key_pair: KeyPair | None = None
        self.pre_master_secret = bytes(48)
        self.master_secret = bytes(48) if self.session is None else self.session.master_secret
        self.finished: dict[Role, bytes] = {}
        """The verify_data that each end has sent in this handshake."""

    # ------------------------------------------------------------------------------------------- what was agreed

    @property
    def suite(self) -> int:
        """The suite that the ServerHello chose; the favourite as long as there is none, or none that is known."""
        if self.server_hello is not None and self.server_hello.cipher_suite in SUITES:
            return self.server_hello.cipher_suite
        return self.suites[0]

    @property
    def cipher_suite(self) -> CipherSuite:
        """The same as a row of the table."""
        return SUITES[self.suite]

    @property
    def exchange(self) -> KeyExchange:
        """How the premaster secret comes about."""
        return self.cipher_suite.key_exchange

    @property
    def complete(self) -> bool:
        """Whether both ends have sent Finished."""
        return len(self.finished) == len(Role)

    @property
    def resumed(self) -> bool:
        """Whether the handshake takes up :attr:`session`: the id is echoed, or the ticket's handshake is short."""
        if self.session is None or self.server_hello is None:
            return False
        offered = b"" if self.client_hello is None else self.client_hello.session_id
        return (offered != b"" and self.server_hello.session_id == offered) or (
            Role.SERVER in self.finished and not self.server_done
        )

    def agreed(self, kind: ExtensionType) -> bool:
        """Whether both hellos have the extension."""
        hellos = (self.client_hello, self.server_hello)
        return all(hello is not None and find(hello.extensions, kind) is not None for hello in hellos)

    def _signalled_by_both(self) -> bool:
        """Whether both ends have signalled RFC 5746, a client perhaps by the SCSV (§3.3)."""
        if self.server_hello is None or self.client_hello is None:
            return False
        asked = find(self.client_hello.extensions, ExtensionType.RENEGOTIATION_INFO) is not None
        signalled = asked or EMPTY_RENEGOTIATION_INFO_SCSV in self.client_hello.cipher_suites
        return signalled and find(self.server_hello.extensions, ExtensionType.RENEGOTIATION_INFO) is not None

    @property
    def fragment_size(self) -> int:
        """The longest fragment that this end may send, in bytes: 2^14, or what both hellos agree on (RFC 6066 §4)."""
        if not self.agreed(ExtensionType.MAX_FRAGMENT_LENGTH):
            return MAX_PLAINTEXT
        assert self.server_hello is not None
        code = (find(self.server_hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH) or b"\0")[0]
        return 256 << code if 1 <= code <= 4 else MAX_PLAINTEXT

    @property
    def randoms(self) -> tuple[bytes, bytes]:
        """Both hello randoms, client's first, zeros in place of one that is not known yet."""
        return (
            bytes(32) if self.client_hello is None else self.client_hello.random,
            bytes(32) if self.server_hello is None else self.server_hello.random,
        )

    @property
    def keys(self) -> ConnectionKeys:
        """The keys that follow from the master secret, whether or not anybody agreed to them."""
        encrypt_then_mac = self.cipher_suite.cipher.is_block and self.agreed(ExtensionType.ENCRYPT_THEN_MAC)
        return connection_keys(self.cipher_suite, self.master_secret, *self.randoms, encrypt_then_mac=encrypt_then_mac)

    @property
    def peer_owes(self) -> bool:
        """Whether an honest peer still has something to send before this end can go on."""
        if self.role is Role.SERVER:
            if self.client_hello is None:
                return True
            return self._answered(self.server_done)
        if self.client_hello is None:
            return False
        if Role.CLIENT not in self.finished and not self.server_done:
            return Role.SERVER not in self.finished
        return self._answered(Role.CLIENT in self.finished)

    def _answered(self, spoken: bool) -> bool:
        """Whether the peer's Finished is missing although this end has said all that leads to it."""
        return (spoken or self.role in self.finished) and self.role.peer not in self.finished

    # ------------------------------------------------------------------------------------------- who this end is

    @property
    def credential(self) -> Credential:
        """What this end shows: the kind that the suite needs or, as a client, the first that the server takes."""
        kind = self.exchange.certificate or KeyType.RSA
        if self.role is Role.CLIENT and self.request is not None:
            wanted = [_SIGNERS[number] for number in self.request.certificate_types if number in _SIGNERS]
            kind = next((item for item in (kind, *wanted) if item in wanted and item in self.credentials), kind)
        return self.credentials.get(kind) or next(iter(self.credentials.values()))

    @property
    def own_chain(self) -> tuple[bytes, ...]:
        """The chain this end shows."""
        return self.credential.chain

    @property
    def own_key(self) -> PrivateKey:
        """The key of the first certificate in it."""
        return self.credential.key

    @property
    def peer_key(self) -> Any:
        """The public key in the first certificate that the peer has shown."""
        return certificate_key(self.peer_chain[0])

    # ------------------------------------------------------------------------------------------- what arrives

    def note(self, raw: bytes, message: Any) -> None:
        """Enter a message from the peer; raises :class:`~tlsexit.alerts.PeerError` for a body that makes no sense."""
        if isinstance(message, Finished):
            expected = verify_data(self.master_secret, self.role.peer, self.transcript.digest())
            self.peer_finished_is_right = message.verify_data == expected
            self.finish(self.role.peer, message.verify_data)
        self.transcript = self.transcript.add(raw)
        match message:
            case ClientHello():
                self.client_hello = message
            case ServerHello():
                self.server_hello = message
            case Certificate():
                self.peer_chain = message.certificate_list
            case CertificateRequest():
                self.request = message
            case ServerKeyExchange():
                grammar = agreement.SERVER_GRAMMARS[self.exchange.premaster]
                self.server_params = kx.parse_server_key_exchange(grammar, message, signed=self.exchange.signed)[0]
            case ServerHelloDone():
                self.server_done = True
            case NewSessionTicket():
                self.ticket = message
            case ClientKeyExchange():
                self.pre_master_secret = self._read_client_key_exchange(message)
                self.derive()

    def _read_client_key_exchange(self, message: ClientKeyExchange) -> bytes:
        public = agreement.read_client_key_exchange(self.exchange, message)
        key = self.psk.key if self.psk is not None and self.exchange.premaster.psk else None
        if self.exchange.premaster not in (Premaster.RSA, Premaster.RSA_PSK):
            pair = None if self.key_pair is None else agreement.Ephemeral(self.key_pair, b"")
            return agreement.agree(pair, public, key)
        private = self.key_pair if isinstance(self.key_pair, RSAPrivateKey) else self.own_key
        try:
            secret = decrypt(private, public.value)
        except ValueError:
            secret = bytes(48)
        return secret if key is None else agreement.with_pre_shared_key(secret, key)

    # ------------------------------------------------------------------------------------------- what is computed

    def finish(self, sender: Role, data: bytes) -> None:
        """Enter the verify_data of a Finished that ``sender`` has sent."""
        self.finished[sender] = data
        self.handshakes += self.complete and self.peer_finished_is_right

    def derive(self) -> None:
        """Compute the master secret; the transcript ends with ClientKeyExchange (§8.1, RFC 7627 §4)."""
        if self.agreed(ExtensionType.EXTENDED_MASTER_SECRET):
            self.master_secret = extended_master_secret(self.pre_master_secret, self.transcript.digest())
        else:
            self.master_secret = master_secret(self.pre_master_secret, *self.randoms)

    def own_verify_data(self) -> bytes:
        """Return what this end's Finished says at this point (§7.4.9)."""
        return verify_data(self.master_secret, self.role, self.transcript.digest())

    def transcript_digest(self) -> bytes:
        """Return what CertificateVerify signs with this end's kind of key (§7.4.8)."""
        return self.transcript.digest() if self.credential_kind is KeyType.RSA else self.transcript.sha1()

    @property
    def credential_kind(self) -> KeyType:
        """The kind of :attr:`own_key`."""
        return key_type(self.own_key)

    def params_digest(self, params: bytes) -> bytes:
        """Return what ServerKeyExchange's signature covers (§7.4.3)."""
        return agreement.signed_digest(self.credential_kind, *self.randoms, params)

    def generate(self) -> bytes:
        """Make the server's key for this handshake, and return its parameters in wire form; empty if it needs none."""
        made = agreement.generate_ephemeral(
            self.exchange, self._groups(), self.own_key.public_key(), self._profile(), self._config()
        )
        if made is None:
            return b""
        self.key_pair = made.pair
        return made.params

    def agree(self) -> ClientKeyExchange:
        """Make the client's message in answer to what the server has sent, and note the premaster secret."""
        client_random, server_random = self.randoms
        negotiated = Negotiation(
            suite=self.cipher_suite,
            client_version=0x0301 if self.client_hello is None else self.client_hello.client_version,
            client_random=client_random,
            server_random=server_random,
            groups=self.groups,
        )
        leaf = self.peer_key if self.peer_chain else None
        psk = self.psk if self.exchange.premaster.psk else None
        message, secret = agreement.client_key_exchange(negotiated, leaf, self.server_params, psk, self._config())
        self.pre_master_secret = secret
        return message

    def new_session(self) -> Session:
        """Return what both ends may resume later, after a complete handshake."""
        session_id = b"" if self.server_hello is None else self.server_hello.session_id
        made = Session(
            session_id,
            0x0301,
            self.suite,
            self.master_secret,
            0.0,
            extended_master_secret=self.agreed(ExtensionType.EXTENDED_MASTER_SECRET),
        )
        return made if self.ticket is None else replace(made, ticket=self.ticket.ticket)

    def _groups(self) -> tuple[int, ...]:
        """Return the curves this end has that the client lists, all it has if there is none in common."""
        extensions = None if self.client_hello is None else self.client_hello.extensions
        body = find(extensions, ExtensionType.SUPPORTED_GROUPS)
        try:
            listed = () if body is None else parse(SUPPORTED_GROUPS, body)
        except PeerError:
            listed = ()
        return tuple(curve for curve in self.groups if curve in listed) or self.groups

    def _profile(self) -> Profile:
        return Profile.server(cipher_suites=self.suites, psk_identity_hint=self.psk_identity_hint)

    def _config(self) -> Config:
        return system_config(random=self.random)

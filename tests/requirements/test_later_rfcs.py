"""What later RFCs ask of TLS 1.0: whole signature blocks, ECDSA certificates of clients, the use of tickets."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha1, sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1

from tests.support.conversation import carries_data, refused
from tests.support.ends import DHE_RSA, ECDHE_ECDSA, ECDHE_RSA, RSA, client_end, handshake, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge, Step
from tests.support.pair import End, pump
from tests.support.pki import END, HOSTS, NOW, START, pki
from tests.support.sessions import Sessions, old_session
from tests.support.traces import (
    alter,
    client_hello,
    client_trace,
    insert,
    message,
    put,
    raw_message,
    server_params,
    server_trace,
)
from tests.support.wiretap import tapped_ends
from tlsexit.alerts import AlertDescription, BadCertificate, DecryptError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import sign, verify
from tlsexit.crypto.suites import KeyType
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.extensions import Extension
from tlsexit.policy import BuiltinPki, TrustAnchors, der
from tlsexit.policy.throwaway import throwaway_authority
from tlsexit.policy.x509 import LeafDemands, check_chain
from tlsexit.profile import Verify
from tlsexit.stores.tickets import TicketKeys

SESSION_TICKET = 35

# ------------------------------------------------------------------------------------------------ RFC 5246 §D.4

EXPONENT_3 = rsa.generate_private_key(3, 2048)


def forged(prefix: bytes, size: int = 256) -> bytes:
    """A "signature" for exponent 3 whose block begins with ``prefix``: a cube root, garbage behind (CVE-2006-4339)."""
    target = int.from_bytes(prefix + b"\xff" * (size - len(prefix)), "big")
    low, high = 0, 1 << (8 * size // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= target else (low, middle - 1)
    assert (low**3).to_bytes(size, "big").startswith(prefix)
    return low.to_bytes(size, "big")


def test_garbage_behind_the_hash() -> None:
    """R5246-D.4-01: the block has to end with the hash; an honest signature of the same key verifies."""
    digest = bytes(range(36))
    public = EXPONENT_3.public_key()
    verify(public, sign(EXPONENT_3, digest), digest)
    for padding in (8, 20, 40):
        signature = forged(b"\0\1" + b"\xff" * padding + b"\0" + digest)
        with pytest.raises(DecryptError):
            verify(public, signature, digest)


@pytest.mark.parametrize("role", Role)
def test_garbage_behind_the_hash_in_a_handshake(role: Role) -> None:
    """R5246-D.4-01: in ServerKeyExchange and in CertificateVerify; ``role`` is the forger's."""
    issued = pki().root.issue("x", key=EXPONENT_3, role=role, hosts=HOSTS, not_before=START, not_after=END)
    shown = message("certificate", Certificate(issued.chain))

    def forgery(digest: bytes) -> bytes:
        return forged(b"\0\1" + b"\xff" * 8 + b"\0" + digest)

    if role is Role.SERVER:

        def built(forge: Forge) -> bytes:
            params = server_params(forge)
            return encode(kx.build_server_key_exchange(params, forgery(forge.params_digest(params))))

        trace = put(server_trace(DHE_RSA), "certificate", shown)
        trace = put(trace, "server_key_exchange", Step("server_key_exchange", built))
        forge = Forge(client_end(DHE_RSA), DHE_RSA)
    else:

        def proof(forge: Forge) -> bytes:
            return encode(CertificateVerify(forgery(forge.transcript.digest())))

        trace = put(client_trace(RSA, certificate=True), "certificate", shown)
        trace = put(trace, "certificate_verify", Step("certificate_verify", proof))
        forge = Forge(server_end(RSA, verify=Verify.REQUIRED), RSA)
    refused(forge.play(trace), AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize("where", ["behind", "inside"])
def test_garbage_in_the_signature_of_a_certificate(where: str) -> None:
    """R5246-D.4-01: behind DigestInfo, and inside it, in the parameters of the algorithm."""
    root = throwaway_authority("exponent 3", key=EXPONENT_3, not_before=START, not_after=END)
    honest = root.issue(key=pki().server.key, hosts=HOSTS, not_before=START, not_after=END)
    tbs = honest.certificate.tbs_certificate_bytes
    demands, anchors = LeafDemands(peer=Role.SERVER), TrustAnchors([root.certificate])
    assert check_chain([honest.certificate], anchors, at=NOW, leaf=demands)
    # SEQUENCE { SEQUENCE { OID sha256, parameters }, OCTET STRING hash }
    oid = bytes.fromhex("0609608648016503040201")
    hashed = b"\x04\x20" + sha256(tbs).digest()
    if where == "behind":
        signature = forged(b"\0\1" + b"\xff" * 8 + b"\0" + b"\x30\x31\x30\x0d" + oid + b"\x05\0" + hashed)
    else:
        algorithm = b"\x30\x1d" + oid + b"\x04\x10" + bytes(16)
        signature = signed_block(b"\x30" + bytes([len(algorithm + hashed)]) + algorithm + hashed)
    spoilt = der.encode(der.SEQUENCE, tbs, sha256_with_rsa(), der.encode(der.BIT_STRING, b"\0", signature))
    with pytest.raises(BadCertificate):
        check_chain([x509.load_der_x509_certificate(spoilt)], anchors, at=NOW, leaf=demands)


def signed_block(info: bytes) -> bytes:
    """A true signature over any DigestInfo, with padding that fills the block."""
    block = b"\0\1" + b"\xff" * (253 - len(info)) + b"\0" + info
    numbers = EXPONENT_3.private_numbers()
    return pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")


def sha256_with_rsa() -> bytes:
    return bytes.fromhex("300d06092a864886f70d01010b0500")


# ------------------------------------------------------------------------------------------------ RFC 4492 §5.5


@pytest.mark.parametrize("suite", [ECDHE_ECDSA, ECDHE_RSA, RSA])
def test_certificates_of_clients_with_curves(suite: int) -> None:
    """R4492-5.5-01: ecdsa_sign(64) is in the list, and CertificateVerify is over SHA-1, in DER."""
    everybody = {kind.value: [pki(kind).root.certificate] for kind in KeyType}
    own = pki(KeyType.EC if suite == ECDHE_ECDSA else KeyType.RSA).server.identity("own")
    server = {"verify": Verify.REQUIRED, "builtin": BuiltinPki([own], everybody, clock=NOW.timestamp)}
    client = BuiltinPki([pki(KeyType.EC).client.identity("own")], everybody, clock=NOW.timestamp)
    tap = tapped_ends(suite, client={"builtin": client}, server=server).handshake().exchange()
    assert 64 in tap.message(13).fields.vector(1)
    key = x509.load_der_x509_certificate(tap.leaf(Role.CLIENT)).public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    proof = tap.message(15)
    key.verify(proof.fields.vector(2), sha1(tap.before(proof)).digest(), ECDSA(Prehashed(SHA1())))


@pytest.mark.parametrize(("types", "shown"), [((1, 2), False), ((64,), True), ((1, 64), True)])
def test_a_client_with_a_curve(types: tuple[int, ...], shown: bool) -> None:
    """R4492-5.5-01: its certificate is sent only if 64 is in the list."""
    request = message("request", CertificateRequest(types, (pki(KeyType.EC).root.certificate.subject.public_bytes(),)))
    client = client_end(ECDHE_ECDSA)
    trace = put(server_trace(ECDHE_ECDSA, request=True), "certificate_request", request)
    forge = Forge(client, ECDHE_ECDSA).play(trace)
    carries_data(forge)
    assert bool(forge.peer_chain) is shown


# ------------------------------------------------------------------------------------------------ RFC 5077


class Twice:
    """A server that hands out tickets and has a store as well, and clients that come again."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()
        self.keys = TicketKeys(lambda: self.now)
        self.store = Sessions()

    def server(self) -> End:
        config = {"tickets": self.keys, "session_store": self.store, "clock": lambda: self.now}
        return server_end(RSA, config=config)

    def client(self, session: Any = None, **profile: Any) -> End:
        config = {"clock": lambda: self.now}
        return client_end(RSA, session=session, session_tickets=True, config=config, **profile)

    def ticket(self) -> Any:
        """The session of a first handshake, with its ticket."""
        client = self.client()
        handshake(client, self.server())
        assert client.connection.session is not None
        assert client.connection.session.ticket
        return client.connection.session


NEW_TICKET = raw_message(4, b"\0\0\1\0" + b"\0\x0ca new ticket", "new_session_ticket")


def ticket_trace() -> Any:
    return insert(server_trace(RSA), NEW_TICKET, before="change_cipher_spec")


def test_a_ticket_counts_only_behind_finished() -> None:
    """R5077-3.3-02, R5077-3.3-01: with a wrong Finished behind it, the client has nothing to offer."""
    hello = {"session_id": b"", "extensions": (EMPTY_RENEGOTIATION_INFO, Extension(SESSION_TICKET, b""))}
    good = Forge(client_end(RSA, session_tickets=True), RSA, hello).play(ticket_trace())
    carries_data(good)
    assert good.target.connection.session is not None
    assert good.target.connection.session.ticket == b"a new ticket"
    spoilt = alter(ticket_trace(), "finished", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    bad = Forge(client_end(RSA, session_tickets=True), RSA, hello)
    for step in spoilt:
        bad.send(step)
        assert bad.target.connection.session is None
    refused(bad, AlertDescription.DECRYPT_ERROR)


@pytest.mark.parametrize(("seconds", "offered"), [(0, True), (255, True), (256, False), (10**6, False)])
def test_a_ticket_is_dropped_when_its_time_has_passed(seconds: int, offered: bool) -> None:
    """R5077-3.3-02: the lifetime hint here is 256 seconds."""
    now = NOW.timestamp()
    session = replace(
        old_session(session_id=b"", ticket=b"a ticket", ticket_lifetime_hint=256, ticket_received=now),
        extended_master_secret=True,
    )
    forge = Forge(client_end(RSA, session=session, session_tickets=True, config={"clock": lambda: now + seconds}), RSA)
    assert forge.client_hello is not None
    sent = {item.extension_type: item.extension_data for item in forge.client_hello.extensions or ()}
    assert sent[SESSION_TICKET] == (b"a ticket" if offered else b"")


def test_a_ticket_with_a_session_id() -> None:
    """R5077-3.4-01: the id beside an acceptable ticket is echoed; nobody looks it up."""
    twice = Twice()
    session = twice.ticket()
    client, server = twice.client(session), twice.server()
    hello = client.connection.data_to_send()
    server.connection.receive_data(hello)
    server.drive()
    flight = server.connection.data_to_send()
    offered = hello[5 + 4 + 34 + 1 : 5 + 4 + 34 + 33]
    assert hello[5 + 4 + 34] == 32
    assert flight[5 + 4 + 34 : 5 + 4 + 34 + 33] == b"\x20" + offered
    client.connection.receive_data(flight)
    client.drive()
    pump(client, server)
    assert client.connection.context.resumed
    assert server.connection.context.resumed


@pytest.mark.parametrize("spoil", [lambda t: t[:-1], lambda t: t[:40] + bytes([t[40] ^ 1]) + t[41:], lambda t: b"x"])
def test_an_unacceptable_ticket_with_a_good_session_id(spoil: Any) -> None:
    """R5077-3.4-01, R5077-3.2-02: a full handshake, not a resumption by the id."""
    twice = Twice()
    ticket = spoil(twice.ticket().ticket)
    known = old_session()
    twice.store.put(known)
    extensions = (EMPTY_RENEGOTIATION_INFO, Extension(SESSION_TICKET, ticket))
    forge = Forge(twice.server(), RSA, {"session_id": known.session_id, "extensions": extensions})
    forge.play((client_hello,))
    assert forge.server_hello is not None
    assert forge.server_hello.session_id != known.session_id
    assert not forge.target.connection.context.resumed
    without = Forge(twice.server(), RSA, {"session_id": known.session_id}, session=known).play((client_hello,))
    assert without.target.connection.context.resumed


@pytest.mark.parametrize(
    ("announced", "trace"),
    [
        pytest.param(True, server_trace(RSA), id="missing"),
        pytest.param(False, ticket_trace(), id="unannounced"),
        pytest.param(True, insert(server_trace(RSA), NEW_TICKET, after="change_cipher_spec"), id="late"),
        pytest.param(True, insert(server_trace(RSA), NEW_TICKET, before="server_hello_done"), id="early"),
        pytest.param(True, insert(ticket_trace(), NEW_TICKET, before="change_cipher_spec"), id="twice"),
    ],
)
def test_a_ticket_out_of_place(announced: bool, trace: Any) -> None:
    """R5077-3.3-01: exactly if ServerHello says so, and right before ChangeCipherSpec."""
    answer = (EMPTY_RENEGOTIATION_INFO, *((Extension(SESSION_TICKET, b""),) if announced else ()))
    forge = Forge(client_end(RSA, session_tickets=True), RSA, {"session_id": b"", "extensions": answer})
    refused(forge.play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_no_ticket_before_finished_is_verified() -> None:
    """R5077-3.3-01: a client that does not know the keys gets none; an honest one gets it, and Finished covers it."""
    twice = Twice()
    hello = {"extensions": (EMPTY_RENEGOTIATION_INFO, Extension(SESSION_TICKET, b""))}
    honest = Forge(twice.server(), RSA, hello).play(client_trace(RSA))
    carries_data(honest)
    assert [type(item).__name__ for item in honest.messages][-3:] == [
        "NewSessionTicket",
        "ChangeCipherSpec",
        "Finished",
    ]
    spoilt = alter(client_trace(RSA), "finished", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    other = Forge(twice.server(), RSA, hello).play(spoilt)
    refused(other, AlertDescription.DECRYPT_ERROR)
    assert "NewSessionTicket" not in [type(item).__name__ for item in other.messages]


def test_the_ticket_extension_on_the_line() -> None:
    """R5077-3.2-01: 00 23 00 00 at first, then the bare ticket; answered only if asked for and if one follows."""
    twice = Twice()
    session = twice.ticket()
    assert b"\0\x23\0\0" in twice.client().connection.data_to_send()
    length = len(session.ticket).to_bytes(2, "big")
    assert b"\0\x23" + length + session.ticket in twice.client(session).connection.data_to_send()
    for extensions, tickets in (((EMPTY_RENEGOTIATION_INFO,), True), ((Extension(SESSION_TICKET, b""),), False)):
        server = twice.server() if tickets else server_end(RSA)
        forge = Forge(server, RSA, {"extensions": extensions}).play(client_trace(RSA))
        assert forge.server_hello is not None
        kinds = [item.extension_type for item in forge.server_hello.extensions or ()]
        assert SESSION_TICKET not in kinds
        carries_data(forge)
    unasked = Forge(client_end(RSA), RSA, {"extensions": (Extension(SESSION_TICKET, b""),)})
    refused(unasked.play(server_trace(RSA)[:1]), AlertDescription.UNSUPPORTED_EXTENSION)


# ------------------------------------------------------------------------------------------------ RFC 4366 §4

PLAIN: dict[str, Any] = {"extensions": None}
NAMED: dict[str, Any] = {"server_names": ("only.example",), "alpn": ("h2",), "groups": (23,)}


@pytest.mark.parametrize(
    ("suite", "hello", "trace"),
    [
        pytest.param(RSA, {"cipher_suites": (0x00FE,)}, client_trace(RSA), id="suite"),
        pytest.param(RSA, {"compression_methods": (1,)}, client_trace(RSA), id="compression"),
        pytest.param(RSA, {"client_version": 0x0300}, client_trace(RSA), id="version"),
        pytest.param(ECDHE_RSA, {}, put(client_trace(ECDHE_RSA), "client_key_exchange", raw_message(16, b"")), id="ec"),
        pytest.param(RSA, {}, client_trace(RSA)[1:], id="order"),
        pytest.param(RSA, {}, alter(client_trace(RSA), "finished", lambda data: data[:-1] + b"!"), id="finished"),
        pytest.param(RSA, {}, put(client_trace(RSA), "client_hello", raw_message(1, b"")), id="form"),
    ],
)
def test_what_a_plain_client_is_told(suite: int, hello: dict[str, Any], trace: Any) -> None:
    """R4366-4-01: whatever goes wrong, no alert that a client without extensions cannot know."""
    forge = Forge(server_end(suite, **NAMED), suite, {**PLAIN, **hello}).play(trace)
    assert forge.fatal is not None
    assert forge.fatal < 110

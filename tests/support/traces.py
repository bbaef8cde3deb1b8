"""Honest flights as data, and the ways to spoil them.

A trace holds only what one side sends: the other side's messages come by themselves, since the forge listens after
every step. Editing functions take steps by name and complain about a name that is not there, so that no negative test
passes because it changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tests.support.forge import EMPTY_RENEGOTIATION_INFO, Forge, Step, Trace
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.groups import DHKeyPair, ECDHKeyPair, NamedCurve, dh_group
from tlsexit.crypto.keyops import encrypt, sign
from tlsexit.crypto.schedule import verify_data
from tlsexit.crypto.suites import SUITES, KeyExchange, Premaster
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import ECCurveType, HandshakeType
from tlsexit.handshake.finished import Finished
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello, ServerHelloDone
from tlsexit.wire import build

SESSION_ID = bytes(range(0x20, 0x40))
"""The session id that a forged server gives out."""


def client_trace(suite: int, *, certificate: bool = False) -> Trace:
    """A client's side of a full handshake; ``certificate`` if the server asks for one."""
    steps = [client_hello, client_key_exchange, change_cipher_spec, finished]
    if certificate:
        steps.insert(1, certificate_message)
        steps.insert(3, certificate_verify)
    return tuple(steps)


def server_trace(suite: int, *, request: bool = False) -> Trace:
    """A server's side of a full handshake; ``request`` to ask for a certificate."""
    exchange = SUITES[suite].key_exchange
    return (
        server_hello,
        *((certificate_message,) if exchange.certificate is not None else ()),
        *((server_key_exchange,) if exchange.server_key_exchange else ()),
        *((certificate_request,) if request else ()),
        server_hello_done,
        change_cipher_spec,
        finished,
    )


def resumed_trace(role: Role) -> Trace:
    """Either side of an abbreviated handshake, for a forge that has the session."""
    return (client_hello if role is Role.CLIENT else server_hello, change_cipher_spec, finished)


# ------------------------------------------------------------------------------------------------ editing


def position(trace: Trace, name: str) -> int:
    """Where the step is; KeyError if it is not there."""
    for index, step in enumerate(trace):
        if step.name == name:
            return index
    raise KeyError(name)


def until(trace: Trace, name: str) -> Trace:
    """The steps before ``name``."""
    return trace[: position(trace, name)]


def drop(trace: Trace, *names: str) -> Trace:
    """Leave steps out."""
    for name in names:
        at = position(trace, name)
        trace = trace[:at] + trace[at + 1 :]
    return trace


def repeat(trace: Trace, name: str) -> Trace:
    """Do one step twice in a row."""
    return insert(trace, trace[position(trace, name)], after=name)


def swap(trace: Trace, first: str, second: str) -> Trace:
    """Exchange two steps."""
    steps = list(trace)
    a, b = position(trace, first), position(trace, second)
    steps[a], steps[b] = steps[b], steps[a]
    return tuple(steps)


def insert(trace: Trace, step: Step, *, before: str | None = None, after: str | None = None) -> Trace:
    """Add a step in one place."""
    at = position(trace, before) if before is not None else position(trace, after or "") + 1
    return (*trace[:at], step, *trace[at:])


def put(trace: Trace, name: str, step: Step) -> Trace:
    """Do another step in place of one."""
    at = position(trace, name)
    return (*trace[:at], step, *trace[at + 1 :])


def alter(trace: Trace, name: str, function: Callable[[bytes], bytes]) -> Trace:
    """Change the bytes of a message, its header included, before it is sent and hashed."""
    old = trace[position(trace, name)]
    return put(trace, name, replace(old, build=lambda forge: function(old.build(forge))))


def split(trace: Trace, name: str, size: int) -> Trace:
    """Send a message in records of ``size`` bytes."""
    old = trace[position(trace, name)]
    return put(trace, name, replace(old, cut=lambda data: pieces_of(data, size)))


def pieces_of(data: bytes, size: int) -> Iterable[bytes]:
    """Cut into pieces of ``size`` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


# ------------------------------------------------------------------------------------------------ steps


def message(name: str, value: Any, **fields: Any) -> Step:
    """A step that sends one fixed handshake message."""
    return Step(name, lambda forge: encode(value), **fields)


def raw_message(handshake_type: int, body: bytes, name: str = "raw") -> Step:
    """A step that sends a handshake message of any type with any body."""
    return Step(name, lambda forge: bytes([handshake_type]) + len(body).to_bytes(3, "big") + body)


def record(content_type: int, data: bytes, name: str = "record") -> Step:
    """A step that sends one record that is no handshake message."""
    return Step(name, lambda forge: data, content_type)


def wire(data: bytes, name: str = "wire") -> Step:
    """A step that puts bytes on the wire."""
    return Step(name, lambda forge: data, None)


def _build_client_hello(forge: Forge) -> bytes:
    forge.client_hello = ClientHello(
        **{
            "client_version": 0x0301,
            "random": bytes(range(32)),
            "session_id": b"" if forge.session is None else forge.session.session_id,
            "cipher_suites": (forge.suite,),
            "compression_methods": (0,),
            "extensions": (EMPTY_RENEGOTIATION_INFO,),
            **forge.hello,
        }
    )
    return encode(forge.client_hello)


client_hello = Step("client_hello", _build_client_hello)


def _build_server_hello(forge: Forge) -> bytes:
    forge.server_hello = ServerHello(
        **{
            "server_version": 0x0301,
            "random": bytes(range(32, 64)),
            "session_id": SESSION_ID if forge.session is None else forge.session.session_id,
            "cipher_suite": forge.suite,
            "compression_method": 0,
            "extensions": (EMPTY_RENEGOTIATION_INFO,),
            **forge.hello,
        }
    )
    return encode(forge.server_hello)


server_hello = Step("server_hello", _build_server_hello)


def _build_certificate(forge: Forge) -> bytes:
    return encode(Certificate(forge.own_chain if forge.show_certificate or forge.role is Role.SERVER else ()))


certificate_message = Step("certificate", _build_certificate)


def server_params(forge: Forge) -> bytes:
    """Make the forged server's key pair and return its parameters in wire form."""
    if SUITES[forge.suite].key_exchange.premaster is Premaster.DH:
        group = dh_group("ffdhe2048")
        pair = DHKeyPair.generate(group)
        forge.key_pair = pair
        p = group.p.to_bytes(256, "big")
        return build(kx.SERVER_DH_PARAMS, kx.ServerDHParams(p, b"\x02", pair.public))
    point = ECDHKeyPair.generate(NamedCurve.SECP256R1)
    forge.key_pair = point
    params = kx.ServerECDHParams(ECCurveType.NAMED_CURVE, NamedCurve.SECP256R1, point.public)
    return build(kx.SERVER_ECDH_PARAMS, params)


def server_key_exchange_with(
    params: Callable[[Forge], bytes] = server_params, signature: Callable[[bytes], bytes] = lambda good: good
) -> Step:
    """A ServerKeyExchange with other parameters, rightly signed, or with a spoilt signature."""

    def built(forge: Forge) -> bytes:
        exchange: KeyExchange = SUITES[forge.suite].key_exchange
        encoded = params(forge)
        signed = signature(sign(forge.own_key, forge.params_digest(encoded))) if exchange.signed else None
        return encode(kx.build_server_key_exchange(encoded, signed))

    return Step("server_key_exchange", built)


server_key_exchange = server_key_exchange_with()


def _build_certificate_request(forge: Forge) -> bytes:
    return encode(CertificateRequest((1, 2, 64), (forge.pki.root.certificate.subject.public_bytes(),)))


certificate_request = Step("certificate_request", _build_certificate_request)
server_hello_done = message("server_hello_done", ServerHelloDone())
hello_request = message("hello_request", HelloRequest(), hashed=False)


def _build_client_key_exchange(forge: Forge) -> bytes:
    premaster = SUITES[forge.suite].key_exchange.premaster
    if not forge.peer_chain and forge.server_params is None:
        return encode(kx.ClientKeyExchange(bytes(8)))  # so early that nothing is known of the server
    if premaster is Premaster.RSA:
        assert forge.client_hello is not None
        forge.pre_master_secret = forge.client_hello.client_version.to_bytes(2, "big") + bytes(range(46))
        encrypted = kx.EncryptedPreMasterSecret(encrypt(forge.peer_key, forge.pre_master_secret))
        return encode(kx.build_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, encrypted))
    public = forge.agree_as_client()
    if premaster is Premaster.DH:
        number = kx.ClientDiffieHellmanPublic(public)
        return encode(kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, number))
    point = kx.ClientECDiffieHellmanPublic(public)
    return encode(kx.build_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, point))


client_key_exchange = Step("client_key_exchange", _build_client_key_exchange, after=Forge.derive)


def client_key_exchange_with(ciphertext: Callable[[Forge], bytes]) -> Step:
    """An RSA ClientKeyExchange around any ciphertext; Finished follows from the forge's ``pre_master_secret``."""

    def built(forge: Forge) -> bytes:
        encrypted = kx.EncryptedPreMasterSecret(ciphertext(forge))
        return encode(kx.build_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, encrypted))

    return Step("client_key_exchange", built, after=Forge.derive)


def client_public_value(public: bytes) -> Step:
    """A ClientKeyExchange with a Diffie-Hellman value of the test's choosing."""
    value = kx.ClientDiffieHellmanPublic(public)
    return message("client_key_exchange", kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, value))


def _build_certificate_verify(forge: Forge) -> bytes:
    return encode(CertificateVerify(sign(forge.own_key, forge.transcript_digest())))


certificate_verify = Step("certificate_verify", _build_certificate_verify)

change_cipher_spec = Step(
    "change_cipher_spec", lambda forge: b"\x01", ContentType.CHANGE_CIPHER_SPEC, after=Forge.change_write_keys
)


def _build_finished(forge: Forge) -> bytes:
    forge.verify_data = verify_data(forge.master_secret, forge.role, forge.transcript.digest())
    return encode(Finished(forge.verify_data))


finished = Step("finished", _build_finished)

ANY_MESSAGE: dict[HandshakeType, Step] = {
    HandshakeType.HELLO_REQUEST: hello_request,
    HandshakeType.CLIENT_HELLO: client_hello,
    HandshakeType.SERVER_HELLO: server_hello,
    HandshakeType.NEW_SESSION_TICKET: raw_message(HandshakeType.NEW_SESSION_TICKET, bytes(6), "new_session_ticket"),
    HandshakeType.CERTIFICATE: certificate_message,
    HandshakeType.SERVER_KEY_EXCHANGE: raw_message(HandshakeType.SERVER_KEY_EXCHANGE, bytes(8), "server_key_exchange"),
    HandshakeType.CERTIFICATE_REQUEST: certificate_request,
    HandshakeType.SERVER_HELLO_DONE: server_hello_done,
    HandshakeType.CERTIFICATE_VERIFY: raw_message(
        HandshakeType.CERTIFICATE_VERIFY, b"\0\x04sign", "certificate_verify"
    ),
    HandshakeType.CLIENT_KEY_EXCHANGE: raw_message(HandshakeType.CLIENT_KEY_EXCHANGE, bytes(8), "client_key_exchange"),
    HandshakeType.FINISHED: finished,
    HandshakeType.CERTIFICATE_STATUS: raw_message(
        HandshakeType.CERTIFICATE_STATUS, b"\x01\0\0\x01!", "certificate_status"
    ),
}
"""Some well-formed message of each type, for sending where it does not belong."""

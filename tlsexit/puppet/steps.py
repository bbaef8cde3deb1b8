"""What a puppet can send: every message as an honest end makes it, and steps around bytes of the caller's choosing.

Each builder works from the puppet's books at the moment its turn comes. The hellos take their fields from
:attr:`~tlsexit.puppet.puppet.Puppet.hello` where it has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tlsexit.constants import ContentType, ProtocolVersion, Role
from tlsexit.crypto.keyops import encrypt, sign
from tlsexit.exits.forms import load_certificate
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateVerify
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import ClientCertificateType, ExtensionType, HandshakeType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello, ServerHelloDone
from tlsexit.handshake.v2hello import build_v2_client_hello
from tlsexit.puppet.puppet import Puppet, Step
from tlsexit.wire import build

EMPTY_RENEGOTIATION_INFO: Final = Extension(ExtensionType.RENEGOTIATION_INFO, b"\0")
EXTENDED_MASTER_SECRET: Final = Extension(ExtensionType.EXTENDED_MASTER_SECRET, b"")
ENCRYPT_THEN_MAC: Final = Extension(ExtensionType.ENCRYPT_THEN_MAC, b"")

SESSION_ID: Final = bytes(range(0x20, 0x40))
"""The session id that a puppet hands out as a server, unless the client offers it."""

# ------------------------------------------------------------------------------------------------ of any making


def message(name: str, value: Any, **fields: Any) -> Step:
    """A step that sends one fixed handshake message."""
    return Step(name, lambda puppet: encode(value), **fields)


def raw_message(handshake_type: int, body: bytes, name: str = "raw", **fields: Any) -> Step:
    """A step that sends a handshake message of any type with any body."""
    return Step(name, lambda puppet: bytes([handshake_type]) + len(body).to_bytes(3, "big") + body, **fields)


def record(content_type: int, data: bytes, name: str = "record", **fields: Any) -> Step:
    """A step that sends one record that is no handshake message."""
    return Step(name, lambda puppet: data, content_type, **{"waits": False, **fields})


def wire(data: bytes, name: str = "wire", **fields: Any) -> Step:
    """A step that puts bytes on the line."""
    return Step(name, lambda puppet: data, None, **{"waits": False, **fields})


def alert(level: int, description: int) -> Step:
    """A step that sends an alert."""
    return record(ContentType.ALERT, bytes([level, description]), "alert")


def application_data(data: bytes, **fields: Any) -> Step:
    """A step that sends application data, once the handshake is through as far as it will go."""
    return record(ContentType.APPLICATION_DATA, data, "application_data", **{"waits": True, **fields})


def pause(seconds: float) -> Step:
    """A step that says nothing and listens for so long."""
    return wire(b"", "pause", after=lambda puppet: puppet.listen(seconds))


def trickle(data: bytes, seconds: float = 0.0) -> Step:
    """A step that puts bytes on the line one at a time, with a pause after each."""

    def after(puppet: Puppet) -> None:
        for value in data:
            puppet.send_bytes(bytes([value]))
            time.sleep(seconds)

    return wire(b"", "trickle", after=after)


hang_up: Final = wire(b"", "hang_up", after=Puppet.close)
"""Close the stream without close_notify."""

# ------------------------------------------------------------------------------------------------ hellos


def _renegotiation_info(puppet: Puppet) -> Extension:
    """What RFC 5746 §3.5 to §3.7 want in this end's hello: the verify_data of the handshake before."""
    data = puppet.previous.get(Role.CLIENT, b"")
    if puppet.role is Role.SERVER:
        data += puppet.previous.get(Role.SERVER, b"")
    return Extension(ExtensionType.RENEGOTIATION_INFO, bytes([len(data)]) + data)


def _client_hello(puppet: Puppet) -> ClientHello:
    if puppet.complete:
        puppet.begin()
    extensions = [_renegotiation_info(puppet)]
    if puppet.session is not None and puppet.session.extended_master_secret:
        extensions.append(EXTENDED_MASTER_SECRET)
    if puppet.session is not None and puppet.session.ticket:
        extensions.append(Extension(ExtensionType.SESSION_TICKET, puppet.session.ticket))
    puppet.client_hello = ClientHello(
        **{
            "client_version": ProtocolVersion.TLS_1_0,
            "random": puppet.random(32),
            "session_id": b"" if puppet.session is None else puppet.session.session_id,
            "cipher_suites": puppet.suites,
            "compression_methods": (0,),
            "extensions": (*extensions, *puppet.extensions),
            **puppet.hello,
        }
    )
    return puppet.client_hello


client_hello: Final = Step("client_hello", lambda puppet: encode(_client_hello(puppet)))


def _v2_client_hello(puppet: Puppet) -> bytes:
    raw = build_v2_client_hello(_client_hello(puppet))
    puppet.transcript = puppet.transcript.add(raw)
    return (0x8000 | len(raw)).to_bytes(2, "big") + raw


v2_client_hello: Final = Step("client_hello", _v2_client_hello, None)
"""The same in SSL 2.0 format, outside any record (appendix E.1)."""


def _new_session_id(puppet: Puppet) -> bytes:
    """An id that the client has not offered: echoing that would resume what this end does not know (§7.4.1.3)."""
    made = SESSION_ID
    while puppet.client_hello is not None and made == puppet.client_hello.session_id:
        made = puppet.random(32)
    return made


def _build_server_hello(puppet: Puppet) -> bytes:
    offered = () if puppet.client_hello is None else puppet.client_hello.cipher_suites
    puppet.server_hello = ServerHello(
        **{
            "server_version": ProtocolVersion.TLS_1_0,
            "random": puppet.random(32),
            "session_id": _new_session_id(puppet) if puppet.session is None else puppet.session.session_id,
            "cipher_suite": next((suite for suite in puppet.suites if suite in offered), puppet.suites[0]),
            "compression_method": 0,
            "extensions": (_renegotiation_info(puppet), *puppet.extensions),
            **puppet.hello,
        }
    )
    return encode(puppet.server_hello)


server_hello: Final = Step("server_hello", _build_server_hello)


def _after_hello_request(puppet: Puppet) -> None:
    if puppet.complete:
        puppet.begin()  # so that the next ClientHello is waited for


hello_request: Final = message("hello_request", HelloRequest(), hashed=False, after=_after_hello_request)

# ------------------------------------------------------------------------------------------------ server


def _build_certificate(puppet: Puppet) -> bytes:
    return encode(Certificate(puppet.own_chain if puppet.show_certificate or puppet.role is Role.SERVER else ()))


certificate_message: Final = Step("certificate", _build_certificate)


def server_params(puppet: Puppet) -> bytes:
    """Make the server's key pair and return its parameters in wire form."""
    return puppet.generate()


def server_key_exchange_with(
    params: Callable[[Any], bytes] = server_params, signature: Callable[[bytes], bytes] = lambda good: good
) -> Step:
    """A ServerKeyExchange with other parameters, rightly signed, or with a spoilt signature."""

    def built(puppet: Puppet) -> bytes:
        encoded = params(puppet)
        signed = None
        if puppet.exchange.signed:
            signed = signature(sign(puppet.own_key, puppet.params_digest(encoded)))
        return encode(kx.build_server_key_exchange(encoded, signed))

    return Step("server_key_exchange", built)


server_key_exchange: Final = server_key_exchange_with()


def _issuer(puppet: Puppet) -> bytes:
    return load_certificate(puppet.own_chain[-1]).issuer.public_bytes()


def _build_certificate_request(puppet: Puppet) -> bytes:
    types = (ClientCertificateType.RSA_SIGN, ClientCertificateType.DSS_SIGN, ClientCertificateType.ECDSA_SIGN)
    return encode(CertificateRequest(types, (_issuer(puppet),)))


certificate_request: Final = Step("certificate_request", _build_certificate_request)
"""All types, and the authority over the puppet's own chain."""


def _after_server_hello_done(puppet: Puppet) -> None:
    puppet.server_done = True


server_hello_done: Final = message("server_hello_done", ServerHelloDone(), after=_after_server_hello_done)


def new_session_ticket(ticket: bytes, lifetime_hint: int = 3600) -> Step:
    """A NewSessionTicket, where a server that promised one sends it (RFC 5077 §3.3)."""
    return message("new_session_ticket", NewSessionTicket(lifetime_hint, ticket))


# ------------------------------------------------------------------------------------------------ client


def asked(puppet: Puppet) -> bool:
    """Whether the server has asked for a certificate."""
    return puppet.request is not None


def asked_and_shown(puppet: Puppet) -> bool:
    """Whether the client has shown a certificate with a key that it must now prove to hold (§7.4.8)."""
    return asked(puppet) and puppet.show_certificate


def not_resumed(puppet: Puppet) -> bool:
    """Whether the handshake is a full one."""
    return not puppet.resumed


def _build_client_key_exchange(puppet: Puppet) -> bytes:
    if not puppet.peer_chain and puppet.server_params is None and not puppet.exchange.premaster.psk:
        return encode(kx.ClientKeyExchange(bytes(8)))  # so early that nothing is known of the server
    return encode(puppet.agree())


client_key_exchange: Final = Step("client_key_exchange", _build_client_key_exchange, after=Puppet.derive)


def client_key_exchange_with(ciphertext: Callable[[Any], bytes]) -> Step:
    """An RSA ClientKeyExchange around any ciphertext; Finished follows from the puppet's ``pre_master_secret``."""

    def built(puppet: Puppet) -> bytes:
        encrypted = kx.EncryptedPreMasterSecret(ciphertext(puppet))
        return encode(kx.build_client_key_exchange(kx.ENCRYPTED_PRE_MASTER_SECRET, encrypted))

    return Step("client_key_exchange", built, after=Puppet.derive)


def pre_master_secret_of(secret: bytes) -> Step:
    """An RSA ClientKeyExchange that conveys ``secret``, whatever its version and length."""

    def ciphertext(puppet: Puppet) -> bytes:
        puppet.pre_master_secret = secret
        return encrypt(puppet.peer_key, secret)

    return client_key_exchange_with(ciphertext)


def client_public_value(public: bytes) -> Step:
    """A ClientKeyExchange with a Diffie-Hellman value of the caller's choosing."""
    value = kx.ClientDiffieHellmanPublic(public)
    return message("client_key_exchange", kx.build_client_key_exchange(kx.CLIENT_DIFFIE_HELLMAN_PUBLIC, value))


def client_point(public: bytes) -> Step:
    """A ClientKeyExchange with an elliptic curve point of the caller's choosing."""
    body = build(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, kx.ClientECDiffieHellmanPublic(public))
    return raw_message(HandshakeType.CLIENT_KEY_EXCHANGE, body, "client_key_exchange")


def certificate_verify_with(
    digest: Callable[[Any], bytes] = Puppet.transcript_digest,
    signature: Callable[[bytes], bytes] = lambda good: good,
) -> Step:
    """A CertificateVerify over something else, or with a spoilt signature."""
    return Step(
        "certificate_verify",
        lambda puppet: encode(CertificateVerify(signature(sign(puppet.own_key, digest(puppet))))),
    )


certificate_verify: Final = certificate_verify_with()

# ------------------------------------------------------------------------------------------------ both

change_cipher_spec: Final = Step(
    "change_cipher_spec", lambda puppet: b"\x01", ContentType.CHANGE_CIPHER_SPEC, after=Puppet.change_write_keys
)


def finished_with(verify_data: Callable[[bytes], bytes] = lambda good: good) -> Step:
    """A Finished with other verify_data; the books hold what was sent."""

    def built(puppet: Puppet) -> bytes:
        data = verify_data(puppet.own_verify_data())
        puppet.finish(puppet.role, data)
        return raw_message(HandshakeType.FINISHED, data).build(puppet)

    return Step("finished", built)


finished: Final = finished_with()

ANY_MESSAGE: Final[dict[HandshakeType, Step]] = {
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
    HandshakeType.NEXT_PROTOCOL: raw_message(HandshakeType.NEXT_PROTOCOL, b"\x02h2\x1c" + bytes(28), "next_protocol"),
}
"""Some well-formed message of each type, for sending where it does not belong."""

"""What handshake messages say according to tlslite-ng, as plain JSON values: bytes in hex, names as in the RFCs.

The shape of a key-exchange message follows from the suite; it is given as the widths of its length prefixes.
"""

from __future__ import annotations

from typing import Any, Final

from tlslite.constants import CertificateType, CipherSuite
from tlslite.messages import (
    Certificate,
    CertificateRequest,
    CertificateStatus,
    CertificateVerify,
    ClientHello,
    Finished,
    NewSessionTicket1_0,
    ServerHello,
)
from tlslite.utils.codec import Parser

TLS_1_0: Final = (3, 1)

TYPES: Final = {
    0: "hello_request",
    1: "client_hello",
    2: "server_hello",
    4: "new_session_ticket",
    11: "certificate",
    12: "server_key_exchange",
    13: "certificate_request",
    14: "server_hello_done",
    15: "certificate_verify",
    16: "client_key_exchange",
    20: "finished",
    22: "certificate_status",
    67: "next_protocol",
}

# suites that tlslite-ng has no name for
OTHER_SUITES: Final = {
    0x0003: "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
    0x008C: "TLS_PSK_WITH_AES_128_CBC_SHA",
    0x0090: "TLS_DHE_PSK_WITH_AES_128_CBC_SHA",
    0x0094: "TLS_RSA_PSK_WITH_AES_128_CBC_SHA",
    0xC035: "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA",
}

DH = (("dh_p", 2), ("dh_g", 2), ("dh_Ys", 2))
ECDH = (("curve_type", -1), ("named_curve", -2), ("public", 1))
HINT = (("psk_identity_hint", 2),)
IDENTITY = (("psk_identity", 2),)
SIGNED = (("signature", 2),)
CIPHERTEXT = (("pre_master_secret", 2),)
YC = (("dh_Yc", 2),)
POINT = (("ecdh_Yc", 1),)

# key exchange -> the fields of ServerKeyExchange and ClientKeyExchange; a negative width is a number of that many bytes
KEY_EXCHANGES: Final = {
    "RSA": ((), CIPHERTEXT),
    "RSA_EXPORT": ((("rsa_modulus", 2), ("rsa_exponent", 2), *SIGNED), CIPHERTEXT),
    "DHE_RSA": ((*DH, *SIGNED), YC),
    "DHE_DSS": ((*DH, *SIGNED), YC),
    "DH_ANON": (DH, YC),
    "ECDHE_RSA": ((*ECDH, *SIGNED), POINT),
    "ECDHE_ECDSA": ((*ECDH, *SIGNED), POINT),
    "PSK": (HINT, IDENTITY),
    "RSA_PSK": (HINT, (*IDENTITY, *CIPHERTEXT)),
    "DHE_PSK": ((*HINT, *DH), (*IDENTITY, *YC)),
    "ECDHE_PSK": ((*HINT, *ECDH), (*IDENTITY, *POINT)),
}


def key_exchange(suite: int) -> str:
    """The key exchange in the name of a suite."""
    name = CipherSuite.ietfNames.get(suite) or OTHER_SUITES[suite]
    exchange: str = name.removeprefix("TLS_").partition("_WITH_")[0]
    return exchange


def hello_suite(raw: bytes) -> int | None:
    """The suite that a ServerHello chooses; None for any other message."""
    return ServerHello().parse(_body(raw)).cipher_suite if raw[0] == 2 else None


def decode(raw: bytes, suite: int | None) -> tuple[str, dict[str, Any]]:
    """The name of the message and its fields. An SSL 2.0 hello begins with its 2-byte length."""
    if raw[0] & 0x80:
        return "v2_client_hello", _client_hello(ClientHello(ssl2=True).parse(Parser(bytearray(raw[3:]))))
    kind, body = TYPES[raw[0]], _body(raw)
    if kind == "client_hello":
        return kind, _client_hello(ClientHello().parse(body))
    if kind == "server_hello":
        hello = ServerHello().parse(body)
        return kind, {
            "server_version": _version(hello.server_version),
            "random": hello.random.hex(),
            "session_id": hello.session_id.hex(),
            "cipher_suite": hello.cipher_suite,
            "compression_method": hello.compression_method,
            "extensions": _extensions(hello),
        }
    if kind == "certificate":
        chain = Certificate(CertificateType.x509, TLS_1_0).parse(body).cert_chain
        return kind, {"certificate_list": [bytes(c.bytes).hex() for c in chain.x509List] if chain else []}
    if kind == "certificate_request":
        request = CertificateRequest(TLS_1_0).parse(body)
        return kind, {
            "certificate_types": list(request.certificate_types),
            "certificate_authorities": [name.hex() for name in request.certificate_authorities],
        }
    if kind == "certificate_verify":
        return kind, {"signature": CertificateVerify(TLS_1_0).parse(body).signature.hex()}
    if kind == "finished":
        return kind, {"verify_data": Finished(TLS_1_0).parse(body).verify_data.hex()}
    if kind == "new_session_ticket":
        ticket = NewSessionTicket1_0().parse(body)
        return kind, {"ticket_lifetime_hint": ticket.ticket_lifetime, "ticket": ticket.ticket.hex()}
    if kind == "next_protocol":
        return kind, _fields(body, (("selected_protocol", 1), ("padding", 1)))
    if kind == "certificate_status":
        status = CertificateStatus().parse(body)
        return kind, {"status_type": status.status_type, "response": status.ocsp.hex()}
    if kind.endswith("key_exchange"):
        assert suite is not None
        shapes = KEY_EXCHANGES[key_exchange(suite)]
        return kind, _fields(body, shapes[kind == "client_key_exchange"])
    body.startLengthCheck(3)
    body.stopLengthCheck()
    return kind, {}


def _body(raw: bytes) -> Any:
    """A parser that stands at the length of the message, where tlslite-ng's classes begin."""
    return Parser(bytearray(raw[1:]))


def _fields(body: Any, shape: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    body.startLengthCheck(3)
    fields = {name: body.get(-width) if width < 0 else body.getVarBytes(width).hex() for name, width in shape}
    body.stopLengthCheck()
    return fields


def _client_hello(hello: Any) -> dict[str, Any]:
    return {
        "client_version": _version(hello.client_version),
        "random": hello.random.hex(),
        "session_id": hello.session_id.hex(),
        "cipher_suites": list(hello.cipher_suites),
        "compression_methods": list(hello.compression_methods),
        "extensions": None if hello.ssl2 else _extensions(hello),
    }


def _extensions(hello: Any) -> list[list[Any]] | None:
    """Type and body of each; tlslite-ng keeps bodies parsed, so they are written again by its own code."""
    if hello.extensions is None:
        return None
    return [[extension.extType, bytes(extension.write())[4:].hex()] for extension in hello.extensions]


def _version(version: tuple[int, int]) -> int:
    return version[0] << 8 | version[1]

"""The same structures parsed and built by hand, as one would for speed alone.

Every bound is checked, as in the grammars, so that both do the same work. An error says only that something is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.extensions import Extension, ServerName
from tlsexit.handshake.finished import Finished, NewSessionTicket
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.handshake.keyexchange import EncryptedPreMasterSecret, ServerDHParams, ServerECDHParams
from tlsexit.records.grammar import Alert

_ClientHello: Final = struct.Struct(">H32sB")
_ServerChoice: Final = struct.Struct(">HB")
_TwoShorts: Final = struct.Struct(">HH")
_Curve: Final = struct.Struct(">BHB")
_Ticket: Final = struct.Struct(">IH")


def _wrong() -> ValueError:
    return ValueError("not the structure expected")


def _opaque(data: bytes, offset: int, prefix: int, floor: int = 0) -> tuple[bytes, int]:
    start = offset + prefix
    stop = start + int.from_bytes(data[offset:start], "big")
    if start > len(data) or stop > len(data) or stop - start < floor:
        raise _wrong()
    return data[start:stop], stop


def _list(data: bytes, prefix: int, floor: int = 0) -> tuple[bytes, ...]:
    items = []
    offset = 0
    while offset < len(data):
        item, offset = _opaque(data, offset, prefix, floor)
        items.append(item)
    return tuple(items)


def _end(data: bytes, offset: int) -> None:
    if offset != len(data):
        raise _wrong()


def _extensions(data: bytes, offset: int) -> tuple[Extension, ...] | None:
    if offset == len(data):
        return None
    block, offset = _opaque(data, offset, 2)
    _end(data, offset)
    found = []
    offset, end = 0, len(block)
    while offset < end:
        if offset + 4 > end:
            raise _wrong()
        kind, length = _TwoShorts.unpack_from(block, offset)
        offset += 4 + length
        if offset > end:
            raise _wrong()
        found.append(Extension(kind, block[offset - length : offset]))
    if len({item.extension_type for item in found}) != len(found):
        raise _wrong()
    return tuple(found)


def parse_client_hello(data: bytes) -> ClientHello:
    if len(data) < 35:
        raise _wrong()
    version, random, id_length = _ClientHello.unpack_from(data)
    offset = 35 + id_length
    suites, after = _opaque(data, offset, 2, 2)
    methods, end = _opaque(data, after, 1, 1)
    if id_length > 32 or len(suites) % 2:
        raise _wrong()
    return ClientHello(
        version,
        random,
        data[35:offset],
        struct.unpack(f">{len(suites) // 2}H", suites),
        tuple(methods),
        _extensions(data, end),
    )


def parse_server_hello(data: bytes) -> ServerHello:
    if len(data) < 38:
        raise _wrong()
    version, random, id_length = _ClientHello.unpack_from(data)
    offset = 35 + id_length
    if id_length > 32 or offset + 3 > len(data):
        raise _wrong()
    suite, method = _ServerChoice.unpack_from(data, offset)
    return ServerHello(version, random, data[35:offset], suite, method, _extensions(data, offset + 3))


def parse_certificate(data: bytes) -> Certificate:
    block, end = _opaque(data, 0, 3)
    _end(data, end)
    return Certificate(_list(block, 3, 1))


def parse_certificate_request(data: bytes) -> CertificateRequest:
    types, offset = _opaque(data, 0, 1, 1)
    names, end = _opaque(data, offset, 2)
    _end(data, end)
    return CertificateRequest(tuple(types), _list(names, 2, 1))


def parse_certificate_verify(data: bytes) -> CertificateVerify:
    signature, end = _opaque(data, 0, 2)
    _end(data, end)
    return CertificateVerify(signature)


def parse_certificate_status(data: bytes) -> CertificateStatus:
    if data[:1] != b"\1":
        raise _wrong()
    response, end = _opaque(data, 1, 3, 1)
    _end(data, end)
    return CertificateStatus(1, response)


def parse_dh_params(data: bytes) -> ServerDHParams:
    p, offset = _opaque(data, 0, 2, 1)
    g, offset = _opaque(data, offset, 2, 1)
    public, end = _opaque(data, offset, 2, 1)
    _end(data, end)
    return ServerDHParams(p, g, public)


def parse_ecdh_params(data: bytes) -> ServerECDHParams:
    if len(data) < 4:
        raise _wrong()
    kind, curve, length = _Curve.unpack_from(data)
    if kind != 3 or not length or len(data) != 4 + length:
        raise _wrong()
    return ServerECDHParams(kind, curve, data[4:])


def parse_encrypted(data: bytes) -> EncryptedPreMasterSecret:
    secret, end = _opaque(data, 0, 2)
    _end(data, end)
    return EncryptedPreMasterSecret(secret)


def parse_ticket(data: bytes) -> NewSessionTicket:
    if len(data) < 6:
        raise _wrong()
    hint, length = _Ticket.unpack_from(data)
    if len(data) != 6 + length:
        raise _wrong()
    return NewSessionTicket(hint, data[6:])


def parse_finished(data: bytes) -> Finished:
    if len(data) != 12:
        raise _wrong()
    return Finished(data)


def parse_alert(data: bytes) -> Alert:
    if len(data) != 2:
        raise _wrong()
    return Alert(data[0], data[1])


def parse_server_names(data: bytes) -> tuple[ServerName, ...]:
    block, end = _opaque(data, 0, 2, 1)
    _end(data, end)
    names = []
    offset = 0
    while offset < len(block):
        kind = block[offset]
        name, offset = _opaque(block, offset + 1, 2, 0 if kind else 1)
        names.append(ServerName(kind, name))
    return tuple(names)


def parse_groups(data: bytes) -> tuple[int, ...]:
    block, end = _opaque(data, 0, 2, 1)
    _end(data, end)
    if len(block) % 2:
        raise _wrong()
    return struct.unpack(f">{len(block) // 2}H", block)


def parse_protocols(data: bytes) -> tuple[bytes, ...]:
    block, end = _opaque(data, 0, 2, 2)
    _end(data, end)
    return _list(block, 1, 1)


def _framed(contents: bytes, prefix: int, floor: int = 0) -> bytes:
    length = len(contents)
    if length < floor:
        raise _wrong()
    return length.to_bytes(prefix, "big") + contents


def _extension_block(extensions: tuple[Extension, ...] | None) -> bytes:
    if extensions is None:
        return b""
    parts = []
    for item in extensions:
        parts += [_TwoShorts.pack(item.extension_type, len(item.extension_data)), item.extension_data]
    return _framed(b"".join(parts), 2)


def build_client_hello(value: ClientHello) -> bytes:
    count = len(value.cipher_suites)
    if len(value.random) != 32 or len(value.session_id) > 32 or not count:
        raise _wrong()
    return b"".join(
        (
            _ClientHello.pack(value.client_version, value.random, len(value.session_id)),
            value.session_id,
            struct.pack(f">H{count}H", 2 * count, *value.cipher_suites),
            _framed(bytes(value.compression_methods), 1, 1),
            _extension_block(value.extensions),
        )
    )


def build_server_hello(value: ServerHello) -> bytes:
    if len(value.random) != 32 or len(value.session_id) > 32:
        raise _wrong()
    return b"".join(
        (
            _ClientHello.pack(value.server_version, value.random, len(value.session_id)),
            value.session_id,
            _ServerChoice.pack(value.cipher_suite, value.compression_method),
            _extension_block(value.extensions),
        )
    )


def build_certificate_request(value: CertificateRequest) -> bytes:
    names = b"".join([_framed(name, 2, 1) for name in value.certificate_authorities])
    return _framed(bytes(value.certificate_types), 1, 1) + _framed(names, 2)


def build_ecdh_params(value: ServerECDHParams) -> bytes:
    if value.curve_type != 3 or not value.public:
        raise _wrong()
    return _Curve.pack(value.curve_type, value.named_curve, len(value.public)) + value.public


def build_finished(value: Finished) -> bytes:
    if len(value.verify_data) != 12:
        raise _wrong()
    return value.verify_data


def build_server_names(value: tuple[ServerName, ...]) -> bytes:
    return _framed(b"".join([bytes([item.name_type]) + _framed(item.name, 2, 1) for item in value]), 2, 1)


PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "ClientHello": parse_client_hello,
    "ServerHello": parse_server_hello,
    "Certificate": parse_certificate,
    "CertificateRequest": parse_certificate_request,
    "CertificateVerify": parse_certificate_verify,
    "CertificateStatus": parse_certificate_status,
    "ServerDHParams": parse_dh_params,
    "ServerECDHParams": parse_ecdh_params,
    "EncryptedPreMasterSecret": parse_encrypted,
    "NewSessionTicket": parse_ticket,
    "Finished": parse_finished,
    "Alert": parse_alert,
    "server_name": parse_server_names,
    "supported_groups": parse_groups,
    "protocol_name_list": parse_protocols,
}
"""By the names of the samples."""

BUILDERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "ClientHello": build_client_hello,
    "ServerHello": build_server_hello,
    "Certificate": lambda value: _framed(b"".join([_framed(item, 3, 1) for item in value.certificate_list]), 3),
    "CertificateRequest": build_certificate_request,
    "CertificateVerify": lambda value: _framed(value.signature, 2),
    "CertificateStatus": lambda value: bytes([value.status_type]) + _framed(value.response, 3, 1),
    "ServerDHParams": lambda value: _framed(value.dh_p, 2, 1) + _framed(value.dh_g, 2, 1) + _framed(value.dh_Ys, 2, 1),
    "ServerECDHParams": build_ecdh_params,
    "EncryptedPreMasterSecret": lambda value: _framed(value.pre_master_secret, 2),
    "NewSessionTicket": lambda value: _Ticket.pack(value.ticket_lifetime_hint, len(value.ticket)) + value.ticket,
    "Finished": build_finished,
    "Alert": lambda value: bytes([value.level, value.description]),
    "server_name": build_server_names,
    "supported_groups": lambda value: struct.pack(f">H{len(value)}H", 2 * len(value), *value),
    "protocol_name_list": lambda value: _framed(b"".join([_framed(item, 1, 1) for item in value]), 2, 2),
}
"""By the names of the samples."""

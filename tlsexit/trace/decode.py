"""Protocol messages, field by field (RFC 2246 §7, RFC 4366 and the others named in the grammars).

A :class:`Decoder` follows one connection, because the bodies of the key exchange messages depend on the suite that
ServerHello chose. Nothing a peer sends makes it fail: what does not parse is shown as bytes, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tlsexit.alerts import PeerError
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES, CipherSuite, KeyExchange, Premaster
from tlsexit.events import MessageSeen
from tlsexit.handshake import certificate, finished, hello
from tlsexit.handshake import extensions as ext
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.handshake.enums import ExtensionType, HandshakeType, IdentifierType
from tlsexit.trace import names
from tlsexit.trace.certificates import name_text, printable, summary
from tlsexit.trace.rows import MessageRow
from tlsexit.trace.values import Hidden, Named, Octets, Structure, Tagged, Value, count, lines, plain
from tlsexit.wire import Leaf, parse


@dataclass(frozen=True, slots=True)
class Decoded:
    """One message: its name and section as in the RFC, its length in bytes with header, and its fields."""

    name: str
    section: str
    sender: Role
    length: int
    protected: bool
    fields: Structure

    def lines(self) -> Iterable[str]:
        """The lines for a person: a title, then the fields."""
        lock = ", protected" if self.protected else ""
        where = self.section if not self.section[0].isdigit() else f"RFC 2246 §{self.section}"
        yield f"{self.sender.value} → {self.sender.peer.value}: {self.name} ({where}), {count(self.length)}{lock}"
        yield from lines(self.fields, 2)

    def plain(self) -> dict[str, Any]:
        """The form for JSON."""
        return {
            "name": self.name,
            "section": self.section,
            "from": self.sender.value,
            "length": self.length,
            "protected": self.protected,
            "fields": plain(self.fields),
        }


class Decoder:
    """Decodes the messages of one connection, in order."""

    def __init__(self) -> None:
        self._suite: CipherSuite | None = None
        self.server_extensions: frozenset[int] = frozenset()
        """The types of the extensions in the last ServerHello."""

    def decode(self, row: MessageRow) -> Decoded:
        """Return the message of a row, decoded."""
        name, section = title(row.seen)
        return Decoded(name, section, row.sender, row.length, row.seen.protected, self._fields(row))

    def _fields(self, row: MessageRow) -> Structure:
        seen, sender, message = row.seen, row.sender, row.seen.message
        if seen.content_type is ContentType.APPLICATION_DATA:
            return Structure.of(data=Hidden(row.length))
        if message is None:
            return Structure.of(body=Octets(seen.raw))
        if seen.content_type is ContentType.ALERT:
            return Structure.of(
                level=Named.of(message.level, names.ALERT_LEVELS),
                description=Named.of(message.description, names.ALERTS),
            )
        if seen.content_type is ContentType.CHANGE_CIPHER_SPEC:
            return Structure.of(type=Named.of(message.type, {1: "change_cipher_spec"}))
        if isinstance(message, hello.ServerHello):
            self._suite = SUITES.get(message.cipher_suite)
            self.server_extensions = frozenset(item.extension_type for item in message.extensions or ())
        if isinstance(message, kx.ServerKeyExchange):
            return self._guarded(message.body, _server_key_exchange)
        if isinstance(message, kx.ClientKeyExchange):
            return self._guarded(message.body, _client_key_exchange)
        decode = _MESSAGES.get(type(message))
        return Structure.of(body=Octets(seen.raw)) if decode is None else decode(message, sender)

    def _guarded(self, body: bytes, decode: Callable[[KeyExchange, bytes], Structure]) -> Structure:
        """Decode a key exchange body with the suite's grammar; a body that does not match is shown by its length."""
        if self._suite is None:
            return Structure.of(body=Hidden(len(body)))
        try:
            return decode(self._suite.key_exchange, body)
        except PeerError as error:
            return Structure.of(body=Hidden(len(body)), malformed=printable(error.reason))


def title(seen: MessageSeen) -> tuple[str, str]:
    """Return a message's name and the section that defines it."""
    if seen.content_type is ContentType.APPLICATION_DATA:
        return "Application Data", "10"
    if seen.content_type is ContentType.ALERT:
        return "Alert", "7.2"
    if seen.content_type is ContentType.CHANGE_CIPHER_SPEC:
        return "ChangeCipherSpec", "7.1"
    if seen.content_type is None:
        return "bytes outside records", "6.2.1"
    if seen.content_type is not ContentType.HANDSHAKE:
        return f"record of type {seen.content_type}", "6.2.1"
    if seen.message is None:
        return _malformed(seen.raw), "7.4"
    return type(seen.message).__name__, seen.message.section


def _malformed(raw: bytes) -> str:
    """Name handshake bytes that are no message, by the type they begin with."""
    if not raw:
        return "empty handshake fragment"
    try:
        kind = HandshakeType(raw[0])
    except ValueError:
        return f"handshake message of type {raw[0]}"
    return f"malformed {GRAMMARS[kind][0].__name__}"


# ------------------------------------------------------------------------------------------------ hellos


def _random(data: bytes) -> Structure:
    seconds = int.from_bytes(data[:4], "big")
    when = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Structure.of(gmt_unix_time=Named(seconds, when), random_bytes=Octets(data[4:]))


def _client_hello(message: hello.ClientHello, sender: Role) -> Structure:
    return Structure.of(
        client_version=_version(message.client_version),
        random=_random(message.random),
        session_id=Octets(message.session_id),
        cipher_suites=_all(message.cipher_suites, names.SUITE_NAMES, 4),
        compression_methods=_all(message.compression_methods, names.COMPRESSION_METHODS),
        extensions=_extensions(message.extensions, sender),
    )


def _server_hello(message: hello.ServerHello, sender: Role) -> Structure:
    return Structure.of(
        server_version=_version(message.server_version),
        random=_random(message.random),
        session_id=Octets(message.session_id),
        cipher_suite=Named.of(message.cipher_suite, names.SUITE_NAMES, 4),
        compression_method=Named.of(message.compression_method, names.COMPRESSION_METHODS),
        extensions=_extensions(message.extensions, sender),
    )


def _version(number: int) -> Named:
    return Named.of(number, names.VERSIONS, 4)


def _all(numbers: Iterable[int], known: Mapping[int, str], digits: int = 0) -> tuple[Named, ...]:
    return tuple(Named.of(number, known, digits) for number in numbers)


def _extensions(extensions: tuple[ext.Extension, ...] | None, sender: Role) -> tuple[Tagged, ...]:
    return tuple(_extension(item, sender) for item in extensions or ())


def _extension(item: ext.Extension, sender: Role) -> Tagged:
    tag = Named.of(item.extension_type, names.EXTENSIONS)
    keys = ("extension_type", "extension_data")
    grammar = ext.BODIES[sender].get(item.extension_type)
    if grammar is None:
        return Tagged(tag, Octets(item.extension_data), keys)
    try:
        body = parse(grammar, item.extension_data, tag.name or "extension")
    except PeerError as error:
        return Tagged(tag, Structure.of(malformed=printable(error.reason), data=Octets(item.extension_data)), keys)
    if grammar is ext.EMPTY:
        return Tagged(tag, None, keys)
    return Tagged(tag, _EXTENSIONS[ExtensionType(item.extension_type)](body), keys)


def _server_names(body: tuple[ext.ServerName, ...]) -> Value:
    keys = ("name_type", "name")
    return tuple(Tagged(Named.of(item.name_type, names.NAME_TYPES), _text(item.name), keys) for item in body)


def _trusted_authorities(body: tuple[ext.TrustedAuthority, ...]) -> Value:
    def identifier(item: ext.TrustedAuthority) -> Value:
        if item.identifier_type == IdentifierType.X509_NAME:
            return name_text(item.identifier)
        return Octets(item.identifier) if item.identifier else None

    keys = ("identifier_type", "identifier")
    return tuple(Tagged(Named.of(i.identifier_type, names.IDENTIFIER_TYPES), identifier(i), keys) for i in body)


def _status_request(body: ext.CertificateStatusRequest) -> Value:
    request = body.request
    return Tagged(
        Named.of(body.status_type, names.STATUS_TYPES),
        Octets(request)
        if isinstance(request, bytes)
        else Structure.of(
            responder_id_list=tuple(Octets(item) for item in request.responder_id_list),
            request_extensions=Octets(request.request_extensions),
        ),
        ("status_type", "request"),
    )


_EXTENSIONS: Final[Mapping[ExtensionType, Callable[[Any], Value]]] = {
    ExtensionType.SERVER_NAME: _server_names,
    ExtensionType.MAX_FRAGMENT_LENGTH: lambda body: Named.of(body, names.FRAGMENT_LENGTHS),
    ExtensionType.TRUSTED_CA_KEYS: _trusted_authorities,
    ExtensionType.STATUS_REQUEST: _status_request,
    ExtensionType.SUPPORTED_GROUPS: lambda body: _all(body, names.GROUPS),
    ExtensionType.EC_POINT_FORMATS: lambda body: _all(body, names.POINT_FORMATS),
    ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: lambda body: tuple(_text(item) for item in body),
    ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP: lambda body: tuple(Octets(item) for item in body),
    ExtensionType.NEXT_PROTOCOL_NEGOTIATION: lambda body: tuple(_text(item) for item in body),
    ExtensionType.SESSION_TICKET: lambda body: Hidden(len(body)),
    ExtensionType.RENEGOTIATION_INFO: Octets,
}
"""How the body of each extension with a grammar is shown, unless it is empty by definition."""


def _text(data: bytes) -> str:
    return printable(data.decode("ascii", "backslashreplace"))


# ------------------------------------------------------------------------------------------------ certificates


def _certificate(message: certificate.Certificate, sender: Role) -> Structure:
    return Structure.of(certificate_list=tuple(summary(der) for der in message.certificate_list))


def _certificate_request(message: certificate.CertificateRequest, sender: Role) -> Structure:
    return Structure.of(
        certificate_types=_all(message.certificate_types, names.CERTIFICATE_TYPES),
        certificate_authorities=tuple(name_text(der) for der in message.certificate_authorities),
    )


def _certificate_status(message: certificate.CertificateStatus, sender: Role) -> Structure:
    return Structure.of(
        status_type=Named.of(message.status_type, names.STATUS_TYPES), response=Octets(message.response)
    )


# ------------------------------------------------------------------------------------------------ key exchange


def _server_key_exchange(exchange: KeyExchange, body: bytes) -> Structure:
    grammar = _SERVER_PARAMS.get(KeyExchange.RSA_EXPORT if exchange is KeyExchange.RSA_EXPORT else exchange.premaster)
    if grammar is None:
        return Structure.of(body=Hidden(len(body)))
    params, _, signature = kx.parse_server_key_exchange(grammar, kx.ServerKeyExchange(body), signed=exchange.signed)
    shown = _params(params)
    return shown if signature is None else Structure((*shown.fields, ("signature", Octets(signature))))


def _params(params: object) -> Structure:
    if isinstance(params, kx.ServerDHParams):
        return Structure.of(dh_p=Octets(params.dh_p), dh_g=Octets(params.dh_g), dh_Ys=Octets(params.dh_Ys))
    if isinstance(params, kx.ServerECDHParams):
        return Structure.of(
            curve_type=Named.of(params.curve_type, names.CURVE_TYPES),
            named_curve=Named.of(params.named_curve, names.GROUPS),
            public=Octets(params.public),
        )
    if isinstance(params, kx.ServerRSAParams):
        return Structure.of(rsa_modulus=Octets(params.rsa_modulus), rsa_exponent=Octets(params.rsa_exponent))
    if isinstance(params, kx.ServerDHPskParams | kx.ServerECDHPskParams):
        hint = ("psk_identity_hint", _text(params.psk_identity_hint))
        return Structure((hint, *_params(params.params).fields))
    assert isinstance(params, kx.ServerPskHint)
    return Structure.of(psk_identity_hint=_text(params.psk_identity_hint))


_SERVER_PARAMS: Final[Mapping[KeyExchange | Premaster, Leaf[Any]]] = {
    KeyExchange.RSA_EXPORT: kx.SERVER_RSA_PARAMS,
    Premaster.DH: kx.SERVER_DH_PARAMS,
    Premaster.ECDH: kx.SERVER_ECDH_PARAMS,
    Premaster.PSK: kx.SERVER_PSK_HINT,
    Premaster.RSA_PSK: kx.SERVER_PSK_HINT,
    Premaster.DHE_PSK: kx.SERVER_DH_PSK_PARAMS,
    Premaster.ECDHE_PSK: kx.SERVER_ECDH_PSK_PARAMS,
}


def _client_key_exchange(exchange: KeyExchange, body: bytes) -> Structure:
    value = kx.parse_client_key_exchange(_CLIENT_KEYS[exchange.premaster], kx.ClientKeyExchange(body))
    identity: tuple[tuple[str, Value], ...] = ()
    if exchange.premaster.psk:
        identity = (("psk_identity", _text(value.psk_identity)),)
    if isinstance(value, kx.ClientPskIdentity):
        return Structure(identity)
    if isinstance(value, kx.ClientRSAPsk):
        value = value.encrypted
    elif isinstance(value, kx.ClientDHPsk | kx.ClientECDHPsk):
        value = value.public
    if isinstance(value, kx.ClientDiffieHellmanPublic):
        return Structure((*identity, ("dh_Yc", Octets(value.dh_Yc))))
    if isinstance(value, kx.ClientECDiffieHellmanPublic):
        return Structure((*identity, ("ecdh_Yc", Octets(value.ecdh_Yc))))
    assert isinstance(value, kx.EncryptedPreMasterSecret)
    return Structure((*identity, ("pre_master_secret", Hidden(len(value.pre_master_secret)))))


_CLIENT_KEYS: Final[Mapping[Premaster, Leaf[Any]]] = {
    Premaster.RSA: kx.ENCRYPTED_PRE_MASTER_SECRET,
    Premaster.DH: kx.CLIENT_DIFFIE_HELLMAN_PUBLIC,
    Premaster.ECDH: kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC,
    Premaster.PSK: kx.CLIENT_PSK_IDENTITY,
    Premaster.RSA_PSK: kx.CLIENT_RSA_PSK,
    Premaster.DHE_PSK: kx.CLIENT_DH_PSK,
    Premaster.ECDHE_PSK: kx.CLIENT_ECDH_PSK,
}


# ------------------------------------------------------------------------------------------------ the rest


def _ticket(message: finished.NewSessionTicket, sender: Role) -> Structure:
    return Structure.of(ticket_lifetime_hint=message.ticket_lifetime_hint, ticket=Hidden(len(message.ticket)))


def _next_protocol(message: finished.NextProtocol, sender: Role) -> Structure:
    return Structure.of(selected_protocol=_text(message.selected_protocol), padding=Octets(message.padding))


def _nothing(message: object, sender: Role) -> Structure:
    return Structure(())


_MESSAGES: Final[Mapping[type[Any], Callable[[Any, Role], Structure]]] = {
    hello.HelloRequest: _nothing,
    hello.ClientHello: _client_hello,
    hello.ServerHello: _server_hello,
    hello.ServerHelloDone: _nothing,
    certificate.Certificate: _certificate,
    certificate.CertificateRequest: _certificate_request,
    certificate.CertificateStatus: _certificate_status,
    certificate.CertificateVerify: lambda message, _: Structure.of(signature=Octets(message.signature)),
    finished.Finished: lambda message, _: Structure.of(verify_data=Octets(message.verify_data)),
    finished.NewSessionTicket: _ticket,
    finished.NextProtocol: _next_protocol,
}

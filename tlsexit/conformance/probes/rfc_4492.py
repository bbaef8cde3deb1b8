"""Elliptic curves: RFC 4492."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    established,
    expect,
    handshake,
    onwards,
    refused,
    through,
)
from tlsexit.conformance.expect import alert, closed, completed, refusal, said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import ASKS, ECDHE, SHOWS
from tlsexit.conformance.probes.rfc_4366 import with_extension
from tlsexit.conformance.probes.section_7_2_2 import flip
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.probes.section_7_4_3 import signature_is_right
from tlsexit.conformance.probes.section_7_4_4 import SENT, asking
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.groups import ECDHKeyPair, NamedCurve
from tlsexit.crypto.keyops import key_type
from tlsexit.crypto.suites import SUITES, KeyType, Premaster
from tlsexit.handshake import extensions as ext
from tlsexit.handshake import keyexchange as kx
from tlsexit.handshake.codec import encode
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet import Puppet
from tlsexit.puppet.steps import client_key_exchange, client_point, raw_message, server_key_exchange_with

selection = Group("RFC4492-4")
formats = Group("RFC4492-5.1.2")
parameters = Group("RFC4492-5.4")
certificates = Group("RFC4492-5.5")
points = Group("RFC4492-5.7")
agreement = Group("RFC4492-5.10")

_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The prime of secp256r1."""

_GOOD: Final = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
"""The base point of secp256r1."""

POINTS: Final[dict[str, bytes]] = {
    "off-the-curve": _GOOD[:-1] + bytes([_GOOD[-1] ^ 1]),
    "coordinate-above-p": b"\4" + _P.to_bytes(32, "big") + _GOOD[33:],
    "wrong-length": _GOOD[:-1],
    "compressed": b"\3" + _GOOD[1:33],
    "form-5": b"\5" + _GOOD[1:],
    "infinity": b"\0",
    "zeros": b"\4" + bytes(64),
}
"""Points that are none, or in a form that was not agreed on."""


def groups(*curves: int) -> Extension:
    """supported_groups with these curves."""
    return ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, curves)


def point_formats(*values: int) -> Extension:
    """ec_point_formats with these values."""
    return Extension(ExtensionType.EC_POINT_FORMATS, bytes([len(values), *values]))


def no_curve(talk: Talk, hello: ServerHello) -> str | None:
    """The server has found a suite that needs no curve."""
    suite = SUITES.get(hello.cipher_suite)
    if suite is None or suite.key_exchange.premaster is not Premaster.ECDH:
        return None
    return f"{suite.name} was chosen although no curve is shared"


def curve_was_offered(talk: Talk) -> str | None:
    """A named curve of the client's list."""
    params = talk.puppet.server_params
    if not isinstance(params, kx.ServerECDHParams):
        return "the parameters name no curve"
    return None if params.named_curve in tuple(NamedCurve) else f"curve {params.named_curve} was not offered"


def lists_uncompressed(talk: Talk) -> str | None:
    """A list of point formats, where there is one, has uncompressed in it."""
    puppet = talk.puppet
    hello = puppet.client_hello if puppet.role.value == "server" else puppet.server_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.EC_POINT_FORMATS)
    return None if body is None or 0 in body[1:] else "uncompressed is not among the point formats"


def formats_only_with_curves(talk: Talk, hello: ServerHello) -> str | None:
    """ec_point_formats is for suites with curves."""
    body = ext.find(hello.extensions, ExtensionType.EC_POINT_FORMATS)
    return "ec_point_formats in answer to a hello without curves" if body is not None else None


def unless_compressed_is_taken(talk: Talk) -> None:
    """A client that lists the compressed form must be ready for it."""
    hello = talk.puppet.client_hello
    body = ext.find(None if hello is None else hello.extensions, ExtensionType.EC_POINT_FORMATS)
    if body is not None and 1 in body[1:]:
        talk.inapplicable("the client takes compressed points")


def uncompressed_point(talk: Talk) -> str | None:
    """The target's own point is uncompressed, unless the curve has no such form."""
    puppet = talk.puppet
    if puppet.role.value == "client":
        params = puppet.server_params
        assert isinstance(params, kx.ServerECDHParams)
        plain = params.named_curve == NamedCurve.X25519 or params.public[:1] == b"\4"
        return None if plain else "the point is compressed"
    return None  # the puppet could not have agreed on anything else


def lists_ecdsa_if_taken(talk: Talk) -> str | None:
    """A server with an elliptic curve of its own usually takes such certificates."""
    request = talk.puppet.request
    assert request is not None
    if 64 not in request.certificate_types:
        talk.inapplicable("the server asks for no ECDSA certificate")
    return None


def ecdsa_only_if_asked(talk: Talk) -> str | None:
    """Asked for RSA alone, a client shows no ECDSA certificate."""
    if not talk.puppet.peer_chain:
        return None
    return "an ECDSA certificate answers a request for RSA" if key_type(talk.puppet.peer_key) is KeyType.EC else None


def with_point(point: bytes, curve: int = NamedCurve.SECP256R1) -> Callable[[Any], bytes]:
    """Parameters over a curve with any point."""
    return lambda puppet: b"\3" + curve.to_bytes(2, "big") + bytes([len(point)]) + point


def _explicit_prime(puppet: Any) -> bytes:
    """The curve spelt out, as hardly anybody takes it."""
    size = b"\x20"
    a = (_P - 3).to_bytes(32, "big")
    b = bytes.fromhex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
    order = bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    curve = size + _P.to_bytes(32, "big") + size + a + size + b + b"\x41" + _GOOD + size + order + b"\1\1"
    return b"\1" + curve + b"\x41" + _GOOD


def agree_with_leading_zero(talk: Talk) -> None:
    """Send a point for which the agreed coordinate begins with a zero byte: one in 256 does."""

    def built(puppet: Puppet) -> bytes:
        params = puppet.server_params
        assert isinstance(params, kx.ServerECDHParams)
        for _ in range(5000):
            pair = ECDHKeyPair.generate(NamedCurve(params.named_curve))
            puppet.pre_master_secret = pair.agree(params.public)
            if puppet.pre_master_secret[0] == 0:
                break
        value = kx.ClientECDiffieHellmanPublic(pair.public)
        return encode(kx.build_client_key_exchange(kx.CLIENT_EC_DIFFIE_HELLMAN_PUBLIC, value))

    talk.play(replace(client_key_exchange, build=built))


def use_secp521r1(talk: Talk) -> None:
    """The field of this curve has 521 bits: every coordinate begins with seven zero bits, every other with eight."""
    hello = talk.puppet.client_hello
    assert hello is not None
    listed = ext.read(hello.extensions, ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS) or ()
    if NamedCurve.SECP521R1 not in listed:
        talk.inapplicable("the client does not have secp521r1")
    talk.puppet.groups = (NamedCurve.SECP521R1,)


def _bad_parameters() -> Iterator[Probe]:
    wrong: dict[str, Callable[[Any], bytes]] = {
        "curve-not-offered": with_point(_GOOD, 1),
        "curve-ff01": with_point(_GOOD, 0xFF01),
        "explicit-prime": _explicit_prime,
        "curve-type-0": lambda puppet: b"\0" + with_point(_GOOD)(puppet)[1:],
    }
    for name, params in wrong.items():
        yield parameters.client(
            name,
            f"parameters over a curve that was not offered ({name.replace('-', ' ')}) are refused",
            "R4492-5.4-01",
            connect=connect(suites=ECDHE),
            conversation=(
                before("server_key_exchange"),
                Send(server_key_exchange_with(params)),
                after("server_key_exchange"),
                expect(refusal(), alert(50).noted("it does not parse")),
            ),
        )
    for name, point in {**POINTS, "empty": b""}.items():
        yield points.client(
            f"point-{name}",
            f"a point that is none ({name.replace('-', ' ')}) is refused",
            "R4492-5.7-01",
            connect=connect(suites=ECDHE),
            conversation=(
                before("server_key_exchange"),
                *((Do(unless_compressed_is_taken),) if name == "compressed" else ()),
                Send(server_key_exchange_with(with_point(point))),
                after("server_key_exchange"),
                refused(),
            ),
        )
        yield points.server(
            f"point-{name}",
            f"a point that is none ({name.replace('-', ' ')}) is refused",
            "R4492-5.7-01",
            connect=connect(suites=ECDHE, extensions=(groups(NamedCurve.SECP256R1),)),
            conversation=(
                before("client_key_exchange"),
                Send(client_point(point) if point else client_empty_point()),
                after("client_key_exchange"),
                refused(),
            ),
            meaning="With a certificate key on a curve, answers to such points tell it bit by bit.",
        )


def client_empty_point() -> Any:
    """A ClientKeyExchange with a point of no bytes, which the grammar itself does not allow."""
    return raw_message(16, b"\0", "client_key_exchange")


PROBES: Final = (
    selection.server(
        "no-curve-in-common",
        "a suite with curves is not chosen when none is shared",
        "R4492-4-01",
        connect=connect(suites=ECDHE, extensions=(groups(1, 0xFE00),)),
        conversation=(through("client_hello"), expect(refusal(), said(ServerHello, no_curve))),
    ),
    selection.server(
        "unknown-curves",
        "unknown curves are skipped",
        "R4492-4-01",
        connect=connect(suites=ECDHE, extensions=(groups(0x1A1A, 1, 23, 0xFE00, 24, 25),)),
        conversation=(handshake(), established()),
    ),
    selection.server(
        "no-extensions",
        "a client that lists no curves may get any, or none",
        "R4492-4-01",
        connect=connect(suites=ECDHE, hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello), alert(40))),
    ),
    formats.server(
        "without-uncompressed",
        "a list of point formats without uncompressed is refused, or leads to a suite without curves",
        "R4492-5.1.2-01",
        connect=connect(suites=ECDHE, extensions=(point_formats(1, 2),)),
        conversation=(
            through("client_hello"),
            expect(refusal(), said(ServerHello).warn("the list is not looked at")),
        ),
    ),
    formats.client(
        "without-uncompressed",
        "a server's list of point formats without uncompressed is refused, or nobody looks",
        "R4492-5.1.2-01",
        connect=connect(suites=ECDHE),
        conversation=(
            *choosing(with_extension(point_formats(1))),
            after("server_hello"),
            expect(refusal(), alert(110), completed().noted("the list is not looked at")),
        ),
    ),
    *formats.both(
        "uncompressed",
        "uncompressed is among the point formats",
        "R4492-5.1.2-01",
        connect=connect(suites=ECDHE),
        conversation=(Observe(), Check(lists_uncompressed)),
    ),
    formats.server(
        "no-curves",
        "point formats are not answered where there are no curves",
        "R4492-5.1.2-01",
        connect=connect(hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello, formats_only_with_curves))),
    ),
    parameters.server(
        "form",
        "the parameters name a curve that was offered, and are signed",
        "R4492-5.4-01",
        connect=connect(suites=ECDHE),
        conversation=(Observe(), Check(curve_was_offered), Check(signature_is_right)),
    ),
    parameters.client(
        "signature",
        "a wrong signature over the parameters is refused",
        "R4492-5.4-01",
        connect=connect(suites=ECDHE),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(signature=flip(-1))),
            after("server_key_exchange"),
            refused(),
        ),
    ),
    *_bad_parameters(),
    *points.both(
        "uncompressed",
        "the target's own point is uncompressed",
        "R4492-5.7-01",
        connect=connect(suites=ECDHE),
        conversation=(Observe(), Check(uncompressed_point)),
    ),
    certificates.server(
        "types",
        "ecdsa_sign is among the certificate types of a server that takes ECDSA",
        "R4492-5.5-01",
        needs=(ASKS,),
        conversation=(Observe(), Check(lists_ecdsa_if_taken)),
    ),
    certificates.client(
        "types",
        "an ECDSA certificate is shown only to a server that asks for one",
        "R4492-5.5-01",
        needs=(SHOWS,),
        conversation=(
            asking(1),
            before("server_hello_done"),
            SENT,
            Do(lambda talk: setattr(talk, "deviated", True)),
            onwards("server_hello_done"),
            expect(completed(), alert(), closed()),
            Check(ecdsa_only_if_asked),
        ),
    ),
    agreement.server(
        "leading-zero",
        "an agreed coordinate keeps its leading zero byte",
        "R4492-5.10-01",
        connect=connect(suites=ECDHE),
        conversation=(
            before("client_key_exchange"),
            Do(agree_with_leading_zero),
            after("client_key_exchange"),
            established(),
        ),
        meaning="One handshake in 256 fails.",
    ),
    agreement.client(
        "leading-zero",
        "an agreed coordinate keeps its leading zero byte",
        "R4492-5.10-01",
        connect=connect(suites=ECDHE),
        conversation=(
            Repeat(
                6,
                (
                    connect(suites=ECDHE),
                    Do(use_secp521r1),
                    handshake(),
                    established(),
                ),
            ),
        ),
        meaning="One handshake in 256 fails.",
    ),
)

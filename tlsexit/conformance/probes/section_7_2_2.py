"""§7.2.2: what each error alert is for. Certificates are in :mod:`.section_7_2_2_certificates`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tlsexit.alerts import ALWAYS_FATAL, AlertDescription, AlertLevel, alert_name
from tlsexit.conformance.actions import (
    OPEN,
    Alive,
    Altered,
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    after,
    before,
    connect,
    expect,
    refused,
    through,
)
from tlsexit.conformance.changes import short
from tlsexit.conformance.expect import alert, closed, refusal, said, silent, still_open, unreadable, warning
from tlsexit.conformance.model import Group, Probe, Reading
from tlsexit.conformance.needs import (
    ASKS,
    CBC,
    EPHEMERAL,
    HELLO_REQUEST,
    RENEGOTIATES_NOT,
    RSA_EXPORT,
    Need,
)
from tlsexit.conformance.probes.section_7_4_1_2 import GREASE
from tlsexit.conformance.probes.section_7_4_1_3 import choosing, suite_not_offered
from tlsexit.conformance.probes.section_7_4_2 import temporary_key_fits
from tlsexit.conformance.probes.section_7_4_3 import vectors
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello
from tlsexit.puppet import Sealing
from tlsexit.puppet.steps import alert as an_alert
from tlsexit.puppet.steps import (
    application_data,
    certificate_verify_with,
    client_hello,
    finished_with,
    hello_request,
    raw_message,
    server_key_exchange_with,
    wire,
)
from tlsexit.puppet.writer import Spoil, flip_first, padding_of

section = Group("7.2.2")


NO_EXPORT: Final = Need(
    "the target has export suites", lambda found: not any(SUITES[value].key_exchange.export for value in found.suites)
)
_EXPORT_SUITES: Final = tuple(value for value, suite in SUITES.items() if suite.key_exchange.export)


def flip(at: int) -> Spoil:
    """Turn one bit of the byte ``at`` over."""

    def spoilt(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[at] ^= 0x10
        return bytes(changed)

    return spoilt


def wrong_padding(padding: bytes) -> bytes:
    """Padding of at least one byte, that byte not being what padding_length says (§6.2.3.2)."""
    return flip_first(padding) if len(padding) > 1 else padding_of(16)[:-1].replace(b"\x10", b"\x11") + b"\x10"


BAD_CIPHERTEXT: Final = (
    alert(20),
    alert(21).only(Reading.STRICT),
    alert(21).warn("decryption_failed tells padding from MAC errors").only(Reading.LATER),
    closed(),
)


def never_internal_error(talk: Talk) -> str | None:
    """What a peer sends makes no internal error."""
    found = talk.puppet.fatal == AlertDescription.INTERNAL_ERROR
    return "internal_error in answer to a peer's message: a check is missing" if found else None


def levels_are_right(talk: Talk) -> str | None:
    """What is always fatal is not sent as a warning, and no_renegotiation not as fatal."""
    for item in talk.puppet.alerts:
        if item.level == AlertLevel.WARNING and item.description in ALWAYS_FATAL:
            return f"{alert_name(item.description)} was sent as a warning"
    return None


def certificate_alerts_are_fatal(talk: Talk) -> str | None:
    """An alert about a certificate that ends the handshake says so by its level."""
    puppet = talk.puppet
    mild = [
        item for item in puppet.alerts if item.level == AlertLevel.WARNING and item.description in (*range(42, 47), 51)
    ]
    if mild and puppet.eof and puppet.fatal is None and not puppet.complete:
        return f"{alert_name(mild[0].description)} ended the handshake as a warning"
    return None


def no_error_alert(talk: Talk) -> str | None:
    """An orderly end."""
    return None if talk.puppet.fatal is None else f"the orderly end is answered with {talk.puppet.reaction}"


@cache
def _long_temporary_params() -> bytes:
    numbers = generate_private_key(65537, 1024).public_key().public_numbers()
    return vectors(numbers.n.to_bytes(128, "big"), numbers.e.to_bytes(3, "big"))


def _other_role() -> Iterator[Probe]:
    """Messages that only the other role sends."""
    server = (HandshakeType.SERVER_HELLO, HandshakeType.CERTIFICATE_REQUEST, HandshakeType.SERVER_HELLO_DONE)
    client = (HandshakeType.CLIENT_HELLO, HandshakeType.CLIENT_KEY_EXCHANGE, HandshakeType.CERTIFICATE_VERIFY)
    hello = b"\3\1" + bytes(32) + b"\0"
    bodies = {
        HandshakeType.SERVER_HELLO: hello + b"\0\x2f\0",
        HandshakeType.CERTIFICATE_REQUEST: b"\1\1\0\0",
        HandshakeType.SERVER_HELLO_DONE: b"",
        HandshakeType.CLIENT_HELLO: hello + b"\0\2\0\x2f\1\0",
        HandshakeType.CLIENT_KEY_EXCHANGE: b"\1\0" + bytes(256),
        HandshakeType.CERTIFICATE_VERIFY: b"\1\0" + bytes(256),
    }
    for make, kinds, place in (
        (section.server, server, before("client_key_exchange")),
        (section.client, client, through("server_hello")),
    ):
        for kind in kinds:
            name = kind.name.lower().replace("_", "-")
            yield make(
                f"other-role-{name}",
                f"{name}, which only the other end sends, is refused",
                "R2246-7.2.2-03",
                conversation=(place, Send(raw_message(kind, bodies[kind])), refused()),
            )


def _macs() -> Iterator[Probe]:
    for at in (0, 7, 15, -1):
        spoilt = Sealing(mac=flip(at))
        yield from section.both(
            f"mac-byte-{at if at >= 0 else 'last'}",
            f"application data with byte {at} of the MAC wrong is refused",
            "R2246-7.2.2-04",
            conversation=(*OPEN, Send(application_data(b"GET /", sealing=spoilt)), refused()),
        )
    yield from section.both(
        "mac-of-finished",
        "Finished with a wrong MAC is refused",
        "R2246-7.2.2-04",
        conversation=(
            before("finished"),
            Send(replace(finished_with(), sealing=Sealing(mac=flip(5)))),
            refused(),
        ),
    )


def _shortened() -> Iterator[Probe]:
    """One byte too few in each message, its header counting what is there."""
    server: tuple[tuple[str, dict[str, Any]], ...] = (
        ("client_hello", {}),
        ("certificate", {"needs": (ASKS,)}),
        ("client_key_exchange", {}),
        ("certificate_verify", {"needs": (ASKS,)}),
        ("finished", {}),
    )
    client: tuple[tuple[str, dict[str, Any]], ...] = (
        ("server_hello", {}),
        ("certificate", {}),
        ("server_key_exchange", {"connect": connect(suites=EPHEMERAL)}),
        ("certificate_request", {"connect": connect(request=True)}),
        ("finished", {}),
    )
    for make, steps in ((section.server, server), (section.client, client)):
        for name, fields in steps:
            yield make(
                f"short-{name.replace('_', '-')}",
                f"{name} without its last byte is refused",
                "R2246-7.2.2-17",
                conversation=(before(name), Altered(name, short), refused()),
                **fields,
            )


def _always_fatal() -> Iterator[Probe]:
    for description in (100, 0, 90):
        yield from section.both(
            f"fatal-{description}",
            f"{alert_name(description)} at level fatal ends the connection",
            "R2246-7.2.2-28",
            conversation=(*OPEN, Send(an_alert(2, description)), expect(closed())),
        )
    for description in (20, 10, 40):
        yield from section.both(
            f"warning-{description}",
            f"{alert_name(description)} at level warning is an error that cannot be recovered from",
            "R2246-7.2.2-29",
            conversation=(
                *OPEN,
                Send(an_alert(1, description)),
                expect(closed(), alert(), still_open().noted("it goes on all the same")),
            ),
        )


def _versions() -> Iterator[Probe]:
    for version in (0x0300, 0x0200):
        downgraded = (said(ServerHello).noted("it has that version"),) if version == 0x0300 else ()
        yield section.server(
            f"version-{version:04x}",
            f"client_version 0x{version:04X} is answered with protocol_version",
            "R2246-7.2.2-20",
            connect=connect(hello={"client_version": version}),
            conversation=(
                through("client_hello"),
                expect(refusal(), unreadable().noted("the answer is of that version"), *downgraded),
            ),
        )
    yield section.client(
        "version-0300",
        "a ServerHello of SSL 3.0 is answered with protocol_version",
        "R2246-7.2.2-20",
        conversation=(*choosing(lambda talk: {"server_version": 0x0300}), refused()),
    )


PROBES: Final = (
    *section.both(
        "tells",
        "an error is told before the connection is closed",
        "R2246-7.2.2-01",
        conversation=(
            before("change_cipher_spec"),
            Send(raw_message(99, b"")),
            expect(alert(), closed().warn("the connection is closed without an alert")),
        ),
    ),
    *_other_role(),
    *_macs(),
    *section.both(
        "padding",
        "wrong padding is answered like a wrong MAC",
        "R2246-7.2.2-05",
        connect=connect(suites=CBC),
        conversation=(
            *OPEN,
            Send(application_data(b"GET /", sealing=Sealing(padding=wrong_padding))),
            expect(*BAD_CIPHERTEXT),
        ),
    ),
    *section.both(
        "misaligned",
        "a ciphertext of no whole blocks is answered like a wrong MAC",
        "R2246-7.2.2-05",
        connect=connect(suites=CBC),
        conversation=(*OPEN, Send(wire(b"\x17\3\1\0\x31" + bytes(0x31))), expect(*BAD_CIPHERTEXT)),
    ),
    *section.both(
        "overflow-first",
        "a record of 2^14+2049 bytes is refused before there are keys",
        "R2246-7.2.2-06",
        conversation=(before("change_cipher_spec"), Send(wire(b"\x16\3\1\x48\1" + bytes(0x4801))), refused()),
    ),
    *section.both(
        "overflow-ciphertext",
        "a ciphertext of 2^14+2049 bytes is refused",
        "R2246-7.2.2-06",
        conversation=(*OPEN, Send(wire(b"\x17\3\1\x48\1" + bytes(0x4801))), refused()),
    ),
    *section.both(
        "overflow-plaintext",
        "a fragment of 2^14+1025 bytes is refused",
        "R2246-7.2.2-06",
        conversation=(*OPEN, Send(application_data(bytes(2**14 + 1025))), refused()),
    ),
    section.server(
        "handshake-failure",
        "nothing in common is answered with handshake_failure",
        "R2246-7.2.2-08",
        connect=connect(hello={"cipher_suites": (0x00FE,)}),
        conversation=(through("client_hello"), refused()),
    ),
    section.server(
        "illegal-parameter",
        "compression_methods without null is answered with illegal_parameter",
        "R2246-7.2.2-14",
        connect=connect(hello={"compression_methods": (64,)}),
        conversation=(through("client_hello"), expect(refusal(), alert(50, 40).noted("tolerated in §7.4.1.2"))),
    ),
    section.client(
        "illegal-parameter",
        "a suite that was not offered is answered with illegal_parameter",
        "R2246-7.2.2-14",
        conversation=(
            *choosing(suite_not_offered(GREASE[1])),
            expect(refusal(), alert(40).noted("tolerated in §7.4.1.3")),
        ),
    ),
    *_shortened(),
    section.client(
        "decrypt-error-signature",
        "a wrong signature of ServerKeyExchange is answered with decrypt_error",
        "R2246-7.2.2-18",
        connect=connect(suites=EPHEMERAL),
        conversation=(
            before("server_key_exchange"),
            Send(server_key_exchange_with(signature=flip(-1))),
            after("server_key_exchange"),
            refused(),
        ),
    ),
    section.server(
        "decrypt-error-signature",
        "a wrong signature of CertificateVerify is answered with decrypt_error",
        "R2246-7.2.2-18",
        needs=(ASKS,),
        conversation=(
            before("certificate_verify"),
            Send(certificate_verify_with(signature=flip(-1))),
            after("certificate_verify"),
            refused(),
        ),
    ),
    *section.both(
        "decrypt-error-finished",
        "a wrong Finished is answered with decrypt_error",
        "R2246-7.2.2-18",
        conversation=(before("finished"), Send(finished_with(flip_first)), refused()),
    ),
    section.client(
        "export-restriction",
        "a temporary key of 1024 bits in RSA_EXPORT is refused",
        "R2246-7.2.2-19",
        connect=connect(suites=RSA_EXPORT),
        conversation=(
            through("certificate"),
            Send(server_key_exchange_with(lambda puppet: _long_temporary_params())),
            after("server_key_exchange"),
            refused(),
        ),
    ),
    section.server(
        "export-restriction",
        "a server keeps the limits of export",
        "R2246-7.2.2-19",
        connect=connect(suites=RSA_EXPORT),
        conversation=(Observe(), Check(temporary_key_fits)),
    ),
    *_versions(),
    section.server(
        "insufficient-security",
        "nothing but export suites is answered with insufficient_security or handshake_failure",
        "R2246-7.2.2-21",
        needs=(NO_EXPORT,),
        connect=connect(hello={"cipher_suites": _EXPORT_SUITES}),
        conversation=(through("client_hello"), refused()),
    ),
    *section.both(
        "internal-error",
        "nothing that a peer sends is answered with internal_error",
        "R2246-7.2.2-22",
        level="SHOULD",
        survey=True,
        conversation=(Check(never_internal_error),),
    ),
    *section.both(
        "user-canceled",
        "user_canceled and close_notify end a handshake in good order",
        "R2246-7.2.2-23",
        conversation=(
            before("change_cipher_spec"),
            Send(an_alert(1, 90)),
            Send(an_alert(1, 0)),
            expect(closed(), alert()),
            Check(no_error_alert),
        ),
    ),
    section.server(
        "no-renegotiation",
        "a server that does not renegotiate answers a ClientHello with no_renegotiation",
        "R2246-7.2.2-24",
        needs=(RENEGOTIATES_NOT,),
        conversation=(
            *OPEN,
            Send(client_hello),
            expect(
                warning(100).leading(Alive()),
                alert(40).noted("it is strict about it"),
                closed().noted("it is strict about it"),
            ),
        ),
    ),
    section.client(
        "no-renegotiation",
        "a client that does not renegotiate answers HelloRequest with no_renegotiation",
        "R2246-7.2.2-24",
        needs=(RENEGOTIATES_NOT,),
        conversation=(
            *OPEN,
            Send(replace(hello_request, after=None)),
            expect(
                warning(100).leading(Alive()),
                said(ClientHello),
                alert(40).noted("it is strict about it"),
                closed().noted("it is strict about it"),
                silent().noted("it ignores the request"),
            ),
        ),
    ),
    section.server(
        "no-renegotiation-in-answer",
        "a server whose HelloRequest is declined goes on or ends the connection",
        "R2246-7.2.2-25",
        needs=(HELLO_REQUEST,),
        conversation=(
            *OPEN,
            Do(Talk.send_request),
            expect(said(HelloRequest)),
            Send(an_alert(1, 100)),
            expect(alert(), closed(), still_open()),
        ),
    ),
    *section.both(
        "certificate-alerts",
        "an alert about a certificate that ends the handshake is fatal",
        "R2246-7.2.2-26",
        level="SHOULD",
        survey=True,
        conversation=(Check(certificate_alerts_are_fatal),),
    ),
    *section.both(
        "warning-in-handshake",
        "what becomes of a warning in the middle of a handshake",
        "R2246-7.2.2-27",
        conversation=(
            before("change_cipher_spec"),
            Send(an_alert(1, 43)),
            expect(alert(), closed(), silent(), still_open()),
        ),
    ),
    *section.both(
        "warning-flood",
        "a thousand warnings in a row are too many",
        "R2246-7.2.2-27",
        level="SHOULD",
        conversation=(*OPEN, Repeat(1000, (Send(an_alert(1, 200)),)), expect(alert(), closed())),
    ),
    *_always_fatal(),
    *section.both(
        "levels",
        "what is always fatal is never sent as a warning",
        "R2246-7.2.2-29",
        survey=True,
        conversation=(Check(levels_are_right),),
    ),
)

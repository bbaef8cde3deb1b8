"""Hello extensions: RFC 4366; what each of the longer ones is about is in :mod:`.rfc_6066`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

from tlsexit.alerts import PeerError
from tlsexit.conformance.actions import (
    Altered,
    Check,
    Observe,
    Send,
    after,
    connect,
    established,
    expect,
    handshake,
    onwards,
    refused,
    through,
)
from tlsexit.conformance.changes import reframed
from tlsexit.conformance.expect import alert, completed, refusal, said, warning
from tlsexit.conformance.model import Group, Probe, Reading
from tlsexit.conformance.needs import (
    STATUS_REQUEST,
    Need,
)
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.talk import Talk
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.certificate import CertificateStatus
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import EMPTY_RENEGOTIATION_INFO, raw_message
from tlsexit.puppet.steps import alert as an_alert

form = Group("RFC4366-2")
names = Group("RFC4366-3.1")
others = Group("RFC4366-3.3")
status = Group("RFC4366-3.6")
alerts = Group("RFC4366-4")

UNKNOWN: Final = tuple(Extension(0xA000 + number, bytes(number % 7)) for number in range(100))

OFFERS_NAME: Final = Need("the client names no server", lambda found: ExtensionType.SERVER_NAME in found.extensions)
"""For clients, extensions are those that they offer."""


def server_name(*hosts: bytes) -> Extension:
    """The extension with these host names, right or wrong."""
    entries = b"".join(b"\0" + len(host).to_bytes(2, "big") + host for host in hosts)
    return Extension(ExtensionType.SERVER_NAME, len(entries).to_bytes(2, "big") + entries)


def answers_nothing(talk: Talk, hello: ServerHello) -> str | None:
    """Nothing was offered, so nothing is answered."""
    return f"extension {hello.extensions[0].extension_type} was not offered" if hello.extensions else None


def answers_no(*kinds: int) -> Any:
    """None of these extensions is answered."""

    def wrong(talk: Talk, hello: ServerHello) -> str | None:
        found = [kind for kind in kinds if ext.find(hello.extensions, kind) is not None]
        return f"extension {found[0]} is answered" if found else None

    return wrong


def with_extension(*added: Extension) -> Any:
    """A ServerHello with these extensions beside the usual ones."""

    def choice(talk: Talk) -> dict[str, Any]:
        hello = talk.puppet.client_hello
        assert hello is not None
        signalled = (EMPTY_RENEGOTIATION_INFO,) if _signals(talk) else ()
        return {"extensions": (*signalled, *added)}

    return choice


def _signals(talk: Talk) -> bool:
    hello = talk.puppet.client_hello
    assert hello is not None
    return ext.find(hello.extensions, ExtensionType.RENEGOTIATION_INFO) is not None or 0x00FF in hello.cipher_suites


def not_offered(talk: Talk) -> dict[str, Any]:
    """An extension that the client did not send."""
    hello = talk.puppet.client_hello
    assert hello is not None
    sent = {item.extension_type for item in hello.extensions or ()}
    kind = next(
        kind for kind in (ExtensionType.ENCRYPT_THEN_MAC, ExtensionType.SESSION_TICKET, 0x7A7A) if kind not in sent
    )
    given: dict[str, Any] = with_extension(Extension(kind, b""))(talk)
    return given


def names_rightly(talk: Talk) -> str | None:
    """A DNS name without a dot at its end, never an address (RFC 6066 §3)."""
    hello = talk.puppet.client_hello
    assert hello is not None
    try:
        listed = ext.read(hello.extensions, ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST)
        name = None if listed is None else ext.host_name(listed)
    except PeerError as error:
        return error.reason
    if name is None:
        talk.inapplicable("the client names no server")
    if name.endswith(b"."):
        return "the name ends with a dot"
    try:
        ip_address(name.decode("ascii", "replace"))
    except ValueError:
        return None
    return "the name is an address"


def answers_empty(talk: Talk, hello: ServerHello) -> str | None:
    """A name that was used is answered with an empty extension."""
    body = ext.find(hello.extensions, ExtensionType.SERVER_NAME)
    return None if body in (None, b"") else "server_name is answered with something"


def no_status(talk: Talk) -> str | None:
    """CertificateStatus comes only where it was asked for and announced."""
    came = any(isinstance(item, CertificateStatus) for item in talk.puppet.messages)
    return "CertificateStatus came unasked" if came else None


def only_old_alerts(talk: Talk) -> str | None:
    """Alerts 110 to 114 are for those who have sent an extended hello."""
    puppet = talk.puppet
    own = puppet.client_hello if puppet.role.value == "client" else puppet.server_hello
    if own is None or own.extensions is not None or puppet.fatal not in range(110, 115):
        return None
    return f"{puppet.reaction} in answer to a hello without extensions"


def _blocks() -> Iterator[Probe]:
    """The extension block fits what is left of the hello exactly."""
    for name, tail, good in (
        ("none", b"", True),
        ("empty", b"\0\0", True),
        ("too-short", b"\0\3\x7a\x7a\0\0", False),
        ("too-long", b"\0\5\x7a\x7a\0\0", False),
        ("one-byte", b"\0", False),
        ("three-bytes", b"\0\0\0", False),
        ("overrun", b"\0\4\x7a\x7a\0\5", False),
    ):
        outcomes: tuple[Any, ...] = (completed(),)
        if not good:
            ignored = completed().noted("extra data is ignored, as in RFC 2246 §7.4.1.2").only(Reading.STRICT)
            outcomes = (refusal(), ignored)
        yield form.server(
            f"block-{name}",
            f"a ClientHello whose extension block is {name.replace('-', ' ')} is {'accepted' if good else 'refused'}",
            "R4366-2.1-01",
            connect=connect(hello={"extensions": None}),
            conversation=(
                Altered("client_hello", reframed(lambda body, tail=tail: body + tail)),  # type: ignore[misc]
                after("client_hello"),
                expect(*outcomes),
            ),
        )


def _offers(talk: Talk, kind: int) -> str | None:
    hello = talk.puppet.client_hello
    assert hello is not None
    return f"extension {kind} is offered" if ext.find(hello.extensions, kind) is not None else None


PROBES: Final = (
    *_blocks(),
    form.server(
        "not-offered",
        "extensions that were not offered are not answered",
        "R4366-2.3-01",
        connect=connect(hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_nothing))),
    ),
    form.client(
        "not-offered",
        "an extension in ServerHello that was not offered is refused",
        "R4366-2.3-01",
        conversation=(*choosing(not_offered), refused()),
    ),
    form.server(
        "twice-unknown",
        "an extension that appears twice is refused",
        "R4366-2.3-02",
        connect=connect(extensions=(Extension(0x7A7A, b""), Extension(0x7A7A, b""))),
        conversation=(
            through("client_hello"),
            expect(refusal(), said(ServerHello).warn("unknown extensions may appear twice")),
        ),
    ),
    form.server(
        "twice-known",
        "an extension that the server knows and that appears twice is refused",
        "R4366-2.3-02",
        connect=connect(extensions=(EMPTY_RENEGOTIATION_INFO, EMPTY_RENEGOTIATION_INFO)),
        conversation=(through("client_hello"), refused()),
    ),
    form.client(
        "twice",
        "an extension that appears twice in ServerHello is refused",
        "R4366-2.3-02",
        conversation=(*choosing(with_extension(EMPTY_RENEGOTIATION_INFO)), refused()),
    ),
    form.server(
        "unknown",
        "a hundred extensions that nobody knows are ignored",
        "R4366-2.3-03",
        connect=connect(extensions=UNKNOWN),
        conversation=(handshake(), established()),
    ),
    names.client(
        "form",
        "server_name is a DNS name",
        "R4366-3.1-01",
        conversation=(Observe(), Check(names_rightly)),
    ),
    names.server(
        "answer",
        "a name that was used is answered with an empty extension",
        "R4366-3.1-02",
        connect=connect(extensions=(server_name(b"localhost"),)),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_empty))),
    ),
    names.client(
        "answer-with-a-name",
        "server_name in ServerHello that is not empty is refused",
        "R4366-3.1-02",
        needs=(OFFERS_NAME,),
        conversation=(*choosing(with_extension(server_name(b"localhost"))), refused()),
    ),
    names.server(
        "unknown-name",
        "a name that the server does not know",
        "R4366-3.1-03",
        connect=connect(extensions=(server_name(b"nobody.example"),)),
        conversation=(
            through("client_hello"),
            expect(alert(112), said(ServerHello).noted("it goes on with what it has"), warning(112)),
        ),
    ),
    names.client(
        "warning",
        "unrecognized_name as a warning does not break the handshake",
        "R4366-3.1-03",
        conversation=(Send(an_alert(1, 112)), onwards("server_hello"), established()),
    ),
    others.server(
        "certificate-url",
        "client_certificate_url is off by default",
        "R4366-3.3-01",
        level="SHOULD",
        connect=connect(extensions=(Extension(2, b""),)),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_no(2)))),
    ),
    others.server(
        "trusted-ca-keys",
        "a malformed trusted_ca_keys is refused, or nobody looks",
        "R4366-3.4-01",
        connect=connect(extensions=(Extension(3, b"\0\5\1\0"),)),
        conversation=(through("client_hello"), expect(refusal(), said(ServerHello, answers_no(3)))),
    ),
    others.server(
        "truncated-hmac",
        "truncated_hmac, which is known to be weak, is off by default",
        "R4366-3.5-01",
        level="SHOULD",
        connect=connect(extensions=(Extension(4, b""),)),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_no(4)))),
    ),
    others.client(
        "truncated-hmac",
        "truncated_hmac, which is known to be weak, is off by default",
        "R4366-3.5-01",
        level="SHOULD",
        conversation=(Observe(), Check(lambda talk: _offers(talk, 4))),
    ),
    status.client(
        "not-announced",
        "CertificateStatus that ServerHello did not announce is refused",
        "R4366-3.6-01",
        conversation=(through("certificate"), Send(raw_message(22, b"\1\0\0\1\x30")), refused()),
    ),
    status.client(
        "announced-and-missing",
        "CertificateStatus may stay away although it was announced",
        "R4366-3.6-01",
        needs=(STATUS_REQUEST,),
        conversation=(
            *choosing(with_extension(Extension(ExtensionType.STATUS_REQUEST, b""))),
            after("server_hello"),
            established(),
        ),
    ),
    status.client(
        "garbage",
        "an OCSP response that is none is refused",
        "R4366-3.6-02",
        needs=(STATUS_REQUEST,),
        conversation=(
            *choosing(with_extension(Extension(ExtensionType.STATUS_REQUEST, b""))),
            replace(through("certificate"), start="server_hello", skip=True),
            Send(raw_message(22, b"\1\0\0\7garbage")),
            after("certificate"),
            refused(),
        ),
    ),
    status.server(
        "unasked",
        "CertificateStatus is not sent to a client that did not ask",
        "R4366-3.6-01",
        conversation=(Observe(), Check(no_status)),
    ),
    *alerts.both(
        "old-hello",
        "alerts 110 to 114 are not sent in answer to a hello without extensions",
        "R4366-4-01",
        survey=True,
        conversation=(Check(only_old_alerts),),
    ),
)

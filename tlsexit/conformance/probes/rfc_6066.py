"""Fragment lengths, names and protocols: RFC 4366 §3.2, RFC 6066 §3 and RFC 7301."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tlsexit.alerts import PeerError
from tlsexit.conformance.actions import (
    OPEN,
    Check,
    Observe,
    Send,
    after,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, closed, refusal, said, silent
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import (
    ALPN,
    MAX_FRAGMENT_LENGTH,
    RESUMES,
    SERVER_NAME,
)
from tlsexit.conformance.probes.rfc_4366 import answers_no, server_name, with_extension
from tlsexit.conformance.probes.section_7_4_1_2_sessions import not_resumed
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.talk import Talk
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import application_data

resuming = Group("RFC4366-3")
fragments = Group("RFC4366-3.2")
later_names = Group("RFC6066-3")
protocols = Group("RFC7301-3")


def fragment_length(code: int) -> Extension:
    """max_fragment_length 1 to 4, or something else."""
    return Extension(ExtensionType.MAX_FRAGMENT_LENGTH, bytes([code]))


def alpn(*protocols: bytes) -> Extension:
    """The extension with these protocols."""
    listed = b"".join(bytes([len(name)]) + name for name in protocols)
    body = len(listed).to_bytes(2, "big") + listed
    return Extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, body)


def echoes_length(code: int) -> Any:
    """max_fragment_length comes back as it was asked for, or not at all."""

    def wrong(talk: Talk, hello: ServerHello) -> str | None:
        body = ext.find(hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH)
        return None if body in (None, bytes([code])) else f"max_fragment_length {code} is answered with {body!r}"

    return wrong


def fragments_are_short(talk: Talk) -> str | None:
    """From ServerHello on no fragment is longer than was agreed."""
    hello = talk.puppet.server_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH)
    if body is None:
        talk.inapplicable("max_fragment_length was not agreed on")
    size = 256 << body[0]
    long = [len(item.content) for item in talk.puppet.records[1:] if len(item.content) > size]
    return f"a fragment has {long[0]} bytes, {size} were agreed on" if long else None


def one_protocol(*offered: bytes) -> Any:
    """ALPN is answered with one of the offered protocols, or not at all."""

    def wrong(talk: Talk, hello: ServerHello) -> str | None:
        try:
            chosen = ext.read(
                hello.extensions, ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, ext.PROTOCOL_NAME_LIST
            )
        except PeerError as error:
            return error.reason
        if chosen is None or (len(chosen) == 1 and chosen[0] in offered):
            return None
        return f"ALPN is answered with {', '.join(name.decode('latin-1') for name in chosen)}"

    return wrong


def _lengths() -> Iterator[Probe]:
    for code in (1, 2, 3, 4):
        yield fragments.server(
            f"echo-{code}",
            f"max_fragment_length {code} is echoed, or left out",
            "R4366-3.2-01",
            connect=connect(extensions=(fragment_length(code),)),
            conversation=(through("client_hello"), expect(said(ServerHello, echoes_length(code)))),
        )
    for code in (0, 5, 255):
        yield fragments.server(
            f"value-{code}",
            f"max_fragment_length {code} is refused",
            "R4366-3.2-01",
            needs=(MAX_FRAGMENT_LENGTH,),
            connect=connect(extensions=(fragment_length(code),)),
            conversation=(through("client_hello"), refused()),
        )


def _bad_protocols() -> Iterator[Probe]:
    kind = ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION
    for name, body in (
        ("empty-name", b"\0\2\0\0"),
        ("empty-list", b"\0\0"),
        ("overrun", b"\0\3\5ab"),
        ("trailing-byte", b"\0\2\1a\0"),
    ):
        yield protocols.server(
            f"alpn-{name}",
            f"a malformed list of protocols ({name.replace('-', ' ')}) is refused",
            "R7301-3.1-01",
            needs=(ALPN,),
            connect=connect(extensions=(Extension(kind, body),)),
            conversation=(through("client_hello"), refused()),
        )
    for name, answer in (
        ("two", alpn(b"http/1.1", b"h2")),
        ("none", Extension(kind, b"\0\0")),
        ("not-offered", alpn(b"x-not-offered")),
    ):
        yield protocols.client(
            f"alpn-{name}",
            f"an answer of {name.replace('-', ' ')} in ALPN is refused",
            "R7301-3.1-01",
            needs=(ALPN,),
            conversation=(*choosing(with_extension(answer)), refused()),
        )


def _requested_length(talk: Talk) -> Extension:
    hello = talk.puppet.client_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.MAX_FRAGMENT_LENGTH)
    assert body is not None
    return fragment_length(body[0])


def _another_length(talk: Talk) -> Extension:
    return fragment_length(_requested_length(talk).extension_data[0] % 4 + 1)


PROBES: Final = (
    resuming.server(
        "fragment-length",
        "a resumed session keeps its fragment length and does not negotiate another",
        "R4366-3-01",
        needs=(RESUMES, MAX_FRAGMENT_LENGTH),
        connect=connect(extensions=(fragment_length(1),)),
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID, extensions=(fragment_length(2),)),
            through("client_hello"),
            expect(said(ServerHello, echoes_length(1)), alert().noted("it refuses the change")),
        ),
    ),
    *_lengths(),
    fragments.client(
        "answer",
        "an answer to max_fragment_length that differs from the request is refused",
        "R4366-3.2-01",
        needs=(MAX_FRAGMENT_LENGTH,),
        conversation=(*choosing(lambda talk: with_extension(_another_length(talk))(talk)), refused()),
    ),
    fragments.server(
        "kept",
        "no fragment is longer than was agreed",
        "R4366-3.2-02",
        needs=(MAX_FRAGMENT_LENGTH,),
        connect=connect(extensions=(fragment_length(1),)),
        conversation=(Observe(), Check(fragments_are_short)),
    ),
    fragments.client(
        "kept",
        "no fragment is longer than was agreed",
        "R4366-3.2-02",
        needs=(MAX_FRAGMENT_LENGTH,),
        conversation=(
            *choosing(lambda talk: with_extension(_requested_length(talk))(talk)),
            after("server_hello"),
            established(),
            Check(fragments_are_short),
        ),
    ),
    fragments.server(
        "exceeded",
        "a fragment that is longer than was agreed",
        "R4366-3.2-02",
        level="SHOULD",
        needs=(MAX_FRAGMENT_LENGTH,),
        connect=connect(extensions=(fragment_length(1),)),
        conversation=(
            *OPEN,
            Send(application_data(bytes(513))),
            expect(refusal(), silent().noted("it is accepted"), closed()),
        ),
    ),
    later_names.server(
        "resumed-for-another-name",
        "a session is not resumed for another name",
        "R6066-3-01",
        needs=(RESUMES, SERVER_NAME),
        connect=connect(extensions=(server_name(b"localhost"),)),
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID, extensions=(server_name(b"elsewhere.example"),)),
            before("change_cipher_spec"),
            Check(not_resumed),
        ),
    ),
    later_names.server(
        "two-names",
        "two host names are refused",
        "R6066-3-01",
        needs=(SERVER_NAME,),
        connect=connect(extensions=(server_name(b"localhost", b"localhost"),)),
        conversation=(
            through("client_hello"),
            expect(refusal(), said(ServerHello).noted("the first is used")),
        ),
    ),
    protocols.server(
        "alpn",
        "ALPN is answered with one of the offered protocols",
        "R7301-3.1-01",
        needs=(ALPN,),
        connect=connect(extensions=(alpn(b"x-nobody", b"http/1.1"),)),
        conversation=(through("client_hello"), expect(said(ServerHello, one_protocol(b"x-nobody", b"http/1.1")))),
    ),
    *_bad_protocols(),
    protocols.server(
        "alpn-nothing-shared",
        "nothing but unknown protocols is answered with no_application_protocol",
        "R7301-3.2-01",
        needs=(ALPN,),
        connect=connect(extensions=(alpn(b"x-none"),)),
        conversation=(
            through("client_hello"),
            expect(refusal(), said(ServerHello, answers_no(16)).warn("it goes on without a protocol")),
        ),
    ),
)

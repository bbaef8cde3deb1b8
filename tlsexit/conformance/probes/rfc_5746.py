"""Secure renegotiation (RFC 5746), the fallback signal (RFC 7507), and the end of TLS 1.0 (RFC 8996)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tlsexit.conformance.actions import (
    OPEN,
    Check,
    Do,
    Observe,
    Send,
    completed_and_closed,
    connect,
    expect,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, closed, completed, refusal, said, silent, warning
from tlsexit.conformance.model import Group, Probe, Reading
from tlsexit.conformance.needs import LATER_VERSIONS, ONLY_TLS_1_0, RENEGOTIATES, RESUMES
from tlsexit.conformance.probes.section_7_4_1 import BARE_REQUEST, names_the_last_handshake
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.talk import Talk
from tlsexit.constants import EMPTY_RENEGOTIATION_INFO_SCSV, FALLBACK_SCSV, Role
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ClientHello, ServerHello
from tlsexit.puppet.steps import EMPTY_RENEGOTIATION_INFO, client_hello, hello_request, server_hello

initial = Group("RFC5746-3.4")
again = Group("RFC5746-3.5")
server_initial = Group("RFC5746-3.6")
server_again = Group("RFC5746-3.7")
legacy = Group("RFC5746-4.4")
fallback = Group("RFC7507")
deprecated = Group("RFC8996")


def info(data: bytes) -> Extension:
    """renegotiation_info that holds ``data``."""
    return Extension(ExtensionType.RENEGOTIATION_INFO, bytes([len(data)]) + data)


def signals(talk: Talk) -> str | None:
    """An empty renegotiation_info, or the SCSV."""
    hello = talk.puppet.client_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.RENEGOTIATION_INFO)
    if body == b"\0" or (body is None and EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites):
        return None
    return "RFC 5746 is not signalled" if body is None else f"renegotiation_info is {body.hex()}"


def answers_empty(talk: Talk, hello: ServerHello) -> str | None:
    """The server knows RFC 5746 too."""
    body = ext.find(hello.extensions, ExtensionType.RENEGOTIATION_INFO)
    return None if body == b"\0" else "renegotiation_info is missing" if body is None else f"it is {body.hex()}"


def answers_not(talk: Talk, hello: ServerHello) -> str | None:
    """Unasked, the server does not speak of it."""
    body = ext.find(hello.extensions, ExtensionType.RENEGOTIATION_INFO)
    return None if body is None else "renegotiation_info in answer to a client that did not signal it"


def holds_both(talk: Talk, hello: ServerHello) -> str | None:
    """24 bytes: what both ends said in their Finished before."""
    body = ext.find(hello.extensions, ExtensionType.RENEGOTIATION_INFO)
    puppet = talk.puppet
    wanted = puppet.previous[Role.CLIENT] + puppet.previous[Role.SERVER]
    return None if body == bytes([len(wanted)]) + wanted else "renegotiation_info does not hold both verify_data"


def no_fallback_signal(talk: Talk) -> str | None:
    """A hello that is not a second try says nothing of one."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return "TLS_FALLBACK_SCSV is offered at the first try" if FALLBACK_SCSV in hello.cipher_suites else None


def offers_more_than_1_0(talk: Talk) -> str | None:
    """RFC 8996: nobody offers TLS 1.0 as the best."""
    hello = talk.puppet.client_hello
    assert hello is not None
    return "client_version is that of TLS 1.0" if hello.client_version <= 0x0301 else None


def with_scsv(*, extension: bool) -> tuple[Do, ...]:
    """Put the SCSV behind the suites; with or without the extension."""

    def act(talk: Talk) -> None:
        talk.puppet.hello["cipher_suites"] = (*talk.puppet.suites, EMPTY_RENEGOTIATION_INFO_SCSV)
        talk.puppet.hello["extensions"] = (EMPTY_RENEGOTIATION_INFO,) if extension else None

    return (Do(act),)


def changed_hello(change: Callable[[Talk], dict[str, Any]]) -> tuple[Do, Send]:
    """Renegotiate with a hello that breaks RFC 5746."""

    def act(talk: Talk) -> None:
        if talk.puppet.complete:
            talk.puppet.begin()
        if not talk.puppet.secure_renegotiation:
            talk.inapplicable("the server does not know RFC 5746")
        talk.puppet.hello.update(change(talk))

    return Do(act), Send(client_hello)


def _client_data(talk: Talk) -> bytes:
    return talk.puppet.previous[Role.CLIENT]


def _server_violations() -> Iterator[Probe]:
    changes: dict[str, Callable[[Talk], dict[str, Any]]] = {
        "scsv": lambda talk: {
            "cipher_suites": (*talk.puppet.suites, EMPTY_RENEGOTIATION_INFO_SCSV),
            "extensions": (info(_client_data(talk)),),
        },
        "missing": lambda talk: {"extensions": None},
        "wrong": lambda talk: {"extensions": (info(bytes(12)),)},
        "empty": lambda talk: {"extensions": (EMPTY_RENEGOTIATION_INFO,)},
        "one-bit": lambda talk: {"extensions": (info(_client_data(talk)[:-1] + bytes([_client_data(talk)[-1] ^ 1])),)},
    }
    for name, change in changes.items():
        yield server_again.server(
            name,
            f"a renegotiation whose hello is not bound to the connection ({name.replace('-', ' ')}) is refused",
            "R5746-3.7-01",
            needs=(RENEGOTIATES,),
            conversation=(*OPEN, *changed_hello(change), refused()),
            meaning="Somebody in the middle can put data in front of the client's (CVE-2009-3555).",
        )


def _client_violations() -> Iterator[Probe]:
    def both(talk: Talk) -> bytes:
        return talk.puppet.previous[Role.CLIENT] + talk.puppet.previous[Role.SERVER]

    changes: dict[str, Callable[[Talk], dict[str, Any]]] = {
        "missing": lambda talk: {"extensions": ()},
        "client-half": lambda talk: {"extensions": (info(bytes([both(talk)[0] ^ 1]) + both(talk)[1:]),)},
        "server-half": lambda talk: {"extensions": (info(both(talk)[:-1] + bytes([both(talk)[-1] ^ 1])),)},
        "half": lambda talk: {"extensions": (info(both(talk)[:12]),)},
        "empty": lambda talk: {"extensions": (EMPTY_RENEGOTIATION_INFO,)},
    }
    for name, change in changes.items():
        yield again.client(
            name,
            f"a renegotiation whose ServerHello is not bound to the connection ({name.replace('-', ' ')}) is refused",
            "R5746-3.5-01",
            needs=(RENEGOTIATES,),
            conversation=(
                *OPEN,
                Send(hello_request),
                expect(said(ClientHello)),
                Do(lambda talk, change=change: talk.puppet.hello.update(change(talk))),  # type: ignore[misc]
                Send(server_hello),
                refused(),
            ),
        )


PROBES: Final = (
    initial.client(
        "signal",
        "the client signals RFC 5746",
        "R5746-3.4-01",
        conversation=(Observe(), Check(signals)),
    ),
    *(
        initial.client(
            f"answer-of-{size}",
            f"renegotiation_info of {size} bytes in a first ServerHello is refused",
            "R5746-3.4-01",
            conversation=(*choosing(lambda talk, size=size: {"extensions": (info(bytes(size)),)}), refused()),  # type: ignore[misc]
        )
        for size in (1, 24)
    ),
    again.client(
        "bound",
        "a renegotiation is bound to the connection",
        "R5746-3.5-01",
        needs=(RENEGOTIATES,),
        conversation=(
            *OPEN,
            Send(hello_request),
            expect(said(ClientHello, names_the_last_handshake)),
        ),
    ),
    *_client_violations(),
    server_initial.server(
        "extension",
        "renegotiation_info is answered",
        "R5746-3.6-01",
        connect=connect(hello={"extensions": (EMPTY_RENEGOTIATION_INFO,)}),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_empty))),
    ),
    server_initial.server(
        "scsv",
        "the SCSV is answered",
        "R5746-3.6-01",
        conversation=(
            *with_scsv(extension=False),
            through("client_hello"),
            expect(said(ServerHello, answers_empty)),
        ),
    ),
    server_initial.server(
        "both",
        "extension and SCSV together are answered",
        "R5746-3.6-01",
        conversation=(
            *with_scsv(extension=True),
            through("client_hello"),
            expect(said(ServerHello, answers_empty)),
        ),
    ),
    server_initial.server(
        "neither",
        "a client that does not signal RFC 5746 is not told of it",
        "R5746-3.6-01",
        connect=connect(hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_not))),
    ),
    server_initial.server(
        "not-empty",
        "renegotiation_info that is not empty in a first hello is refused",
        "R5746-3.6-01",
        connect=connect(hello={"extensions": (info(bytes(12)),)}),
        conversation=(through("client_hello"), refused()),
    ),
    server_again.server(
        "bound",
        "a renegotiation is bound to the connection",
        "R5746-3.7-01",
        needs=(RENEGOTIATES,),
        conversation=(*OPEN, through("client_hello"), expect(said(ServerHello, holds_both))),
    ),
    *_server_violations(),
    legacy.server(
        "old-client",
        "a client that does not know RFC 5746 cannot renegotiate",
        "R5746-4.4-01",
        connect=connect(hello={"extensions": None}),
        conversation=(
            *OPEN,
            Send(client_hello),
            expect(warning(100), alert(40), closed(), said(ServerHello).warn("it renegotiates"), silent()),
        ),
        meaning="Somebody in the middle can put data in front of the client's (CVE-2009-3555).",
    ),
    legacy.client(
        "old-server",
        "a client does not renegotiate with a server that does not know RFC 5746",
        "R5746-4.4-01",
        connect=connect(hello={"extensions": ()}),
        conversation=(
            *OPEN,
            Send(BARE_REQUEST),
            expect(
                warning(100),
                said(ClientHello).warn("it renegotiates"),
                alert(40, 10),
                closed(),
                silent().noted("it ignores the request"),
            ),
        ),
    ),
    fallback.server(
        "unnecessary",
        "a fallback that was not necessary is refused",
        "R7507-3-01",
        needs=(LATER_VERSIONS,),
        conversation=(
            Do(lambda talk: talk.puppet.hello.update(cipher_suites=(*talk.puppet.suites, FALLBACK_SCSV))),
            Send(client_hello),
            refused(),
        ),
    ),
    fallback.server(
        "highest",
        "the fallback signal does no harm where there is nothing above",
        "R7507-3-01",
        needs=(ONLY_TLS_1_0,),
        conversation=(
            Do(lambda talk: talk.puppet.hello.update(cipher_suites=(*talk.puppet.suites, FALLBACK_SCSV))),
            *OPEN,
        ),
    ),
    fallback.client(
        "first-try",
        "a first try does not signal a fallback",
        "R7507-4-01",
        conversation=(Observe(), Check(no_fallback_signal)),
    ),
    fallback.client(
        "resumed",
        "a client that resumes does not signal a fallback",
        "R7507-4-01",
        needs=(RESUMES,),
        conversation=(*completed_and_closed(), connect(resume=By.ID), Check(no_fallback_signal)),
    ),
    deprecated.server(
        "refused",
        "a ClientHello of TLS 1.0 is refused",
        "R8996-4-01",
        "R8996-4-02",
        level="SHOULD",
        opt_in=True,
        readings=(Reading.LATER,),
        conversation=(
            through("client_hello"),
            expect(refusal(), completed(), said(ServerHello).warn("the target speaks TLS 1.0, which RFC 8996 forbids")),
        ),
    ),
    deprecated.client(
        "offered",
        "the client offers more than TLS 1.0, and refuses that",
        "R8996-4-01",
        "R8996-4-02",
        level="SHOULD",
        opt_in=True,
        readings=(Reading.LATER,),
        conversation=(Observe(), Check(offers_more_than_1_0)),
    ),
)

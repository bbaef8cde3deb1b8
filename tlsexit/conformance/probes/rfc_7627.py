"""Extended master secret (RFC 7627) and encrypt-then-MAC (RFC 7366)."""

from __future__ import annotations

from typing import Any, Final

from tlsexit.conformance.actions import (
    OPEN,
    Alive,
    Check,
    Do,
    Observe,
    Send,
    after,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, completed, refusal, said
from tlsexit.conformance.model import Group
from tlsexit.conformance.needs import (
    CBC,
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    RESUMES,
    STREAM,
)
from tlsexit.conformance.probes.rfc_4366 import answers_no, with_extension
from tlsexit.conformance.probes.section_7_2_2 import flip
from tlsexit.conformance.probes.section_7_3 import offered
from tlsexit.conformance.probes.section_7_4_1_2_sessions import not_resumed
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.talk import Talk
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet import Sealing
from tlsexit.puppet.steps import ENCRYPT_THEN_MAC as ETM
from tlsexit.puppet.steps import EXTENDED_MASTER_SECRET as EMS
from tlsexit.puppet.steps import application_data

derivation = Group("RFC7627-4")
signalling = Group("RFC7627-5.2")
resumption = Group("RFC7627-5.3")
records = Group("RFC7366")

WITH: Final = connect(extensions=(EMS,))


def answers(kind: ExtensionType) -> Any:
    """The extension is answered, empty."""

    def wrong(talk: Talk, hello: ServerHello) -> str | None:
        body = ext.find(hello.extensions, kind)
        if body is None:
            return f"{kind.name.lower()} is not answered"
        return None if body == b"" else f"{kind.name.lower()} is not empty"

    return wrong


def offers_ems(talk: Talk) -> str | None:
    """The client that knows it always sends it."""
    hello = talk.puppet.client_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.EXTENDED_MASTER_SECRET)
    return None if body == b"" else "extended_master_secret is not offered"


def without_ems(talk: Talk) -> None:
    """Offer the session, but not what it was made with."""
    puppet = talk.puppet
    renegotiation_info = Extension(ExtensionType.RENEGOTIATION_INFO, b"\0")
    puppet.hello["extensions"] = (renegotiation_info,)
    talk.deviated = True


PROBES: Final = (
    *(
        probe
        for request in (False, True)
        for probe in derivation.both(
            "with-certificate" if request else "derived",
            "the extended master secret covers everything up to ClientKeyExchange",
            "R7627-4-01",
            needs=(EXTENDED_MASTER_SECRET,),
            connect=connect(extensions=(EMS,), request=request),
            conversation=(*OPEN, Alive()),
        )
    ),
    signalling.server(
        "offered",
        "extended_master_secret is answered",
        "R7627-5.2-01",
        needs=(EXTENDED_MASTER_SECRET,),
        connect=WITH,
        conversation=(
            through("client_hello"),
            expect(said(ServerHello, answers(ExtensionType.EXTENDED_MASTER_SECRET))),
        ),
    ),
    signalling.server(
        "not-offered",
        "extended_master_secret is not answered unasked",
        "R7627-5.2-01",
        connect=connect(hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_no(23)))),
    ),
    signalling.server(
        "not-empty",
        "extended_master_secret that is not empty is refused",
        "R7627-5.2-01",
        needs=(EXTENDED_MASTER_SECRET,),
        connect=connect(extensions=(Extension(ExtensionType.EXTENDED_MASTER_SECRET, b"\0"),)),
        conversation=(through("client_hello"), refused()),
    ),
    signalling.client(
        "offered",
        "a client that knows extended_master_secret offers it",
        "R7627-5.2-01",
        needs=(EXTENDED_MASTER_SECRET,),
        conversation=(Observe(), Check(offers_ems)),
    ),
    signalling.client(
        "not-empty",
        "an answer to extended_master_secret that is not empty is refused",
        "R7627-5.2-01",
        needs=(EXTENDED_MASTER_SECRET,),
        conversation=(
            *choosing(with_extension(Extension(ExtensionType.EXTENDED_MASTER_SECRET, b"\0"))),
            refused(),
        ),
    ),
    resumption.server(
        "kept",
        "a session with the extended master secret is resumed with it",
        "R7627-5.3-01",
        needs=(EXTENDED_MASTER_SECRET, RESUMES),
        connect=WITH,
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID),
            through("client_hello"),
            expect(said(ServerHello, answers(ExtensionType.EXTENDED_MASTER_SECRET))),
        ),
    ),
    resumption.server(
        "gained",
        "a session without the extended master secret is not resumed with it",
        "R7627-5.3-01",
        needs=(EXTENDED_MASTER_SECRET, RESUMES),
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID, extensions=(EMS,)),
            handshake(),
            established(),
            Check(not_resumed),
        ),
    ),
    resumption.server(
        "lost",
        "a session with the extended master secret that is offered without it is refused",
        "R7627-5.3-01",
        needs=(EXTENDED_MASTER_SECRET, RESUMES),
        connect=WITH,
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID),
            Do(without_ems),
            through("client_hello"),
            refused(),
        ),
        meaning="The triple handshake attack is open.",
    ),
    resumption.client(
        "gained",
        "a session without the extended master secret that is resumed with it is refused",
        "R7627-5.3-01",
        needs=(EXTENDED_MASTER_SECRET, RESUMES),
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID),
            Do(offered),
            *choosing(with_extension(EMS)),
            after("server_hello"),
            refused(),
        ),
    ),
    resumption.client(
        "lost",
        "a session with the extended master secret that is resumed without it is refused",
        "R7627-5.3-01",
        needs=(EXTENDED_MASTER_SECRET, RESUMES),
        connect=WITH,
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID),
            Do(offered),
            *choosing(with_extension()),
            after("server_hello"),
            refused(),
        ),
    ),
    *records.both(
        "records",
        "encrypt-then-MAC protects records as RFC 7366 has it",
        "R7366-3-01",
        needs=(ENCRYPT_THEN_MAC,),
        connect=connect(suites=CBC, extensions=(ETM,)),
        conversation=(*OPEN, Alive()),
    ),
    *(
        probe
        for name, at in (("first-byte", 0), ("last-byte", -1))
        for probe in records.both(
            f"wrong-{name}",
            f"with encrypt-then-MAC a wrong MAC ({name.replace('-', ' ')}) is refused",
            "R7366-3-01",
            needs=(ENCRYPT_THEN_MAC,),
            connect=connect(suites=CBC, extensions=(ETM,)),
            conversation=(
                *OPEN,
                Send(application_data(b"GET / HTTP/1.0\r\n\r\n", sealing=Sealing(mac=flip(at)))),
                refused(),
            ),
        )
    ),
    records.server(
        "stream",
        "encrypt-then-MAC is not answered with a stream cipher",
        "R7366-3-02",
        needs=(ENCRYPT_THEN_MAC,),
        connect=connect(suites=STREAM, extensions=(ETM,)),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_no(22)))),
    ),
    records.client(
        "stream",
        "encrypt-then-MAC with a stream cipher is refused, or nobody looks",
        "R7366-3-02",
        needs=(ENCRYPT_THEN_MAC,),
        connect=connect(suites=STREAM),
        conversation=(
            *choosing(with_extension(ETM)),
            after("server_hello"),
            expect(refusal(), alert(110, 40), completed().noted("the extension is ignored")),
        ),
    ),
)

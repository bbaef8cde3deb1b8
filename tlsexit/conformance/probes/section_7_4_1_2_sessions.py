"""§7.4.1.2: the session id that a client offers, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.alerts import AlertDescription, AlertLevel
from tlsexit.conformance.actions import (
    Altered,
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.changes import reframed
from tlsexit.conformance.expect import refusal, said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import PARALLEL, RENEGOTIATES, RESUMES
from tlsexit.conformance.talk import Talk
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import client_hello

section = Group("7.4.1.2")

_SAMPLES: Final = 8

_ID_AT: Final = 34
"""Where the length of the session id stands in either hello: behind version and random."""


def long_id(name: str, size: int, filler: bytes) -> Altered:
    """The hello ``name`` with a session id of ``size`` bytes, more than there may be."""

    def changed(body: bytes) -> bytes:
        rest = body[_ID_AT + 1 + body[_ID_AT] :]
        return body[:_ID_AT] + bytes([size]) + filler * size + rest

    return Altered(name, reframed(changed))


def not_resumed(talk: Talk) -> str | None:
    """The handshake was a full one."""
    return "the server took up a session that does not exist" if talk.puppet.resumed else None


def offered_id(talk: Talk) -> bytes:
    """The session id in the last ClientHello."""
    hello = talk.puppet.client_hello
    return b"" if hello is None else hello.session_id


def id_of_client(talk: Talk) -> str | None:
    """At most 32 bytes."""
    size = len(offered_id(talk))
    return f"the client's session id has {size} bytes" if size > 32 else None


def abandon(talk: Talk) -> None:
    """Keep the session of a handshake that was never finished."""
    puppet = talk.puppet
    session = puppet.new_session()
    if not session.session_id:
        talk.inapplicable("the server gave no session id")
    talk.sessions.append(session)
    puppet.close()


def flip_the_id(talk: Talk) -> None:
    """Make the session's id another one, by one bit."""
    session = talk.sessions[-1]
    talk.sessions[-1] = replace(session, session_id=bytes([session.session_id[0] ^ 1]) + session.session_id[1:])


def keep_id(talk: Talk) -> None:
    """Remember the id that the server gave."""
    hello = talk.puppet.server_hello
    if hello is None or not hello.session_id:
        talk.inapplicable("the server gives no session ids")
    talk.memory.setdefault("ids", []).append(hello.session_id)


def ids_look_random(talk: Talk) -> str | None:
    """No id twice, and no byte that is the same in most of them: neither counters nor names."""
    ids = talk.memory["ids"]
    if len(set(ids)) < len(ids):
        return "a session id was given twice"
    size = min(map(len, ids))
    fixed = sum(len({item[at] for item in ids}) == 1 for at in range(size))
    return f"{fixed} of {size} bytes are the same in all session ids" if 2 * fixed > size else None


def offer_another_suite(talk: Talk) -> None:
    """Offer the session, but not its suite."""
    assert talk.puppet.session is not None
    own = talk.puppet.session.cipher_suite
    others = tuple(value for value in talk.capabilities.suites if value != own)
    if not others:
        talk.inapplicable("the target has one suite only")
    talk.puppet.hello["cipher_suites"] = others


def another_session(talk: Talk, hello: ServerHello) -> str | None:
    """The server answers with a full handshake."""
    if hello.session_id == offered_id(talk) and hello.session_id:
        return f"the session was resumed with suite 0x{hello.cipher_suite:04X}, its own was not offered"
    return None


def offers_its_suite(talk: Talk) -> str | None:
    """The client that offers a session offers its suite."""
    session, hello = talk.sessions[-1], talk.puppet.client_hello
    assert hello is not None
    if hello.session_id != session.session_id:
        talk.inapplicable("the client did not offer its session again")
    if session.cipher_suite not in hello.cipher_suites:
        return f"suite 0x{session.cipher_suite:04X} of the offered session is not offered"
    return None if 0 in hello.compression_methods else "the compression method of the offered session is not offered"


def give_up(talk: Talk) -> None:
    """End the handshake with a fatal alert; what its session would have been is over."""
    hello = talk.puppet.server_hello
    assert hello is not None
    talk.memory["failed"] = hello.session_id
    talk.puppet.send_alert(AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE)


def offers_nothing_failed(talk: Talk) -> str | None:
    """The id of the handshake that failed is not offered."""
    return "the session of a failed handshake is offered" if offered_id(talk) == talk.memory["failed"] else None


def _ids() -> Iterator[Probe]:
    for size in (33, 255):
        yield section.server(
            f"id-of-{size}",
            f"a session id of {size} bytes is refused",
            "R2246-7.4.1.2-06",
            conversation=(long_id("client_hello", size, b"\0"), expect(refusal())),
        )
    for size in (1, 32):
        yield section.server(
            f"unknown-id-of-{size}",
            f"an unknown session id of {size} bytes leads to a full handshake",
            "R2246-7.4.1.2-06",
            connect=connect(hello={"session_id": b"?" * size}),
            conversation=(handshake(), established(), Check(not_resumed)),
        )
    forged: dict[str, bytes] = {
        "zeros": bytes(32),
        "path": b"../../../../../../../etc/passwd\0",
        "sql": b"'; DROP TABLE sessions; --      ",
        "format": b"%s%n%x%s%n%x%s%n%x%s%n%x%s%n%x%s",
    }
    for name, id in forged.items():
        yield section.server(
            f"forged-{name}",
            f"a forged session id ({name}) leads to a full handshake",
            "R2246-7.4.1.2-10",
            connect=connect(hello={"session_id": id}),
            conversation=(handshake(), established(), Check(not_resumed)),
        )


def _origins() -> Iterator[Probe]:
    """§7.4.1.2: an earlier connection, this one, or another that is still open."""
    again = (handshake(), established())
    origins: dict[str, Any] = {
        "closed": (*completed_and_closed(), connect(resume=By.ID), *again),
        "parallel": (*again, connect(resume=By.ID, keep=True), *again),
    }
    for name, conversation in origins.items():
        yield section.server(
            f"id-of-a-{name}-connection",
            f"the session of a {name} connection may be offered",
            "R2246-7.4.1.2-07",
            needs=(RESUMES, PARALLEL) if name == "parallel" else (RESUMES,),
            conversation=conversation,
        )
    yield section.server(
        "id-of-this-connection",
        "the session of this connection may be offered in a renegotiation",
        "R2246-7.4.1.2-07",
        needs=(RESUMES, RENEGOTIATES),
        conversation=(*again, Do(resume_this), *again),
    )


def resume_this(talk: Talk) -> None:
    """Offer the present session in the next handshake of the connection."""
    talk.puppet.session = talk.puppet.new_session()


PROBES: Final = (
    *_ids(),
    section.client(
        "id",
        "the client's session id has at most 32 bytes",
        "R2246-7.4.1.2-06",
        conversation=(Observe(), Check(id_of_client)),
    ),
    *_origins(),
    section.server(
        "id-without-finished",
        "the session of a handshake that was not finished does not exist",
        "R2246-7.4.1.2-08",
        conversation=(
            through("client_key_exchange"),
            Do(abandon),
            connect(resume=By.ID),
            handshake(),
            established(),
            Check(not_resumed),
        ),
    ),
    section.server(
        "id-random",
        "session ids tell nothing",
        "R2246-7.4.1.2-09",
        conversation=(
            Repeat(_SAMPLES, (connect(), through("client_hello"), expect(said(ServerHello)), Do(keep_id))),
            Check(ids_look_random),
        ),
    ),
    section.server(
        "forged-bit",
        "a session id that is wrong in one bit leads to a full handshake",
        "R2246-7.4.1.2-10",
        needs=(RESUMES,),
        conversation=(
            *completed_and_closed(),
            Do(lambda talk: talk.remember()),
            Do(flip_the_id),
            Do(lambda talk: talk.puppet.begin()),
            connect(resume=By.ID),
            handshake(),
            established(),
            Check(not_resumed),
        ),
    ),
    section.client(
        "id-after-failure",
        "the session of a failed handshake is not offered",
        "R2246-7.4.1.2-16",
        conversation=(through("server_hello"), Do(give_up), connect(), Check(offers_nothing_failed)),
    ),
    section.server(
        "id-without-its-suite",
        "a session offered without its suite is not resumed with another one",
        "R2246-7.4.1.2-17",
        "R2246-7.4.1.3-08",
        needs=(RESUMES,),
        conversation=(
            *completed_and_closed(),
            connect(resume=By.ID),
            Do(offer_another_suite),
            Send(client_hello),
            expect(refusal(), said(ServerHello, another_session)),
        ),
    ),
    section.client(
        "id-with-its-suite",
        "a client that offers a session offers its suite and compression method",
        "R2246-7.4.1.2-17",
        "R2246-7.4.1.2-18",
        needs=(RESUMES,),
        conversation=(*completed_and_closed(), connect(resume=By.ID), Check(offers_its_suite)),
    ),
)

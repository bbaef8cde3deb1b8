"""Session tickets: RFC 5077."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Send,
    after,
    before,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, closed, said
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import SESSION_TICKET, TICKETS, Need
from tlsexit.conformance.probes.rfc_4366 import answers_no, with_extension
from tlsexit.conformance.probes.section_7_2_2 import flip
from tlsexit.conformance.probes.section_7_4_1_2_sessions import not_resumed
from tlsexit.conformance.probes.section_7_4_1_3 import choosing
from tlsexit.conformance.talk import Talk
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import Extension
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import finished_with, new_session_ticket
from tlsexit.puppet.writer import flip_first

section = Group("RFC5077")

EMPTY: Final = Extension(ExtensionType.SESSION_TICKET, b"")
ASKING: Final = connect(extensions=(EMPTY,))
"""A client that would like a ticket."""

OFFERS_NONE: Final = Need("the client wants tickets", lambda found: SESSION_TICKET.lacks(found) is not None)
PROMISE: Final = choosing(with_extension(EMPTY))


def ticket_comes_as_promised(talk: Talk) -> str | None:
    """NewSessionTicket exactly where ServerHello has the extension, and then with nothing but the ticket in it."""
    hello = talk.puppet.server_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.SESSION_TICKET)
    came = any(isinstance(item, NewSessionTicket) for item in talk.puppet.messages)
    if body not in (None, b""):
        return "the extension in ServerHello is not empty"
    if (body is not None) != came:
        return "NewSessionTicket came unannounced" if came else "NewSessionTicket was announced and did not come"
    return None


def no_ticket(talk: Talk) -> str | None:
    """A client that has not proven anything gets no ticket."""
    came = any(isinstance(item, NewSessionTicket) for item in talk.puppet.messages)
    return "a ticket came although Finished was wrong" if came else None


def offers_empty_first(talk: Talk) -> str | None:
    """A client without a ticket sends an empty extension, or none."""
    hello = talk.puppet.client_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.SESSION_TICKET)
    if body is None:
        talk.inapplicable("the client wants no tickets")
    return None


def spoil(change: Callable[[bytes], bytes]) -> Do:
    """Change the ticket that is about to be offered."""

    def act(talk: Talk) -> None:
        session = talk.remember()
        if session is None or not session.ticket:
            talk.inapplicable("the server gave no ticket")
        talk.sessions[-1] = replace(session, ticket=change(session.ticket))
        talk.puppet.begin()  # so that the session is not remembered once more

    return Do(act)


def offers_no_unproven_ticket(talk: Talk) -> str | None:
    """The ticket of a handshake that failed is not used."""
    hello = talk.puppet.client_hello
    assert hello is not None
    body = ext.find(hello.extensions, ExtensionType.SESSION_TICKET)
    return "the ticket of a failed handshake is offered" if body == b"an unproven ticket" else None


def echoes_the_id(talk: Talk, hello: ServerHello) -> str | None:
    """A server that takes the ticket echoes the made-up id; one that does not sends another or none."""
    puppet = talk.puppet
    assert puppet.client_hello is not None
    puppet.listen(talk.terms.quiet)
    if puppet.server_done:
        talk.inapplicable("the server did not take the ticket")
    return None if hello.session_id == puppet.client_hello.session_id else "the session id is not echoed"


def keep_ticket(talk: Talk) -> None:
    """Remember the ticket, and the secret that it must not show."""
    ticket = talk.puppet.ticket
    if ticket is None or not ticket.ticket:
        talk.inapplicable("the server gave no ticket")
    talk.memory.setdefault("tickets", []).append(ticket.ticket)
    if talk.puppet.master_secret in ticket.ticket:
        talk.memory["shown"] = True


def tickets_tell_nothing(talk: Talk) -> str | None:
    """Neither the master secret nor the same bytes twice."""
    if talk.memory.get("shown"):
        return "the master secret stands in the ticket"
    first, second = talk.memory["tickets"][-2:]
    same = sum(a == b for a, b in zip(first[16:], second[16:], strict=False))
    size = min(len(first), len(second)) - 16
    return f"{same} of {size} bytes are the same in two tickets" if 2 * same > size else None


def _spoilt() -> Iterator[Probe]:
    changes: dict[str, Callable[[bytes], bytes]] = {
        "first-byte": flip_first,
        "middle": lambda ticket: flip(len(ticket) // 2)(ticket),
        "last-byte": flip(-1),
        "truncated": lambda ticket: ticket[:-5],
        "one-byte": lambda ticket: ticket[:1],
        "random": lambda ticket: os.urandom(len(ticket)),
    }
    for name, change in changes.items():
        yield section.server(
            f"spoilt-{name}",
            f"a ticket that is not genuine ({name.replace('-', ' ')}) leads to a full handshake",
            "R5077-3.2-02",
            "R5077-5.2-01",
            needs=(TICKETS,),
            connect=ASKING,
            conversation=(
                *completed_and_closed(),
                spoil(change),
                connect(resume=By.TICKET),
                handshake(),
                established(),
                Check(not_resumed),
            ),
        )


PROBES: Final = (
    section.server(
        "not-asked",
        "a client that wants no ticket is promised none",
        "R5077-3.2-01",
        connect=connect(hello={"extensions": None}),
        conversation=(through("client_hello"), expect(said(ServerHello, answers_no(35)))),
    ),
    section.server(
        "promise",
        "a ticket comes exactly if it was promised",
        "R5077-3.2-01",
        "R5077-3.3-01",
        connect=ASKING,
        conversation=(handshake(), established(), Check(ticket_comes_as_promised)),
    ),
    section.client(
        "extension",
        "a client that wants tickets says so",
        "R5077-3.2-01",
        conversation=(Observe(), Check(offers_empty_first)),
    ),
    section.client(
        "unwanted",
        "a ticket promised to a client that wants none is refused",
        "R5077-3.2-01",
        needs=(OFFERS_NONE,),
        conversation=(*PROMISE, expect(alert(110, 10, 50, 47), closed())),
    ),
    *_spoilt(),
    section.server(
        "wrong-finished",
        "no ticket is given to a client whose Finished is wrong",
        "R5077-3.3-01",
        connect=ASKING,
        conversation=(
            before("finished"),
            Send(finished_with(flip_first)),
            expect(alert(51, 20, 40, 47), closed()),
            Check(no_ticket),
        ),
    ),
    section.client(
        "unannounced",
        "NewSessionTicket that was not announced is refused",
        "R5077-3.3-01",
        conversation=(before("change_cipher_spec"), Send(new_session_ticket(b"a ticket")), refused()),
    ),
    section.client(
        "missing",
        "ChangeCipherSpec in place of the promised NewSessionTicket is refused",
        "R5077-3.3-01",
        needs=(SESSION_TICKET,),
        conversation=(*PROMISE, after("server_hello"), refused()),
    ),
    section.client(
        "empty",
        "an empty ticket is accepted",
        "R5077-3.3-01",
        needs=(SESSION_TICKET,),
        conversation=(
            *PROMISE,
            replace(before("change_cipher_spec"), start="server_hello", skip=True),
            Send(new_session_ticket(b"", 0)),
            replace(after("finished"), start="change_cipher_spec", skip=False),
            established(),
        ),
    ),
    section.client(
        "unproven",
        "the ticket of a handshake that failed is not used",
        "R5077-3.3-02",
        needs=(SESSION_TICKET,),
        conversation=(
            *PROMISE,
            replace(before("change_cipher_spec"), start="server_hello", skip=True),
            Send(new_session_ticket(b"an unproven ticket")),
            replace(before("finished"), start="change_cipher_spec"),
            Send(finished_with(flip_first)),
            expect(alert(51, 40, 47, 20), closed()),
            connect(),
            Check(offers_no_unproven_ticket),
        ),
    ),
    section.server(
        "made-up-id",
        "a server that takes a ticket echoes the session id beside it",
        "R5077-3.4-01",
        needs=(TICKETS,),
        connect=ASKING,
        conversation=(
            *completed_and_closed(),
            connect(resume=By.TICKET, hello={"session_id": bytes(range(200, 232))}),
            through("client_hello"),
            expect(said(ServerHello, echoes_the_id)),
        ),
    ),
    section.server(
        "sealed",
        "tickets are encrypted",
        "R5077-5.2-01",
        needs=(TICKETS,),
        connect=ASKING,
        conversation=(
            handshake(),
            established(),
            Do(keep_ticket),
            ASKING,
            handshake(),
            established(),
            Do(keep_ticket),
            Check(tickets_tell_nothing),
        ),
    ),
)

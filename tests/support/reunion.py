"""A client and a server that meet again and again, with something behind the server that remembers sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.ends import RSA, check_phases, client_end, handshake, server_end
from tests.support.grammar import phases
from tests.support.pair import End, pump
from tests.support.stores import Clock
from tlsexit.events import MessageSeen
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.extensions import find
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.handshake.hello import ServerHello
from tlsexit.session import Session, SessionStore, TicketProtector


@dataclass
class Reunion:
    """``store`` and ``tickets`` are the server's; ``size`` is that of the pieces the stream is carried in."""

    clock: Clock
    store: SessionStore | None = None
    tickets: TicketProtector | None = None
    client: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    suites: tuple[int, ...] = (RSA,)
    size: int | None = None

    def ends(self, session: Session | None = None) -> tuple[End, End]:
        """A started client that offers ``session``, and a started server."""
        profile = {"session_tickets": self.tickets is not None, **self.client}
        client = client_end(*self.suites, session=session, config={"clock": self.clock}, **profile)
        config = {"clock": self.clock, "session_store": self.store, "tickets": self.tickets}
        return client, server_end(*self.suites, config=config, **self.server)

    def meet(self, session: Session | None = None) -> tuple[End, End]:
        """A complete handshake, and data both ways."""
        client, server = self.ends(session)
        handshake(client, server, size=self.size)
        resumed = [end.connection.context.resumed for end in (client, server)]
        assert resumed[0] == resumed[1]
        for end in (client, server):
            check_phases(end)
            if resumed[0]:
                assert phases(end.seen) == "SD"
            end.connection.send(b"data")
        pump(client, server, size=self.size)
        assert client.received == server.received == b"data"
        return client, server

    def first(self) -> Session:
        """A full handshake, and the session that the client takes from it."""
        client, _ = self.meet()
        assert not client.connection.context.resumed
        session = client.connection.session
        assert session is not None
        return session

    def resumes(self, session: Session | None) -> bool:
        """Whether another handshake resumes the session."""
        return self.meet(session)[0].connection.context.resumed

    def alter(self, session: Session, **fields: Any) -> Session:
        """Change what the server remembers of a client's session; return what the client is to offer for it."""
        if session.ticket:
            assert self.tickets is not None
            opened = self.tickets.open(session.ticket)
            assert opened is not None
            return replace(session, ticket=self.tickets.seal(replace(opened[0], **fields)))
        assert self.store is not None
        remembered = self.store.get(session.session_id)
        assert remembered is not None
        self.store.put(replace(remembered, **fields))
        return session


def promised(end: End) -> bool:
    """Whether the ServerHello of the last handshake promised a ticket."""
    hellos = [item.message for item in end.seen if isinstance(item, MessageSeen)]
    (hello,) = [item for item in hellos if isinstance(item, ServerHello)]
    extension = find(hello.extensions, ExtensionType.SESSION_TICKET)
    assert extension in (None, b"")  # R5077-3.2-01: the server's is empty
    return extension is not None


def handed_out(end: End) -> list[NewSessionTicket]:
    """The NewSessionTicket messages of a connection."""
    messages = [item.message for item in end.seen if isinstance(item, MessageSeen)]
    return [item for item in messages if isinstance(item, NewSessionTicket)]

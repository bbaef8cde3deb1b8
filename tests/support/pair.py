"""A client and a server joined in memory, with exits of the test's choosing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.delivery import PIECE, drain, pieces
from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki, run
from tlsexit.events import ApplicationData, Event, Observation
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task

Tamper = Callable[[bytes], bytes]


@dataclass
class End:
    """One side of the pair: its connection, what answers for it, and everything it reported."""

    connection: Connection
    exits: object
    pki: Pki
    events: list[Event] = field(default_factory=list)
    seen: list[Observation] = field(default_factory=list)

    def drive(self) -> None:
        run(self.connection, self.exits, self.pki)
        while (event := self.connection.next_event()) is not None:
            self.events.append(event)

    @property
    def received(self) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, ApplicationData))


def make_end(
    profile: Profile,
    pki: Pki | None = None,
    exits: object = None,
    *,
    session: Session | None = None,
    **config: Any,
) -> End:
    """Return one started end, in a task of its own."""
    seen: list[Observation] = []
    pki = pki or BuiltinPki()
    task = Task(system_config(observer=seen.append, **config))
    run(task, exits, pki)
    task.context.trust = b""  # ends of all kinds meet here and resume sessions that a test made by hand
    connection = task.connection(profile, session=session)
    end = End(connection, exits, pki, seen=seen)
    connection.start()
    end.drive()
    return end


def pump(client: End, server: End, *, size: int | None = None) -> None:
    """Carry bytes both ways until neither side has anything to say."""
    moved = True
    while moved:
        moved = False
        for source, target in ((client, server), (server, client)):
            for piece in pieces(drain(source.connection), size or PIECE):
                moved = True
                target.connection.receive_data(piece)
                target.drive()

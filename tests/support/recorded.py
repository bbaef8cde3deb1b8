"""A connection between two ends in memory, recorded as the tracing tools see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from tests.support.pair import End, pump
from tests.support.pki import pki
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.drivers.drive import Pki, run
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session
from tlsexit.trace import Entry, MessageRow, Recorder, TracedTask, WatchedPki, rows
from tlsexit.trace.ladder import message_label


def ticking() -> Callable[[], float]:
    """A clock that goes on by a second each time it is read."""
    ticks = count()
    return lambda: float(next(ticks))


class RecordedPair:
    """A client and a server with tasks of their own; ``connect`` makes a connection, ``finish`` ends the tasks."""

    def __init__(
        self,
        suite: int,
        *,
        verify: Verify = Verify.REQUIRED,
        client_exit: object = None,
        server_exit: object = None,
        pkis: Mapping[Role, Pki] | None = None,
        size: int | None = None,
    ) -> None:
        self.size = size
        self.recorder = Recorder(ticking())
        certificates = pki(SUITES[suite].key_exchange.certificate or KeyType.RSA)
        self._profiles = {
            Role.CLIENT: Profile.client(cipher_suites=(suite,), server_name="localhost"),
            Role.SERVER: Profile.server(cipher_suites=(suite,), verify=verify),
        }
        self._exits = {Role.CLIENT: client_exit, Role.SERVER: server_exit}
        self._pkis = {role: WatchedPki((pkis or {}).get(role) or certificates.builtin(role)) for role in Role}
        self._tasks: dict[Role, TracedTask] = {}
        for role in Role:
            task = TracedTask(system_config(), self.recorder.observer(role, self._pkis[role]))
            run(task, self._exits[role], self._pkis[role])
            self._tasks[role] = task

    def connect(self, session: Session | None = None) -> tuple[End, End]:
        """Return both ends after their handshake, whatever became of it."""
        ends = []
        for role in Role:
            connection = self._tasks[role].connection(
                self._profiles[role], session=session if role is Role.CLIENT else None
            )
            end = End(connection, self._exits[role], self._pkis[role])
            connection.start()
            end.drive()
            ends.append(end)
        client, server = ends
        pump(client, server, size=self.size)
        return client, server

    def again(self) -> None:
        """Record what follows from the start."""
        self.recorder = Recorder(ticking())
        for role, task in self._tasks.items():
            task.observer = self.recorder.observer(role, self._pkis[role])

    def talk(self, client: End, server: End) -> None:
        """Exchange application data and close."""
        for sender, data in ((client, b"question"), (server, b"answer!")):
            sender.connection.send(data)
            pump(client, server, size=self.size)
        client.connection.close()
        client.drive()
        pump(client, server, size=self.size)

    def finish(self) -> tuple[Entry, ...]:
        """End the tasks and return all entries."""
        for role, task in self._tasks.items():
            task.end()
            run(task, self._exits[role], self._pkis[role])
        return self.recorder.entries


def steps(entries: tuple[Entry, ...], *, end: Role | None = None) -> list[str]:
    """The rows as short texts: ``client: ClientHello`` for messages, ``client? StartHandshake`` for phases."""
    found = []
    for row in rows(entries):
        if isinstance(row, MessageRow):
            found.append(f"{row.sender.value}: {message_label(row)[0]}")
        elif end in (None, row.end):
            found.append(f"{row.end.value}? {row.call.phase.value}")
    return found


def messages(entries: tuple[Entry, ...]) -> list[str]:
    """The messages alone."""
    return [step for step in steps(entries) if "? " not in step]

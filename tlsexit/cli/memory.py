"""A client and a server in one process, joined without a network, with throw-away certificates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from tlsexit.alerts import LocalError
from tlsexit.cli.outcome import End, Outcome
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.drivers.drive import Pki, run
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import ExitCall, GetPreSharedKeyCall, PreSharedKey
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.policy.throwaway import generate_key, throwaway_authority
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.trace import Recorder, TracedTask, WatchedPki

_QUESTION: Final = b"Is anybody there?"
_ANSWER: Final = b"Yes."

_PSK: Final = PreSharedKey(b"throw-away", bytes(range(32)))
"""Both sides of a demonstration know it."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds on the wall and of this process's CPU."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


class _DemonstrationPki:
    """The built-in PKI, which knows a pre-shared key too."""

    def __init__(self, builtin: BuiltinPki) -> None:
        self._builtin = builtin

    def answer(self, call: ExitCall) -> Answer:
        return Handled(_PSK) if isinstance(call, GetPreSharedKeyCall) else self._builtin.answer(call)


def throwaway_pkis(suites: tuple[int, ...], host: str) -> dict[Role, Pki]:
    """Return a built-in PKI for each side: one authority, and a certificate for each kind of key the suites need."""
    needed = {SUITES[value].key_exchange.certificate for value in suites} - {None}
    kinds = [kind for kind in KeyType if kind in needed] or [KeyType.RSA]
    root = throwaway_authority()
    authorities = {"throw-away": [root.certificate]}
    servers = [
        root.issue(host, key=generate_key(kind), hosts=(host,)).identity(f"server {kind.value}") for kind in kinds
    ]
    client = root.issue("throw-away client", key=generate_key(kinds[0]), role=Role.CLIENT).identity("client")
    return {
        Role.CLIENT: _DemonstrationPki(BuiltinPki([client], authorities)),
        Role.SERVER: _DemonstrationPki(BuiltinPki(servers, authorities)),
    }


class _Side:
    """One end: its task, its connection of the moment, and the CPU time it took."""

    def __init__(self, role: Role, profile: Profile, exits: object, pki: Pki, clocks: Clocks) -> None:
        self.role = role
        self._profile = profile
        self._exits = exits
        self._pki = WatchedPki(pki)
        self._clocks = clocks
        self._task: TracedTask | None = None
        self._completed_cpu: float | None = None
        self.cpu = 0.0
        self.sent = 0

    def record(self, recorder: Recorder) -> None:
        """Report to ``recorder`` from now on; the first call starts the task."""
        observer = recorder.observer(self.role, self._pki)
        if self._task is None:
            self._task = TracedTask(system_config(), observer)
            run(self._task, self._exits, self._pki)
        self._task.observer = observer

    def open(self, session: Session | None) -> None:
        """Make and start a connection."""
        assert self._task is not None
        self.cpu, self.sent = 0.0, 0
        self.connection = self._task.connection(self._profile, session=session)
        self._timed(self.connection.start)

    def take(self) -> bytes:
        """Return what is to be sent."""
        data = self.connection.data_to_send()
        self.sent += len(data)
        return data

    def give(self, data: bytes) -> None:
        """Deliver bytes from the peer."""
        self._timed(lambda: self.connection.receive_data(data))

    def send(self, data: bytes) -> None:
        """Send application data."""
        self._timed(lambda: self.connection.send(data))

    def close(self) -> None:
        """Close the connection with close_notify."""
        self._timed(self.connection.close)

    def end_task(self) -> None:
        """Ask EndTask."""
        if self._task is not None:
            self._task.end()
            run(self._task, self._exits, self._pki)

    def end(self) -> End:
        """Return what became of this end."""
        return End(self.role, self.connection.context, self.connection.error)

    def _timed(self, work: Callable[[], None]) -> None:
        before = self._clocks.cpu()
        work()
        run(self.connection, self._exits, self._pki)
        while self.connection.next_event() is not None:
            continue
        self.cpu += self._clocks.cpu() - before


class Demonstration:
    """Handshakes between two sides that stay the same, so that one may resume the session of another.

    ``chunk`` is how many bytes are delivered at a time; None delivers whole flights.
    """

    def __init__(
        self,
        profiles: dict[Role, Profile],
        pkis: dict[Role, Pki],
        exits: dict[Role, object],
        *,
        chunk: int | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        if chunk is not None and chunk < 1:
            raise LocalError("a chunk has at least one byte")
        self._chunk = chunk
        self._clocks = clocks or Clocks()
        self._sides = [_Side(role, profiles[role], exits[role], pkis[role], self._clocks) for role in Role]

    def handshakes(self, *, resume: bool) -> tuple[Outcome, ...]:
        """Make a connection, with ``resume`` a second one that resumes it, and end the tasks.

        Raises :class:`~tlsexit.alerts.ExitFailed` if StartTask fails.
        """
        outcomes = []
        session: Session | None = None
        count = 2 if resume else 1
        for number in range(1, count + 1):
            recorder = Recorder(self._clocks.wall)
            for side in self._sides:
                side.record(recorder)
            outcome, session = self._connect(recorder, session)
            last = number == count or not outcome.completed
            if last:
                for side in self._sides:
                    side.end_task()
            outcomes.append(replace(outcome, entries=recorder.entries))  # EndTask may have come
            if last:
                break
        return tuple(outcomes)

    def _connect(self, recorder: Recorder, session: Session | None) -> tuple[Outcome, Session | None]:
        client, server = self._sides
        start = self._clocks.wall()
        client.open(session)
        server.open(None)
        self._pump()
        seconds, cpu, sent, established = None, {}, {}, client.connection.session
        if client.connection.established and server.connection.established:
            seconds = self._clocks.wall() - start
            cpu = {side.role: side.cpu for side in self._sides}
            sent = {side.role: side.sent for side in self._sides}
            client.send(_QUESTION)
            self._pump()
            server.send(_ANSWER)
            self._pump()
        client.close()
        self._pump()
        ends = (client.end(), server.end())
        return Outcome(recorder.entries, ends, seconds, cpu, sent), established

    def _pump(self) -> None:
        """Carry bytes both ways until neither side has any."""
        client, server = self._sides
        moved = True
        while moved:
            moved = False
            for source, target in ((client, server), (server, client)):
                for piece in _pieces(source.take(), self._chunk):
                    moved = True
                    target.give(piece)


def _pieces(data: bytes, size: int | None) -> Iterator[bytes]:
    step = size or max(len(data), 1)
    for start in range(0, len(data), step):
        yield data[start : start + step]

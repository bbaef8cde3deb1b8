"""Collect what the observers of one or both ends of a connection are told, with the time of each.

::

    recorder = Recorder(time.perf_counter)
    pki = WatchedPki(BuiltinPki(...))
    config = system_config(observer=recorder.observer(Role.CLIENT, pki))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.application import identifiers
from tlsexit.drivers.drive import Pki
from tlsexit.events import Observation, PhaseSeen
from tlsexit.exits.answers import Answer
from tlsexit.exits.application import Identifiers
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.context import SessionContext
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task

Observer = Callable[[Observation], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One observation: ``at`` in seconds since the recorder was made, ``end`` the side that observed.

    ``builtin`` says of an answered phase that the built-in PKI gave the answer, the exit having left it.
    """

    at: float
    end: Role
    seen: Observation
    builtin: bool = False


class WatchedPki:
    """A PKI that remembers which questions reached it: those that no exit answered."""

    def __init__(self, pki: Pki) -> None:
        self._pki = pki
        self._asked: list[ExitCall] = []

    def answer(self, call: ExitCall) -> Answer:
        """Answer one call."""
        self._asked.append(call)
        return self._pki.answer(call)

    @property
    def fingerprint(self) -> bytes:
        """That of the PKI behind this one, if it has any: what it trusts, so that sessions do not outlive it."""
        return getattr(self._pki, "fingerprint", b"")

    @property
    def live(self) -> bool:
        """Whether the PKI behind this one changes."""
        return getattr(self._pki, "live", False)

    def identify(self, context: SessionContext) -> Identifiers:
        """What the PKI behind this one calls the certificates of a session, if it has names for them."""
        return identifiers(self._pki, context)

    def take(self, call: ExitCall) -> bool:
        """Tell, once, whether the call got here."""
        for index, asked in enumerate(self._asked):
            if asked is call:
                del self._asked[index]
                return True
        return False


class Recorder:
    """The entries of one connection, in the order in which they were observed.

    ``clock`` returns seconds from any start. ``listener`` hears of each entry at once.
    """

    def __init__(self, clock: Callable[[], float], listener: Callable[[Entry], None] | None = None) -> None:
        self._clock = clock
        self._start = clock()
        self._listener = listener
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries so far."""
        return tuple(self._entries)

    def now(self) -> float:
        """Seconds since the recorder was made."""
        return self._clock() - self._start

    def observer(self, end: Role, pki: WatchedPki | None = None) -> Observer:
        """Return an observer for :class:`~tlsexit.config.Config`; ``pki`` tells who answered each phase."""

        def observe(seen: Observation) -> None:
            builtin = (
                isinstance(seen, PhaseSeen) and seen.answer is not None and pki is not None and pki.take(seen.call)
            )
            entry = Entry(self.now(), end, seen, builtin)
            self._entries.append(entry)
            if self._listener is not None:
                self._listener(entry)

        return observe


class TracedTask(Task):
    """A task that tells an observer of StartTask and EndTask too, and can give each connection an observer of its own.

    Connections made from now on report to the observer set last.
    """

    def __init__(
        self, config: Config, observer: Observer, *, reference: int | None = None, **configuration: object
    ) -> None:
        super().__init__(replace(config, observer=observer), reference=reference, **configuration)
        self._observer = observer
        self._latest: Connection | None = None

    @property
    def observer(self) -> Observer:
        """Who is told."""
        return self._observer

    @observer.setter
    def observer(self, observer: Observer) -> None:
        self._observer = observer
        self._latest = None
        self._config = replace(self._config, observer=observer)

    def connection(
        self,
        profile: Profile,
        *,
        session: Session | None = None,
        remote_address: tuple[str, int] | None = None,
        local_address: tuple[str, int] | None = None,
    ) -> Connection:
        """Return a new connection, as :meth:`Task.connection` does."""
        made = super().connection(profile, session=session, remote_address=remote_address, local_address=local_address)
        self._latest = made
        return made

    @property
    def latest(self) -> Connection | None:
        """The connection made last, since the observer was set; None if there is none."""
        return self._latest

    def answer(self, answer: Answer, to: ExitCall | None = None) -> None:
        """Answer the pending question, as :meth:`Task.answer` does."""
        call = self.pending_exit
        if call is not None:
            self._observer(PhaseSeen(call.phase, call))
            self._observer(PhaseSeen(call.phase, call, answer))
        super().answer(answer, to)

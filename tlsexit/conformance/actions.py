"""The steps of a probe's conversation.

A conversation begins with a new connection, made as the probe's ``connect`` says, and plays one action after the other.
Its own part is honest wherever it does not say otherwise: ``before("finished")`` plays a handshake up to Finished, and
``after("finished")`` what comes behind it, in either role and whatever the suite::

    (before("change_cipher_spec"), Send(record(20, b"\\x00")), after("change_cipher_spec"), Expect(refusal()))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from tlsexit.conformance.expect import Alternative, answered, completed, goes_on, refusal
from tlsexit.constants import Role
from tlsexit.handshake.extensions import Extension
from tlsexit.puppet import Credentials, Step
from tlsexit.puppet.steps import hello_request

if TYPE_CHECKING:
    from tlsexit.conformance.needs import SuiteChoice
    from tlsexit.conformance.talk import Talk


class Resume(Enum):
    """How a session is taken up again."""

    ID = "session id"
    TICKET = "ticket"


class Action:
    """One step of a conversation."""

    def run(self, talk: Talk) -> None:
        """Do it; raises :class:`~tlsexit.conformance.talk.Stop` to end the conversation with a verdict."""
        raise NotImplementedError


@dataclass(frozen=True)
class Connect(Action):
    """Begin a new connection.

    ``suites`` is what to offer or choose. ``hello`` are fields of the own hello instead of the usual ones,
    ``extensions`` are added to the usual ones. ``resume`` takes up the session of the connection before, in which case
    nothing is different unless said so. ``credentials`` makes what the puppet shows, ``show_certificate`` is whether a
    client that is asked has a certificate, ``request`` whether a server asks for one. ``keep`` leaves the connection
    before open.
    """

    suites: SuiteChoice | None = None
    hello: tuple[tuple[str, Any], ...] = ()
    extensions: tuple[Extension, ...] = ()
    resume: Resume | None = None
    credentials: Callable[[Talk], Credentials] | None = None
    show_certificate: bool = True
    request: bool = False
    keep: bool = False

    @property
    def odd(self) -> bool:
        """Whether a target may have reason to end such a connection early."""
        return bool(self.hello or self.extensions or self.credentials is not None or not self.show_certificate)

    def run(self, talk: Talk) -> None:
        talk.connect(self)


def connect(**fields: Any) -> Connect:
    """Return a :class:`Connect`; ``hello`` may be a dictionary."""
    if "hello" in fields:
        fields["hello"] = tuple(fields["hello"].items())
    return Connect(**fields)


@dataclass(frozen=True)
class Honest(Action):
    """Play the honest handshake from one step to another, each by its name.

    ``start`` is the first step, or the one before it if ``skip``; ``stop`` the first that is not played, or the last
    that is if ``inclusive``.
    """

    start: str | None = None
    stop: str | None = None
    skip: bool = False
    inclusive: bool = False

    def run(self, talk: Talk) -> None:
        trace = talk.trace
        names = [step.name for step in trace]
        first = 0 if self.start is None else names.index(self.start) + self.skip
        last = len(trace) if self.stop is None else names.index(self.stop) + self.inclusive
        for step in trace[first:last]:
            if not talk.play(step):
                return
        talk.await_owed()


def handshake() -> Honest:
    """The whole handshake; the target's Finished is awaited by whatever comes next."""
    return Honest()


def before(name: str, *, start: str | None = None) -> Honest:
    """The handshake up to the step ``name``, from the beginning or from ``start``."""
    return Honest(start=start, stop=name)


def through(name: str, *, start: str | None = None) -> Honest:
    """The handshake up to and with the step ``name``."""
    return Honest(start=start, stop=name, inclusive=True)


def after(name: str) -> Honest:
    """What comes behind the step ``name``."""
    return Honest(start=name, skip=True)


def onwards(name: str) -> Honest:
    """The step ``name`` and what comes behind it."""
    return Honest(start=name)


@dataclass(frozen=True)
class Send(Action):
    """Send something of the probe's own making: this is where it departs from an honest end."""

    step: Step

    def run(self, talk: Talk) -> None:
        talk.depart(self.step)


@dataclass(frozen=True)
class Skip(Action):
    """Leave out what an honest end would send here; what it is stands in ``names``, for the reader of the probe."""

    names: tuple[str, ...]

    def run(self, talk: Talk) -> None:
        talk.note_mark()
        talk.deviated = True


def skip(*names: str) -> Skip:
    """Return a :class:`Skip`; the next action goes on behind it."""
    return Skip(names)


@dataclass(frozen=True)
class Altered(Action):
    """Send an honest step, its bytes (header included) changed by ``change`` before they are sent and hashed."""

    name: str
    change: Callable[[bytes], bytes]

    def run(self, talk: Talk) -> None:
        talk.depart(talk.altered(self.name, self.change))


@dataclass(frozen=True)
class Rebuilt(Action):
    """Send an honest step in another manner: with other ``fields``, such as ``cut`` or ``sealing``."""

    name: str
    fields: tuple[tuple[str, Any], ...]

    def run(self, talk: Talk) -> None:
        talk.depart(talk.rebuilt(self.name, dict(self.fields)))


def rebuilt(name: str, **fields: Any) -> Rebuilt:
    """Return a :class:`Rebuilt`."""
    return Rebuilt(name, tuple(fields.items()))


@dataclass(frozen=True)
class Expect(Action):
    """Wait until one of the alternatives has happened; what else may come fails the probe.

    ``why`` says in the report what the expectation is about, ``patience`` multiplies the usual wait.
    """

    alternatives: tuple[Alternative, ...]
    why: str = ""
    patience: float = 1.0

    def run(self, talk: Talk) -> None:
        talk.expect(self)


def expect(*alternatives: Alternative, why: str = "", patience: float = 1.0) -> Expect:
    """Return an :class:`Expect`."""
    return Expect(alternatives, why, patience)


def refused(why: str = "") -> Expect:
    """The target ends the connection with an alert that the catalogue names, or without one."""
    return Expect((refusal(),), why)


def established(why: str = "") -> Expect:
    """The handshake completes."""
    return Expect((completed(),), why)


@dataclass(frozen=True)
class Check(Action):
    """Look at what has been said; ``wrong`` returns what is not right, None if all is."""

    wrong: Callable[[Talk], str | None]

    def run(self, talk: Talk) -> None:
        talk.check(self.wrong(talk))


@dataclass(frozen=True)
class Do(Action):
    """Anything else: ``act`` may use the talk as it likes."""

    act: Callable[[Talk], object]

    def run(self, talk: Talk) -> None:
        self.act(talk)


OPEN: Final = (handshake(), established())
"""A whole handshake: what a probe of an open connection begins with."""


def completed_and_closed() -> tuple[Action, ...]:
    """A whole connection that ends in good order, for a session to be resumed afterwards."""
    return (handshake(), established(), Do(lambda talk: talk.say_goodbye()))


@dataclass(frozen=True)
class Repeat(Action):
    """Play some actions several times."""

    times: int
    actions: tuple[Action, ...]

    def run(self, talk: Talk) -> None:
        for _ in range(self.times):
            for action in self.actions:
                action.run(talk)


@dataclass(frozen=True)
class Alive(Action):
    """The target still does its work: as a server it answers a request, as a client it takes an answer.

    Where the target has no answers to give, it must at least leave the connection open.
    """

    why: str = ""

    def run(self, talk: Talk) -> None:
        talk.note_mark()
        speaks = talk.capabilities.application is not None
        if talk.puppet.role is Role.CLIENT and speaks:
            talk.send_request()
            talk.expect(Expect((answered(),), self.why or "the answer to a request"))
        else:
            talk.send_request()
            talk.expect(Expect(goes_on(), self.why or "a connection that goes on"))


@dataclass(frozen=True)
class Observe(Action):
    """The honest handshake and one exchange of data, shared by all the probes that only look at it."""

    data: bool = True
    checks: tuple[Check, ...] = field(default=())

    def run(self, talk: Talk) -> None:
        for action in (handshake(), established(), *((Alive(),) if self.data else ())):
            talk.attempt(action)


@dataclass(frozen=True)
class Demand(Action):
    """From here on a target that gives up fails the probe, although everything is honest."""

    def run(self, talk: Talk) -> None:
        talk.deviated = True


def demanded() -> tuple[Action, ...]:
    """A handshake that has to complete, for probes of which that is the point, and data both ways."""
    return (Demand(), handshake(), established(), Alive())


@dataclass(frozen=True)
class Begin(Action):
    """Begin another handshake on the connection: as a server, ask the client for it."""

    def run(self, talk: Talk) -> None:
        talk.note_mark()
        if talk.puppet.role is Role.SERVER:
            talk.puppet.send(hello_request)


def renegotiated() -> tuple[Action, ...]:
    """A handshake, and another one on the same connection."""
    return (handshake(), established(), Begin(), handshake(), established())

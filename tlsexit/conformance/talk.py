"""One conversation with a target, as a probe prescribes it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tlsexit.alerts import AlertDescription, AlertLevel, TlsError
from tlsexit.conformance.actions import Action, Connect, Expect, Resume
from tlsexit.conformance.expect import Alternative, Refusal, Said
from tlsexit.conformance.honest import curve_extensions, honest
from tlsexit.conformance.model import Probe, Reading, Verdict
from tlsexit.conformance.needs import ANY, Capabilities
from tlsexit.conformance.targets import Lane, Unreachable
from tlsexit.constants import ContentType, Role
from tlsexit.crypto.suites import SUITES, Premaster
from tlsexit.events import MessageSeen
from tlsexit.handshake.extensions import Extension
from tlsexit.puppet import Credentials, Puppet, Step, seeded
from tlsexit.puppet.traces import position

if TYPE_CHECKING:
    from tlsexit.session import Session

REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"
"""What a server is asked, unless told otherwise."""
RESPONSE: Final = b"HTTP/1.0 200 ok\r\nContent-Type: text/plain\r\n\r\nprobed by tlsexit\n"
"""What a client is answered."""


@dataclass(frozen=True)
class Terms:
    """What holds for a whole run.

    ``patience`` is how long an answer is waited for, ``quiet`` how long nothing must come before it counts as silence;
    both in seconds. ``credentials`` are what the puppet shows. ``authority`` is the puppet's own, with its key.
    """

    reading: Reading = Reading.LATER
    patience: float = 2.0
    quiet: float = 0.3
    request: bytes = REQUEST
    response: bytes = RESPONSE
    credentials: Credentials = field(default_factory=dict, repr=False)
    authority: Any = field(default=None, repr=False)
    server_name: str = "localhost"


class Stop(Exception):
    """The conversation is over, with this verdict."""

    def __init__(self, verdict: Verdict, reason: str, *, silent: bool = False) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason
        self.silent = silent
        """Whether the verdict rests on nothing having come in time."""


@dataclass(frozen=True)
class Outcome:
    """How a conversation went; ``silent`` if the verdict rests on nothing having come in time."""

    verdict: Verdict
    reason: str = ""
    silent: bool = False


@dataclass(frozen=True)
class Mark:
    """How much had arrived at some point: messages and alerts by number, application data in bytes."""

    messages: int = 0
    alerts: int = 0
    data: int = 0


class Talk:
    """The state of a conversation: the puppet, what was found, and the means to go on."""

    def __init__(self, lane: Lane, capabilities: Capabilities, terms: Terms, probe: Probe) -> None:
        self.lane = lane
        self.capabilities = capabilities
        self.terms = terms
        self.probe = probe
        self.puppets: list[Puppet] = []
        """One for each connection, in order."""
        self.sessions: list[Session] = []
        self.deviated = False
        self.own: set[int] = set()
        """The ids of the entries in the puppets' talk in which the probe departed from honesty."""
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.mark = Mark()
        self.memory: dict[str, Any] = {}
        """What one action leaves for a later one."""
        self.requests = False
        """Whether the puppet, as a server, asks for a certificate."""
        self._actions: list[Action] = []

    # ------------------------------------------------------------------------------------------- as a whole

    def hold(self, actions: tuple[Action, ...] | None = None) -> Outcome:
        """Play ``actions``, or the probe's conversation, and end the connections; says how it went."""
        try:
            outcome = self._hold(self.probe.conversation if actions is None else actions)
            crash = self._crash()
            return outcome if crash is None else Outcome(Verdict.FAIL, f"the target has crashed: {crash}")
        finally:
            for puppet in self.puppets:
                puppet.close()

    def _crash(self) -> str | None:
        """What a target in this process has raised."""
        engines = (getattr(puppet.transport, "engine", None) for puppet in self.puppets)
        return next((found for engine in engines if (found := getattr(engine, "crashed", None))), None)

    def _hold(self, actions: tuple[Action, ...]) -> Outcome:
        try:
            if not self.puppets and not (actions and isinstance(actions[0], Connect)):
                self.connect(self.probe.connect or Connect())
            self._actions = list(actions)
            while self._actions:
                self._actions.pop(0).run(self)
        except Stop as stop:
            return Outcome(stop.verdict, stop.reason, stop.silent)
        except Unreachable as error:
            return Outcome(Verdict.INCONCLUSIVE, f"the target cannot be reached: {error}")
        except TlsError as error:
            return Outcome(Verdict.INCONCLUSIVE, f"the probe cannot go on: {error}")
        except Exception as error:  # what a target says must not end the run
            return Outcome(Verdict.INCONCLUSIVE, f"the probe itself fails: {type(error).__name__}: {error}")
        if self.warnings:
            return Outcome(Verdict.WARNING, "; ".join(self.warnings))
        return Outcome(Verdict.PASS, "; ".join(dict.fromkeys(self.notes)))

    def seen_by(self, probe: Probe) -> Talk:
        """Return this talk, for another probe to look at."""
        other = Talk(self.lane, self.capabilities, self.terms, probe)
        other.puppets, other.sessions, other.memory = self.puppets, self.sessions, self.memory
        other.requests = self.requests
        other.own = self.own
        return other

    @property
    def puppet(self) -> Puppet:
        """The end of the present connection."""
        return self.puppets[-1]

    @property
    def strict(self) -> bool:
        """Whether RFC 2246 is read by the letter."""
        return self.terms.reading is Reading.STRICT

    # ------------------------------------------------------------------------------------------- connections

    def connect(self, how: Connect) -> None:
        """Begin a new connection."""
        if self.puppets:
            self.remember()
            if not how.keep:
                self.puppet.close()
        session = self._session(how.resume)
        suites = self._suites(how, session)
        self.requests = how.request
        transport = self.lane.open()
        made = Puppet(
            self.probe.tests.peer,
            transport,
            suites,
            credentials=self.terms.credentials if how.credentials is None else how.credentials(self),
            hello=dict(how.hello),
            extensions=self._extensions(how, suites),
            session=session,
            show_certificate=how.show_certificate,
            random=seeded(f"{self.probe.id} {len(self.puppets)}".encode()),
            patience=self.terms.patience,
        )
        self.puppets.append(made)
        self.mark = Mark()
        self.deviated = self.deviated or how.odd
        if made.role is Role.SERVER and not made.listen_until(lambda: made.client_hello is not None) and not made.over:
            raise Stop(Verdict.INCONCLUSIVE, "the client has connected and sends no ClientHello")

    def _session(self, resume: Resume | None) -> Session | None:
        if resume is None:
            return None
        if not self.sessions:
            raise Stop(Verdict.INCONCLUSIVE, "there is no session to resume")
        session = self.sessions[-1]
        if resume is Resume.ID:
            if not session.session_id:
                raise Stop(Verdict.INCONCLUSIVE, "the server gave no session id")
            return replace(session, ticket=b"")
        if not session.ticket:
            raise Stop(Verdict.INCONCLUSIVE, "the server gave no ticket")
        return session

    def _suites(self, how: Connect, session: Session | None) -> tuple[int, ...]:
        choice = how.suites or (self.probe.connect and self.probe.connect.suites) or ANY
        if session is not None and how.suites is None:
            return (session.cipher_suite,)
        chosen = choice.choose(self.capabilities)
        if chosen is None:
            raise Stop(Verdict.NOT_APPLICABLE, choice.lacks(self.capabilities) or "")
        return (chosen,)

    def _extensions(self, how: Connect, suites: tuple[int, ...]) -> tuple[Extension, ...]:
        given = {item.extension_type for item in how.extensions}
        curved = self.probe.tests is Role.SERVER and SUITES[suites[0]].key_exchange.premaster is Premaster.ECDH
        own = curve_extensions() if curved else ()
        return (*(item for item in own if item.extension_type not in given), *how.extensions)

    def remember(self) -> Session | None:
        """Keep the session of the present connection, if there is one."""
        if not self.puppet.complete:
            return None
        session = self.puppet.new_session()
        if session.session_id or session.ticket:
            self.sessions.append(session)
        return session

    # ------------------------------------------------------------------------------------------- sending

    @property
    def trace(self) -> tuple[Step, ...]:
        """The honest side of the present handshake."""
        return honest(self.puppet.role, request=self.requests)

    def altered(self, name: str, change: Callable[[bytes], bytes]) -> Step:
        """Return the honest step ``name`` with other bytes."""
        step = self._step(name)
        return replace(step, build=lambda puppet: change(step.build(puppet)))

    def rebuilt(self, name: str, fields: dict[str, Any]) -> Step:
        """Return the honest step ``name`` with other fields."""
        return replace(self._step(name), **fields)

    def _step(self, name: str) -> Step:
        trace = self.trace
        return trace[position(trace, name)]

    def play(self, step: Step, *, insist: bool = False) -> bool:
        """Send a step; False when the target is through with us, or does not say what it owes.

        ``insist``: send it even then.
        """
        puppet = self.puppet
        if not self._goes_on():
            return False
        if step.waits and not insist and not puppet.listen_until(lambda: not puppet.peer_owes):
            if not puppet.over and not self.deviated:
                raise Stop(Verdict.INCONCLUSIVE, "the honest part got no answer", silent=True)
            return False
        puppet.send(step)
        return self._goes_on()

    def await_owed(self) -> None:
        """Let the target say what is due, as long as it has no reason not to."""
        if not self.deviated:
            self.puppet.listen_until(lambda: not self.puppet.peer_owes)

    def depart(self, step: Step) -> None:
        """Send what no honest end would send here, or not so; what it says is marked in the report."""
        self.note_mark()
        self.deviated = True
        said = self.puppet.talk
        start = len(said)
        self.play(step, insist=True)
        self.own |= {id(entry) for entry in said[start:] if isinstance(entry.seen, MessageSeen) and entry.seen.sent}

    def _goes_on(self) -> bool:
        """Whether the target listens; it has no reason to end as long as everything was honest."""
        if self.puppet.over and not self.deviated:
            raise Stop(Verdict.INCONCLUSIVE, f"the honest part was cut short: {self.puppet.reaction}")
        return not self.puppet.over

    def send_request(self) -> None:
        """Say what the application would say at this point: a client asks, a server answers."""
        data = self.terms.request if self.puppet.role is Role.CLIENT else self.terms.response
        if not self.puppet.over:
            self.puppet.send_record(ContentType.APPLICATION_DATA, data)

    def say_goodbye(self) -> None:
        """End the connection as §7.2.1 wants it, so that its session stays resumable."""
        if not self.puppet.over:
            self.puppet.send_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
            self.puppet.listen_until(lambda: self.puppet.close_notify or self.puppet.eof, self.terms.quiet)

    # ------------------------------------------------------------------------------------------- listening

    def note_mark(self) -> None:
        """Take what has arrived so far as read."""
        puppet = self.puppet
        self.mark = Mark(len(puppet.messages), len(puppet.alerts), len(puppet.application_data))

    def expect(self, wanted: Expect) -> None:
        """Wait for one of the alternatives; raises :class:`Stop` if something else comes, or nothing."""
        alternatives = self._alternatives(wanted.alternatives)
        found = self._wait(alternatives, self.terms.patience * wanted.patience)
        if found is None:
            self._unexpected(wanted, alternatives)
            return
        if isinstance(found, Said) and found.wrong is not None:
            self.check(found.wrong(self, found.found(self)))
        if found.verdict is Verdict.WARNING:
            self.warnings.append(found.note)
        elif found.verdict is not None:
            raise Stop(found.verdict, found.note)
        else:
            self.notes.append(f"{self._what(found)}{': ' if found.note else ''}{found.note}")
        self.note_mark()
        self._actions[:0] = found.then

    def _alternatives(self, given: tuple[Alternative, ...]) -> tuple[Alternative, ...]:
        found: list[Alternative] = []
        for item in given:
            if self.terms.reading not in item.readings:
                continue
            if isinstance(item, Refusal):
                found += item.alternatives(self)
            else:
                found.append(item)
        return tuple(found)

    def _what(self, found: Alternative) -> str:
        reaction = self.puppet.reaction
        return str(found) if reaction.kind == "open" else str(reaction)

    def _wait(self, alternatives: tuple[Alternative, ...], patience: float) -> Alternative | None:
        puppet = self.puppet

        def happened() -> Alternative | None:
            return next((item for item in alternatives if not item.quiet and item.seen(self)), None)

        def decided() -> bool:
            return happened() is not None or puppet.over

        quiet = [item for item in alternatives if item.quiet]
        if not quiet:
            puppet.listen_until(decided, patience)
        else:
            deadline = time.monotonic() + patience
            heard = -1
            while not decided() and heard != len(puppet.talk) and time.monotonic() < deadline:
                heard = len(puppet.talk)
                puppet.listen(self.terms.quiet)
        found = happened()
        return found or next((item for item in quiet if item.seen(self)), None)

    def _unexpected(self, wanted: Expect, alternatives: tuple[Alternative, ...]) -> None:
        reaction = self.puppet.reaction
        hoped = " or ".join(dict.fromkeys(str(item) for item in alternatives))
        about = f"{wanted.why}: " if wanted.why else ""
        if reaction.kind != "open":
            came = str(reaction)
        elif self.puppet.established:
            came = "the connection goes on"
        else:
            new = self.puppet.messages[self.mark.messages :]
            came = ", ".join(type(item).__name__ for item in new) + " came" if new else "nothing came"
        if not self.deviated and not self.puppet.complete:
            self._cut_short_or(came)
        verdict = self.probe.failing
        if (
            reaction.kind == "alert"
            and not self.strict
            and any(isinstance(item, Refusal) for item in wanted.alternatives)
        ):
            verdict = Verdict.WARNING  # refused, as it should be, if not by the name that the text has for it
        raise Stop(verdict, f"{about}{came}, where {hoped} was expected", silent=reaction.kind == "open")

    def _cut_short_or(self, came: str) -> None:
        """An honest handshake that fails is for the probe of the honest handshake to tell."""
        if self.probe.group != "7.3":
            raise Stop(Verdict.INCONCLUSIVE, f"the honest handshake failed: {came}", silent=True)

    # ------------------------------------------------------------------------------------------- judging

    def attempt(self, action: Action) -> None:
        """Run an action that is not what the probe is about: if it fails, nothing can be told."""
        try:
            action.run(self)
        except Stop as stop:
            if stop.verdict is Verdict.NOT_APPLICABLE:
                raise
            raise Stop(Verdict.INCONCLUSIVE, stop.reason, silent=stop.silent) from stop

    def check(self, wrong: str | None) -> None:
        """Fail the probe if there is something wrong."""
        if wrong is not None:
            raise Stop(self.probe.failing, wrong)

    def warn(self, text: str) -> None:
        """Make the verdict a warning, unless it gets worse."""
        self.warnings.append(text)

    def inapplicable(self, why: str) -> NoReturn:
        """End the conversation: the target lacks what the probe is about."""
        raise Stop(Verdict.NOT_APPLICABLE, why)

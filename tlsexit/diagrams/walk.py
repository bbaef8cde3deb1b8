"""Handshakes of every kind, walked through one step of the state machine at a time (RFC 2246 §7.3).

Two ends exchange messages without records and without encryption: what a step sends is what the other end receives
next. Each step is noted, with the state before and after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from tlsexit.alerts import AlertDescription, ExitFailed
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.drivers.drive import ask
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import Credentials, CryptDataCall, CryptOperation, ExitCall, GetCertificateCall
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.outcome import outcome
from tlsexit.handshake import actions, states
from tlsexit.handshake.codec import HandshakeReader
from tlsexit.handshake.enums import HandshakeType
from tlsexit.handshake.inputs import (
    Answered,
    ChangeCipherSpecReceived,
    Input,
    Received,
    Refused,
    Renegotiate,
    RenegotiationRefused,
    Start,
)
from tlsexit.handshake.machine import step
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.policy.throwaway import throwaway_authority
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session

RSA: Final = 0x002F
DHE_RSA: Final = 0x0033
ECDHE_RSA: Final = 0xC013
DH_ANON: Final = 0x0034
PSK: Final = 0x008C
RSA_PSK: Final = 0x0094


@dataclass(frozen=True)
class Transition:
    """One step: in ``source`` came ``given``, and ``target`` was next. ``question`` is what ``target`` asks."""

    role: Role
    source: type[states.State]
    given: type[Any]
    target: type[states.State]
    question: ExitCall | None = field(compare=False)
    message: str | None
    """The name of the message, if one was received."""


class _Sessions:
    """A server's sessions, and tickets that are numbers in a list."""

    lifetime_hint = 100

    def __init__(self) -> None:
        self._by_id: dict[bytes, Session] = {}
        self._sealed: list[Session] = []

    def put(self, session: Session) -> None:
        self._by_id[session.session_id] = session

    def get(self, session_id: bytes) -> Session | None:
        return self._by_id.get(session_id)

    def remove(self, session_id: bytes) -> None:
        self._by_id.pop(session_id, None)

    def seal(self, session: Session) -> bytes:
        self._sealed.append(session)
        return b"%d" % (len(self._sealed) - 1)

    def open(self, ticket: bytes) -> tuple[Session, bool] | None:
        return self._sealed[int(ticket)], True


@dataclass(frozen=True)
class Kind:
    """A kind of handshake: what both ends are set to, and what is done besides."""

    suite: int = RSA
    verify: Verify = Verify.NONE
    client: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    without_certificate: bool = False
    decrypts: bool = True
    drops: HandshakeType | None = None
    """What the server promises and then leaves out; the walk ends when that would be noticed."""

    tickets: bool = False
    renegotiates: bool = False


_BOTH: Final = {"renegotiation": True}
_STAPLING: Final = {"status_request": True}
_TICKETS: Final = {"session_tickets": True}
_STATUS: Final = HandshakeType.CERTIFICATE_STATUS

KINDS: Final = (
    *(Kind(suite, verify) for suite in (RSA, DHE_RSA) for verify in (Verify.NONE, Verify.REQUIRED)),
    *(Kind(suite, Verify.OPTIONAL, without_certificate=True) for suite in (RSA, DHE_RSA)),
    *(Kind(RSA, verify, decrypts=False) for verify in (Verify.NONE, Verify.REQUIRED)),
    Kind(DH_ANON),
    Kind(PSK),
    Kind(RSA_PSK),
    Kind(ECDHE_RSA, client=_TICKETS, tickets=True),
    Kind(RSA, Verify.REQUIRED, client=_TICKETS, tickets=True),
    Kind(RSA, Verify.OPTIONAL, client=_TICKETS, tickets=True, without_certificate=True),
    Kind(PSK, client=_TICKETS, tickets=True),
    Kind(PSK, server={"psk_identity_hint": b"which"}),
    *(Kind(suite, client=_STAPLING, drops=drops) for suite in (RSA, DHE_RSA) for drops in (None, _STATUS)),
    Kind(RSA, Verify.REQUIRED, client=_STAPLING, drops=_STATUS),
    Kind(client={"npn": ("x",)}, server={"npn": ("x",)}),
    Kind(client=_BOTH, server=_BOTH, renegotiates=True),
    Kind(client=_BOTH, renegotiates=True),
    Kind(server=_BOTH, renegotiates=True),
)
"""Enough to meet every entry of the state tables."""


class _End:
    """One end of a walk."""

    def __init__(self, profile: Profile, kind: Kind, config: Config, session: Session | None) -> None:
        self.role = profile.direction
        self.sent: deque[Input | bytes] = deque()
        self.steps: list[Transition] = []
        self.session: Session | None = None
        self._kind = kind
        self._config = config
        self._pki = _pki(self.role)
        self._asked: ExitCall | None = None
        context = SessionContext(task=TaskContext(1), reference=1, role=self.role, profile=profile)
        self._state: states.State = states.Idle(context, session)

    def take(self, given: Input | bytes) -> None:
        """Take an input; bytes are a handshake message. Then answer what is asked."""
        if isinstance(given, bytes):
            reader = HandshakeReader(self._config.max_handshake_message)
            reader.feed(given)
            complete = reader.next_message()
            assert complete is not None
            given = Received(complete[1], complete[0])
        self._feed(given)
        while (call := self._asked) is not None:
            self._asked = None
            answer = ask(call, self, self._pki)
            assert isinstance(answer, Answer)
            try:
                self._feed(Answered(call, outcome(call, answer)))
            except ExitFailed as error:
                self._feed(Refused(call, error))

    def _feed(self, given: Input) -> None:
        source = self._state
        result = step(self.role, source, given, self._config)
        self._state = result.state
        for action in result.actions:
            self._perform(action)
        message = type(given.message) if isinstance(given, Received) else None
        name = "ChangeCipherSpec" if isinstance(given, ChangeCipherSpecReceived) else None
        self.steps.append(
            Transition(
                self.role,
                type(source),
                message or type(given),
                type(result.state),
                self._asked,
                message.__name__ if message else name,
            )
        )
        if result.replay is not None:
            self._feed(result.replay)

    def _perform(self, action: actions.Action) -> None:
        if isinstance(action, actions.Send):
            self.sent.append(action.raw)
        elif isinstance(action, actions.SendChangeCipherSpec):
            self.sent.append(ChangeCipherSpecReceived())
        elif isinstance(action, actions.SendWarning):
            assert action.description is AlertDescription.NO_RENEGOTIATION
            self.sent.append(RenegotiationRefused())
        elif isinstance(action, actions.Ask):
            self._asked = action.call
        elif isinstance(action, actions.Remember):
            self.session = action.session
            if self.role is Role.SERVER and self._config.session_store is not None:
                self._config.session_store.put(action.session)

    # the exit of this end

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        if self.role is Role.CLIENT:
            return Handled(()) if self._kind.without_certificate else NotHandled()
        answer = self._pki.answer(call)
        if isinstance(answer, Handled) and isinstance(answer.value, Credentials):
            return Handled(replace(answer.value, ocsp_response=b"not looked at"))
        return answer

    def check_certificate(self, call: ExitCall) -> Answer:
        return Handled()

    def crypt_data(self, call: CryptDataCall) -> Answer:
        fails = call.operation is CryptOperation.DECRYPT and not self._kind.decrypts
        return Failed() if fails else NotHandled()


@cache
def _pki(role: Role) -> BuiltinPki:
    authority, key = _authority()
    issued = authority.issue("localhost", hosts=["localhost"], key=key, role=role)
    return BuiltinPki(
        [issued.identity("own")], {"ca": [authority.certificate]}, pre_shared_keys={b"identity": bytes(range(16))}
    )


@cache
def _authority() -> tuple[Any, Any]:
    authority = throwaway_authority()
    return authority, authority.key


def walk(kind: Kind, config: Config, session: Session | None = None) -> tuple[_End, _End]:
    """Go through a handshake of this kind, and what the kind does besides."""
    client = Profile.client(cipher_suites=(kind.suite,), **kind.client)
    server = Profile.server(cipher_suites=(kind.suite,), **{"verify": kind.verify, **kind.server})
    ends = _End(client, kind, config, session), _End(server, kind, config, None)
    for end in ends:
        end.take(Start())
    _talk(ends, kind)
    if kind.renegotiates:
        for end in ends:
            if end._state.context.profile.renegotiation:
                end.take(Renegotiate())
                _talk(ends, kind)
            end.take(RenegotiationRefused())  # a warning that answers nothing
    return ends


def _talk(ends: tuple[_End, _End], kind: Kind) -> None:
    while any(end.sent for end in ends):
        for source, target in (ends, ends[::-1]):
            while source.sent:
                given = source.sent.popleft()
                if isinstance(given, bytes) and given[0] == kind.drops:
                    continue
                if isinstance(given, bytes) and given[0] in _PROOFS and (kind.drops or not kind.decrypts):
                    return  # the two ends have not seen the same, or have not the same keys
                target.take(given)


_PROOFS: Final = (HandshakeType.CERTIFICATE_VERIFY, HandshakeType.FINISHED)


@dataclass(frozen=True)
class Walk:
    """The steps of one end in a handshake of one kind."""

    kind: Kind
    role: Role
    steps: tuple[Transition, ...]


@cache
def walks() -> tuple[Walk, ...]:
    """Both ends of handshakes of every kind, and of abbreviated ones where the first leaves a session."""
    found: list[Walk] = []
    for kind in KINDS:
        sessions = _Sessions()
        config = system_config(session_store=sessions, tickets=sessions if kind.tickets else None)
        session: Session | None = None
        for _ in range(2):
            ends = walk(kind, config, session)
            found += [Walk(kind, end.role, tuple(end.steps)) for end in ends]
            session = ends[0].session
            if session is None:
                break
    return tuple(found)


def transitions(role: Role) -> tuple[Transition, ...]:
    """Every different step that was met at one end, in the order in which they were met."""
    return tuple(dict.fromkeys(item for walk in walks() if walk.role is role for item in walk.steps))

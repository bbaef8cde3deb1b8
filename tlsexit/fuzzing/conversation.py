"""A conversation with a target: plays moves, knows what each ought to lead to, and holds the target to it.

Cryptography stays right throughout, so the fuzzer can go on honestly after anything: a target that accepts what it has
to refuse is led to the end of the handshake, which is the proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from tlsexit.alerts import AlertDescription, AlertLevel, PeerError, TlsError
from tlsexit.conformance.honest import curve_extensions
from tlsexit.constants import HANDSHAKE_HEADER_LENGTH, ContentType, Role
from tlsexit.crypto.suites import SUITES, Premaster
from tlsexit.events import MessageSeen
from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing.expected import Answer, Expected
from tlsexit.fuzzing.guard import LIMIT, Guard
from tlsexit.fuzzing.mutation import outlook
from tlsexit.fuzzing.script import Move, Script
from tlsexit.fuzzing.sealings import SEALINGS
from tlsexit.fuzzing.turns import Turns
from tlsexit.fuzzing.words import WORDS, message_of, tricks_for
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.codec import GRAMMARS
from tlsexit.handshake.enums import ExtensionType, HandshakeType, NameType
from tlsexit.puppet import Credentials, Puppet, Step, Transport, pieces_of, seeded
from tlsexit.puppet.steps import ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET
from tlsexit.session import Session
from tlsexit.wire import parse

_NO_RENEGOTIATION: Final = int(AlertDescription.NO_RENEGOTIATION)
_UNPLAYABLE: Final = (TlsError, AssertionError, LookupError, ValueError, TypeError, OverflowError)
"""What building a step may raise when the other end has not sent what the step rests on."""


class Lane(Protocol):
    """A way to the target, that opens one connection after the other."""

    def open(self) -> Transport:
        """Return a new connection."""


@dataclass(frozen=True)
class Terms:
    """What holds for a whole run: the fuzzer's credentials, and for how many seconds an answer is waited for.

    ``limit`` bounds the time that one input may keep a target in this process busy.
    """

    credentials: Credentials = field(default_factory=dict, repr=False)
    patience: float = 2.0
    limit: float = LIMIT
    server_name: str = "localhost"


class Conversation:
    """One connection. ``script`` says who speaks over which suite, ``session`` is what may be resumed.

    ``revoked``: a fatal alert has made that session unfit to be resumed. ``rehearsed``: :attr:`suited` is filled.
    """

    def __init__(
        self,
        lane: Lane,
        script: Script,
        terms: Terms,
        *,
        session: Session | None = None,
        revoked: bool = False,
        rehearsed: bool = False,
    ) -> None:
        self.script = script
        self.terms = terms
        # nobody can take back a ticket: it is valid as long as the key it is sealed with (RFC 5077 §4)
        self.revoked = revoked and session is not None and not session.ticket
        self.rehearsed = rehearsed
        self.guard = Guard(lane.open(), terms.limit)
        self.puppet = Puppet(
            script.role,
            self.guard,
            (script.suite if session is None else session.cipher_suite,),
            credentials=terms.credentials or None,
            session=session,
            show_certificate=script.show_certificate,
            random=seeded(repr(script).encode()),
            patience=terms.patience,
        )
        if script.role is Role.SERVER:
            self.puppet.listen_until(lambda: self.puppet.client_hello is not None)
        self.puppet.extensions = tuple(self._extensions())
        self.turns = Turns(self.puppet)
        self.made: list[Move] = []
        self.sent: list[bytes] = []
        """The handshake message that each move made has sent, empty where it was none."""
        self.suited: list[frozenset[str]] = []
        """The tricks and sealings that would have been what they claim to be, for each move made in a rehearsal."""
        self.silent = False
        """Whether the target, after a wrong move, has neither refused it nor gone on, and we wait for its turn."""
        self.spoilt: Expected | None = None
        """What the first wrong move ought to have led to; None as long as everything is right."""
        self.spoilt_by: Move | None = None
        self.unclear = False
        """Whether something was said that may be answered in any way."""
        self.unclear_by: Move | None = None
        self.stuck: str | None = None
        """Why the fuzzer itself could not go on."""
        self.granted: list[tuple[Move, Expected]] = []
        self.ended_at: Move | None = None
        self.taken_before = 0
        self.taken = b""
        """The application data that the target had taken at the end."""
        self.ended = False
        """Whether the target had ended the connection before the fuzzer did."""
        self.final_established = False
        self.mutated_extension: int | None = None
        self._raw = b""
        self._kept: Session | None = None
        self._kept_after = 0  # handshakes

    def _extensions(self) -> Iterable[ext.Extension]:
        """The extensions of the hello beside renegotiation_info."""
        script = self.script
        if script.role is Role.SERVER:
            offered = () if self.puppet.client_hello is None else self.puppet.client_hello.extensions
            session = self.puppet.session
            for answer in (EXTENDED_MASTER_SECRET, ENCRYPT_THEN_MAC):
                wanted = script.rich if session is None else session.extended_master_secret
                if answer is ENCRYPT_THEN_MAC:
                    wanted = script.rich and SUITES[script.suite].cipher.is_block
                if wanted and ext.find(offered, answer.extension_type) is not None:
                    yield answer
            return
        if SUITES[script.suite].key_exchange.premaster in (Premaster.ECDH, Premaster.ECDHE_PSK):
            yield from curve_extensions()
        if script.rich:
            name = (ext.ServerName(NameType.HOST_NAME, self.terms.server_name.encode()),)
            yield ext.extension(ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST, name)
            yield ENCRYPT_THEN_MAC
            if self.puppet.session is None:
                yield EXTENDED_MASTER_SECRET
        if script.tickets and (self.puppet.session is None or not self.puppet.session.ticket):
            yield ext.Extension(ExtensionType.SESSION_TICKET, b"")

    # ------------------------------------------------------------------------------------------- moves

    @property
    def over(self) -> bool:
        """Whether nothing more can be said."""
        over = self.puppet.over or self.stuck is not None or self.silent
        return over or self.declined or self.guard.problem is not None

    @property
    def declined(self) -> bool:
        """Whether the target has declined a renegotiation, which is its right (§7.2.2)."""
        return _NO_RENEGOTIATION in self.puppet.warnings

    def play(self, moves: Iterable[Move]) -> Conversation:
        """Make the moves, until the target is through with us."""
        for move in moves:
            if self.over:
                break
            self.make(move)
        return self

    def make(self, move: Move) -> None:
        """Say one thing."""
        puppet = self.puppet
        word = WORDS[move.say]
        message = message_of(word, puppet.role)
        if self.spoilt is not None:
            if move.say == "close_notify":
                return  # the answer to it would hide the one that matters
            puppet.patience = min(puppet.patience, 0.1)
        puppet.listen_until(lambda: not puppet.peer_owes)
        if puppet.over:
            self._note_end(move)
            return
        if self.spoilt is not None and puppet.peer_owes and self.guard.in_process:
            self.silent = True
            return
        if move.maybe and not self.turns.needed(message):
            return
        suited = self._suited(move) if self.rehearsed else frozenset[str]()
        self._keep_session()
        if message == "server_hello":
            self._name_session()
        self.taken_before = len(self.guard.received)
        expected = self._outlook(move, message)
        self._raw = b""
        try:
            for step in word.steps(puppet, move):
                expected = self._say(step, move, expected)
        except _UNPLAYABLE as error:
            self.stuck = f"{move}: {error!r}"
            return
        if move.say == "finished_around_change_cipher_spec":
            self.turns.said("change_cipher_spec")
            self.turns.said("finished")
        elif message:
            self.turns.said(message)
        self.made.append(move)
        self.sent.append(self._raw)
        self.suited.append(suited)
        self._judge_move(move, expected)

    def _keep_session(self) -> None:
        """Note the session of a handshake as soon as it is complete: what is said out of turn may spoil the books."""
        if self._kept_after < self.turns.complete and self.puppet.complete and self.puppet.peer_finished_is_right:
            self._kept, self._kept_after = self.puppet.new_session(), self.turns.complete

    def _name_session(self) -> None:
        """Give each new session a new id: to echo the one that a renegotiating client offers would be to resume."""
        if self.puppet.session is None:
            self.puppet.hello["session_id"] = self.puppet.random(32)

    def _suited(self, move: Move) -> frozenset[str]:
        tricks = {name for name in tricks_for(self.puppet.role, move.say) if WORDS[name].applies(self.puppet)}
        return frozenset(tricks | {name for name, sealing in SEALINGS.items() if sealing.applies(self.puppet)})

    def _outlook(self, move: Move, message: str) -> Expected | None:
        """Return what the move ought to lead to, apart from its mutation; None if it is honest."""
        puppet = self.puppet
        word = WORDS[move.say]
        found = [self.turns.outlook(message)]
        if word.applies(puppet):
            found.append(word.outlook(puppet, move))
        elif word.expected is not None:
            found.append(Expected(Answer.ANY))
        if move.seal and SEALINGS[move.seal].applies(puppet):
            found.append(SEALINGS[move.seal].expected)
        return _strictest(found)

    def _say(self, step: Step, move: Move, expected: Expected | None) -> Expected | None:
        """Send one step, broken as the move wants it; returns what it ought to lead to."""
        seen: list[Expected | None] = [expected]
        if step.content_type == ContentType.HANDSHAKE:
            step = self._broken(step, move, seen)
        if move.seal and SEALINGS[move.seal].applies(self.puppet):
            step = replace(step, sealing=SEALINGS[move.seal].how)
        if move.size and step.content_type == ContentType.HANDSHAKE:
            size = move.size
            step = replace(step, cut=lambda data: pieces_of(data, size))
        self.puppet.send(step)
        return _strictest(seen)

    def _broken(self, step: Step, move: Move, seen: list[Expected | None]) -> Step:
        mutation = move.mutation

        def built(puppet: Puppet) -> bytes:
            raw = step.build(puppet)
            self._raw = raw
            if mutation is None:
                return raw
            changed = mutation.apply(raw, sender=puppet.role, suite=puppet.suite)
            expected = outlook(mutation, changed, sender=puppet.role, suite=puppet.suite)
            if mutation.field == "ClientHello.cipher_suites" and puppet.session is not None and expected.alerts:
                # without the session's suite among them, that may be what is wrong (§7.4.1.2)
                expected = replace(expected, alerts=expected.alerts | ex.FORBIDDEN)
            seen.append(expected)
            self._reread(changed)
            if ".extension_data" in mutation.field:
                self.mutated_extension = _type_of(raw, mutation.field, puppet)
            return changed

        return replace(step, build=built)

    def _reread(self, changed: bytes) -> None:
        """Have the books hold the hello that was really sent, where it can be read at all."""
        if changed[:1] not in (b"\x01", b"\x02"):
            return
        try:
            hello = parse(GRAMMARS[HandshakeType(changed[0])][1], changed[HANDSHAKE_HEADER_LENGTH:])
        except PeerError:
            return
        if self.puppet.role is Role.CLIENT:
            self.puppet.client_hello = hello
        else:
            self.puppet.server_hello = hello

    def _judge_move(self, move: Move, expected: Expected | None) -> None:
        """Note what the move has changed about what may be expected."""
        if self.spoilt is None and not self.unclear and expected is not None:
            if expected.answer is Answer.ANY:
                self.unclear, self.unclear_by = True, move
            elif expected.answer is Answer.ACCEPTED:
                self.granted.append((move, expected))
            else:
                self.spoilt, self.spoilt_by = expected, move
                if expected.answer is Answer.REFUSED_LATER and not self.guard.in_process:
                    self.puppet.listen(0.05)
        elif self.spoilt is not None and self.spoilt.answer is Answer.REFUSED_LATER and expected is not None:
            # what comes now may be refused for itself, and at once
            self.unclear = True
        if self.puppet.over:
            self._note_end(move)

    def _note_end(self, move: Move) -> None:
        if self.ended_at is None:
            self.ended_at = move

    # ------------------------------------------------------------------------------------------- the end

    def finish(self) -> None:
        """End the connection; :mod:`tlsexit.fuzzing.verdict` says what it has shown."""
        puppet = self.puppet
        if not self.over:
            self._await_reaction()
        # a renegotiation that hangs leaves the connection as it was
        self.final_established = self.established and not self.silent
        self.ended = puppet.over
        self.taken = self.guard.received
        self.guard.close()
        if self.guard.in_process and not self.over:
            puppet.listen()

    def specimen(self, step: Step) -> bytes | None:
        """Return what ``step`` would send now, without sending it; None if it cannot be made, or costs too much."""
        if step.name in ("server_key_exchange", "client_key_exchange", "client_hello", "server_hello"):
            return None  # making it changes the books
        try:
            return step.build(self.puppet)
        except _UNPLAYABLE:
            return None

    def _await_reaction(self) -> None:
        """Give the target time to react, as far as it owes a reaction."""
        if self.guard.in_process:
            return
        if self.spoilt is not None and self.spoilt.answer is not Answer.UNFINISHED:
            self.puppet.settle(self.terms.patience)
        elif self.puppet.complete:
            self.puppet.listen(min(0.05, self.terms.patience))

    @property
    def established(self) -> bool:
        inside = self.guard.established
        return self.puppet.established if inside is None else inside

    @property
    def session(self) -> Session | None:
        """What the next connection may resume."""
        self._keep_session()
        return self._kept

    @property
    def fatal(self) -> bool:
        """Whether a fatal alert was sent or received, which takes the session with it (§7.2)."""
        return any(
            isinstance(entry.seen, MessageSeen)
            and entry.seen.content_type is ContentType.ALERT
            and entry.seen.message is not None
            and entry.seen.message.level == AlertLevel.FATAL
            for entry in self.puppet.talk
        )

    @property
    def reaction(self) -> str:
        """What the target did in the end."""
        if self.guard.problem is not None:
            return f"crash: {self.guard.problem}"
        return str(self.puppet.reaction)


_STRICTNESS: Final = {
    Answer.ACCEPTED: 0,
    Answer.ANY: 1,
    Answer.CLOSED: 2,
    Answer.UNFINISHED: 3,
    Answer.NOT_RESUMED: 4,
    Answer.REFUSED_LATER: 5,
    Answer.REFUSED: 6,
}


def _strictest(found: Iterable[Expected | None]) -> Expected | None:
    """Return the one of several that leaves the target the least choice; a message that is wrong twice may be refused
    for either reason."""
    given = [item for item in found if item is not None]
    if not given:
        return None
    best = max(given, key=lambda item: _STRICTNESS[item.answer])
    alerts = [item.alerts for item in given if item.answer in (Answer.REFUSED, Answer.REFUSED_LATER)]
    merged = frozenset[int]().union(*alerts) if all(alerts) else frozenset[int]()
    return replace(best, alerts=merged) if len(alerts) > 1 else best


def _type_of(raw: bytes, path: str, puppet: Puppet) -> int | None:
    """Return the type of the extension that holds the field."""
    from tlsexit.fuzzing.layout import lay_out

    kind = path.split(".extension_data")[0] + ".extension_type"
    try:
        field = lay_out(raw, sender=puppet.role, suite=puppet.suite).find(kind)[-1]
    except (LookupError, TlsError):
        return None
    return int.from_bytes(raw[field.start : field.stop], "big")

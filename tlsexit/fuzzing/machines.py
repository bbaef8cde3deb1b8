"""State machines that play one end of TLS against the other: Hypothesis decides what is said, move by move.

::

    class TestMyServer(client_machine(open_lane).TestCase):
        settings = settings(max_examples=200, stateful_step_count=20)

A machine always knows how to go on honestly, and what whatever was said ought to lead to. After every move the
invariants are looked at, at the end the whole conversation; a failure is a :class:`Violation` that prints the script,
which ``tlsexit replay`` takes.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tlsexit.alerts import AlertLevel
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.fuzzing.code import as_code
from tlsexit.fuzzing.conversation import Conversation, Lane, Terms
from tlsexit.fuzzing.departures import insertions
from tlsexit.fuzzing.findings import Finding
from tlsexit.fuzzing.mutation import mutations
from tlsexit.fuzzing.plans import DATA, typical
from tlsexit.fuzzing.script import Leg, Move, Script
from tlsexit.fuzzing.sealings import SEALINGS
from tlsexit.fuzzing.verdict import judge, so_far
from tlsexit.fuzzing.words import WORDS, tricks_for


class Violation(AssertionError):
    """The target broke an invariant; says which, and what was said."""

    def __init__(self, findings: tuple[Finding, ...], script: Script) -> None:
        lines = [str(finding) for finding in findings]
        super().__init__("\n".join([*lines, str(script), as_code(script)]))
        self.findings = findings
        self.script = script


class Machine(RuleBasedStateMachine):
    """What both machines share. Subclasses are made by :func:`client_machine` and :func:`server_machine`."""

    role: Role
    suites: tuple[int, ...]
    terms: Terms
    ignore: frozenset[str] = frozenset()
    open_lane: Callable[[], Lane]

    def __init__(self) -> None:
        super().__init__()
        self.conversation: Conversation | None = None
        self.moves: list[Move] = []
        self.script = Script(self.role, self.suites[0], (Leg(()),))

    # ------------------------------------------------------------------------------------------- honest moves

    @initialize(suite=st.data(), rich=st.booleans(), show=st.booleans())
    def connect(self, suite: st.DataObject, rich: bool, show: bool) -> None:
        """Open a connection."""
        chosen = suite.draw(st.sampled_from(self.suites), "suite")
        self.script = Script(self.role, chosen, (Leg(()),), rich=rich, show_certificate=show)
        self.conversation = Conversation(type(self).open_lane(), self.script, self.terms)

    @property
    def talk(self) -> Conversation:
        """The conversation under way."""
        assert self.conversation is not None
        return self.conversation

    def _goes_on(self) -> bool:
        return self.conversation is not None and not self.conversation.over

    @precondition(_goes_on)
    @rule(which=st.integers(0, 3))
    def go_on(self, which: int) -> None:
        """Say what an honest end says next; data once the handshake is complete."""
        possible = sorted(self.talk.turns.next - {"hello_request"})
        if self.talk.turns.complete and self.talk.puppet.complete:
            possible = ["data"]
        if possible:
            self._make(DATA if possible == ["data"] else Move(possible[which % len(possible)]))

    @precondition(_goes_on)
    @rule()
    def finish(self) -> None:
        """Go on honestly to the end of the handshake."""
        for _ in range(12):
            possible = sorted(self.talk.turns.next - {"hello_request", "certificate_request"})
            if not possible or self.talk.over or (self.talk.turns.complete and self.talk.puppet.complete):
                return
            self._make(Move(possible[0]))

    @precondition(_goes_on)
    @rule(size=st.integers(1, 40))
    def go_on_in_pieces(self, size: int) -> None:
        """Say what comes next, cut into records of any size."""
        possible = sorted(self.talk.turns.next - {"hello_request", "change_cipher_spec"})
        if possible:
            self._make(Move(possible[0], size=size))

    # ------------------------------------------------------------------------------------------- dishonest moves

    @precondition(_goes_on)
    @rule(choice=st.data())
    def say_anything(self, choice: st.DataObject) -> None:
        """Say something that has no place in a handshake, or a message, whosever turn it is."""
        self._make(choice.draw(st.sampled_from(insertions(self.role)), "move"))

    @precondition(_goes_on)
    @rule(choice=st.data())
    def go_on_dishonestly(self, choice: st.DataObject) -> None:
        """Say what comes next, with a trick."""
        possible = [name for word in sorted(self.talk.turns.next) for name in tricks_for(self.role, word)]
        if possible:
            self._make(Move(choice.draw(st.sampled_from(possible), "trick")))

    @precondition(_goes_on)
    @rule(choice=st.data())
    def go_on_broken(self, choice: st.DataObject) -> None:
        """Say what comes next, with a field broken."""
        for word in sorted(self.talk.turns.next - {"hello_request", "change_cipher_spec"}):
            raw = self._specimen(word)
            if raw is not None:
                found = mutations(raw, sender=self.role, suite=self.talk.puppet.suite)
                self._make(Move(word, mutation=choice.draw(st.sampled_from(found), "mutation")))
                return

    @precondition(_goes_on)
    @rule(seal=st.sampled_from(sorted(SEALINGS)), choice=st.integers(0, 3))
    def go_on_badly_sealed(self, seal: str, choice: int) -> None:
        """Say what comes next, or data, in a record that is wrong."""
        possible = sorted(self.talk.turns.next - {"hello_request"}) or ["data"]
        word = possible[choice % len(possible)]
        self._make(Move(word, seal=seal, data=DATA.data if word == "data" else b""))

    @precondition(_goes_on)
    @rule(level=st.sampled_from(AlertLevel), description=st.integers(0, 255))
    def alert(self, level: AlertLevel, description: int) -> None:
        """Send any alert."""
        self._make(Move("alert", amount=level << 8 | description))

    @rule()
    def listen(self) -> None:
        """Say nothing; possible even when the target is through with us."""
        if self._goes_on():
            self.talk.puppet.listen()

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def nothing_breaks(self) -> None:
        """No undocumented error, no hang, at most one fatal alert, nothing behind it, no data before Finished."""
        if self.conversation is not None:
            self._check(tuple(so_far(self.conversation)))

    def teardown(self) -> None:
        """No acceptance without a valid Finished; what is right is accepted, what is wrong refused, by its alert."""
        if self.conversation is not None:
            self.conversation.finish()
            self._check(judge(self.conversation))

    def _make(self, move: Move) -> None:
        self.moves.append(move)
        self.talk.make(move)

    def _check(self, findings: tuple[Finding, ...]) -> None:
        found = tuple(item for item in findings if item.flaw.value not in self.ignore)
        if found:
            script = Script(
                self.role,
                self.script.suite,
                (Leg(tuple(self.moves)),),
                rich=self.script.rich,
                show_certificate=self.script.show_certificate,
            )
            raise Violation(found, script)

    def _specimen(self, word: str) -> bytes | None:
        """What the message would look like now; it is made twice, once to look at and once to send."""
        step = WORDS[word].steps(self.talk.puppet, Move(word))[0]
        return self.talk.specimen(step)


def client_machine(
    open_lane: Callable[[], Lane],
    *,
    suites: tuple[int, ...] = (0x002F,),
    terms: Terms | None = None,
    ignore: frozenset[str] = frozenset(),
) -> type[Machine]:
    """Return a machine that plays a client against the server behind ``open_lane()``.

    ``suites`` are what it offers, one at a time; ``ignore`` names flaws of no interest (``"wrong alert"``).
    """
    return _machine("ClientMachine", Role.CLIENT, open_lane, suites, terms, ignore)


def server_machine(
    open_lane: Callable[[], Lane],
    *,
    suites: tuple[int, ...] = (0x002F,),
    terms: Terms | None = None,
    ignore: frozenset[str] = frozenset(),
) -> type[Machine]:
    """Return a machine that plays a server against the client behind ``open_lane()``."""
    return _machine("ServerMachine", Role.SERVER, open_lane, suites, terms, ignore)


def _machine(
    name: str,
    role: Role,
    open_lane: Callable[[], Lane],
    suites: tuple[int, ...],
    terms: Terms | None,
    ignore: frozenset[str],
) -> type[Machine]:
    if not suites or any(suite not in SUITES for suite in suites):
        raise ValueError("a machine needs suites that tlsexit has")
    members = {
        "role": role,
        "suites": typical(suites) or suites,
        "terms": terms or Terms(),
        "ignore": ignore,
        "open_lane": staticmethod(open_lane),
    }
    return type(name, (Machine,), members)

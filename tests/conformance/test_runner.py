"""Runs against tlsexit, and against targets that die, change their minds, or cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tlsexit.conformance.actions import Alive, Check, Do, Observe, Repeat, Send, before, connect, expect, handshake
from tlsexit.conformance.actions import after as rest
from tlsexit.conformance.engine import EngineTarget
from tlsexit.conformance.expect import alert, closed, completed, refusal, silent, still_open
from tlsexit.conformance.model import Group, Probe, Reading, Verdict
from tlsexit.conformance.needs import RSA, TICKETS, SuiteChoice
from tlsexit.conformance.pki import workshop
from tlsexit.conformance.results import Result
from tlsexit.conformance.runner import Options, run
from tlsexit.conformance.talk import Talk, Terms
from tlsexit.conformance.targets import Lane, Unreachable
from tlsexit.constants import Role
from tlsexit.puppet import Transport
from tlsexit.puppet.steps import record, wire

section = Group("7.1")
EARLY = (before("client_key_exchange"), Send(record(20, b"\x01", waits=True)))


def terms(role: Role = Role.SERVER, **fields: object) -> Terms:
    """Terms for a target of this role."""
    made = workshop()
    return replace(Terms(credentials=made.shown_by(role.peer), authority=made), **fields)  # type: ignore[arg-type]


def probe(*conversation: object, **fields: object) -> Probe:
    """A probe of a server."""
    return section.server("a-probe", "a probe", "R2246-7.1-07", conversation=conversation, **fields)


def result(made: Probe, target: EngineTarget | None = None, **fields: object) -> Result:
    """What the probe finds out about tlsexit's server."""
    report = run(target or EngineTarget("server"), [made], terms(Role.SERVER, **fields), Options(jobs=1))
    (found,) = report.results
    return found


def test_what_is_expected_passes() -> None:
    """The reason tells what came."""
    found = result(probe(*EARLY, expect(alert(10))))
    assert (found.verdict, found.reason) == (Verdict.PASS, "alert unexpected_message(10)")
    assert found.suite == "TLS_RSA_WITH_AES_128_CBC_SHA"
    assert [row["name"] for row in found.connections[0]][:2] == ["ClientHello", "ServerHello"]


def test_the_catalogue_says_what_a_refusal_is() -> None:
    """R2246-7.1-07 names unexpected_message, R2246-4.3-03 does not."""
    assert result(probe(*EARLY, expect(refusal()))).verdict is Verdict.PASS
    other = section.server("other", "other", "R2246-4.3-03", conversation=(*EARLY, expect(refusal())))
    assert result(other, reading=Reading.STRICT).verdict is Verdict.FAIL
    assert result(other).verdict is Verdict.WARNING, "refused all the same"


def test_something_else_fails_and_is_tried_twice() -> None:
    """Two equal answers are enough."""
    found = result(probe(*EARLY, expect(alert(50), closed())))
    assert found.verdict is Verdict.FAIL
    assert found.reason == "alert unexpected_message(10), where fatal decode_error(50) or a close was expected"
    assert found.tries == (Verdict.FAIL, Verdict.FAIL)
    assert found.connections[0][0]["fields"]["client_version"], "a failure shows every field"


def test_a_should_only_warns() -> None:
    """The level of the first requirement decides, unless the probe has one of its own."""
    assert result(probe(*EARLY, expect(alert(50)), level="SHOULD NOT")).verdict is Verdict.WARNING
    should = section.server("a", "a", "R2246-7.1-06", conversation=(*EARLY, expect(alert(50))))
    assert result(should).verdict is Verdict.WARNING


def test_an_alternative_can_warn_and_lead_on() -> None:
    """Expectations form a tree."""
    branch = alert(10).warn("tolerated").leading(Check(lambda talk: "seen" if talk.puppet.fatal == 10 else None))
    assert result(probe(*EARLY, expect(alert(50), alert(10).warn("tolerated")))).verdict is Verdict.WARNING
    assert result(probe(*EARLY, expect(branch))).verdict is Verdict.FAIL


def test_readings_choose_between_alternatives_and_probes() -> None:
    """The same conversation under either profile."""
    made = probe(*EARLY, expect(alert(10).only(Reading.STRICT), alert(50).only(Reading.LATER)))
    assert result(made, reading=Reading.STRICT).verdict is Verdict.PASS
    assert result(made, reading=Reading.LATER).verdict is Verdict.FAIL
    strict = replace(made, readings=(Reading.STRICT,))
    assert result(strict, reading=Reading.LATER).verdict is Verdict.NOT_APPLICABLE


def test_an_honest_part_that_breaks_is_inconclusive() -> None:
    """The probe did not get to its point."""

    def spoil(talk: Talk) -> None:
        talk.puppet.send_bytes(b"\xff" * 16)

    found = result(probe(Do(spoil), handshake(), expect(completed())))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_needs_and_suites_that_are_missing() -> None:
    """Not applicable, with the reason."""
    found = result(probe(*EARLY, expect(alert(10)), needs=(TICKETS,)))
    assert (found.verdict, found.reason) == (Verdict.NOT_APPLICABLE, "the target resumes no session by a ticket")
    exotic = SuiteChoice("a suite from the moon", values=(0xDADA,))
    found = result(probe(handshake(), connect=connect(suites=exotic)))
    assert found.reason == "the target has no suite with a suite from the moon"
    assert result(probe(connect(suites=exotic))).verdict is Verdict.NOT_APPLICABLE
    found = result(probe(*EARLY, expect(alert(10)), opt_in=True))
    assert found.reason == "runs only with --opt-in"


def test_silence_and_life() -> None:
    """What an engine in memory does not say, it does not say."""
    assert result(probe(before("client_key_exchange"), Send(wire(b"")), expect(silent()))).verdict is Verdict.PASS
    assert result(probe(handshake(), expect(completed()), Alive(), expect(still_open()))).verdict is Verdict.PASS
    found = result(probe(before("client_key_exchange"), Send(wire(b"")), expect(alert(10))))
    assert found.reason == "nothing came, where fatal unexpected_message(10) was expected"


def test_resumption_and_several_connections() -> None:
    """Each connection is in the result; the second takes up the session of the first."""
    from tlsexit.conformance.actions import Resume

    def resumed(talk: Talk) -> str | None:
        return None if talk.puppet.resumed else "a full handshake"

    conversation = (
        handshake(),
        expect(completed()),
        Do(Talk.say_goodbye),
        connect(resume=Resume.ID),
        handshake(),
        expect(completed()),
        Check(resumed),
    )
    found = result(probe(*conversation))
    assert found.verdict is Verdict.PASS, found.reason
    assert len(found.connections) == 2


def test_repeated_actions() -> None:
    """A loop is an action."""
    found = result(probe(handshake(), Repeat(3, (Alive(),))))
    names = [row["name"] for row in found.connections[0] if row["from"] == "server"]
    assert names[-3:] == ["Application Data"] * 3


def test_observations_are_shared() -> None:
    """Probes that only look at an honest conversation cost one between them."""
    opened: list[int] = []

    class Counting(EngineTarget):
        def lane(self) -> Lane:
            return _Watched(super().lane(), lambda: opened.append(1))

    def look(slug: str, wrong: Callable[[Talk], str | None]) -> Probe:
        return section.server(slug, slug, "R2246-7.1-01", conversation=(Observe(), Check(wrong)))

    probes = [look("a", lambda talk: None), look("b", lambda talk: "bad"), look("c", lambda talk: None)]
    target = Counting("server")
    report = run(target, probes, terms(), Options(jobs=1))
    assert [item.verdict for item in report.results] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    run(target, [], terms(), Options(jobs=1))
    discovery = len(opened) - (
        1 + 1 + 2
    )  # the shared one, the repetition of the failure, the handshakes around the set
    assert discovery % 2 == 0, "the same twice, and nothing else"


def test_a_survey_sees_every_connection() -> None:
    """It looks at what the others have provoked."""

    def wrong(talk: Talk) -> str | None:
        return "there was an alert" if talk.puppet.alerts else None

    survey = section.server("all", "all", "R2246-A.1-01", survey=True, conversation=(Check(wrong),))
    report = run(EngineTarget("server"), [survey, probe(*EARLY, expect(alert(10)))], terms(), Options(jobs=1))
    assert report.results[0].reason == "there was an alert"
    assert report.results[0].verdict is Verdict.FAIL


class _Watched:
    """A lane that tells when it is used, and may refuse."""

    def __init__(self, lane: Lane, used: Callable[[], object]) -> None:
        self._lane, self._used = lane, used

    def open(self) -> Transport:
        self._used()
        return self._lane.open()

    def close(self) -> None:
        self._lane.close()


class Fragile(EngineTarget):
    """Dies of ChangeCipherSpec before its time: after that nobody can connect."""

    restarts = 0

    def __init__(self, *, restartable: bool = False) -> None:
        super().__init__("server")
        self.dead = False
        self._restartable = restartable

    def lane(self) -> Lane:
        return _Watched(super().lane(), self._check)

    def _check(self) -> None:
        if self.dead:
            raise Unreachable("connection refused")

    def restart(self) -> bool:
        self.restarts += 1
        self.dead = not self._restartable and self.dead
        return self._restartable


def killer(target: Fragile) -> Probe:
    """A probe that kills it."""

    def kill(talk: Talk) -> None:
        target.dead = True

    return replace(probe(*EARLY, Do(kill), expect(alert(10))), id="server/7.1/killer")


@pytest.mark.parametrize("restartable", [True, False])
def test_a_dead_target_is_not_taken_for_a_strict_one(restartable: bool) -> None:
    """Who killed it is found out if it can be started again; otherwise nothing can be told."""
    target = Fragile(restartable=restartable)
    harmless = probe(handshake(), expect(completed()))
    later = section.server("later", "later", "R2246-7.2-01", conversation=(handshake(), expect(completed())))
    later = replace(later, id="server/7.2/later")
    report = run(target, [killer(target), harmless, later], terms(), Options(jobs=1, tries=1))
    verdicts = [item.verdict for item in report.results]
    if restartable:
        assert verdicts == [Verdict.FAIL, Verdict.PASS, Verdict.PASS]
        assert report.results[0].reason.startswith("the target is dead after this")
    else:
        assert verdicts == [Verdict.INCONCLUSIVE] * 3
        assert "does not complete an honest handshake" in report.results[2].reason


def test_a_target_that_changes_its_mind_is_flaky() -> None:
    """Three answers, and no two that agree for good."""
    turns = iter(["no", None, "no again", None])
    found = result(probe(handshake(), expect(completed()), Check(lambda talk: next(turns))))
    assert found.verdict is Verdict.FLAKY
    assert found.reason == "fail: no; then pass: a completed handshake; then fail: no again"


def test_a_slow_answer_is_no_flake() -> None:
    """A wait that was too short proves nothing."""
    turns = iter([False, True, True])

    def act(talk: Talk) -> None:
        if next(turns):
            Send(record(20, b"\x01", waits=True)).run(talk)

    found = result(probe(before("client_key_exchange"), Do(act), expect(alert(10))))
    assert (found.verdict, len(found.tries)) == (Verdict.PASS, 3)


def test_both_roles_play_the_same_conversation() -> None:
    """A probe for both is two probes."""
    conversation = (before("change_cipher_spec"), Send(record(20, b"\0", waits=True)), rest("change_cipher_spec"))
    pair = section.both("twice", "twice", "R2246-7.1-02", conversation=(*conversation, expect(refusal())))
    assert [item.id for item in pair] == ["server/7.1/twice", "client/7.1/twice"]
    for item, name in zip(pair, ("server", "client"), strict=True):
        target = EngineTarget(name)
        report = run(target, pair, terms(target.tests), Options(jobs=1))
        assert [found.id for found in report.results] == [item.id]
        assert report.results[0].verdict is Verdict.PASS


def test_a_suite_of_ones_own() -> None:
    """``connect`` chooses the suite of the first connection."""
    found = result(probe(handshake(), expect(completed()), connect=connect(suites=RSA)))
    assert found.suite is not None
    assert found.suite.startswith("TLS_RSA_")

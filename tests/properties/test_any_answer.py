"""An exit may answer anything: the session ends well or with one alert, the phases stay in order, nothing leaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.answers import PHASES, SECRET, answers, scripts
from tests.support.conversation import honest
from tests.support.ends import DHE_RSA, RSA, certificates, check_phases, client_end, server_end
from tests.support.forge import Forge
from tests.support.keys import IDENTITY, PRE_SHARED_KEY, builtin
from tests.support.pair import End, make_end, pump
from tests.support.replay import feed, recordings, trace
from tests.support.scripted import AsyncScriptedExit, Script, ScriptedExit
from tlsexit.alerts import AlertLevel, ExitFailed, LocalError, PeerError
from tlsexit.constants import Role
from tlsexit.drivers.drive import arun, run
from tlsexit.events import Closed, MessageSeen, PhaseSeen
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import StartHandshakeResult
from tlsexit.exits.function import Communication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.records.grammar import Alert
from tlsexit.tasks import Task

PSK = 0x008C


def check(end: End, peer: Forge) -> None:
    """What holds whatever an exit did."""
    connection = end.connection
    sent = [item.message for item in end.seen if isinstance(item, MessageSeen) and item.sent]
    fatal = [item for item in sent if isinstance(item, Alert) and item.level == AlertLevel.FATAL]
    assert len(fatal) <= 1
    assert peer.fatal == (fatal[0].description if fatal else None)
    check_phases(end)
    assert connection.pending_exit is None
    error = connection.error
    assert SECRET not in f"{error} {error!r}"
    if connection.closed:
        assert sum(isinstance(event, Closed) for event in end.events) == 1
        if fatal:
            assert sent[-1] is fatal[0]
            assert isinstance(error, (ExitFailed, PeerError))
    if isinstance(error, ExitFailed):
        assert error.description == peer.fatal
        assert error.phase in {phase.value for phase in ExitPhase}
    connection.close()
    end.drive()
    peer.listen()
    check_phases(end)


def converse(role: Role, suite: int, exits: object) -> None:
    """Let an honest forge talk to an end with this exit."""
    own = role.peer
    if own is Role.SERVER:
        end = server_end(suite, exits=exits, builtin=builtin(own, certificates(suite).kind), verify=Verify.OPTIONAL)
    else:
        end = client_end(suite, exits=exits, builtin=builtin(own, certificates(suite).kind))
    forge = Forge(end, suite)
    forge.play(honest(role, suite, mutual=True))
    check(end, forge)


@given(st.sampled_from(Role), st.sampled_from([RSA, DHE_RSA]), scripts)
def test_any_exit(role: Role, suite: int, script: Script) -> None:
    """Exit objects."""
    converse(role, suite, ScriptedExit(script))


@pytest.mark.parametrize("phase", PHASES)
@given(role=st.sampled_from(Role), suite=st.sampled_from([RSA, DHE_RSA]), answer=answers)
def test_any_answer_in_each_phase(phase: ExitPhase, role: Role, suite: int, answer: Any) -> None:
    """One odd answer in one phase; the built-in PKI handles the others."""
    converse(role, suite, ScriptedExit({phase: answer}))


@given(st.sampled_from(Role), answers, st.sampled_from([0, 1, -1, 7, None, "0", 0.0]), st.integers(-1, 256))
def test_any_function(role: Role, output: Any, code: Any, reason: int) -> None:
    """Exits in the style of ``cftpkie``: any return code, any output, any reason."""

    def exit_function(communication: Communication) -> Any:
        if communication.phase is ExitPhase.START_TASK:
            return 0
        communication.output = output
        communication.alert_reason = reason if reason >= 0 else None
        if isinstance(output, Exception):
            raise output
        return code

    converse(role, RSA, exit_function)


@given(answers)
@example(Handled(object()))
def test_any_answer_to_start_task(answer: Any) -> None:
    """The task starts with the exit on or off, or does not start at all."""
    task = Task(system_config())
    exits = ScriptedExit({ExitPhase.START_TASK: answer})
    failure = None
    try:
        run(task, exits, BuiltinPki())
    except ExitFailed as error:
        failure = error
    if failure is None:
        assert task.exit_enabled is not isinstance(answer, NotHandled)
        task.connection(Profile.client())
    else:
        assert SECRET not in f"{failure} {failure!r}"
        with pytest.raises(LocalError, match="the task has ended"):
            task.connection(Profile.client())


def test_a_failure_stays_in_its_session() -> None:
    """An exit's failure never leaks into another session of the task."""

    def check_certificate(call: Any) -> Any:
        if call.context.reference == 1:
            raise MemoryError("only the first")
        return Handled()

    exits = ScriptedExit({ExitPhase.CHECK_CERTIFICATE: check_certificate})
    task = Task(system_config())
    ends = []
    run(task, exits, builtin(Role.CLIENT))
    for _ in range(2):
        seen: list[Any] = []
        end = End(task.connection(Profile.client(cipher_suites=(RSA,))), exits, builtin(Role.CLIENT), seen=seen)
        end.connection.start()
        end.drive()
        ends.append(end)
    first, second = (Forge(end, RSA).play(honest(Role.SERVER)) for end in ends)
    assert first.target.connection.closed
    assert second.target.connection.established


@pytest.mark.parametrize("answer", [NotHandled(), Failed(115), Failed(), Handled(b"key"), Handled(None)])
@pytest.mark.parametrize("role", Role)
def test_answers_about_pre_shared_keys(role: Role, answer: Any) -> None:
    """The question beside the ten phases follows the same rules."""
    exits = ScriptedExit({ExitPhase.GET_PRE_SHARED_KEY: answer})
    keys = {IDENTITY: PRE_SHARED_KEY}
    profile = Profile.client if role is Role.CLIENT else Profile.server
    own = make_end(profile(cipher_suites=(PSK,), verify=Verify.NONE), builtin(role, keys=keys), exits)
    other = make_end(
        (Profile.server if role is Role.CLIENT else Profile.client)(cipher_suites=(PSK,), verify=Verify.NONE),
        builtin(role.peer, keys=keys),
    )
    client, server = (own, other) if role is Role.CLIENT else (other, own)
    pump(client, server)
    assert own.connection.established is isinstance(answer, NotHandled)
    for end in (client, server):
        check_phases(end)


# ------------------------------------------------------------------------------------------------ sync and async


async def _feed(end: End, stream: bytes, exits: object) -> tuple[bytes, dict[str, object]]:
    """The same as :func:`feed`, awaiting."""
    sent = end.connection.data_to_send()
    end.connection.receive_data(stream)
    await arun(end.connection, exits, end.pki)
    end.drive()
    return sent + end.connection.data_to_send(), trace(end)


@given(st.sampled_from(["server", "server, mutual", "client, resumed"]), scripts)
@example("server", {ExitPhase.START_HANDSHAKE: Handled(StartHandshakeResult(changes={"depth": 3}))})
def test_plain_and_async_exits_do_the_same(name: str, script: Script) -> None:
    """Events, questions, bytes: it makes no difference whether the exit is awaited."""
    recording = recordings()[name]

    def answered(end: End) -> list[object]:
        return [(item.phase, repr(item.answer)) for item in end.seen if isinstance(item, PhaseSeen) and item.answer]

    def fresh(exits: object) -> End:
        end = recording.make()
        end.connection.context.task.exit_enabled = True
        end.exits = exits
        return end

    plain = fresh(ScriptedExit(script))
    expected = feed(plain, recording.stream)

    blocking = fresh(AsyncScriptedExit(script))
    assert feed(blocking, recording.stream) == expected
    assert answered(blocking) == answered(plain)

    exits = AsyncScriptedExit(script)
    awaited = fresh(ScriptedExit())
    assert asyncio.run(_feed(awaited, recording.stream, exits)) == expected
    assert answered(awaited) == answered(plain)

"""What is recorded, when, and who gave each answer."""

from __future__ import annotations

from itertools import pairwise

from tests.support.ends import RSA
from tests.support.recorded import RecordedPair, ticking
from tlsexit.constants import Role
from tlsexit.events import MessageSeen, PhaseSeen
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import CheckCertificateCall, EndTaskCall, GetCAListCall, StartTaskCall
from tlsexit.exits.context import TaskContext
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile
from tlsexit.trace import Entry, Recorder, TracedTask, WatchedPki


class Checker:
    """Checks certificates itself and leaves the rest."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Handled()

    def get_ca_list(self, call: GetCAListCall) -> Answer:
        return NotHandled()


def answered(entries: tuple[Entry, ...], end: Role) -> dict[ExitPhase, Entry]:
    """The entries of answered phases at one end."""
    return {
        entry.seen.phase: entry
        for entry in entries
        if entry.end is end and isinstance(entry.seen, PhaseSeen) and entry.seen.answer is not None
    }


def test_times_come_from_the_injected_clock_and_never_go_back() -> None:
    pair = RecordedPair(RSA)
    pair.talk(*pair.connect())
    times = [entry.at for entry in pair.finish()]
    assert times[0] == 1.0  # the first reading was the recorder's own start
    assert all(second - first == 1.0 for first, second in pairwise(times))
    assert pair.recorder.now() == times[-1] + 1


def test_both_ends_report_every_message() -> None:
    pair = RecordedPair(RSA)
    pair.connect()
    seen = [(entry.end, entry.seen) for entry in pair.recorder.entries if isinstance(entry.seen, MessageSeen)]
    for role in Role:
        sent = [item.raw for end, item in seen if end is role and item.sent]
        received = [item.raw for end, item in seen if end is role.peer and not item.sent]
        assert sent == received
        assert sent


def test_who_answered_is_known() -> None:
    """The exit handled CheckCertificate, declined GetCAList, and has no method for GetCertificate."""
    pair = RecordedPair(RSA, server_exit=Checker())
    pair.connect()
    found = answered(pair.recorder.entries, Role.SERVER)
    assert not found[ExitPhase.CHECK_CERTIFICATE].builtin
    assert found[ExitPhase.GET_CA_LIST].builtin
    assert found[ExitPhase.GET_CERTIFICATE].builtin
    assert not found[ExitPhase.START_TASK].builtin


def test_without_an_exit_the_builtin_pki_answers_everything_of_a_session() -> None:
    pair = RecordedPair(RSA)
    pair.talk(*pair.connect())
    found = answered(pair.finish(), Role.CLIENT)
    assert found.keys() >= {ExitPhase.START_HANDSHAKE, ExitPhase.END_SESSION, ExitPhase.START_TASK, ExitPhase.END_TASK}
    task_phases = {ExitPhase.START_TASK, ExitPhase.END_TASK}
    assert all(entry.builtin for phase, entry in found.items() if phase not in task_phases)


def test_a_failure_of_the_builtin_pki_is_its_own() -> None:
    class Suspicious:
        def answer(self, call: object) -> Answer:
            return Failed(46)

    pki = WatchedPki(Suspicious())
    call = StartTaskCall(TaskContext(1))
    assert pki.answer(call) == Failed(46)
    assert not pki.take(StartTaskCall(TaskContext(1)))
    assert pki.take(call)
    assert not pki.take(call)


def test_a_watched_pki_is_taken_for_the_one_behind_it() -> None:
    class Known(Unasked):
        fingerprint = b"root"

    assert WatchedPki(Known()).fingerprint == b"root"
    assert WatchedPki(Unasked()).fingerprint == b""


def test_a_listener_hears_each_entry_at_once() -> None:
    heard: list[Entry] = []
    recorder = Recorder(ticking(), heard.append)
    observe = recorder.observer(Role.CLIENT)
    call = EndTaskCall(TaskContext(1))
    observe(PhaseSeen(call.phase, call))
    assert heard == [Entry(1.0, Role.CLIENT, PhaseSeen(call.phase, call))] == list(recorder.entries)


def test_each_connection_of_a_task_can_have_an_observer_of_its_own() -> None:
    first, second = Recorder(ticking()), Recorder(ticking())
    pki = WatchedPki(Unasked())
    task = TracedTask(system_config(), first.observer(Role.CLIENT, pki))
    task.answer(NotHandled())
    early = task.connection(Profile.client())
    latest = [task.latest]
    task.observer = second.observer(Role.CLIENT, pki)
    latest.append(task.latest)
    late = task.connection(Profile.client())
    assert [*latest, task.latest] == [early, None, late]
    early.start()
    assert [type(entry.seen) for entry in first.entries] == [PhaseSeen, PhaseSeen, PhaseSeen]
    assert not second.entries
    late.start()
    assert len(second.entries) == 1


class Unasked:
    """Never asked."""

    def answer(self, call: object) -> Answer:
        raise AssertionError("nobody asks")

"""The matrix of failures: alert, later calls, other sessions and secrets, by every driver."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.exits.injection.__main__ import TARGET, page
from tests.exits.injection.drivers import DRIVERS
from tests.exits.injection.outcomes import Elsewhere, Outcome
from tests.exits.injection.scene import VICTIM, Peer, Result, pki_for, profile
from tests.exits.injection.secrets import own_secrets, shown
from tests.exits.injection.table import QUESTIONS, Cell, Question, cells
from tests.support.grammar import LETTERS, legal
from tests.support.scripted import ScriptedExit
from tlsexit.alerts import ExitFailed, LocalError
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import Pki, ask
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.tasks import Task

pytestmark = pytest.mark.timeout(60)

CELLS = tuple(cells())


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_cell(cell: Cell, driver: str) -> None:
    """What the table says is what happens."""
    result = DRIVERS[driver](cell)
    check_error(cell, result)
    asked = () if cell.question.of_task else result.exits.asked(VICTIM)
    if cell.outcome.interrupts and driver in ("asyncio", "in threads"):
        # the whole loop has ended, and with it everybody's sessions
        assert asked[: len(cell.asked) - len(cell.afterwards)] == cell.asked[: len(cell.asked) - len(cell.afterwards)]
    else:
        assert asked == cell.asked
        assert result.others_go_on
        check_task(cell, result)
    if cell.question.role is not None and asked:
        letters = "".join(LETTERS[phase] for phase in asked)
        assert legal(cell.question.role, letters, over=letters[-1] in "AE")
        assert result.peer is not None
        assert result.peer.alert == cell.alert
    check_secrets(result)


def check_error(cell: Cell, result: Result) -> None:
    """This end says what went wrong, unless nothing did that matters."""
    if cell.outcome.interrupts:
        kind = type(_raised(cell.outcome))
        assert isinstance(result.raised, kind)
    elif not cell.question.decides:
        assert not any(isinstance(error, ExitFailed) for error in (result.error, result.raised))
    elif cell.question.decrypts and "premaster" in cell.outcome.name:
        assert result.error is not None  # nobody can tell what was wrong
    else:
        assert any(cell.outcome.says in text for text in result.reasons), result.reasons
        failed = [text for text in result.reasons if text.startswith(f"{cell.question.phase.value}: ")]
        assert failed or "profile" in result.reasons[0] or "fits the certificate" in result.reasons[0]


def _raised(outcome: Outcome) -> BaseException:
    with pytest.raises((KeyboardInterrupt, SystemExit)) as caught:
        outcome.act(None)
    return caught.value


def check_task(cell: Cell, result: Result) -> None:
    """StartTask and EndTask are asked once each, and no EndTask follows a StartTask that failed."""
    expected = [ExitPhase.START_TASK, ExitPhase.END_TASK]
    if cell.question.phase is ExitPhase.START_TASK:
        expected.pop()
    assert list(result.exits.asked(None)) == expected


def check_secrets(result: Result) -> None:
    """Nothing that was printed shows any of them."""
    assert result.texts
    text = "\n".join(result.texts)
    assert shown(text, result.secrets) == []


@pytest.mark.parametrize("secret", own_secrets())
def test_the_search_finds_what_it_looks_for(secret: str) -> None:
    """Else the matrix would prove nothing."""
    secrets = own_secrets()
    value = secrets[secret]
    for text in (value.hex(), value.hex().upper(), repr(value), repr(b"xy" + value), str(int.from_bytes(value, "big"))):
        assert shown(f"... {text} ...", secrets) == [secret]
    assert shown("nothing here", secrets) == []


# ------------------------------------------------------------------------------------------------ decryption


@cache
def reference(driver: str) -> Result:
    """A premaster secret that is well formed, and not the client's."""
    return DRIVERS[driver](next(cell for cell in CELLS if "premaster secret, another" in cell.outcome.name))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.question.decrypts], ids=lambda cell: cell.id)
def test_nobody_on_the_line_can_tell(cell: Cell, driver: str) -> None:
    """RFC 2246 §7.4.7.1: type and length of every record are those of a wrong premaster secret."""
    if cell.outcome.interrupts:
        pytest.skip("an interrupt ends the program")
    found, expected = DRIVERS[driver](cell).peer, reference(driver).peer
    assert found is not None
    assert expected is not None
    assert found.shape == expected.shape
    assert found.shape[-1] == (21, 2)  # an alert, unprotected: the server's own keys are not in force yet


# ------------------------------------------------------------------------------------------------ BaseException


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("role", Role)
def test_another_base_exception(role: Role, driver: str) -> None:
    """Outwards from a plain method; a failure in a task of asyncio. The session ends, and the others go on."""

    def act(call: ExitCall) -> Answer:
        raise Elsewhere

    question = next(item for item in QUESTIONS if item.phase is ExitPhase.CHECK_CERTIFICATE and item.role is role)
    cell = Cell(question, Outcome("another BaseException", act, "failed (Elsewhere)"))
    result = DRIVERS[driver](cell)
    assert result.exits.asked(VICTIM) == cell.asked
    assert result.others_go_on
    assert result.peer is not None
    if driver in ("by hand", "blocking"):
        assert isinstance(result.raised, Elsewhere)
        assert result.peer.alert is None
    else:
        check_error(cell, result)
        assert result.peer.alert == cell.alert


# ------------------------------------------------------------------------------------------------ answering twice


class Twice(ScriptedExit):
    """What answers a connection's questions by hand, and every one of them once more."""

    def __init__(self, connection: Connection, pki: Pki) -> None:
        super().__init__()
        self.connection = connection
        self.refused: list[ExitPhase] = []
        self._pki = pki

    def drive(self) -> None:
        while (call := self.connection.pending_exit) is not None:
            answer = ask(call, self, self._pki)
            assert isinstance(answer, Answer)
            self.connection.answer(answer, to=call)
            self._again(call, answer)

    def _again(self, call: ExitCall, answer: Answer) -> None:
        before = self.connection.state, self.connection.pending_exit
        with pytest.raises(LocalError, match=r"no exit is pending|something else by now"):
            self.connection.answer(answer, to=call)
        assert (self.connection.state, self.connection.pending_exit) == before
        self.refused.append(call.phase)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if not q.of_task], ids=lambda q: f"{q.role.value}-{q.name}")
def test_answering_twice(question: Question) -> None:
    """The second answer to a question is refused, whatever is asked by then, and the handshake goes on."""
    assert question.role is not None
    peer = Peer(question, refuses=question.refused)
    task = Task(system_config())
    task.answer(Handled(), to=task.pending_exit)
    twice = Twice(task.connection(profile(question.role, question)), pki_for(question.role, question))
    twice.connection.start()
    moved = True
    while moved:
        twice.drive()
        sent, heard = twice.connection.data_to_send(), peer.give()
        moved = bool(sent or heard)
        if sent:
            peer.take(sent)
        twice.connection.receive_data(heard)
    assert twice.connection.established is not question.refused
    twice.connection.close()
    twice.drive()
    last = ExitPhase.HANDSHAKE_ALERT if question.refused else ExitPhase.END_SESSION
    assert twice.refused[-1] is last
    assert question.phase in twice.refused
    with pytest.raises(LocalError, match="no exit is pending"):
        twice.connection.answer(Handled())


def test_answering_a_task_twice() -> None:
    task = Task(system_config())
    start = task.pending_exit
    task.answer(Handled(), to=start)
    with pytest.raises(LocalError, match="no exit is pending"):
        task.answer(Handled(), to=start)
    task.end()
    end = task.pending_exit
    with pytest.raises(LocalError, match="something else by now"):
        task.answer(Handled(), to=start)
    task.answer(Handled(), to=end)
    with pytest.raises(LocalError, match="no exit is pending"):
        task.answer(Handled())


# ------------------------------------------------------------------------------------------------ the table itself


def test_every_phase_is_in_the_table() -> None:
    assert {question.phase for question in QUESTIONS} == set(ExitPhase)
    both = {question.phase for question in QUESTIONS if question.role is Role.CLIENT}
    assert both == {question.phase for question in QUESTIONS if question.role is Role.SERVER} - {ExitPhase.GET_CA_LIST}


def test_names_are_unique() -> None:
    assert len({cell.id for cell in CELLS}) == len(CELLS)


def test_the_page_is_up_to_date() -> None:
    """``python -m tests.exits.injection`` writes it."""
    assert Path(TARGET).read_text(encoding="utf-8") == page()


def test_a_good_answer_fails_nothing() -> None:
    """The machinery itself is harmless."""
    question = next(item for item in QUESTIONS if item.name == "HandshakeDone")
    harmless = Cell(question, Outcome("harmless", lambda call: Handled(b"area"), r""))
    for driver in DRIVERS.values():
        result = driver(harmless)
        assert result.error is None
        assert result.exits.asked(VICTIM)[-2:] == (ExitPhase.HANDSHAKE_DONE, ExitPhase.END_SESSION)

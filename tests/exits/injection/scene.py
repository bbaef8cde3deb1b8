"""What every driver has in common: the exit that goes wrong, the honest peer, and what is kept of both."""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.exits.injection.outcomes import HANG
from tests.exits.injection.secrets import PASSWORD, own_secrets
from tests.exits.injection.table import Cell, Question
from tests.support.ends import certificates
from tests.support.keys import builtin
from tests.support.pair import End, make_end
from tests.support.pki import pki
from tests.support.scripted import ScriptedExit
from tlsexit.alerts import AlertLevel, ExitTimeout
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import Pki
from tlsexit.events import MessageSeen
from tlsexit.exits.answers import Failed, Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import ExitCall, StartTaskCall, StartTaskResult
from tlsexit.exits.function import Communication
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.records.grammar import Alert
from tlsexit.tasks import Task

BYSTANDER, VICTIM, LATER = 1, 2, 3
"""The sessions of a task: one lives before the failure, one meets it, one comes afterwards."""

EXIT_TIMEOUT: Final = 0.5


class Injector:
    """An exit that goes wrong at one question of one session, and leaves the rest to the built-in PKI."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.release = threading.Event()
        self._calls: list[tuple[int | None, ExitPhase]] = []

    def asked(self, reference: int | None) -> tuple[ExitPhase, ...]:
        """The phases asked for one session, or for the task."""
        return tuple(phase for session, phase in self._calls if session == reference)

    def decide(self, call: ExitCall) -> Any:
        """Return or raise what the exit does."""
        reference = None if hasattr(call, "task") else call.context.reference
        self._calls.append((reference, call.phase))
        if call.phase is self.cell.question.phase and reference in (None, VICTIM):
            return self.cell.outcome.act(call)
        if isinstance(call, StartTaskCall):
            return Handled(StartTaskResult(private_area_size=16, password=PASSWORD))
        return NotHandled()

    def __getattr__(self, name: str) -> Callable[[ExitCall], Any]:
        if name not in _METHODS:
            raise AttributeError(name)
        return self.method

    def method(self, call: ExitCall) -> Any:
        """A plain method of a phase."""
        answer = self.decide(call)
        if answer is HANG:
            assert self.release.wait(60)
            return Handled(b"much too late")
        return answer


_METHODS: Final = frozenset(phase.method for phase in ExitPhase)


class AsyncInjector(Injector):
    """The same with ``async`` methods."""

    async def method(self, call: ExitCall) -> Any:
        await asyncio.sleep(0)
        answer = self.decide(call)
        if answer is HANG:
            await asyncio.Event().wait()
        return answer


class InjectorByHand(Injector):
    """For whoever asks by hand, and gives up on an exit by answering in its place."""

    def method(self, call: ExitCall) -> Any:
        answer = self.decide(call)
        return Failed(cause=ExitTimeout(1)) if answer is HANG else answer


class FunctionInjector(Injector):
    """An exit in the style of ``cftpkie``."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __call__(self, communication: Communication) -> Any:
        answer: Any = self.decide(communication.call)
        if isinstance(answer, NotHandled):
            return ReturnCode.NOT_HANDLED
        if isinstance(answer, Handled):
            communication.private_area_size, communication.password = 16, PASSWORD
            return ReturnCode.HANDLED
        return answer


def injector(cell: Cell, shape: type[Injector] = Injector) -> Injector:
    """The exit for a cell; ``shape`` unless the outcome is one of functions."""
    return FunctionInjector(cell) if cell.outcome.function else shape(cell)


# ------------------------------------------------------------------------------------------------ ends


class Peer:
    """The other end of a session: honest, in memory, and it sends back what it receives."""

    def __init__(self, question: Question, *, refuses: bool) -> None:
        role = Role.SERVER if question.role is None else question.role.peer
        script: dict[ExitPhase, Any] = {ExitPhase.CHECK_CERTIFICATE: Failed(49)} if refuses else {}
        script[ExitPhase.GET_CA_LIST] = Handled(((1,), (pki().root.certificate.subject,)))  # RSA and nothing else
        self.end: End = make_end(profile(role, question), pki_for(role, question), ScriptedExit(script))
        self.bytes = bytearray()

    def give(self) -> bytes:
        """What it has to say."""
        return self.end.connection.data_to_send()

    def take(self, data: bytes) -> None:
        """Hear something; nothing means the end of the transport."""
        known = len(self.end.received)
        self.bytes += data
        if data:
            self.end.connection.receive_data(data)
        else:
            self.end.connection.receive_eof()
        self.end.drive()
        if (answer := self.end.received[known:]) and self.end.connection.established:
            self.end.connection.send(answer)

    @property
    def over(self) -> bool:
        return self.end.connection.closed

    @property
    def alert(self) -> int | None:
        """The fatal alert that was heard."""
        heard = [item.message for item in self.end.seen if isinstance(item, MessageSeen) and not item.sent]
        fatal = [item.description for item in heard if isinstance(item, Alert) and item.level == AlertLevel.FATAL]
        assert len(fatal) <= 1
        return fatal[0] if fatal else None

    @property
    def shape(self) -> list[tuple[int, int]]:
        """Type and length of every record on the line, as anybody can see them."""
        found: list[tuple[int, int]] = []
        data = bytes(self.bytes)
        while data:
            length = int.from_bytes(data[3:5], "big")
            found.append((data[0], length))
            data = data[5 + length :]
        return found


def profile(role: Role, question: Question, **elements: Any) -> Profile:
    """The profile of one end."""
    if role is Role.CLIENT:
        return Profile.client(**{"cipher_suites": (question.suite,), **elements})
    verify = Verify.REQUIRED if question.mutual else Verify.NONE
    return Profile.server(**{"cipher_suites": (question.suite,), "verify": verify, **elements})


def pki_for(role: Role, question: Question) -> Pki:
    """The built-in PKI of one end."""
    return builtin(role, certificates(question.suite).kind)


# ------------------------------------------------------------------------------------------------ what was seen


@dataclass
class Result:
    """All that can be known of a cell once it is over."""

    exits: Injector
    peer: Peer | None = None
    error: BaseException | None = None
    raised: BaseException | None = None
    others_go_on: bool = False
    texts: list[str] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=own_secrets)

    def config(self) -> Config:
        """A configuration that keeps what an observer sees, and the secrets of each handshake."""
        return system_config(observer=lambda item: self.texts.append(repr(item)), key_log=self._on_secret)

    def _on_secret(self, line: str) -> None:
        self.secrets[f"master secret {len(self.secrets)}"] = bytes.fromhex(line.split()[2])

    def keep(self, connection: Connection | None) -> None:
        """Keep what the end of the victim says of itself."""
        if connection is None:
            return
        self.error = connection.error
        self.texts += [repr(connection.state), repr(connection.context), repr(connection.context.task)]
        for error in (connection.error, connection.exit_failure):
            self.tell(error)

    def tell(self, error: BaseException | None) -> None:
        """Keep everything that is printed of an error."""
        if error is not None:
            self.texts += [str(error), repr(error), "".join(traceback.format_exception(error))]

    @property
    def reasons(self) -> list[str]:
        """The texts of the error and of what caused it."""
        found: list[str] = []
        error = self.error or self.raised
        while error is not None and len(found) < 20:
            found.append(str(error))
            error = error.__cause__
        return found


class Listening(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, result: Result) -> None:
        super().__init__(logging.DEBUG)
        self._result = result

    def emit(self, record: logging.LogRecord) -> None:
        self._result.texts.append(logging.Formatter().format(record))

    def __enter__(self) -> Listening:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


class KeepingTask(Task):
    """A task that keeps the connections it makes."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.made: list[Connection] = []

    def connection(self, *arguments: Any, **options: Any) -> Connection:
        self.made.append(super().connection(*arguments, **options))
        return self.made[-1]


class Scene:
    """The parts of a cell that are the same under every driver."""

    def __init__(self, cell: Cell, shape: type[Injector], *, in_threads: bool = False) -> None:
        self.cell = cell
        self._in_threads = in_threads
        self.question = cell.question
        self.role = self.question.role or Role.CLIENT
        self.exits = injector(cell, shape)
        self.result = Result(self.exits)
        self.pki = pki_for(self.role, self.question)
        self.task = KeepingTask(self.result.config())
        self.others = self.task
        self.others_exits: object = self.exits
        if self.question.phase is ExitPhase.START_TASK:
            self.others, self.others_exits = KeepingTask(self.result.config()), None

    def profile(self, *, victim: bool = False) -> Profile:
        """The profile of a session."""
        return profile(self.role, self.question, **(self.cell.outcome.profile if victim else {}))

    def peer(self, *, victim: bool = False) -> Peer:
        """A peer for a session."""
        made = Peer(self.question, refuses=victim and self.question.refused)
        if victim:
            self.result.peer = made
        return made

    @property
    def exit_timeout(self) -> float | None:
        """The bound for the session that meets the failure; without need the exits stay in their thread."""
        return EXIT_TIMEOUT if self.cell.outcome.hangs else 60.0 if self._in_threads else None

    @property
    def has_victim(self) -> bool:
        """Whether there is a session that meets the failure."""
        return not self.question.of_task

    def finish(self) -> Result:
        """Keep what the end has to say, and let go of whatever hangs."""
        self.exits.release.set()
        if self.has_victim:
            self.result.keep(self.task.made[VICTIM - 1])
        self.result.texts.append(repr(self.task.context))
        self.result.tell(self.result.raised)
        return self.result

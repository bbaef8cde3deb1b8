"""Exits that record every call and answer from a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tlsexit.exits.answers import Handled, NotHandled
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.phases import ExitPhase

Script = Mapping[ExitPhase, Any]
"""What to answer in a phase: a value, an exception to raise, or a function of the call. Absent phases: not handled."""


class ScriptedExit:
    """An exit object with all methods. StartTask is handled unless the script says otherwise."""

    def __init__(self, script: Script | None = None) -> None:
        self._script: dict[ExitPhase, Any] = {ExitPhase.START_TASK: Handled(), **(script or {})}
        self.calls: list[ExitCall] = []

    @property
    def phases(self) -> list[ExitPhase]:
        """The phases asked so far, those of the task included."""
        return [call.phase for call in self.calls]

    def last(self, phase: ExitPhase) -> Any:
        """The most recent call of a phase."""
        return next(call for call in reversed(self.calls) if call.phase is phase)

    def _answer(self, call: ExitCall) -> Any:
        self.calls.append(call)
        answer = self._script.get(call.phase, NotHandled())
        if isinstance(answer, BaseException):
            raise answer
        return answer(call) if callable(answer) else answer

    def start_task(self, call: ExitCall) -> Any:
        return self._answer(call)

    def start_handshake(self, call: ExitCall) -> Any:
        return self._answer(call)

    def get_ca_list(self, call: ExitCall) -> Any:
        return self._answer(call)

    def get_certificate(self, call: ExitCall) -> Any:
        return self._answer(call)

    def check_certificate(self, call: ExitCall) -> Any:
        return self._answer(call)

    def crypt_data(self, call: ExitCall) -> Any:
        return self._answer(call)

    def get_pre_shared_key(self, call: ExitCall) -> Any:
        return self._answer(call)

    def handshake_alert(self, call: ExitCall) -> Any:
        return self._answer(call)

    def handshake_done(self, call: ExitCall) -> Any:
        return self._answer(call)

    def end_session(self, call: ExitCall) -> Any:
        return self._answer(call)

    def end_task(self, call: ExitCall) -> Any:
        return self._answer(call)


class AsyncScriptedExit(ScriptedExit):
    """The same with ``async`` methods: each gives the event loop a turn (``delay`` seconds) before it answers."""

    def __init__(self, script: Script | None = None, *, delay: float = 0.0) -> None:
        super().__init__(script)
        self._delay = delay

    async def _later(self, call: ExitCall) -> Any:
        await asyncio.sleep(self._delay)
        return self._answer(call)

    start_task: Callable[..., Any] = _later
    start_handshake: Callable[..., Any] = _later
    get_ca_list: Callable[..., Any] = _later
    get_certificate: Callable[..., Any] = _later
    check_certificate: Callable[..., Any] = _later
    crypt_data: Callable[..., Any] = _later
    get_pre_shared_key: Callable[..., Any] = _later
    handshake_alert: Callable[..., Any] = _later
    handshake_done: Callable[..., Any] = _later
    end_session: Callable[..., Any] = _later
    end_task: Callable[..., Any] = _later

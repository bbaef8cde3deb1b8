"""Application exits for tests: they write down what they are told, and answer as they are made to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tlsexit.exits.application import ApplicationCall, DirectoryCall, EndOfTransferCall, FileCall


class Application:
    """Plain methods. ``answers`` gives by method what it returns, or raises if that is an exception."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[ApplicationCall] = []

    def directory(self, call: DirectoryCall) -> Any:
        return self._answer("directory", call)

    def file(self, call: FileCall) -> Any:
        return self._answer("file", call)

    def end_of_transfer(self, call: EndOfTransferCall) -> Any:
        return self._answer("end_of_transfer", call)

    def _answer(self, name: str, call: ApplicationCall) -> Any:
        self.calls.append(call)
        answer = self.answers.get(name)
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        """The calls, by their types."""
        return [type(call).__name__.removesuffix("Call") for call in self.calls]

    def one(self, kind: type[Any]) -> Any:
        """The only call of its kind."""
        (call,) = (item for item in self.calls if isinstance(item, kind))
        return call


class AsyncApplication(Application):
    """The same, ``async`` and not at once."""

    async def directory(self, call: DirectoryCall) -> Any:
        await asyncio.sleep(0.01)
        return self._answer("directory", call)

    async def file(self, call: FileCall) -> Any:
        await asyncio.sleep(0.01)
        return self._answer("file", call)

    async def end_of_transfer(self, call: EndOfTransferCall) -> Any:
        await asyncio.sleep(0.01)
        return self._answer("end_of_transfer", call)


Making = Callable[..., Application]

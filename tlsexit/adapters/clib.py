"""Exits in C: a shared library with one function, ``int cftpkie(struct pkicom *)``.

The interface is ``include/cftpkie.h``, which documents itself; ``include/sample_exit.c`` is an exit to start from.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from tlsexit.adapters.elsewhere import ExitElsewhere, Worker
from tlsexit.adapters.exchange import Exchange
from tlsexit.adapters.pkicom import PkiCom
from tlsexit.alerts import LocalError
from tlsexit.exits.answers import Answer, ReturnCode
from tlsexit.exits.calls import ExitCall
from tlsexit.exits.function import Communication, call_function

INCLUDE: Final = Path(__file__).parent / "include"
"""The folder with ``cftpkie.h``, for ``cc -I``, and with the sample exit."""

SAMPLE: Final = INCLUDE / "sample_exit.c"
"""A commented exit that shows every phase."""

FUNCTION: Final = "cftpkie"


class CExit(ExitElsewhere):
    """The exit in the shared library at ``path``.

    All calls of one ``CExit`` come from one thread of its own, one after another, so the library need not be safe for
    threads and an event loop never waits for it; a call that takes long therefore delays the other sessions of the
    task. One that takes too long fails its session, and the library still hears of that session's end.

    The library lives in this process: if it crashes, so does the process, which under ``tlsexit serve`` is one task
    among others.

    Raises :class:`LocalError` if there is no such library, or not one for this machine, or without the function.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._function = load_function(self._path)
        self._worker = Worker(f"cftpkie {self._path.name}", every_call=True)

    @property
    def trust_name(self) -> str:
        """The library: two of them trust differently."""
        return f"{FUNCTION} {self._path.resolve()}"

    def submit(self, call: ExitCall) -> Future[Answer]:
        """Let the library answer when its turn comes."""
        return self._worker.submit(lambda: call_function(self._ask, call))

    def _ask(self, communication: Communication) -> int:
        code = Exchange(communication).call(self._function)
        if code not in tuple(ReturnCode):
            raise LocalError(f"{FUNCTION} returned {code}, which is no execution code")
        return code


def load_function(path: Path) -> Callable[[Any], int]:
    """Return ``cftpkie`` of the library at ``path``; :class:`LocalError` in one sentence if it cannot be had."""
    if not path.is_file():
        raise LocalError(f"{path}: there is no such library")
    try:
        # an absolute path, for the loader looks for a bare name elsewhere
        library = ctypes.CDLL(str(path.resolve()))
    except OSError as error:
        reason = str(error).removeprefix(f"{path.resolve()}: ")
        raise LocalError(f"{path}: not a shared library that this machine can load: {reason}") from error
    try:
        function = getattr(library, FUNCTION)
    except AttributeError as error:
        raise LocalError(f"{path}: the library exports no function {FUNCTION}") from error
    function.argtypes = [ctypes.POINTER(PkiCom)]
    function.restype = ctypes.c_int
    found: Callable[[Any], int] = function
    return found

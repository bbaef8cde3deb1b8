"""The answering side: any exit, put behind a Unix socket; and a signer that has only a key and its certificate."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tlsexit.adapters.remote.frames import frame, read_frame
from tlsexit.adapters.remote.messages import call_from, failed, handled
from tlsexit.alerts import AlertDescription, ExitFailed, LocalError
from tlsexit.drivers.drive import ask, finish
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import CryptDataCall, ExitCall, GetCertificateCall, StartTaskCall
from tlsexit.exits.outcome import outcome
from tlsexit.policy import BuiltinPki, Identity

MAX_QUESTIONS: Final = 256
"""Questions of one connection that are being answered at once; what comes after them waits unread."""


_PAUSE: Final = 0.1
"""Seconds until connections are accepted again after that has failed."""


class Signer:
    """An exit with one own certificate and its key: shows the one where it fits, signs and decrypts with the other.

    Behind an :class:`ExitServer` the key stays in its process: only signatures and decrypted secrets leave it.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._pki = BuiltinPki([identity])

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        answer = self._pki.answer(call)
        # what does not fit here may fit there
        return answer if isinstance(answer, Handled) and answer.value else NotHandled()

    def crypt_data(self, call: CryptDataCall) -> Answer:
        ours = call.context.own_chain[:1] == self._identity.chain[:1]
        return self._pki.answer(call) if ours else NotHandled()


class _Nobody:
    """Stands for the built-in PKI, which is in the other process."""

    def answer(self, call: ExitCall) -> Answer:
        return NotHandled()


class ExitServer:
    """Answers questions over the Unix socket ``path`` with ``exits``, any object that is an exit.

    Questions of one connection are answered side by side as far as the exit's methods are ``async``. Only this user
    may connect (the socket's mode is 0600), which is all that guards the key: whoever may ask may have anything signed
    and decrypted. Nothing that is asked or answered is logged.

    An async context manager. :class:`LocalError` if another process listens there, or the path is no socket;
    ``OSError`` if it cannot be made.
    """

    def __init__(self, exits: object, path: Path | str) -> None:
        self._exits = exits
        self._path = Path(path)
        self._conversations: dict[asyncio.Task[None], socket.socket] = {}

    async def __aenter__(self) -> ExitServer:
        self._listener = _listen(self._path)
        self._await_connections()
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        conversations = tuple(self._conversations)
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _await_connections(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return  # whoever it was has gone
        except OSError:
            # too many files are open; some will be closed
            loop.remove_reader(self._listener)
            loop.call_later(_PAUSE, self._await_connections)
            return
        connection.setblocking(False)
        conversation = loop.create_task(self._converse(connection))
        self._conversations[conversation] = connection
        conversation.add_done_callback(self._over)

    def _over(self, conversation: asyncio.Task[None]) -> None:
        # one that was cancelled before its first step has not closed it itself
        self._conversations.pop(conversation).close()

    async def _converse(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        room = asyncio.Semaphore(MAX_QUESTIONS)
        answering: set[asyncio.Task[None]] = set()

        async def answer(message: dict[str, Any]) -> None:
            try:
                reply = await self._reply(message)
                writer.write(frame({"id": message.get("id"), **reply}))
                with suppress(OSError):
                    await writer.drain()
            finally:
                room.release()

        try:
            while (message := await read_frame(reader)) is not None:
                await room.acquire()
                task = asyncio.create_task(answer(message))
                answering.add(task)
                task.add_done_callback(answering.discard)
            await asyncio.gather(*answering)
        except (LocalError, OSError, asyncio.IncompleteReadError):
            pass  # whoever sends no frames gets no answers
        finally:
            for task in tuple(answering):
                task.cancel()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return what to answer a question; whatever goes wrong is a failure with a reason that holds no secret."""
        try:
            call = call_from(message)
        except LocalError as error:
            return failed(AlertDescription.INTERNAL_ERROR, str(error))
        answer = ask(call, self._exits, _Nobody())
        if not isinstance(answer, (Handled, NotHandled, Failed)):
            answer = await finish(call, answer, _Nobody())
        if isinstance(answer, NotHandled):
            return {"answer": "not_handled"}
        try:
            return handled(call, outcome(call, answer))
        except ExitFailed as error:
            return failed(error.description, error.reason)
        except LocalError as error:
            return failed(AlertDescription.INTERNAL_ERROR, str(error))


def _listen(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``, and that only this user may connect to."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise LocalError(f"{path}: is there and is no socket")
        if _is_served(path):
            raise LocalError(f"{path}: another process listens there")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX)
    previous = os.umask(0o177)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(previous)
    sock.setblocking(False)
    sock.listen()
    return sock


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True

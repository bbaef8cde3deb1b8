"""Put to the application's own exits what concerns them: the one place for all drivers.

What such an exit does wrong ends its own session and no other: a failing or late ``directory`` refuses the partner, a
failing ``file`` the payload; what else fails is kept in :attr:`ApplicationSession.failure`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from tlsexit.alerts import ExitTimeout, LocalError, TlsError
from tlsexit.connection import Connection
from tlsexit.drivers.chainfile import record_chain
from tlsexit.drivers.drive import Pki
from tlsexit.drivers.threads import in_thread
from tlsexit.exits.answers import Answer, Handled
from tlsexit.exits.application import (
    DirectoryCall,
    EndOfTransferCall,
    FileAction,
    FileCall,
    Identifiers,
    Partner,
    PayloadRefused,
    Refused,
    SessionRefused,
    TransportSecurity,
)
from tlsexit.exits.calls import ExitCall, HandshakeDoneCall
from tlsexit.exits.context import SessionContext

T = TypeVar("T")


class ApplicationSession:
    """One session as the application's exits see it.

    ``counts`` returns how many bytes of application data have been received and sent. ``limit`` in seconds bounds what
    is awaited, None for ever. With ``threads`` plain methods are called in threads of their own, and are bounded too;
    one that is late is left behind.
    """

    def __init__(
        self,
        exits: object,
        pki: Pki,
        *,
        limit: Callable[[], float | None] = lambda: None,
        threads: bool = False,
        counts: Callable[[], tuple[int, int]],
    ) -> None:
        self._exits = exits
        self._pki = pki
        self._limit = limit
        self._threads = threads
        self._counts = counts
        self._begun = False
        self._ended = False
        self._completed: tuple[SessionContext, bytes, str] | None = None
        self._security: TransportSecurity | None = None
        self._payloads = 0
        self._payloads_closed: asyncio.Event | None = None
        self.refusal: SessionRefused | None = None
        self.failure: BaseException | None = None

    # -------------------------------------------------------------------------------------------- directory

    def begin(self, call: HandshakeDoneCall, answer: Handled) -> Pending | None:
        """Record the peer's chain and ask ``directory``; if that has to be awaited, return what to await.

        Afterwards :attr:`refusal` says whether to go on. A global area that does not fit is left for the connection to
        refuse.
        """
        context = call.context
        try:
            area = call.validate(answer.value)
        except Exception:
            return None
        try:
            root = context.profile.certificate_file_root
            file = record_chain(root, context.peer_chain) if root is not None and context.peer_chain else ""
            self._completed, self._security = (context, area, file), None
            if self._exits is None:
                self._begun = True
                return None
            directory = DirectoryCall(self.security, Partner.of(context))
        except Exception as error:
            self._keep(error)
            self.refusal = SessionRefused(_why(error))
            return None
        return self._put("directory", directory, self._admit)

    @property
    def security(self) -> TransportSecurity:
        """How the session is secured; found out when somebody wants to know, since it takes looking for the ids."""
        if self._completed is None:
            return TransportSecurity()
        if self._security is None:
            context, area, file = self._completed
            self._security = TransportSecurity.of(context, area, identifiers(self._pki, context), file)
        return self._security

    def _admit(self, answer: object) -> None:
        reason = _refusal("directory", answer)
        if reason is not None:
            self._keep(answer)
            self.refusal = SessionRefused(f"the directory exit refuses the partner: {reason}")
        else:
            self._begun = True

    # -------------------------------------------------------------------------------------------- payloads

    @contextmanager
    def payload(self, name: str) -> Iterator[None]:
        """Tell ``file`` that a payload opens, and at the end of the block that it closes.

        Raises :class:`PayloadRefused` if ``file`` does not want it.
        """
        if self._exits is None:
            yield
            return
        start, counted = self._open_call(name), self._counts()
        complete(self._put("file", start, partial(self._opened, name)))
        error = None
        try:
            yield
        except BaseException as failure:
            error = failure
            raise
        finally:
            complete(self._put("file", self._close_call(start, counted, error), self._keep))

    @asynccontextmanager
    async def apayload(self, name: str) -> AsyncIterator[None]:
        """Do as :meth:`payload` in an event loop."""
        if self._exits is None:
            yield
            return
        start, counted = self._open_call(name), self._counts()
        self._payloads += 1
        try:
            await _nothing_or(self._put("file", start, partial(self._opened, name)))
            error = None
            try:
                yield
            except BaseException as failure:
                error = failure
                raise
            finally:
                await _nothing_or(self._put("file", self._close_call(start, counted, error), self._keep))
        finally:
            self._payloads -= 1
            if not self._payloads and self._payloads_closed is not None:
                self._payloads_closed.set()

    def _open_call(self, name: str) -> FileCall:
        if self._completed is None or not self._begun or self._ended:
            raise LocalError("there is no session in which a payload could open")
        return FileCall(self.security, Partner.of(self._completed[0]), FileAction.OPEN, name)

    def _close_call(self, start: FileCall, counted: tuple[int, int], error: BaseException | None) -> FileCall:
        (received, sent), (received_before, sent_before) = self._counts(), counted
        return FileCall(
            self.security,
            start.partner,
            FileAction.CLOSE,
            start.name,
            received - received_before,
            sent - sent_before,
            normal=error is None,
            reason="" if error is None else _why(error),
        )

    def _opened(self, name: str, answer: object) -> None:
        reason = _refusal("file", answer)
        if reason is not None:
            self._keep(answer)
            raise PayloadRefused(f"the file exit refuses to open {name}: {reason}")

    # -------------------------------------------------------------------------------------------- the end

    def end(self, error: BaseException | None, *, wait: bool = False) -> Pending | None:
        """Tell ``end_of_transfer``, once, that the session is over, and why if that is not as it should be.

        Nothing is told of a session that never began. With ``wait`` payloads that are open get ``limit`` seconds to
        close first. This raises nothing; what it returns is to be awaited.
        """
        if self._exits is None or self._completed is None or not self._begun or self._ended:
            return None
        self._ended = True
        error = self.refusal or error
        reason = "" if error is None else _why(error)
        partner = Partner.of(self._completed[0])
        call = EndOfTransferCall(self.security, partner, error is None, *self._counts(), reason)
        if wait and self._payloads:
            return Pending(self._end_after_payloads(call), self._keep, None)
        return self._put("end_of_transfer", call, self._keep)

    async def _end_after_payloads(self, call: EndOfTransferCall) -> None:
        if self._payloads:
            self._payloads_closed = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limit()):
                    await self._payloads_closed.wait()
        await _nothing_or(self._put("end_of_transfer", call, self._keep))

    def _keep(self, answer: object) -> None:
        if isinstance(answer, BaseException):
            self.failure = answer

    # -------------------------------------------------------------------------------------------- underneath

    def _put(self, name: str, call: Any, settle: Callable[[object], None]) -> Pending | None:
        """Call a method, if there is one, and settle what it answers or raises; what is awaited settles later."""
        try:
            method = getattr(self._exits, name, None)
            if method is None:
                settle(None)
                return None
            if self._threads and not inspect.iscoroutinefunction(method):
                return Pending(_threaded(method, call, name), settle, self._limit())
            answer = method(call)
        except (Exception, asyncio.CancelledError) as error:
            answer = error
        if inspect.isawaitable(answer):
            return Pending(answer, settle, self._limit())
        settle(answer)
        return None


class Pending:
    """An answer that has to be awaited, for ``limit`` seconds at most, and settles something then."""

    def __init__(self, answer: Awaitable[object], settle: Callable[[object], None], limit: float | None) -> None:
        self._answer = answer
        self._settle = settle
        self._limit = limit

    def __await__(self) -> Generator[Any, None, None]:
        return self._settled().__await__()

    async def _settled(self) -> None:
        try:
            answer = await _timely(self._answer, self._limit)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            answer = error
        except Exception as error:
            answer = error
        self._settle(answer)

    def close(self) -> None:
        """Give the answer up; it would complain that nobody awaited it."""
        if inspect.iscoroutine(self._answer):
            self._answer.close()


def identifiers(pki: Pki, context: SessionContext) -> Identifiers:
    """Return what ``pki`` calls the certificates of a session; nothing if it is one that has no names for them."""
    identify: Callable[[SessionContext], Identifiers] | None = getattr(pki, "identify", None)
    return {} if identify is None else identify(context)


def complete(pending: Pending | None) -> None:
    """Await, from a thread without an event loop, what a method of :class:`ApplicationSession` returned."""
    if pending is None:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(_nothing_or(pending))
        return
    pending.close()
    raise LocalError("an async application exit under the blocking driver inside a running event loop")


class Unfinished:
    """A connection's questions, put by a blocking driver; but for the last, which waits until the peer has been told.

    Before the answer that completes a handshake, the application is asked whether to go on; if not, that is the end.
    """

    def __init__(self, connection: Connection, application: ApplicationSession) -> None:
        self._connection = connection
        self._application = application

    def answer(self, answer: Answer) -> None:
        call = self._connection.pending_exit
        if isinstance(call, HandshakeDoneCall) and isinstance(answer, Handled):
            complete(self._application.begin(call, answer))
        self._connection.answer(answer)
        if self._application.refusal is not None:
            self._connection.close()

    @property
    def pending_exit(self) -> ExitCall | None:
        return None if self._connection.closed else self._connection.pending_exit


async def _nothing_or(pending: Pending | None) -> None:
    if pending is not None:
        await pending


async def _threaded(method: Callable[[Any], object], call: Any, name: str) -> object:
    answer = await asyncio.wrap_future(in_thread(partial(method, call), name))
    return await answer if inspect.isawaitable(answer) else answer


async def _timely(pending: Awaitable[T], seconds: float | None) -> T:
    """Await something for so long. What is late is cancelled and not waited for: it may not want to end."""
    if seconds is None:
        return await pending
    work = asyncio.ensure_future(pending)
    try:
        await asyncio.wait({work}, timeout=seconds)
    except asyncio.CancelledError:
        work.cancel()
        raise
    if not work.done():
        work.cancel()
        raise ExitTimeout(seconds)
    return work.result()


def _refusal(name: str, answer: object) -> str | None:
    """Return why an answer means no; None if it means yes. Of an exception only our own texts are repeated."""
    if answer is None or answer is True:
        return None
    if isinstance(answer, Refused):
        return str(answer.reason)
    if answer is False:
        return "it gives no reason"
    if isinstance(answer, BaseException):
        return f"it failed ({_why(answer)})"
    return f"it returned {type(answer).__name__}; {name} returns None, True, False or Refused"


def _why(error: BaseException) -> str:
    """Return an error in one line: a foreign text may hold anything, a secret too."""
    return str(error) if isinstance(error, (TlsError, OSError)) else type(error).__name__

"""What the tasks of a monitor serve: a :class:`Service`, made anew in each worker process."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tlsexit.alerts import LocalError, TlsError
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.drivers.drive import Pki
from tlsexit.drivers.protocol import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, Address
from tlsexit.drivers.sessions import StreamHandler
from tlsexit.profile import Profile
from tlsexit.tasks import Task


class CannotServe(TlsError):
    """A task cannot be started, or none can. ``code`` is the exit status that a command line may end with."""

    def __init__(self, reason: str, code: int = 1) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Arrival:
    """A socket that a task has been given: the session's number, unique in the monitor, and both addresses."""

    number: int
    remote: Address
    local: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one task needs, in its own process: made there, so that it may hold keys, libraries and open files.

    ``config`` defaults to :attr:`Worker.config`; ``pki`` to the built-in one without any certificate. The exit is shown
    ``configuration`` in StartTask. ``make_task`` and ``connect`` are for those who want a task or connections of
    another kind; ``on_failure`` hears of handshakes that did not complete. Time-outs in seconds, as for
    :func:`~tlsexit.drivers.aio.start_server`.
    """

    profile: Profile
    handler: StreamHandler
    exits: object = None
    application_exits: object = None
    pki: Pki | None = None
    config: Config | None = None
    handshake_timeout: float = HANDSHAKE_TIMEOUT
    shutdown_timeout: float = SHUTDOWN_TIMEOUT
    exit_timeout: float | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    make_task: Callable[[Config, int], Task] | None = None
    connect: Callable[[Task, Arrival], Connection] | None = None
    on_failure: Callable[[Connection, BaseException], None] | None = None


class Worker(Protocol):
    """The process that a service is made in, as the service sees it."""

    @property
    def reference(self) -> int:
        """The reference of the task, unique among the tasks of the monitor."""

    @property
    def config(self) -> Config:
        """The operating system's randomness and clock, and what the monitor's tasks share to resume sessions."""

    def tell(self, value: Any) -> None:
        """Send the monitor a value that JSON knows; it arrives there as :class:`~.events.TaskTold`.

        Values are dropped while the monitor does not read: telling never holds up a session.
        """


ServiceFactory = Callable[..., Service | Awaitable[Service]]
"""Called in each worker with the :class:`Worker` and the monitor's settings as keyword arguments."""


def service_name(service: str | ServiceFactory) -> str:
    """Return ``module:object`` for what makes the service. Raises :class:`LocalError` if no worker could import it."""
    if isinstance(service, str):
        module, colon, name = service.partition(":")
        if not (colon and module and name):
            raise LocalError(f"{service!r} does not name a service; write module:object")
        return service
    module, name = getattr(service, "__module__", None) or "", getattr(service, "__qualname__", "")
    if not name or "<" in name or module in ("", "__main__"):
        raise LocalError(
            "a service is made in another process: give a function at the top of a module that can be imported, "
            "which __main__ cannot"
        )
    return f"{module}:{name}"


def load_service(name: str) -> ServiceFactory:
    """Return what ``module:object`` names. Raises :class:`CannotServe` if it is not there."""
    where, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(where)
    except ImportError as error:
        raise CannotServe(f"{where} cannot be imported: {error}") from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise CannotServe(f"{where} has no function {path!r}")
    factory: ServiceFactory = found
    return factory

"""tlsexit itself as a target, in this process: no sockets, no waiting, the engine as everybody gets it.

Behind the server sits an application that answers requests, behind the client one that asks. The configurations differ
in what cannot be had at the same time, such as asking for a client certificate and not asking.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.conformance.pki import Workshop, workshop
from tlsexit.conformance.talk import REQUEST, RESPONSE
from tlsexit.conformance.targets import Lane, Target
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.drivers.drive import run
from tlsexit.events import ApplicationData, HandshakeCompleted
from tlsexit.policy import BuiltinPki, Identity, system_config
from tlsexit.profile import Profile, Verify
from tlsexit.puppet import ConnectionEngine, EngineTransport, Transport
from tlsexit.session import Session
from tlsexit.stores.tickets import TicketKeys
from tlsexit.tasks import Task

EVERY_SUITE: Final = tuple(
    value for value, suite in SUITES.items() if not suite.key_exchange.premaster.psk and not suite.key_exchange.fixed
)


@dataclass(frozen=True)
class Configuration:
    """One way to set tlsexit up. ``profile`` are elements of :class:`~tlsexit.profile.Profile`; ``tickets`` whether a
    server seals them, ``identified`` whether a client has a certificate, ``asks`` whether a server sends a HelloRequest
    before it answers, ``closes`` whether the application ends the connection after its answer, ``forgets`` whether a
    server keeps no sessions.
    """

    role: Role
    profile: dict[str, Any] = field(default_factory=dict)
    tickets: bool = False
    identified: bool = True
    asks: bool = False
    closes: bool = False
    forgets: bool = False


CONFIGURATIONS: Final = {
    "server": Configuration(Role.SERVER, {"verify": Verify.NONE}),
    "server-everything": Configuration(
        Role.SERVER,
        {
            "cipher_suites": EVERY_SUITE,
            "verify": Verify.OPTIONAL,
            "renegotiation": True,
            "alpn": ("http/1.1",),
            "server_names": ("localhost",),
        },
        tickets=True,
    ),
    "server-asking": Configuration(Role.SERVER, {"verify": Verify.NONE, "renegotiation": True}, asks=True),
    "server-mutual": Configuration(Role.SERVER, {"verify": Verify.REQUIRED, "renegotiation": True}),
    "server-closing": Configuration(Role.SERVER, {"verify": Verify.NONE}, closes=True, forgets=True),
    "client": Configuration(Role.CLIENT, identified=False),
    "client-everything": Configuration(
        Role.CLIENT,
        {
            "cipher_suites": EVERY_SUITE,
            "renegotiation": True,
            "alpn": ("http/1.1",),
            "session_tickets": True,
            "max_fragment_length": 4096,
            "status_request": True,
        },
    ),
    "client-v2-hello": Configuration(Role.CLIENT, {"v2_client_hello": True, "extensions": False}),
    "client-closing": Configuration(Role.CLIENT, closes=True),
}
"""What ``tlsexit conform self`` tests, by name."""


class EngineTarget(Target):
    """tlsexit under the configuration called ``name``."""

    lanes = 2

    def __init__(self, name: str, made: Workshop | None = None) -> None:
        self.name = f"tlsexit ({name})"
        self.configuration = CONFIGURATIONS[name]
        self.tests = self.configuration.role
        made = workshop() if made is None else made
        own = made.shown_by(self.tests) if self.tests is Role.SERVER or self.configuration.identified else {}
        identities = [Identity(f"own {kind.value}", item.chain, item.key) for kind, item in own.items()]
        trusted = [item.certificate for item in made.authorities.values()]
        self.pki = BuiltinPki(identities, {"conformance": trusted})
        elements: dict[str, Any] = dict(self.configuration.profile)
        if self.tests is Role.CLIENT:
            self.profile = Profile.client(**{"server_name": "localhost", **elements})
        else:
            self.profile = Profile.server(**elements)

    def lane(self) -> Lane:
        return _EngineLane(self)


class _EngineLane:
    """One task, and so one store of sessions; a client resumes the session it had last."""

    def __init__(self, target: EngineTarget) -> None:
        self._target = target
        tickets = TicketKeys(time.time) if target.configuration.tickets else None
        store = {"session_store": None} if target.configuration.forgets else {}
        self._task = Task(system_config(tickets=tickets, **store))
        run(self._task, None, target.pki)
        self._last: Connection | None = None

    def open(self) -> Transport:
        session: Session | None = None
        if self._target.tests is Role.CLIENT and self._last is not None:
            session = self._last.session
        connection = self._task.connection(self._target.profile, session=session)
        connection.start()
        self._last = connection
        return EngineTransport(Program(connection, self._target.pki, self._target.configuration))

    def close(self) -> None:
        """Nothing is left behind."""


class Program(ConnectionEngine):
    """A connection with a small application behind it."""

    def __init__(self, connection: Connection, pki: BuiltinPki, configuration: Configuration) -> None:
        self._heard = b""
        self.crashed: str | None = None
        """What its code raised, where another server would have died."""
        self.received = b""
        """All the application data that has arrived."""
        self._asks = configuration.asks
        self._closes = configuration.closes
        super().__init__(connection, None, pki)

    @property
    def closed(self) -> bool:
        return self.crashed is not None or super().closed

    def receive(self, data: bytes) -> None:
        try:
            super().receive(data)
        except Exception as error:
            self.crashed = f"{type(error).__name__}: {error}"

    def drive(self) -> None:
        super().drive()
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, ApplicationData):
                self._on_data(event.data)
            elif isinstance(event, HandshakeCompleted) and self.connection.role is Role.CLIENT:
                self._say(REQUEST)

    def _on_data(self, data: bytes) -> None:
        self._heard += data
        self.received += data
        if self.connection.role is Role.SERVER and self._heard.endswith(b"\r\n\r\n"):
            self._heard = b""
            if self._asks:
                self._asks = False
                with suppress(LocalError):  # a resumed session without the extended master secret stays as it is
                    self.connection.renegotiate()
            self._say(RESPONSE)
        if self._closes and (data.endswith(b"\n") if self.connection.role is Role.CLIENT else not self._heard):
            self.connection.close()
            super().drive()

    def _say(self, data: bytes) -> None:
        if self.connection.established:
            self.connection.send(data)

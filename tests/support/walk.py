"""Every state that a handshake can be in, met on the way through real handshakes of many kinds.

Both ends are moved one record and one answer at a time, and each state they are in is kept. The states are real, with
keys, transcripts and certificates in them, and a test can ask what would happen next in any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.ends import DHE_RSA, ECDHE_RSA, RSA, certificates
from tests.support.keys import builtin
from tests.support.scripted import ScriptedExit
from tests.support.sessions import Sessions
from tlsexit.config import Config
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import Pki, ask
from tlsexit.exits.answers import Failed, Handled, NotHandled
from tlsexit.exits.calls import Credentials, ExitCall, GetCertificateCall
from tlsexit.handshake import states
from tlsexit.policy import system_config
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session
from tlsexit.tasks import Task

PSK = 0x008C  # TLS_PSK_WITH_AES_128_CBC_SHA


class PlainTickets:
    """Tickets that are no secret at all: numbers of sessions in a list. ``renew`` makes every ticket a used one."""

    lifetime_hint = 100

    def __init__(self, *, renew: bool = False) -> None:
        self.sealed: list[Session] = []
        self._renew = renew

    def seal(self, session: Session) -> bytes:
        self.sealed.append(session)
        return b"ticket %d" % (len(self.sealed) - 1)

    def open(self, ticket: bytes) -> tuple[Session, bool] | None:
        number = ticket.removeprefix(b"ticket ")
        if number == ticket or not number.isdigit() or int(number) >= len(self.sealed):
            return None
        return self.sealed[int(number)], self._renew


@dataclass(frozen=True)
class Place:
    """Where a connection has been: its state, the configuration, and the question it was asking, if any."""

    role: Role
    state: states.State
    config: Config
    pending: ExitCall | None


class Walker:
    """One end that is moved in the smallest steps, and keeps every place it comes to."""

    def __init__(self, profile: Profile, pki: Pki, config: Config, session: Session | None = None) -> None:
        task = Task(config)
        task.answer(Handled())
        self.connection: Connection = task.connection(profile, session=session)
        self.places: list[Place] = []
        self._config = config
        self._pki = pki
        self.note()
        self.connection.start()
        self.note()

    def note(self) -> None:
        """Keep the place."""
        connection = self.connection
        self.places.append(Place(connection.role, connection.state, self._config, connection.pending_exit))

    def answer_all(self) -> None:
        """Answer questions one by one."""
        while (call := self.connection.pending_exit) is not None:
            answer = ask(call, _Stapling(), self._pki)
            assert isinstance(answer, (Handled, NotHandled, Failed))
            self.connection.answer(answer)
            self.note()

    def take(self, record: bytes) -> None:
        """Receive one record."""
        self.connection.receive_data(record)
        self.note()
        self.answer_all()


class _Stapling(ScriptedExit):
    """A server that has an OCSP response and SCTs to show; nobody looks at them here."""

    def get_certificate(self, call: ExitCall) -> Any:
        assert isinstance(call, GetCertificateCall)
        if call.context.role is not Role.SERVER:
            return NotHandled()
        kind = certificates(call.candidate_suites[0])
        return Handled(Credentials(kind.server.chain, ocsp_response=b"not looked at", sct_list=(b"sct",)))

    def check_certificate(self, call: ExitCall) -> Any:
        return Handled()


def records_of(data: bytes) -> Iterator[bytes]:
    """Cut a stream at its record boundaries."""
    while data:
        size = 5 + int.from_bytes(data[3:5], "big")
        yield data[:size]
        data = data[size:]


def walk(
    client: Profile, server: Profile, config: Config, session: Session | None = None, *, renegotiate: bool = False
) -> tuple[Walker, Walker]:
    """Go through a handshake, one record at a time, and perhaps a second one on the same connection."""
    kind = certificates(client.cipher_suites[0]).kind
    ends = (
        Walker(client, builtin(Role.CLIENT, kind), config, session),
        Walker(server, builtin(Role.SERVER, kind), config),
    )
    _talk(ends)
    assert all(end.connection.established for end in ends), [end.connection.error for end in ends]
    if renegotiate:
        for end in reversed(ends):  # the server's HelloRequest, then a handshake of the client's own accord
            end.connection.renegotiate()
            end.note()
            _talk(ends)
    ends[0].connection.close()
    _talk(ends)
    return ends


def _talk(ends: tuple[Walker, Walker]) -> None:
    for end in ends:
        end.answer_all()
    moved = True
    while moved:
        moved = False
        for source, target in (ends, ends[::-1]):
            for record in records_of(source.connection.data_to_send()):
                moved = True
                target.take(record)


@cache
def places() -> dict[tuple[Role, type[states.State]], tuple[Place, ...]]:
    """Every place in handshakes of every kind, by role and state."""
    found: dict[tuple[Role, type[states.State]], list[Place]] = {}
    for suite, verify, options in (
        (RSA, Verify.NONE, {}),
        (RSA, Verify.REQUIRED, {"renegotiation": True}),
        (DHE_RSA, Verify.OPTIONAL, {"status_request": True}),
        (ECDHE_RSA, Verify.NONE, {"session_tickets": True}),
        (PSK, Verify.NONE, {}),
        (RSA, Verify.NONE, {"npn": ("h2",)}),
        (0x0034, Verify.NONE, {}),
    ):
        tickets = PlainTickets(renew=True) if "session_tickets" in options else None
        config = system_config(session_store=Sessions(), tickets=tickets)
        client = Profile.client(cipher_suites=(suite,), **options)
        server = Profile.server(
            cipher_suites=(suite,), verify=verify, **{k: v for k, v in options.items() if k in ("renegotiation", "npn")}
        )
        first = walk(client, server, config, renegotiate="renegotiation" in options)
        again = walk(client, server, config, first[0].connection.session)
        for walker in (*first, *again):
            for place in walker.places:
                found.setdefault((place.role, type(place.state)), []).append(place)
    return {key: tuple(value) for key, value in found.items()}

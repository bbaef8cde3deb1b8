"""The application's own exits: what they are told of a session, and what they may answer.

They are not part of the handshake. Once it is complete, ``directory`` says whether this partner may go on; ``file``
hears of each payload that opens or closes; ``end_of_transfer`` hears of the end. All are told how the transport is
secured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypedDict

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.exits.context import GLOBAL_AREA_SIZE, Authentication, SessionContext

MAX_IDENTIFIER: Final = 256
"""Characters in the id of an authority or of a certificate."""


_LONGEST: Final = {
    "profile_id": 32,
    "parm": 64,
    "peer_ca_id": MAX_IDENTIFIER,
    "user_certificate_id": MAX_IDENTIFIER,
}


class SessionRefused(LocalError):
    """This side's application would not go on with the partner: the session was closed before any application data."""


class PayloadRefused(LocalError):
    """The application's file exit would not open a payload; the session goes on."""


class Identifiers(TypedDict, total=False):
    """What a key store calls the certificates of a session."""

    peer_ca_id: str
    user_certificate_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSecurity:
    """How a session's transport is secured, in the manual's fields; without arguments, that of a session that is not.

    ``peer_ca_id`` is the id of the authority in the key store that signed the peer's certificate, or the authority
    below which it was signed; empty if the peer is not trusted, or an exit trusts somebody whom the key store does not
    know. ``peer_chain_file`` is empty unless the profile has the chain recorded. Raises :class:`LocalError` for values
    that do not fit the fields.
    """

    secured: bool = False
    role: Role | None = None
    authentication: Authentication = Authentication.ANONYMOUS
    cipher_suite: int = 0
    profile_id: str = ""
    parm: str = ""
    peer_ca_id: str = ""
    user_certificate_id: str = ""
    peer_chain_file: str = ""
    global_area: bytes = field(default=bytes(GLOBAL_AREA_SIZE), repr=False)

    def __post_init__(self) -> None:
        for name, most in _LONGEST.items():
            if len(getattr(self, name)) > most:
                raise LocalError(f"{name} has at most {most} characters")
        if not 0 <= self.cipher_suite < 2**16:
            raise LocalError("a cipher suite has two bytes")
        if len(self.global_area) != GLOBAL_AREA_SIZE:
            raise LocalError(f"the global area is {GLOBAL_AREA_SIZE} bytes")

    @classmethod
    def of(
        cls, context: SessionContext, global_area: bytes, identifiers: Identifiers, peer_chain_file: str = ""
    ) -> TransportSecurity:
        """Return the fields of an established session."""
        return cls(
            secured=True,
            role=context.role,
            authentication=context.authentication or Authentication.ANONYMOUS,
            cipher_suite=context.cipher_suite or 0,
            profile_id=context.profile.id,
            parm=context.profile.parm,
            peer_chain_file=peer_chain_file,
            global_area=global_area,
            **identifiers,
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields in the manual's forms: letters for role and authentication, bytes for suite and area."""
        return {
            "secured": self.secured,
            "role": {None: "", Role.CLIENT: "C", Role.SERVER: "S"}[self.role],
            "authentication": self.authentication.value,
            "cipher_suite": self.cipher_suite.to_bytes(2, "big"),
            "profile_id": self.profile_id,
            "parm": self.parm,
            "peer_ca_id": self.peer_ca_id,
            "user_certificate_id": self.user_certificate_id,
            "peer_chain_file": self.peer_chain_file,
            "global_area": self.global_area,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """Who is at the other end, in which session: addresses are (host, port), the chain DER and leaf first.

    The references are tlsexit's: of the task, and of the session within it. ``handshake_count`` is above 1 after a
    renegotiation.
    """

    remote_address: tuple[str, int] | None
    local_address: tuple[str, int] | None
    task_reference: int
    session_reference: int
    handshake_count: int
    server_name: str | None
    peer_chain: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, context: SessionContext) -> Partner:
        """Return the partner of a session."""
        return cls(
            remote_address=context.remote_address,
            local_address=context.local_address,
            task_reference=context.task.reference,
            session_reference=context.reference,
            handshake_count=context.handshake_count,
            server_name=context.server_name,
            peer_chain=context.peer_chain,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer of ``directory`` or ``file`` that means no; ``reason`` is for this side, the peer hears nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class DirectoryCall:
    """May this partner go on? Asked after each complete handshake, before any application data is passed on."""

    security: TransportSecurity
    partner: Partner


class FileAction(Enum):
    """What happens to a payload."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class FileCall:
    """A payload opens or closes. Sizes are in bytes of application data since it opened.

    ``normal`` and ``reason`` tell of a payload that closes whether it is whole, as far as the application knows.
    """

    security: TransportSecurity
    partner: Partner
    action: FileAction
    name: str
    bytes_received: int = 0
    bytes_sent: int = 0
    normal: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndOfTransferCall:
    """A session that ``directory`` let in is over. ``reason`` is empty if that is ``normal``: after close_notify."""

    security: TransportSecurity
    partner: Partner
    normal: bool
    bytes_received: int
    bytes_sent: int
    reason: str = ""


ApplicationCall = DirectoryCall | FileCall | EndOfTransferCall


class ApplicationExits:
    """What an application may do at these points; any object with some of these methods will do, ``async`` or not.

    ``directory`` and the opening of a ``file`` go on with None or True, and refuse with :class:`Refused` or False; an
    exception or anything else refuses too. The other answers change nothing.
    """

    def directory(self, call: DirectoryCall) -> Any:
        """Say whether the partner may go on."""

    def file(self, call: FileCall) -> Any:
        """Say whether a payload may be opened, or hear that it closes."""

    def end_of_transfer(self, call: EndOfTransferCall) -> Any:
        """Hear that the session is over."""

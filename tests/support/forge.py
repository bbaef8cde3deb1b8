"""A puppet at the other end of a tlsexit :class:`~tests.support.pair.End` in memory."""

from __future__ import annotations

from typing import Any

from tests.support.delivery import drain, pieces
from tests.support.ends import certificates
from tests.support.pair import End
from tlsexit.alerts import AlertDescription, AlertLevel, TlsError
from tlsexit.constants import Role
from tlsexit.puppet import Credential, Puppet
from tlsexit.puppet.puppet import Step, Trace
from tlsexit.puppet.steps import EMPTY_RENEGOTIATION_INFO, ENCRYPT_THEN_MAC, EXTENDED_MASTER_SECRET
from tlsexit.session import Session

__all__ = [
    "EMPTY_RENEGOTIATION_INFO",
    "ENCRYPT_THEN_MAC",
    "EXTENDED_MASTER_SECRET",
    "EndTransport",
    "Forge",
    "Step",
    "Trace",
]


class EndTransport:
    """The line to an end: bytes go straight in, in pieces if the run says so, and its exits are answered."""

    reset = False

    def __init__(self, end: End) -> None:
        self.end = end

    def send(self, data: bytes) -> None:
        for piece in pieces(data):
            self.end.connection.receive_data(piece)
            self.end.drive()

    def receive(self, timeout: float) -> bytes:
        return drain(self.end.connection)

    def close(self) -> None:
        self.end.connection.receive_eof()
        self.end.drive()


class Forge(Puppet):
    """The other end of ``target``. ``hello`` overrides fields of the hello that this role sends.

    ``show_certificate`` is whether a client that is asked has one; ``session`` is what both ends resume.
    """

    def __init__(
        self,
        target: End,
        suite: int,
        hello: dict[str, Any] | None = None,
        session: Session | None = None,
        show_certificate: bool = True,
    ) -> None:
        self.target = target
        self.pki = certificates(suite)
        role = target.connection.role.peer
        own = self.pki.client if role is Role.CLIENT else self.pki.server
        super().__init__(
            role,
            EndTransport(target),
            (suite,),
            credentials={self.pki.kind: Credential(own.chain, own.key)},
            hello=hello,
            session=session,
            show_certificate=show_certificate,
        )

    @property
    def over(self) -> bool:
        """Whether the target has closed, by whatever end."""
        return self.target.connection.closed

    @property
    def fatal(self) -> AlertDescription | None:
        """The only fatal alert that has arrived, None if there was none; more than one is a bug of the other end."""
        assert [alert.level for alert in self.alerts].count(AlertLevel.FATAL) <= 1, self.alerts
        return None if (found := super().fatal) is None else AlertDescription(found)

    @property
    def verify_data(self) -> bytes:
        """What this end's Finished said in this handshake; empty before."""
        return self.finished.get(self.role, b"")

    def _on_broken(self, error: TlsError) -> None:
        """Whatever a tlsexit end sends makes sense."""
        raise error

"""Sessions to resume without a first handshake, and a store that holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.ends import RSA, client_end, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, Forge
from tlsexit.constants import Role
from tlsexit.session import Session


def old_session(**fields: Any) -> Session:
    """A session of long ago, made without the extended master secret."""
    made = Session(b"an old session", 0x0301, RSA, bytes(range(48)), 0.0, peer_trusted=True, authentication="S")
    return replace(made, **fields)


class Sessions:
    """A session store without limits that remembers what it was asked to forget."""

    def __init__(self, *sessions: Session) -> None:
        self.kept = {session.session_id: session for session in sessions}
        self.removed: list[bytes] = []

    def get(self, session_id: bytes) -> Session | None:
        return self.kept.get(session_id)

    def put(self, session: Session) -> None:
        self.kept[session.session_id] = session

    def remove(self, session_id: bytes) -> None:
        self.removed.append(session_id)
        self.kept.pop(session_id, None)


def resuming_forge(role: Role, session: Session, **profile: Any) -> Forge:
    """A forge in ``role`` that holds ``session``, as the engine at the other end does."""
    extensions = (EMPTY_RENEGOTIATION_INFO, *((EXTENDED_MASTER_SECRET,) if session.extended_master_secret else ()))
    if role is Role.CLIENT:
        end = server_end(session.cipher_suite, config={"session_store": Sessions(session)}, **profile)
    else:
        profile = {"extended_master_secret": session.extended_master_secret, **profile}
        end = client_end(session.cipher_suite, session=session, **profile)
    return Forge(end, session.cipher_suite, {"extensions": extensions}, session=session)

"""Sessions to resume without a first handshake, a store that holds them, and a strategy that draws them."""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.ends import RSA, client_end, server_end
from tests.support.forge import EMPTY_RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, Forge
from tlsexit.constants import Role
from tlsexit.profile import Profile
from tlsexit.session import Session

_CREATED: Final = time.time() - 3600


def old_session(**fields: Any) -> Session:
    """A session of an hour ago, without the extended master secret, under a profile that demanded nothing special."""
    made = Session(b"an old session", 0x0301, RSA, bytes(range(48)), _CREATED, peer_trusted=True, authentication="S")
    return replace(made, **{"demands": demands(), **fields})


def demands(**profile: Any) -> bytes:
    """What the ends of :mod:`tests.support.pair` demand of a peer under such a profile."""
    return sha256(Profile.client(**profile).demands).digest()[:16]


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


def sessions(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Session]:
    """Every session that a handshake could have made, and many that none would; ``fields`` override strategies."""
    times = st.floats(allow_nan=False, allow_infinity=False)
    chains = st.lists(st.binary(min_size=1, max_size=40), max_size=3).map(tuple)
    uint16 = st.integers(0, 2**16 - 1)
    known: dict[str, st.SearchStrategy[Any]] = {
        "session_id": st.binary(max_size=32),
        "version": uint16,
        "cipher_suite": uint16,
        "master_secret": st.binary(min_size=48, max_size=48),
        "created": times,
        "extended_master_secret": st.booleans(),
        "server_name": st.none() | st.text(st.characters(codec="utf-8"), max_size=40),
        "own_chain": chains,
        "peer_chain": chains,
        "peer_trusted": st.booleans(),
        "authentication": st.sampled_from("ASB"),
        "max_fragment_length": st.none() | uint16,
        "ticket": st.binary(max_size=100),
        "ticket_lifetime_hint": st.integers(0, 2**32 - 1),
        "ticket_received": times,
        "demands": st.binary(max_size=16),
        "psk_identity": st.none() | st.binary(max_size=20),
    }
    return st.builds(Session, **{**known, **fields})

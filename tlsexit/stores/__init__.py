"""Sessions that outlive a process: stores for one machine or several, and keys for tickets.

A server resumes sessions by their ids from a store, or from tickets that its clients keep; a configuration may have
both, for clients that can do one or the other::

    from tlsexit import system_config
    from tlsexit.stores import SQLiteSessionStore, TicketKeys

    key = Path("session.key").read_bytes()          # 32 bytes, made once with os.urandom(32)
    config = system_config(
        session_store=SQLiteSessionStore("sessions.db", key),
        tickets=TicketKeys(time.time),
    )

==================  ========================  ==================================================================
what                shared by                 a session ends
==================  ========================  ==================================================================
MemorySessionStore  one process               at a fatal alert, with age, when the store is full
SQLiteSessionStore  processes of one machine  at a fatal alert, with age, when the store is full
RedisSessionStore   machines                  at a fatal alert, with age, when Redis evicts it
TicketKeys          whoever imports the keys  with age or with its key; no alert can reach it (RFC 5077 §5.1)
==================  ========================  ==================================================================

``RedisSessionStore`` is in :mod:`tlsexit.stores.redis`, as it needs the package ``redis`` (``tlsexit[redis]``). The
stores keep sessions encrypted, and a store that fails costs resumptions, never a handshake. Ticket keys are shared by
``export_keys`` and ``import_keys``, over a channel as secret as the keys; processes that never import each other's
merely decline each other's tickets.

A session brings back who the client was, to servers that demand the same of clients (:attr:`Session.demands`). Servers
that treat clients differently otherwise should not share sessions: give them stores and keys of their own, or a
``context`` each.
"""

from __future__ import annotations

from tlsexit.stores.base import OnError, SealedSessionStore
from tlsexit.stores.codec import decode_session, encode_session
from tlsexit.stores.sealing import KEY_SIZE
from tlsexit.stores.sqlite import SQLiteSessionStore
from tlsexit.stores.tickets import TicketKeys

__all__ = [
    "KEY_SIZE",
    "OnError",
    "SQLiteSessionStore",
    "SealedSessionStore",
    "TicketKeys",
    "decode_session",
    "encode_session",
]

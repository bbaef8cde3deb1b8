"""What a connection needs from the world: randomness, a clock, a session store, and bounds with their reasons.

Nothing here has a default source of its own; :func:`tlsexit.policy.system_config` fills in the operating system's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlsexit.constants import MAX_PLAINTEXT
from tlsexit.events import Observation
from tlsexit.session import SessionStore, TicketProtector


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sources and bounds, shared by any number of connections. Sizes are in bytes."""

    random: Callable[[int], bytes]
    """Return that many bytes from a cryptographically secure generator (RFC 2246 §D.2)."""

    clock: Callable[[], float]
    """Seconds since the epoch; used for the random's time and the age of sessions."""

    session_store: SessionStore | None = None
    """Where a server remembers sessions; None means that it hands out no session ids."""

    session_context: bytes = b""
    """Set a different one for each of several servers that share a store or ticket keys but not whom they accept."""

    session_lifetime: float = 86_400.0
    """Seconds for which a client offers a session by its id, and a ticket whose lifetime the server left open; 24 hours
    is the upper bound of RFC 2246 §F.1.4. What a server resumes is for its store and its ticket keys to bound."""

    tickets: TicketProtector | None = None
    """What seals session tickets; None means that a server hands out none (RFC 5077)."""

    temporary_rsa_key: Callable[[], RSAPrivateKey] | None = None
    """Where a server gets the 512-bit key of an RSA_EXPORT handshake (RFC 2246 §D.1); None makes one each time."""

    observer: Callable[[Observation], None] | None = None
    """Told of every message and phase; for tracing, never for decisions."""

    key_log: Callable[[str], None] | None = None
    """Given each master secret as a line in the key log format that capture tools read. Dangerous outside a lab."""

    max_handshake_message: int = 131_396
    """The longest ClientHello there can be. A chain of certificates of that size is absurd, and the 24-bit length would
    allow 16 MiB; every other message is shorter."""

    max_chain_length: int = 16
    """Certificates accepted in one chain: each costs a parse and a signature check before anyone is authenticated."""

    max_buffered_input: int = 2**18
    """Input kept while an exit is being asked: a few flights; more is the caller reading on without need."""

    max_warning_alerts: int = 5
    """Consecutive warnings before the peer is taken to be flooding (OpenSSL: 5)."""

    max_empty_records: int = 32
    """Consecutive empty records likewise: each costs a decryption and moves nothing (OpenSSL: 32)."""

    max_ignored_records: int = 32
    """Consecutive records of unknown type, which RFC 2246 §6 has one ignore, for the same reason; and as many
    HelloRequests in a handshake, which a client ignores (§7.4.1.1)."""

    max_renegotiation_requests: int = 5
    """Refused renegotiations answered before the connection is closed: each costs an alert."""

    max_renegotiations: int = 8
    """Renegotiations per connection where the profile allows them: each costs a handshake, mostly the server's."""

    max_fragment: int = MAX_PLAINTEXT
    """Largest plaintext fragment written."""

    split_cbc: bool = True
    """1/n-1 splitting of application data in CBC suites, against BEAST (CVE-2011-3389)."""

"""A configuration fed by the operating system: its random generator and its clock."""

from __future__ import annotations

import os
import time
from typing import Any

from tlsexit.config import Config
from tlsexit.policy.temporary import TemporaryRSAKeys
from tlsexit.session import MemorySessionStore


def system_config(**overrides: Any) -> Config:
    """Return a :class:`Config` with ``os.urandom``, ``time.time`` and a session store in memory.

    ``overrides`` are elements of :class:`Config`; an overriding clock is the store's clock too. Pass
    ``session_store=None`` for a server that resumes nothing. Each call makes a store of its own: share the result
    among the connections that are to resume each other's sessions. :mod:`tlsexit.stores` has stores that outlive the
    process, and ticket keys. Temporary keys of export suites serve 100 handshakes or an hour each.
    """
    elements = {"random": os.urandom, "clock": time.time, **overrides}
    if "session_store" not in elements:
        elements["session_store"] = MemorySessionStore(elements["clock"])
    if "temporary_rsa_key" not in elements:
        elements["temporary_rsa_key"] = TemporaryRSAKeys(elements["random"], elements["clock"])
    return Config(**elements)

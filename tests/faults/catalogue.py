"""The faults: what is wrong, where it is seeded, which requirements it breaks."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import Edit, Fault
from tests.faults.handshake import ORDER, PROOFS
from tests.faults.negotiation import CODEC, NEGOTIATION, SESSIONS
from tests.faults.records import ALERTS, RECORDS

__all__ = ["FAULTS", "Edit", "Fault"]

FAULTS: Final = {fault.name: fault for fault in (*RECORDS, *ALERTS, *ORDER, *PROOFS, *NEGOTIATION, *SESSIONS, *CODEC)}
"""Every fault, by name."""

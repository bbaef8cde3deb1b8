"""The walks meet everything: every entry of the state tables, and every state that a handler can lead to."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.diagrams.static import reachable
from tlsexit.constants import Role
from tlsexit.diagrams.walk import transitions
from tlsexit.handshake import finish
from tlsexit.handshake.table import TABLES

NEVER: Final = {
    ("AskGetServerPreSharedKey", "AwaitCertificateVerify"): "no PSK suite asks for a certificate (RFC 4279 §2)",
    ("AwaitPskHint", "AwaitNewSessionTicket"): "a PSK suite asks for its key first",
    ("AwaitPskHint", "AwaitServerChangeCipherSpec"): "likewise",
    ("AwaitClientHello", "AskSignServerKeyExchange"): "without a certificate there is nothing to sign with",
    ("AwaitClientHello", "AskGetCAList"): "an anonymous server must not ask for a certificate (§7.4.4)",
}
"""What the sources seem to allow, by way of a function that others share, and no handshake can do."""


STAYS: Final = {"Established"}
"""Reached by changing a state that was kept, not by making one."""


@pytest.mark.parametrize("role", Role)
def test_every_entry_of_the_table_is_met(role: Role) -> None:
    """HelloRequest, which a client ignores in most states, is left out of the pictures."""
    entries = {key for key, handler in TABLES[role].items() if handler is not finish.on_hello_request_ignored}
    assert entries == {(step.source, step.given) for step in transitions(role)}


@pytest.mark.parametrize("role", Role)
def test_every_state_that_a_handler_makes_is_met(role: Role) -> None:
    """And no other: what the sources say and what was walked are the same but for a few reasons."""
    met: dict[tuple[Any, Any], set[str]] = {}
    for step in transitions(role):
        met.setdefault((step.source, step.given), set()).add(step.target.__name__)
    for key, targets in met.items():
        source = key[0].__name__
        possible = reachable(TABLES[role][key])
        assert targets <= possible | STAYS, f"{source}: {targets - possible}"
        missing = {target for target in possible - targets if (source, target) not in NEVER}
        assert not missing, f"{source}: the sources also lead to {sorted(missing)}"


def test_no_reason_is_idle() -> None:
    possible = {
        (key[0].__name__, target) for role in Role for key, made in TABLES[role].items() for target in reachable(made)
    }
    met = {(step.source.__name__, step.target.__name__) for role in Role for step in transitions(role)}
    assert set(NEVER) <= possible - met

"""Opening a conversation between a forge and an engine, and what must hold when it is over."""

from __future__ import annotations

from typing import Any

from tests.support.ends import RSA, check_phases, client_end, server_end
from tests.support.forge import Forge, Trace
from tests.support.pair import End
from tests.support.traces import client_trace, server_trace
from tlsexit.alerts import AlertDescription, AlertLevel, AlertReceived, ExitFailed, PeerError
from tlsexit.constants import Role
from tlsexit.events import Closed, PhaseSeen
from tlsexit.exits.calls import HandshakeAlertCall
from tlsexit.handshake import states
from tlsexit.profile import Verify


def honest(role: Role, suite: int = RSA, *, mutual: bool = False) -> Trace:
    """The honest side that the forge plays; ``mutual`` if the client is asked for a certificate."""
    return client_trace(suite, certificate=mutual) if role is Role.CLIENT else server_trace(suite, request=mutual)


def opposite(role: Role, suite: int = RSA, *, mutual: bool = False, **profile: Any) -> Forge:
    """A forge in ``role`` that has a fresh engine at the other end, with this profile."""
    if role is Role.SERVER:
        return Forge(client_end(suite, **profile), suite)
    verify = Verify.REQUIRED if mutual else Verify.NONE
    return Forge(server_end(suite, **{"verify": verify, **profile}), suite)


def established(role: Role, suite: int = RSA, **profile: Any) -> Forge:
    """A forge in ``role`` whose handshake is complete."""
    forge = opposite(role, suite, **profile).play(honest(role, suite))
    assert forge.target.connection.established, forge.target.connection.error
    return forge


def alert_call(end: End) -> HandshakeAlertCall | None:
    """The HandshakeAlert question that was asked, if it was."""
    asked = [item.call for item in end.seen if isinstance(item, PhaseSeen) and item.answer is None]
    alerts = [call for call in asked if isinstance(call, HandshakeAlertCall)]
    assert len(alerts) <= 1
    return alerts[0] if alerts else None


def refused(forge: Forge, description: AlertDescription) -> None:
    """The engine has answered with this fatal alert, its last word, and told its application and its exit the same."""
    end = forge.target
    error = end.connection.error
    assert forge.fatal is description, (forge.alerts, error, end.connection.state)
    assert forge.alerts[-1].level == AlertLevel.FATAL
    assert isinstance(error, (PeerError, ExitFailed))
    assert error.description is description
    is_over(end)
    call = alert_call(end)
    if call is not None:
        assert (call.level, call.description, call.remote) == (AlertLevel.FATAL, description, False)


def ended_by_peer(forge: Forge, description: int, *, level: AlertLevel = AlertLevel.FATAL) -> None:
    """The forge's alert has ended the connection, and nothing fatal came back (§7.2.2)."""
    end = forge.target
    assert forge.fatal is None, forge.alerts
    assert isinstance(end.connection.error, AlertReceived)
    assert end.connection.error.description == description
    is_over(end)
    call = alert_call(end)
    if call is not None:
        assert (call.level, call.description, call.remote) == (level, description, True)


def is_over(end: End) -> None:
    """The connection is closed for good: one Closed event, the last, and nothing more goes in or out."""
    connection = end.connection
    assert isinstance(connection.state, states.Closed)
    assert not connection.established
    assert [event for event in end.events if isinstance(event, Closed)] == end.events[-1:] == [Closed(connection.error)]
    assert connection.pending_exit is None
    check_phases(end)
    connection.receive_data(b"whatever comes now")
    end.drive()
    assert connection.data_to_send() == b""


def carries_data(forge: Forge) -> None:
    """The handshake is complete at both ends, and data flows both ways."""
    end = forge.target
    assert end.connection.established, end.connection.error
    assert forge.peer_finished_is_right
    check_phases(end)
    before = end.received
    forge.send_record(23, b"from the forge")
    assert end.received == before + b"from the forge"
    end.connection.send(b"from the engine")
    forge.listen()
    assert forge.application_data.endswith(b"from the engine")

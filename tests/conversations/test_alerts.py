"""Alerts from the peer: fatal, warning, unknown, split, flooding, at the wrong level (RFC 2246 §7.2)."""

from __future__ import annotations

import pytest

from tests.support.conversation import alert_call, carries_data, ended_by_peer, established, honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, server_end
from tests.support.forge import Forge
from tests.support.grammar import phases
from tests.support.traces import client_trace, put, record, until
from tlsexit.alerts import ALWAYS_FATAL, AlertDescription, AlertLevel, AlertReceived
from tlsexit.constants import Role
from tlsexit.events import WarningReceived
from tlsexit.profile import Verify

FATAL, WARNING = AlertLevel.FATAL, AlertLevel.WARNING

TRACES = {role: honest(role, DHE_RSA, mutual=True) for role in Role}
PLACES = [
    pytest.param(role, step.name, id=f"{role.value}-before-{step.name}")
    for role, trace in TRACES.items()
    for step in trace
]


def forge_as(role: Role) -> Forge:
    """A forge in ``role`` opposite a fresh engine; DHE, and the client shows a certificate."""
    return opposite(role, DHE_RSA, mutual=True)


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_a_fatal_alert_ends_the_handshake_anywhere(role: Role, name: str) -> None:
    """R2246-7.2-02: at once and without an alert in return; the exit hears HandshakeAlert."""
    forge = forge_as(role).play(until(TRACES[role], name))
    forge.send_alert(FATAL, AlertDescription.HANDSHAKE_FAILURE)
    ended_by_peer(forge, AlertDescription.HANDSHAKE_FAILURE)
    assert phases(forge.target.seen)[-1] == "A"


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_a_warning_leaves_the_handshake_where_it_is(role: Role, name: str) -> None:
    """R2246-7.2.2-27: a receiver may go on."""
    forge = forge_as(role).play(until(TRACES[role], name))
    before = forge.target.connection.state
    forge.send_alert(WARNING, AlertDescription.UNRECOGNIZED_NAME)
    assert forge.target.connection.state is before
    assert forge.target.events == [WarningReceived(AlertDescription.UNRECOGNIZED_NAME)]
    remaining = TRACES[role][len(until(TRACES[role], name)) :]
    carries_data(forge.play(remaining))


@pytest.mark.parametrize("role", Role)
def test_a_fatal_alert_ends_an_established_connection(role: Role) -> None:
    """R2246-7.2-02: after HandshakeDone it is EndSession that the exit hears."""
    forge = established(role)
    forge.send_alert(FATAL, AlertDescription.BAD_RECORD_MAC)
    ended_by_peer(forge, AlertDescription.BAD_RECORD_MAC)
    assert phases(forge.target.seen)[-1] == "E"


@pytest.mark.parametrize("description", [1, 43, 99, 100, 200, 255])
def test_fatal_is_fatal_whatever_the_description(description: int) -> None:
    """R2246-7.2.2-28, R2246-7.2-06."""
    forge = established(Role.CLIENT)
    forge.send_alert(FATAL, description)
    ended_by_peer(forge, description)


@pytest.mark.parametrize("description", sorted(ALWAYS_FATAL))
def test_always_fatal_at_warning_level(description: int) -> None:
    """R2246-7.2.2-29: the error behind it is not undone by the level."""
    forge = established(Role.SERVER)
    forge.send_alert(WARNING, description)
    ended_by_peer(forge, description)


@pytest.mark.parametrize("description", [1, 41, 90, 99, 200, 255])
def test_other_warnings_are_reported_and_survived(description: int) -> None:
    """R2246-7.2-06, R2246-7.2.2-27."""
    forge = established(Role.CLIENT)
    forge.send_alert(WARNING, description)
    assert forge.target.events[-1] == WarningReceived(description)
    carries_data(forge)


@pytest.mark.parametrize("level", [0, 3, 21, 255])
@pytest.mark.parametrize("role", Role)
def test_levels_that_do_not_exist(role: Role, level: int) -> None:
    """R2246-7.2-05."""
    forge = established(role)
    forge.send_alert(level, AlertDescription.CLOSE_NOTIFY)
    refused(forge, AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("role", Role)
def test_a_flood_of_warnings(role: Role) -> None:
    """R2246-7.2.2-27: five in a row are taken, as elsewhere; the sixth is not."""
    forge = established(role)
    for _ in range(5):
        forge.send_alert(WARNING, 200)
    assert not forge.target.connection.closed
    forge.send_alert(WARNING, 200)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_a_flood_of_warnings_during_the_handshake(role: Role) -> None:
    """The same bound holds before there is any data."""
    forge = forge_as(role)
    for _ in range(6):
        forge.send_alert(WARNING, 200)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_warnings_between_data_are_no_flood() -> None:
    """The bound is on warnings in a row."""
    forge = established(Role.CLIENT)
    for _ in range(4):
        for _ in range(5):
            forge.send_alert(WARNING, 200)
        carries_data(forge)


def test_an_alert_in_two_records() -> None:
    """R2246-7.2-01, R2246-6.2.1-05: one message may be split at any byte."""
    forge = established(Role.CLIENT)
    forge.send_record(21, bytes([FATAL]))
    assert not forge.target.connection.closed
    forge.send_record(21, bytes([AlertDescription.ACCESS_DENIED]))
    ended_by_peer(forge, AlertDescription.ACCESS_DENIED)


def test_two_alerts_in_one_record() -> None:
    """R2246-6.2.1-04: several messages may share a record."""
    forge = established(Role.CLIENT)
    forge.send_record(21, bytes([WARNING, 200, WARNING, 201]))
    assert forge.target.events[-2:] == [WarningReceived(200), WarningReceived(201)]
    carries_data(forge)


def test_nothing_counts_behind_a_fatal_alert() -> None:
    """R2246-7.2-02: what shares its record is not looked at."""
    forge = established(Role.CLIENT)
    forge.send_record(21, bytes([FATAL, 49, 9, 9]))
    ended_by_peer(forge, 49)


@pytest.mark.parametrize("role", Role)
def test_an_empty_alert_record(role: Role) -> None:
    """R2246-6.2-01."""
    forge = forge_as(role)
    forge.send_record(21, b"")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_an_alert_in_the_clear_behind_change_cipher_spec(role: Role) -> None:
    """R2246-7.2-04: alerts are protected like any record; a plain one could come from anybody."""
    trace = put(honest(role), "change_cipher_spec", record(20, b"\x01"))  # the forge goes on with the old keys
    trace = put(trace, "finished", record(21, b"\2\x28"))
    refused(opposite(role).play(trace), AlertDescription.BAD_RECORD_MAC)


def test_no_certificate_instead_of_a_certificate() -> None:
    """R2246-7.3-03, R4346-7.2.2-02: SSL 3.0's warning does not stand in for the empty Certificate of §7.4.6."""
    forge = Forge(server_end(RSA, verify=Verify.OPTIONAL), RSA)
    forge.play(put(client_trace(RSA, certificate=True), "certificate", record(21, b"\x01\x29")))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_user_canceled_then_close_notify(role: Role) -> None:
    """R2246-7.2.2-23, R2246-7.2.1-08: the handshake is over, with our close_notify in return."""
    forge = forge_as(role)
    forge.play(TRACES[role][:1])
    forge.send_alert(WARNING, AlertDescription.USER_CANCELED)
    assert forge.target.events == [WarningReceived(AlertDescription.USER_CANCELED)]
    forge.send_alert(WARNING, AlertDescription.CLOSE_NOTIFY)
    ended_by_peer(forge, AlertDescription.CLOSE_NOTIFY, level=WARNING)
    assert forge.warnings == [AlertDescription.CLOSE_NOTIFY]


def test_the_error_names_the_alert() -> None:
    """A person reads what the peer said; the exit is told the number."""
    forge = forge_as(Role.SERVER)
    forge.send_alert(FATAL, AlertDescription.UNKNOWN_CA)
    error = forge.target.connection.error
    assert isinstance(error, AlertReceived)
    assert str(error) == "the peer sent unknown_ca(48)"
    call = alert_call(forge.target)
    assert call is not None
    assert (call.level, call.description, call.remote) == (FATAL, 48, True)

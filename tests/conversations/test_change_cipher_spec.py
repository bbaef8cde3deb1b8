"""ChangeCipherSpec too early, too late, twice, not at all, malformed, or in the middle of a message (RFC 2246 §7.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.conversation import honest, opposite, refused
from tests.support.ends import DHE_RSA, RSA, RSA_RC4, server_end
from tests.support.forge import Forge
from tests.support.sessions import old_session, resuming_forge
from tests.support.traces import (
    change_cipher_spec,
    client_key_exchange,
    client_trace,
    drop,
    finished,
    insert,
    put,
    record,
    resumed_trace,
    swap,
    until,
)
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role

TRACES = {role: honest(role, DHE_RSA, mutual=True) for role in Role}
PLACES = [
    pytest.param(role, step.name, id=f"{role.value}-before-{step.name}")
    for role, trace in TRACES.items()
    for step in trace
    if step.name not in ("change_cipher_spec", "finished")
]


def forge_as(role: Role) -> Forge:
    """A forge in ``role`` opposite a fresh engine; DHE, and the client shows a certificate."""
    return opposite(role, DHE_RSA, mutual=True)


@pytest.mark.parametrize(("role", "name"), PLACES)
def test_too_early(role: Role, name: str) -> None:
    """R2246-6.1-02, R2246-7.1-07, CVE-2014-0224: keys from an empty master secret never come into force."""
    trace = insert(TRACES[role], change_cipher_spec, before=name)
    refused(forge_as(role).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_too_late(role: Role) -> None:
    """R2246-7.4.9-02: Finished in the clear, ChangeCipherSpec behind it."""
    trace = swap(TRACES[role], "change_cipher_spec", "finished")
    refused(forge_as(role).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_never(role: Role) -> None:
    """R2246-7.4.9-02: without it the whole conversation would run in the clear."""
    refused(forge_as(role).play(drop(TRACES[role], "change_cipher_spec")), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_twice(role: Role) -> None:
    """R2246-6.1-03: the pending state is empty after the first."""
    trace = insert(TRACES[role], record(20, b"\x01"), after="change_cipher_spec")
    refused(forge_as(role).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("role", Role)
def test_two_in_one_record(role: Role) -> None:
    """R2246-7.1-03: coalescing is legal for other content types, but a second one never fits the state."""
    trace = put(TRACES[role], "change_cipher_spec", record(20, b"\x01\x01"))
    refused(forge_as(role).play(trace), AlertDescription.DECODE_ERROR)


@pytest.mark.parametrize("role", Role)
def test_after_the_handshake(role: Role) -> None:
    """R2246-7.1-07: nothing has been negotiated since."""
    forge = forge_as(role).play(TRACES[role])
    assert forge.target.connection.established
    forge.send_record(20, b"\x01")
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("value", [0, 2, 255])
@pytest.mark.parametrize("role", Role)
def test_with_another_value(role: Role, value: int) -> None:
    """R2246-7.1-01, R2246-7.1-02: its one byte is 1."""
    trace = put(TRACES[role], "change_cipher_spec", record(20, bytes([value])))
    refused(forge_as(role).play(trace), AlertDescription.ILLEGAL_PARAMETER)


@pytest.mark.parametrize("role", Role)
def test_empty(role: Role) -> None:
    """R2246-7.1-03, R2246-6.2-01."""
    trace = put(TRACES[role], "change_cipher_spec", record(20, b""))
    refused(forge_as(role).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("split", [1, 3, 4, 15])
@pytest.mark.parametrize("role", Role)
def test_in_the_middle_of_finished(role: Role, split: int) -> None:
    """R2246-7.1-08: Finished begins in the clear and would end under the new keys."""
    forge = forge_as(role).play(until(TRACES[role], "change_cipher_spec"))
    data = finished.build(forge)
    forge.send_record(22, data[:split])
    forge.send(change_cipher_spec)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_in_the_middle_of_client_key_exchange() -> None:
    """R2246-7.1-08, before any key exists."""
    forge = Forge(server_end(RSA), RSA).play(until(client_trace(RSA), "client_key_exchange"))
    data = client_key_exchange.build(forge)
    forge.send_record(22, data[:20])
    forge.send(change_cipher_spec)
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)


def test_behind_a_message_and_the_beginning_of_the_next_in_one_record() -> None:
    """R2246-7.1-08: the leftover of a coalesced record counts too."""

    def with_tail(forge: Forge) -> bytes:
        return client_key_exchange.build(forge) + b"\x14"

    trace = put(client_trace(RSA), "client_key_exchange", replace(client_key_exchange, build=with_tail))
    refused(Forge(server_end(RSA), RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


def test_in_the_middle_of_an_alert() -> None:
    """R2246-7.1-08 for the other protocol whose messages may be split."""
    trace = insert(client_trace(RSA), record(21, b"\x01"), before="change_cipher_spec")
    refused(Forge(server_end(RSA), RSA).play(trace), AlertDescription.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("suite", [RSA, RSA_RC4])
@pytest.mark.parametrize("role", Role)
def test_finished_behind_it_in_the_clear(role: Role, suite: int) -> None:
    """R2246-7.1-05, R2246-7.4.9-01: the very next record is read under the new keys."""
    trace = put(honest(role, suite), "change_cipher_spec", record(20, b"\x01"))  # the forge goes on with the old keys
    refused(opposite(role, suite).play(trace), AlertDescription.BAD_RECORD_MAC)


@pytest.mark.parametrize("role", Role)
def test_too_early_in_a_resumption(role: Role) -> None:
    """R2246-7.1-07: even with a master secret at hand, not before the hellos are exchanged."""
    forge = resuming_forge(role, old_session())
    forge.play((change_cipher_spec, *resumed_trace(role)))
    refused(forge, AlertDescription.UNEXPECTED_MESSAGE)

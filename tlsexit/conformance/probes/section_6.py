"""§6: the record layer in general, and §6.1: connection states."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tlsexit.conformance.actions import (
    Alive,
    Check,
    Do,
    Observe,
    Send,
    after,
    before,
    established,
    expect,
    handshake,
    onwards,
    renegotiated,
    through,
)
from tlsexit.conformance.expect import alert, closed, completed, goes_on, refusal, still_open
from tlsexit.conformance.model import Group, Probe, Reading
from tlsexit.conformance.needs import RENEGOTIATES
from tlsexit.conformance.records import (
    authentic,
    authentication_refused,
    data,
    drip,
    in_the_clear_until_keys_change,
)
from tlsexit.conformance.talk import Talk
from tlsexit.constants import Role
from tlsexit.puppet import RecordWriter, Sealing, flip_first
from tlsexit.puppet.steps import alert as alert_step
from tlsexit.puppet.steps import application_data, change_cipher_spec, record

general = Group("6")
states = Group("6.1")

_REFUSED = alert(10).only(Reading.LATER).noted("RFC 5246 §6 has it refused")
_REFUSED_ANYWAY = alert(10).only(Reading.STRICT).warn("RFC 2246 §6 would have it ignored")


def no_data(talk: Talk) -> str | None:
    """Nothing has become of what was not authentic."""
    return "the data took effect" if talk.puppet.application_data[talk.memory["data"] :] else None


def keep_amount(talk: Talk) -> None:
    """Remember how much data has come."""
    talk.memory["data"] = len(talk.puppet.application_data)


def reflect(talk: Talk) -> None:
    """Send a record as the target would protect it."""
    puppet = talk.puppet
    talk.deviated = True
    mirrored = RecordWriter(puppet.keys.write_keys(puppet.role.peer))
    puppet.send_bytes(mirrored.seal(23, b"this is what you would have said"))


def skip_a_number(talk: Talk) -> None:
    """Count a record that is not sent."""
    talk.deviated = True
    talk.puppet.writer.sequence_number += 1


def mixed(talk: Talk) -> None:
    """Send a warning, empty records and part of what the application says."""
    puppet = talk.puppet
    puppet.send_record(23, b"")
    puppet.send_alert(1, 112)
    puppet.send_record(23, b"")
    talk.deviated = True


def _unknown_types() -> tuple[Probe, ...]:
    found: list[Probe] = []
    for kind in (25, 99):
        found += general.both(
            f"type-{kind}-in-handshake",
            f"a record of unknown type {kind} during the handshake is ignored",
            "R2246-6-01",
            conversation=(
                before("change_cipher_spec"),
                Send(record(kind, b"unknown", waits=True)),
                onwards("change_cipher_spec"),
                expect(completed(), _REFUSED, _REFUSED_ANYWAY, closed()),
            ),
        )
        found += general.both(
            f"type-{kind}-after-handshake",
            f"a record of unknown type {kind} after the handshake is ignored",
            "R2246-6-01",
            "R2246-6-02",
            conversation=(
                handshake(),
                established(),
                Send(record(kind, b"unknown")),
                expect(still_open().leading(Alive()), _REFUSED, _REFUSED_ANYWAY, closed()),
            ),
        )
    return tuple(found)


PROBES: Final = (
    *_unknown_types(),
    *general.both(
        "mac-before-delivery",
        "nothing becomes of data whose MAC is wrong",
        "R2246-6-03",
        conversation=(
            handshake(),
            established(),
            Do(keep_amount),
            data(Sealing(mac=flip_first)),
            expect(*authentication_refused()),
            Check(lambda talk: no_data(talk) if talk.puppet.role is Role.CLIENT else None),
        ),
    ),
    *states.both(
        "clear-then-protected",
        "records are in the clear up to ChangeCipherSpec, and protected behind it",
        "R2246-6.1-01",
        "R2246-6.1-05",
        conversation=(Observe(), Check(in_the_clear_until_keys_change)),
    ),
    states.server(
        "keys-without-key-exchange",
        "ChangeCipherSpec before there are keys is refused",
        "R2246-6.1-02",
        conversation=(before("client_key_exchange"), Send(change_cipher_spec), expect(refusal())),
        meaning="Early ChangeCipherSpec makes some implementations compute keys from nothing (CVE-2014-0224).",
    ),
    states.client(
        "keys-without-key-exchange",
        "ChangeCipherSpec before there are keys is refused",
        "R2246-6.1-02",
        conversation=(through("server_hello"), Send(change_cipher_spec), expect(refusal())),
        meaning="Early ChangeCipherSpec makes some implementations compute keys from nothing (CVE-2014-0224).",
    ),
    *states.both(
        "two-changes",
        "a second ChangeCipherSpec has nothing to activate",
        "R2246-6.1-03",
        conversation=(
            through("change_cipher_spec"),
            Send(record(20, b"\x01")),
            after("change_cipher_spec"),
            expect(alert(10), closed()),
        ),
    ),
    *states.both(
        "own-direction",
        "a record under the keys of the other direction is refused",
        "R2246-6.1-04",
        conversation=(handshake(), established(), Do(reflect), expect(*authentication_refused())),
    ),
    states.client(
        "plaintext-warning-between-changes",
        "the client still reads plaintext between its own ChangeCipherSpec and the server's",
        "R2246-6.1-05",
        conversation=(
            before("change_cipher_spec"),
            Send(replace(alert_step(1, 112), waits=True)),
            onwards("change_cipher_spec"),
            established(),
        ),
    ),
    *states.both(
        "from-zero",
        "sequence numbers begin at zero with each change of keys, in a renegotiation too",
        "R2246-6.1-06",
        needs=(RENEGOTIATES,),
        conversation=(*renegotiated(), Alive(), Check(authentic)),
    ),
    *states.both(
        "from-zero-at-first",
        "sequence numbers begin at zero",
        "R2246-6.1-06",
        conversation=(Observe(), Check(authentic)),
    ),
    *states.both(
        "counters-are-separate",
        "each direction has a sequence number of its own",
        "R2246-6.1-07",
        conversation=(handshake(), established(), drip(), expect(*goes_on()), Check(authentic)),
    ),
    *states.both(
        "every-record-counts",
        "alerts and empty records count like data",
        "R2246-6.1-09",
        conversation=(
            handshake(),
            established(),
            Do(mixed),
            Do(Talk.send_request),
            expect(*goes_on(), closed().noted("the warning ends the connection, as it may")),
        ),
    ),
    *states.both(
        "lost-record",
        "a sequence number that was skipped is noticed",
        "R2246-6.1-09",
        conversation=(
            handshake(),
            established(),
            Do(skip_a_number),
            Send(application_data(b"one too late")),
            expect(*authentication_refused()),
        ),
    ),
)

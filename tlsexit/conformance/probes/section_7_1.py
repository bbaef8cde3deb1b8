"""§7.1: ChangeCipherSpec."""

from __future__ import annotations

from typing import Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Send,
    after,
    before,
    established,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.model import Group
from tlsexit.conformance.needs import ASKS, RENEGOTIATES
from tlsexit.conformance.probes.section_7_4_1 import in_the_clear
from tlsexit.conformance.talk import Talk
from tlsexit.puppet.steps import change_cipher_spec, finished, hello_request, record

section = Group("7.1")

EARLY: Final = record(20, b"\x01", "change_cipher_spec", waits=True)
"""A right ChangeCipherSpec that changes nothing on this side."""


def change_cipher_spec_is_one_byte(talk: Talk) -> str | None:
    """The record is ``14 03 01 00 01 01``."""
    seen = [item for item in talk.puppet.records if item.content_type == 20]
    if not seen:
        return "no ChangeCipherSpec came"
    first = seen[0]
    if (first.version, first.length, first.content, first.protected) != (0x0301, 1, b"\x01", False):
        return f"ChangeCipherSpec is version {first.version:04x}, length {first.length}, {first.content.hex()}"
    return None


def old_keys_protect_it(talk: Talk) -> str | None:
    """In a renegotiation ChangeCipherSpec comes under the keys of the handshake before."""
    seen = [item for item in talk.puppet.records if item.content_type == 20]
    if len(seen) < 2:
        return "there was no second ChangeCipherSpec"
    return None if seen[1].protected else "the second ChangeCipherSpec came in the clear"


def everything_behind_it_is_protected(talk: Talk) -> str | None:
    """What could be read behind ChangeCipherSpec was read under the new keys."""
    kinds = [item.content_type for item in talk.puppet.records]
    behind = talk.puppet.records[kinds.index(20) + 1 :]
    if not behind:
        return "nothing came behind ChangeCipherSpec"
    return None if all(item.protected for item in behind) else "a record behind ChangeCipherSpec is not protected"


PROBES: Final = (
    *section.both(
        "form",
        "ChangeCipherSpec is one byte, 1, in a record of its own type",
        "R2246-7.1-01",
        conversation=(Observe(), Check(change_cipher_spec_is_one_byte)),
    ),
    *(
        probe
        for value in (0, 2)
        for probe in section.both(
            f"value-{value}",
            f"a ChangeCipherSpec of {value} is refused",
            "R2246-7.1-02",
            conversation=(
                before("change_cipher_spec"),
                Send(record(20, bytes([value]), waits=True)),
                after("change_cipher_spec"),
                refused(),
            ),
        )
    ),
    *(
        probe
        for name, body in (("two-bytes", b"\1\1"), ("empty", b""))
        for probe in section.both(
            name,
            f"a ChangeCipherSpec that is not one byte ({name.replace('-', ' ')}) is refused",
            "R2246-7.1-03",
            conversation=(
                before("change_cipher_spec"),
                Send(record(20, body, waits=True)),
                after("change_cipher_spec"),
                refused(),
            ),
        )
    ),
    section.server(
        "old-keys",
        "in a renegotiation ChangeCipherSpec comes under the old keys",
        "R2246-7.1-04",
        needs=(RENEGOTIATES,),
        conversation=(handshake(), established(), handshake(), established(), Check(old_keys_protect_it)),
    ),
    section.client(
        "old-keys",
        "in a renegotiation ChangeCipherSpec comes under the old keys",
        "R2246-7.1-04",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            Send(hello_request),
            handshake(),
            established(),
            Check(old_keys_protect_it),
        ),
    ),
    section.server(
        "in-the-clear",
        "in a renegotiation ChangeCipherSpec in the clear is refused",
        "R2246-7.1-04",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            before("change_cipher_spec"),
            Do(in_the_clear),
            Send(EARLY),
            refused(),
        ),
    ),
    section.client(
        "in-the-clear",
        "in a renegotiation ChangeCipherSpec in the clear is refused",
        "R2246-7.1-04",
        needs=(RENEGOTIATES,),
        conversation=(
            handshake(),
            established(),
            Send(hello_request),
            before("change_cipher_spec"),
            Do(in_the_clear),
            Send(EARLY),
            refused(),
        ),
    ),
    *section.both(
        "finished-under-old-keys",
        "Finished in the clear behind ChangeCipherSpec is refused",
        "R2246-7.1-05",
        conversation=(before("change_cipher_spec"), Send(EARLY), Send(finished), refused()),
    ),
    *section.both(
        "new-keys",
        "everything behind ChangeCipherSpec comes under the new keys",
        "R2246-7.1-06",
        conversation=(Observe(), Check(everything_behind_it_is_protected)),
    ),
    section.server(
        "first",
        "a connection that begins with ChangeCipherSpec is refused",
        "R2246-7.1-07",
        conversation=(Send(EARLY), refused()),
    ),
    section.server(
        "after-hello",
        "ChangeCipherSpec behind ClientHello is refused",
        "R2246-7.1-07",
        conversation=(through("client_hello"), Send(EARLY), refused()),
    ),
    section.server(
        "before-verify",
        "ChangeCipherSpec in front of CertificateVerify is refused",
        "R2246-7.1-07",
        needs=(ASKS,),
        conversation=(through("client_key_exchange"), Send(EARLY), refused()),
    ),
    section.client(
        "after-hello",
        "ChangeCipherSpec behind a ServerHello that resumes nothing is refused",
        "R2246-7.1-07",
        conversation=(through("server_hello"), Send(EARLY), refused()),
    ),
    *section.both(
        "after-finished",
        "ChangeCipherSpec after the handshake is refused",
        "R2246-7.1-07",
        conversation=(handshake(), established(), Send(EARLY), refused()),
    ),
    *section.both(
        "within-a-message",
        "ChangeCipherSpec in the middle of a message is refused",
        "R2246-7.1-08",
        conversation=(
            before("change_cipher_spec"),
            Send(record(22, b"\x14\0\0\x0c" + bytes(4), waits=True)),
            Send(change_cipher_spec),
            Send(record(22, bytes(8))),
            refused(),
        ),
    ),
)

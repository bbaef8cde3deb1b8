"""§7.1: ChangeCipherSpec."""

from __future__ import annotations

from typing import Final

from tlsexit.conformance.actions import Check, Observe, Send, after, before, refused
from tlsexit.conformance.model import Group
from tlsexit.conformance.talk import Talk
from tlsexit.puppet.steps import record

section = Group("7.1")


def change_cipher_spec_is_one_byte(talk: Talk) -> str | None:
    """The record is ``14 03 01 00 01 01``."""
    seen = [item for item in talk.puppet.records if item.content_type == 20]
    if not seen:
        return "no ChangeCipherSpec came"
    first = seen[0]
    if (first.version, first.length, first.content, first.protected) != (0x0301, 1, b"\x01", False):
        return f"ChangeCipherSpec is version {first.version:04x}, length {first.length}, {first.content.hex()}"
    return None


PROBES: Final = (
    *section.both(
        "form",
        "ChangeCipherSpec is one byte, 1, in a record of its own type",
        "R2246-7.1-01",
        conversation=(Observe(), Check(change_cipher_spec_is_one_byte)),
    ),
    *section.both(
        "value-0",
        "a ChangeCipherSpec of 0 is refused",
        "R2246-7.1-02",
        conversation=(
            before("change_cipher_spec"),
            Send(record(20, b"\x00", waits=True)),
            after("change_cipher_spec"),
            refused(),
        ),
    ),
)

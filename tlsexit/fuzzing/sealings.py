"""Records that depart from the honest ones in one point, and what that ought to lead to (RFC 2246 §6.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing.expected import Expected
from tlsexit.puppet import Puppet, Sealing, flip_first, longest_padding


@dataclass(frozen=True, slots=True)
class Seal:
    """A way to protect a record; ``applies`` says where it makes a difference."""

    how: Sealing
    expected: Expected
    applies: Callable[[Puppet], bool]


def _protected(puppet: Puppet) -> bool:
    return puppet.writer.protected


def _in_blocks(puppet: Puppet) -> bool:
    return puppet.writer.block_size > 0


def _agreed_on_version(puppet: Puppet) -> bool:
    return puppet.server_hello is not None


def _first(puppet: Puppet) -> bool:
    return puppet.server_hello is None and puppet.client_hello is None


def _spoilt_padding(padding: bytes) -> bytes:
    """The longest padding there can be, one bit of its first byte turned over."""
    return flip_first(longest_padding(8)(padding))


_NOT_AUTHENTIC: Final = ex.NOT_AUTHENTIC

SEALINGS: Final[Mapping[str, Seal]] = {
    "bad_mac": Seal(
        Sealing(mac=flip_first), ex.refused("R2246-7.2.2-04", "R2246-6.2.3.1-01", alerts=_NOT_AUTHENTIC), _protected
    ),
    "no_mac": Seal(Sealing(mac=lambda mac: b""), ex.refused("R2246-6.2.3.1-06", alerts=_NOT_AUTHENTIC), _protected),
    "bad_padding": Seal(
        Sealing(padding=_spoilt_padding),
        ex.refused("R2246-6.2.3.2-05", "R4346-7.2.2-01", alerts=_NOT_AUTHENTIC),
        lambda puppet: puppet.writer.block_size in (8, 16),
    ),
    "padding_length_too_large": Seal(
        Sealing(padding=lambda padding: padding[:-1] + b"\xff"),
        ex.refused("R2246-6.2.3.2-09", "R4346-7.2.2-01", alerts=_NOT_AUTHENTIC),
        _in_blocks,
    ),
    "long_padding": Seal(
        Sealing(padding=lambda padding: longest_padding(16)(padding)), ex.accepted("R2246-6.2.3.2-04"), _in_blocks
    ),
    "wrong_sequence_number": Seal(
        Sealing(sequence_number=2**32), ex.refused("R2246-6.2.3-03", "R2246-6.1-09", alerts=_NOT_AUTHENTIC), _protected
    ),
    "wrong_version": Seal(
        Sealing(version=0x0302), ex.refused("R2246-6.2.1-08", alerts=ex.BAD_VERSION | ex.MALFORMED), _agreed_on_version
    ),
    "version_0300": Seal(Sealing(version=0x0300), ex.accepted("R2246-E-02"), _first),
    "version_0303": Seal(Sealing(version=0x0303), ex.accepted("R5246-E.1-01"), _first),
}
"""By name. Where one does not apply, the record is an honest one."""

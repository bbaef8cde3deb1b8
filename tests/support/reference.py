"""Records byte by byte at the end of a real conversation: a forge and the second, straightforward record protection."""

from __future__ import annotations

from tests.support.conversation import honest, opposite
from tests.support.forge import Forge
from tests.support.records import Reference
from tlsexit.constants import Role


def with_reference(role: Role, suite: int) -> tuple[Forge, Reference]:
    """A forge whose handshake is complete, and the reference that makes its next records byte by byte."""
    forge = opposite(role, suite, encrypt_then_mac=False).play(honest(role, suite))
    assert forge.target.connection.established
    reference = Reference(forge.keys.write_keys(role))
    # Finished has gone out under these keys
    finished = forge.transcript.messages[-2 if role is Role.CLIENT else -1]
    reference.seal(22, finished)
    return forge, reference

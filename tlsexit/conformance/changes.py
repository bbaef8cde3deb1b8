"""Ways to spoil a handshake message, for :class:`~tlsexit.conformance.actions.Altered`; each keeps the header right."""

from __future__ import annotations

from collections.abc import Callable

Change = Callable[[bytes], bytes]
"""From the bytes of a message, header included, to others."""


def reframed(change: Change) -> Change:
    """Change the body; the header announces what is there then."""

    def changed(raw: bytes) -> bytes:
        body = change(raw[4:])
        return raw[:1] + len(body).to_bytes(3, "big") + body

    return changed


def replaced(body: bytes) -> Change:
    """Another body altogether."""
    return reframed(lambda old: body)


surplus: Change = reframed(lambda body: body + b"\0")
"""One byte more than the message has."""

short: Change = reframed(lambda body: body[:-1])
"""One byte less."""

"""Frames on a stream: four bytes of length, most significant first, and a JSON object in UTF-8."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from tlsexit.alerts import LocalError

MAX_FRAME: Final = 4 * 2**20
"""Bytes of JSON in a frame: three chains of the greatest size that is read from a peer, in base64, many times over."""


def frame(message: dict[str, Any]) -> bytes:
    """Return a message as it is sent; :class:`LocalError` if it is larger than a frame may be."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MAX_FRAME:
        raise LocalError(f"a message of {len(data)} bytes; a frame has {MAX_FRAME} at most")
    return len(data).to_bytes(4, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, None at the end; :class:`LocalError` for what is none, after which nothing can be read.

    Raises ``IncompleteReadError`` for an end within a frame.
    """
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if length > MAX_FRAME:
        raise LocalError(f"a frame of {length} bytes; it has {MAX_FRAME} at most")
    try:
        message = json.loads(await reader.readexactly(length))
    except (ValueError, RecursionError) as error:
        raise LocalError("a frame that is no JSON") from error
    if not isinstance(message, dict):
        raise LocalError("a frame that is no JSON object")
    return message

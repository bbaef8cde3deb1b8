"""An exit in another process, asked over a Unix socket: :class:`RemoteExit` asks, :class:`ExitServer` answers.

The protocol is plain enough for an exit in any language (:mod:`.messages`): frames of four bytes of length, most
significant first, and as many bytes of JSON in UTF-8; a question has an ``id``, and its answer has the same one.
Answers may come in any order.
"""

from __future__ import annotations

from tlsexit.adapters.remote.client import RemoteExit
from tlsexit.adapters.remote.server import ExitServer, Signer

__all__ = ["ExitServer", "RemoteExit", "Signer"]

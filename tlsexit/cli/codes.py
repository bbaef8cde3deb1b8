"""What the exit status of ``tlsexit`` means."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Everything went as asked."""

FAILED: Final = 1
"""The handshake or the protocol failed: an alert was sent or received."""

USAGE: Final = 2
"""A bad option, address, file, key or password; nothing was sent."""

NETWORK: Final = 3
"""The network failed: no such host, refused, unreachable, timed out."""

TRUNCATED: Final = 4
"""The peer went away without close_notify: data may be missing."""

NOT_RESUMED: Final = 5
"""``--resume`` was asked for, and the peer made a full handshake instead."""

INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells count it."""

UNREAD: Final = 141
"""Nobody reads standard output any more, as after ``| head``: what shells report of programs that SIGPIPE ends."""

MEANINGS: Final = {
    OK: "all went well",
    FAILED: "the handshake or the protocol failed",
    USAGE: "a bad option, address, file, key or password",
    NETWORK: "the network failed, or the time was up",
    TRUNCATED: "the peer went away without close_notify",
    NOT_RESUMED: "--resume: the peer did not resume the session",
    INTERRUPTED: "interrupted",
    UNREAD: "nobody read the output to its end",
}

EPILOG: Final = "\b\nExit status:\n" + "\n".join(f"  {code:<4}{meaning}" for code, meaning in MEANINGS.items())
"""The same at the end of each ``--help``."""

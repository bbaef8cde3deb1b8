"""What becomes of an error on its way out of a connection."""

from __future__ import annotations

from tlsexit.alerts import InternalError, PeerError, TlsError


def drop_frames(error: TlsError) -> None:
    """Let go of the frames that led to an error kept for the caller: they hold the secrets of the state (§7.2.2).

    What an exit of the user's raised keeps its own, for the log.
    """
    seen: BaseException | None = error
    met: set[int] = set()  # an exit's exceptions may cause each other in a circle
    while seen is not None and id(seen) not in met:
        met.add(id(seen))
        if isinstance(error, PeerError) or isinstance(seen, TlsError):
            seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__


def internal(error: Exception) -> InternalError:
    """Return what the peer is told of a failure on this side, of a session store for one: nothing but that."""
    failure = InternalError(f"{type(error).__name__} on this side")
    failure.__cause__ = error
    return failure

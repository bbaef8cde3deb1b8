"""What becomes of an error on its way out of a connection."""

from __future__ import annotations

from tlsexit.alerts import AlertDescription, ExitFailed, InternalError, LocalError, PeerError, TlsError
from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.handshake.flight import Step
from tlsexit.handshake.inputs import Answered, Input, Renegotiate, Start
from tlsexit.handshake.machine import step
from tlsexit.handshake.states import State


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


def guarded_step(role: Role, state: State, given: Input, config: Config) -> Step:
    """Run one step of the handshake; whatever goes wrong on this side is an error that names an alert.

    Raises :class:`PeerError` and :class:`ExitFailed`; :class:`LocalError` only for the caller's own mistake, in what it
    starts itself.
    """
    try:
        return step(role, state, given, config)
    except (PeerError, ExitFailed):
        raise
    except LocalError as error:
        if isinstance(given, Answered):
            # right for the phase, and yet no message holds it: a signature of 70 000 bytes
            raise ExitFailed(given.call.phase.value, AlertDescription.INTERNAL_ERROR, str(error)) from error
        if isinstance(given, (Start, Renegotiate)):
            raise
        raise internal(error) from error
    except Exception as error:
        raise internal(error) from error

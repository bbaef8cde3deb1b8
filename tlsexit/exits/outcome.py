"""From an exit's answer to what the machine may use: a validated value, or the reason why there is none."""

from __future__ import annotations

from typing import Any

from tlsexit.alerts import AlertDescription, ExitFailed, LocalError, PeerError
from tlsexit.exits.answers import Failed, Handled, NotHandled, is_recognised
from tlsexit.exits.calls import CryptDataCall, CryptOperation, ExitCall, StartTaskCall


def outcome(call: ExitCall, answer: object) -> Any:
    """Return the canonical form of what ``answer`` carries.

    Raises :class:`~tlsexit.alerts.ExitFailed` for everything else: a refusal, a failure, a value that does not fit the
    phase. Nothing an exit hands over can make anything else happen, and its text never shows what was handed over.
    """
    if isinstance(answer, Handled):
        return _validated(call, answer.value)
    if isinstance(answer, Failed):
        cause = answer.cause if isinstance(answer.cause, BaseException) else None
        raise _failure(call, answer.alert_reason, cause) from cause
    if isinstance(answer, NotHandled):
        raise _failed(call, "nobody handled the phase")
    raise _failed(call, f"an exit answers Handled, NotHandled or Failed, not {type(answer).__name__}")


def _validated(call: ExitCall, value: object) -> Any:
    try:
        return call.validate(value)
    except PeerError as error:
        raise _failed(call, error.reason, error.description) from error
    except LocalError as error:
        raise _failed(call, str(error)) from error
    except Exception as error:
        # the value is the exit's, and so is whatever goes wrong while it is looked at
        raise _failed(call, f"{type(error).__name__} in its answer") from error


def _failure(call: ExitCall, reason: int | None, cause: BaseException | None) -> ExitFailed:
    if reason is None:
        return _failed(call, _why(cause, "failed" if cause is None else f"failed ({type(cause).__name__})"))
    if is_recognised(call.phase, reason):
        return _failed(call, _why(cause, "refused"), AlertDescription(reason))
    # whatever the type says, an exit may have put anything there
    kind = type(reason).__name__
    named = int(reason) if issubclass(type(reason), int) else kind
    return _failed(call, f"{named} is not one of the recognised alert reasons")


def _failed(call: ExitCall, reason: str, description: AlertDescription = AlertDescription.INTERNAL_ERROR) -> ExitFailed:
    # StartTask has no peer, and what becomes of a decryption no peer may learn (§7.4.7.1)
    decrypts = isinstance(call, CryptDataCall) and call.operation is CryptOperation.DECRYPT
    sent = not (decrypts or isinstance(call, StartTaskCall))
    return ExitFailed(call.phase.value, description, reason, sent=sent)


def _why(cause: BaseException | None, otherwise: str) -> str:
    """Return the sentence behind a refusal: only our own errors' texts are known to hold no secret."""
    if isinstance(cause, PeerError):
        return cause.reason
    return str(cause) if isinstance(cause, LocalError) else otherwise

"""From an exit's answer to what the machine may use: a validated value, or the reason why there is none."""

from __future__ import annotations

from typing import Any

from tlsexit.alerts import AlertDescription, ExitFailed, LocalError, PeerError
from tlsexit.exits.answers import Failed, Handled, NotHandled, is_recognised
from tlsexit.exits.calls import ExitCall


def outcome(call: ExitCall, answer: object) -> Any:
    """Return the canonical form of what ``answer`` carries.

    Raises :class:`~tlsexit.alerts.ExitFailed` for everything else: a refusal, a failure, a value that does not fit the
    phase. Nothing an exit hands over can make anything else happen, and its text never shows what was handed over.
    """
    phase = call.phase.value
    if isinstance(answer, Handled):
        return _validated(call, answer.value)
    if isinstance(answer, Failed):
        cause = answer.cause if isinstance(answer.cause, BaseException) else None
        raise _failure(call, answer.alert_reason, cause) from cause
    if isinstance(answer, NotHandled):
        raise ExitFailed(phase, AlertDescription.INTERNAL_ERROR, "nobody handled the phase")
    kind = type(answer).__name__
    raise ExitFailed(
        phase, AlertDescription.INTERNAL_ERROR, f"an exit answers Handled, NotHandled or Failed, not {kind}"
    )


def _validated(call: ExitCall, value: object) -> Any:
    try:
        return call.validate(value)
    except PeerError as error:
        raise ExitFailed(call.phase.value, error.description, error.reason) from error
    except LocalError as error:
        raise ExitFailed(call.phase.value, AlertDescription.INTERNAL_ERROR, str(error)) from error
    except Exception as error:
        # the value is the exit's, and so is whatever goes wrong while it is looked at
        reason = f"{type(error).__name__} in its answer"
        raise ExitFailed(call.phase.value, AlertDescription.INTERNAL_ERROR, reason) from error


def _failure(call: ExitCall, reason: int | None, cause: BaseException | None) -> ExitFailed:
    phase = call.phase.value
    if reason is None:
        text = _why(cause, "failed" if cause is None else f"failed ({type(cause).__name__})")
        return ExitFailed(phase, AlertDescription.INTERNAL_ERROR, text)
    if is_recognised(call.phase, reason):
        text = _why(cause, "refused")
        return ExitFailed(phase, AlertDescription(reason), text)
    # whatever the type says, an exit may have put anything there
    kind = type(reason).__name__
    text = f"{int(reason) if issubclass(type(reason), int) else kind} is not one of the recognised alert reasons"
    return ExitFailed(phase, AlertDescription.INTERNAL_ERROR, text)


def _why(cause: BaseException | None, otherwise: str) -> str:
    """Return the sentence behind a refusal: only our own errors' texts are known to hold no secret."""
    if isinstance(cause, PeerError):
        return cause.reason
    return str(cause) if isinstance(cause, LocalError) else otherwise

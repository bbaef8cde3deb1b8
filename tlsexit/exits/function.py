"""An exit as one plain function, in the style of the product's ``cftpkie``.

::

    def cftpkie(com: Communication) -> ReturnCode:
        if com.phase is ExitPhase.GET_CERTIFICATE:
            com.output = chain                  # wire bytes or certificates
            return ReturnCode.HANDLED
        return ReturnCode.NOT_HANDLED

The function is called once per phase with one communication structure and returns the general execution code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tlsexit.alerts import LocalError
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import (
    CheckCertificateCall,
    CryptDataCall,
    EndTaskCall,
    ExitCall,
    GetCertificateCall,
    StartHandshakeCall,
    StartHandshakeResult,
    StartTaskCall,
    StartTaskResult,
)
from tlsexit.exits.context import SessionContext, TaskContext
from tlsexit.exits.phases import ExitPhase


@dataclass(slots=True)
class Communication:
    """The communication structure: what the phase gives, and the fields in which the function answers.

    ``input`` is the phase's input in wire form: the CA list in GetCertificate (client), the chain in
    CheckCertificate, the exact bytes to sign or decrypt in CryptData. ``call`` has the same as Python objects.
    """

    phase: ExitPhase
    call: ExitCall
    task: TaskContext
    context: SessionContext | None
    input: bytes | None = field(default=None, repr=False)

    output: Any = field(default=None, repr=False)
    """The phase's result: CA list, chain, crypted bytes or private key, global area."""

    alert_reason: int | None = None
    """``iAlertReason_w``: why the phase refuses."""

    reference: Any = None
    """The exit's own task reference (StartTask) or session reference (StartHandshake)."""

    private_area_size: int = 0
    """StartTask: bytes of private area for each session."""

    password: bytes | str | None = field(default=None, repr=False)
    """StartTask: the password of the local key store."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """StartHandshake: profile elements to change."""


ExitFunction = Callable[[Communication], int]


def call_function(function: ExitFunction, call: ExitCall) -> Answer:
    """Call ``function`` for one phase and return its answer."""
    communication = _communication(call)
    code = function(communication)
    if code == ReturnCode.NOT_HANDLED:
        return NotHandled()
    if code == ReturnCode.HANDLED:
        if isinstance(call, CheckCertificateCall) and communication.alert_reason is not None:
            # "handled" with a reason to refuse can only mean a refusal
            return Failed(communication.alert_reason)
        return Handled(_result(call, communication))
    if code == ReturnCode.ERROR:
        return Failed(communication.alert_reason)
    # whatever it is, it may be the key that the phase asked for
    kind = code if type(code) is int else type(code).__name__
    return Failed(cause=LocalError(f"the exit function returned {kind}, which is no execution code"))


def _communication(call: ExitCall) -> Communication:
    if isinstance(call, (StartTaskCall, EndTaskCall)):
        return Communication(call.phase, call, call.task, None)
    given: bytes | None = None
    if isinstance(call, GetCertificateCall):
        given = call.ca_list_bytes
    elif isinstance(call, CheckCertificateCall):
        given = call.chain_bytes
    elif isinstance(call, CryptDataCall):
        given = call.data
    return Communication(call.phase, call, call.context.task, call.context, given)


def _result(call: ExitCall, communication: Communication) -> Any:
    if isinstance(call, StartTaskCall):
        return StartTaskResult(communication.reference, communication.private_area_size, communication.password)
    if isinstance(call, StartHandshakeCall):
        return StartHandshakeResult(communication.reference, communication.changes)
    return communication.output

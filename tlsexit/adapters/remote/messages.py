"""Questions and answers as JSON objects.

A question::

    {"id": 7, "phase": "CryptData", "task": {...}, "session": {...}, "operation": "sign", "algorithm": "RSA",
     "data": "..."}

and one of its answers::

    {"id": 7, "answer": "handled", "value": {"result": "..."}}
    {"id": 7, "answer": "not_handled"}
    {"id": 7, "answer": "failed", "alert": 44, "reason": "for the log"}

Bytes are base64; chains and CA lists are in their wire form (RFC 2246 §7.4.2, §7.4.4); what is not known is null or
missing, and unknown members are to be ignored. Areas are not sent: an exit elsewhere keeps what it needs by the
references, which are numbers or texts here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Final, TypeVar

from tlsexit.alerts import AlertDescription, AlertLevel, DecodeError, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled
from tlsexit.exits.calls import (
    CheckCertificateCall,
    Credentials,
    CryptDataCall,
    CryptOperation,
    EndSessionCall,
    EndTaskCall,
    ExitCall,
    GetCAListCall,
    GetCertificateCall,
    GetPreSharedKeyCall,
    HandshakeAlertCall,
    HandshakeDoneCall,
    PreSharedKey,
    StartHandshakeCall,
    StartHandshakeResult,
    StartTaskCall,
    StartTaskResult,
    Untrusted,
)
from tlsexit.exits.context import Authentication, SessionContext, TaskContext
from tlsexit.exits.forms import CA_LIST, CERTIFICATE_LIST, CAList, ca_list_bytes, chain_bytes
from tlsexit.profile import CHANGEABLE, Profile, Verify
from tlsexit.wire import parse

E = TypeVar("E", bound=Enum)

MAX_REASON: Final = 300
"""Characters of a reason that are kept."""

_CALLS: Final[dict[str, type[ExitCall]]] = {
    call.phase.value: call
    for call in (
        StartTaskCall,
        StartHandshakeCall,
        GetCAListCall,
        GetCertificateCall,
        CheckCertificateCall,
        CryptDataCall,
        GetPreSharedKeyCall,
        HandshakeAlertCall,
        HandshakeDoneCall,
        EndSessionCall,
        EndTaskCall,
    )
}

# ------------------------------------------------------------------------------------------------- values


def encode(value: Any) -> Any:
    """Return a value as JSON has it; :class:`LocalError` for one that JSON has not."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, CAList):
        return encode(ca_list_bytes(value))
    if isinstance(value, Mapping):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [encode(item) for item in value]
    raise LocalError(f"{type(value).__name__} cannot be sent to an exit elsewhere")


def decode_bytes(value: object, name: str) -> bytes:
    """Return the bytes that base64 stands for."""
    if not isinstance(value, str):
        raise LocalError(f"{name} is base64, not {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LocalError(f"{name} is not base64") from error


def _optional(value: object, name: str) -> bytes | None:
    return None if value is None else decode_bytes(value, name)


def _reference(value: object) -> Any:
    if value is not None and not isinstance(value, (int, str)):
        raise LocalError(f"a reference is a number or a text, not {type(value).__name__}")
    return value


def _member(kind: type[E], value: object, name: str) -> E:
    try:
        return kind(value)
    except ValueError as error:
        raise LocalError(f"{name} is one of {', '.join(str(item.value) for item in kind)}") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LocalError(f"{name} is an object, not {type(value).__name__}")
    return value


# ---------------------------------------------------------------------------------------------- questions

_SESSION_FIELDS: Final = tuple(
    item.name
    for item in fields(SessionContext)
    if item.name not in ("task", "profile", "private_area", "peer_chain", "own_chain")
)
"""What is sent of a session as it is; the others have a form of their own, or stay here."""

_CALL_FIELDS: Final[dict[type[ExitCall], tuple[str, ...]]] = {
    GetCertificateCall: ("candidate_suites", "groups", "trusted_authorities", "ca_list"),
    CheckCertificateCall: ("ocsp_response", "sct_list"),
    CryptDataCall: ("operation", "algorithm", "data"),
    GetPreSharedKeyCall: ("hint", "identity"),
    HandshakeAlertCall: ("level", "description", "remote"),
}


def question(call: ExitCall) -> dict[str, Any]:
    """Return a call as a JSON object, without its ``id``."""
    task = call.task if isinstance(call, (StartTaskCall, EndTaskCall)) else call.context.task
    message: dict[str, Any] = {
        "phase": call.phase.value,
        "task": {
            "reference": task.reference,
            "exit_reference": encode(task.exit_reference),
            "configuration": encode(task.configuration),
        },
    }
    if not isinstance(call, (StartTaskCall, EndTaskCall)):
        context = call.context
        session = {name: encode(getattr(context, name)) for name in _SESSION_FIELDS}
        session["profile"] = {item.name: encode(getattr(context.profile, item.name)) for item in fields(Profile)}
        session["peer_chain"] = encode(chain_bytes(context.peer_chain))
        session["own_chain"] = encode(chain_bytes(context.own_chain))
        message["session"] = session
    if isinstance(call, CheckCertificateCall):
        message["chain"] = encode(call.chain_bytes)
    for name in _CALL_FIELDS.get(type(call), ()):
        message[name] = encode(getattr(call, name))
    return message


def call_from(message: Mapping[str, Any]) -> ExitCall:
    """Return the call that a question means; :class:`LocalError` if it means none."""
    kind = _CALLS.get(str(message.get("phase")))
    if kind is None:
        raise LocalError("the phase of a question is none of " + ", ".join(_CALLS))
    try:
        return _call(kind, message)
    except (TypeError, ValueError, AttributeError, KeyError, DecodeError) as error:
        raise LocalError(f"a question about {kind.phase.value} that is malformed ({type(error).__name__})") from error


def _call(kind: type[Any], message: Mapping[str, Any]) -> ExitCall:
    given = _object(message.get("task"), "task")
    task = TaskContext(
        int(given["reference"]), dict(given.get("configuration") or {}), _reference(given.get("exit_reference"))
    )
    if kind in (StartTaskCall, EndTaskCall):
        made: ExitCall = kind(task)
        return made
    elements: dict[str, Any] = {}
    if kind is GetCertificateCall:
        trusted = message.get("trusted_authorities")
        elements = {
            "candidate_suites": _tuples(message.get("candidate_suites") or []),
            "groups": _tuples(message.get("groups") or []),
            "trusted_authorities": None if trusted is None else _authorities(trusted),
            "ca_list": _ca_list(message.get("ca_list")),
        }
    elif kind is CheckCertificateCall:
        elements = {
            "chain": _chain(message["chain"]),
            "ocsp_response": _optional(message.get("ocsp_response"), "ocsp_response"),
            "sct_list": tuple(decode_bytes(item, "an SCT") for item in message.get("sct_list") or []),
        }
    elif kind is CryptDataCall:
        elements = {
            "operation": _member(CryptOperation, message["operation"], "operation"),
            "algorithm": _member(KeyType, message["algorithm"], "algorithm"),
            "data": decode_bytes(message["data"], "data"),
        }
    elif kind is GetPreSharedKeyCall:
        elements = {
            "hint": _optional(message.get("hint"), "hint") or b"",
            "identity": _optional(message.get("identity"), "identity"),
        }
    elif kind is HandshakeAlertCall:
        elements = {
            "level": AlertLevel(message["level"]),
            "description": int(message["description"]),
            "remote": bool(message["remote"]),
        }
    call: ExitCall = kind(_session(_object(message.get("session"), "session"), task), **elements)
    return call


def _session(given: Mapping[str, Any], task: TaskContext) -> SessionContext:
    elements = {name: given[name] for name in _SESSION_FIELDS if given.get(name) is not None}
    for name in ("remote_address", "local_address"):
        elements[name] = _tuples(given.get(name))
    elements["role"] = _member(Role, given["role"], "role")
    elements["exit_reference"] = _reference(given.get("exit_reference"))
    elements["peer_ca_list"] = _ca_list(given.get("peer_ca_list"))
    elements["session_id"] = _optional(given.get("session_id"), "session_id") or b""
    elements["psk_identity"] = _optional(given.get("psk_identity"), "psk_identity")
    if given.get("authentication") is not None:
        elements["authentication"] = _member(Authentication, given["authentication"], "authentication")
    for name in ("peer_chain", "own_chain"):
        elements[name] = _chain(given[name]) if given.get(name) else ()
    return SessionContext(task=task, profile=_profile(_object(given.get("profile"), "profile")), **elements)


_PROFILE_VALUES: Final[dict[str, Callable[[Any], Any]]] = {
    "direction": Role,
    "verify": Verify,
    "psk_identity_hint": lambda value: decode_bytes(value, "psk_identity_hint"),
    "trusted_authorities": lambda value: _authorities(value),
}


def _profile(given: Mapping[str, Any]) -> Profile:
    known = {item.name for item in fields(Profile)} & given.keys()
    return Profile(**{name: _PROFILE_VALUES.get(name, _tuples)(given[name]) for name in known})


def _authorities(value: Any) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(kind), decode_bytes(identifier, "a trusted authority")) for kind, identifier in value)


def _chain(value: object) -> tuple[bytes, ...]:
    return parse(CERTIFICATE_LIST, decode_bytes(value, "a chain"), "certificate chain")


def _ca_list(value: object) -> CAList | None:
    return None if value is None else parse(CA_LIST, decode_bytes(value, "a CA list"), "CA list")


# ------------------------------------------------------------------------------------------------ answers


def handled(call: ExitCall, value: Any) -> dict[str, Any]:
    """Return the answer that carries ``value``, in the canonical form that ``call.validate`` has made of it."""
    make = _VALUES_OUT.get(type(call))
    return {"answer": "handled", "value": {} if make is None else make(value)}


def failed(alert: int, reason: str) -> dict[str, Any]:
    """Return the answer that refuses."""
    return {"answer": "failed", "alert": int(alert), "reason": reason[:MAX_REASON]}


def answer_from(call: ExitCall, message: Mapping[str, Any]) -> Answer:
    """Return the answer to ``call`` that a message means; :class:`LocalError` if it means none."""
    kind = message.get("answer")
    if kind == "not_handled":
        return NotHandled()
    if kind == "failed":
        alert, reason = message.get("alert"), message.get("reason")
        if not isinstance(alert, int):
            alert = AlertDescription.INTERNAL_ERROR
        return Failed(alert, LocalError(str(reason)[:MAX_REASON] if reason else "refused"))
    if kind != "handled":
        raise LocalError("an answer is handled, not_handled or failed")
    value = _object(message.get("value", {}), "the value of an answer")
    make = _VALUES_IN.get(type(call))
    try:
        return Handled(None if make is None else make(value))
    except (TypeError, ValueError, KeyError) as error:
        raise LocalError(f"the value of an answer is malformed ({type(error).__name__})") from error


_VALUES_OUT: Final[dict[type[ExitCall], Callable[[Any], dict[str, Any]]]] = {
    StartTaskCall: lambda value: {"reference": encode(value.reference), "password": _password_out(value.password)},
    StartHandshakeCall: lambda value: {
        "reference": encode(value[0]),
        "changes": {name: encode(getattr(value[1], name)) for name in sorted(CHANGEABLE)},
    },
    GetCAListCall: lambda value: {"ca_list": encode(value)},
    GetCertificateCall: lambda value: {
        "chain": encode(chain_bytes(value.chain)),
        "cipher_suite": value.cipher_suite,
        "ocsp_response": encode(value.ocsp_response),
        "sct_list": encode(value.sct_list),
        "used_trusted_ca_keys": value.used_trusted_ca_keys,
    },
    CheckCertificateCall: lambda value: {} if value is None else {"untrusted": value.reason},
    CryptDataCall: lambda value: {"result": encode(value)},
    GetPreSharedKeyCall: lambda value: {"identity": encode(value.identity), "key": encode(value.key)},
    HandshakeDoneCall: lambda value: {"global_area": encode(value)},
}

_VALUES_IN: Final[dict[type[ExitCall], Callable[[dict[str, Any]], Any]]] = {
    StartTaskCall: lambda value: StartTaskResult(
        _reference(value.get("reference")), password=_optional(value.get("password"), "password")
    ),
    StartHandshakeCall: lambda value: StartHandshakeResult(
        _reference(value.get("reference")), _changes(_object(value.get("changes") or {}, "changes"))
    ),
    GetCAListCall: lambda value: decode_bytes(value["ca_list"], "ca_list"),
    GetCertificateCall: lambda value: Credentials(
        decode_bytes(value["chain"], "chain"),
        value.get("cipher_suite"),
        _optional(value.get("ocsp_response"), "ocsp_response"),
        tuple(decode_bytes(item, "an SCT") for item in value.get("sct_list") or ()),
        bool(value.get("used_trusted_ca_keys")),
    ),
    CheckCertificateCall: lambda value: Untrusted(str(value["untrusted"])) if value.get("untrusted") else None,
    CryptDataCall: lambda value: decode_bytes(value["result"], "result"),
    GetPreSharedKeyCall: lambda value: PreSharedKey(
        decode_bytes(value["identity"], "identity"), decode_bytes(value["key"], "key")
    ),
    HandshakeDoneCall: lambda value: _optional(value.get("global_area"), "global_area"),
}


def _password_out(password: bytes | str | None) -> str | None:
    secret = password.encode() if isinstance(password, str) else password
    return None if secret is None else str(encode(secret))


def _changes(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Verify(value) if name == "verify" else _tuples(value) for name, value in given.items()}

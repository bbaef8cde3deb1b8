"""tlsexit: the TLS 1.0 handshake (RFC 2246) with an exit at every decision about keys and certificates.

A name is imported when it is first used: a command that only reads a profile does not wait for sockets and X.509.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tlsexit.alerts import (
        AlertDescription,
        AlertLevel,
        AlertReceived,
        ExitFailed,
        LocalError,
        PeerError,
        TlsError,
        TruncatedError,
    )
    from tlsexit.config import Config
    from tlsexit.connection import Connection
    from tlsexit.constants import Role
    from tlsexit.crypto.suites import parse_suites
    from tlsexit.drivers.blocking import TlsSocket, connect, wrap_socket
    from tlsexit.drivers.drive import arun, run
    from tlsexit.events import ApplicationData, Closed, HandshakeCompleted, WarningReceived
    from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, ReturnCode
    from tlsexit.exits.application import (
        ApplicationExits,
        DirectoryCall,
        EndOfTransferCall,
        FileCall,
        PayloadRefused,
        Refused,
        SessionRefused,
        TransportSecurity,
    )
    from tlsexit.exits.calls import (
        CheckCertificateCall,
        CryptDataCall,
        CryptOperation,
        EndSessionCall,
        EndTaskCall,
        ExitCall,
        GetCAListCall,
        GetCertificateCall,
        HandshakeAlertCall,
        HandshakeDoneCall,
        StartHandshakeCall,
        StartHandshakeResult,
        StartTaskCall,
        StartTaskResult,
        Untrusted,
    )
    from tlsexit.exits.function import Communication
    from tlsexit.exits.phases import ExitPhase
    from tlsexit.policy import BuiltinPki, system_config
    from tlsexit.profile import Profile, Verify
    from tlsexit.session import MemorySessionStore, Session, SessionStore
    from tlsexit.tasks import Task

    __version__: str
    """The version that is installed."""

__all__ = [
    "AlertDescription",
    "AlertLevel",
    "AlertReceived",
    "Answer",
    "ApplicationData",
    "ApplicationExits",
    "BuiltinPki",
    "CheckCertificateCall",
    "Closed",
    "Communication",
    "Config",
    "Connection",
    "CryptDataCall",
    "CryptOperation",
    "DirectoryCall",
    "EndOfTransferCall",
    "EndSessionCall",
    "EndTaskCall",
    "ExitCall",
    "ExitFailed",
    "ExitPhase",
    "Failed",
    "FileCall",
    "GetCAListCall",
    "GetCertificateCall",
    "Handled",
    "HandshakeAlertCall",
    "HandshakeCompleted",
    "HandshakeDoneCall",
    "LocalError",
    "MemorySessionStore",
    "NotHandled",
    "PayloadRefused",
    "PeerError",
    "Profile",
    "Refused",
    "ReturnCode",
    "Role",
    "Session",
    "SessionRefused",
    "SessionStore",
    "StartHandshakeCall",
    "StartHandshakeResult",
    "StartTaskCall",
    "StartTaskResult",
    "Task",
    "TlsError",
    "TlsSocket",
    "TransportSecurity",
    "TruncatedError",
    "Untrusted",
    "Verify",
    "WarningReceived",
    "arun",
    "connect",
    "parse_suites",
    "run",
    "system_config",
    "wrap_socket",
]

_HOMES: Final = {
    "tlsexit.alerts": (
        "AlertDescription AlertLevel AlertReceived ExitFailed LocalError PeerError TlsError TruncatedError"
    ),
    "tlsexit.config": "Config",
    "tlsexit.connection": "Connection",
    "tlsexit.constants": "Role",
    "tlsexit.crypto.suites": "parse_suites",
    "tlsexit.drivers.blocking": "TlsSocket connect wrap_socket",
    "tlsexit.drivers.drive": "arun run",
    "tlsexit.events": "ApplicationData Closed HandshakeCompleted WarningReceived",
    "tlsexit.exits.answers": "Answer Failed Handled NotHandled ReturnCode",
    "tlsexit.exits.application": (
        "ApplicationExits DirectoryCall EndOfTransferCall FileCall PayloadRefused Refused SessionRefused "
        "TransportSecurity"
    ),
    "tlsexit.exits.calls": (
        "CheckCertificateCall CryptDataCall CryptOperation EndSessionCall EndTaskCall ExitCall GetCAListCall "
        "GetCertificateCall HandshakeAlertCall HandshakeDoneCall StartHandshakeCall StartHandshakeResult "
        "StartTaskCall StartTaskResult Untrusted"
    ),
    "tlsexit.exits.function": "Communication",
    "tlsexit.exits.phases": "ExitPhase",
    "tlsexit.policy": "BuiltinPki system_config",
    "tlsexit.profile": "Profile Verify",
    "tlsexit.session": "MemorySessionStore Session SessionStore",
    "tlsexit.tasks": "Task",
}

_HOME: Final = {name: module for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # type checkers know the names from above, and that there are no others

    def __getattr__(name: str) -> Any:
        """Import ``name`` from its own module (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version

            return version("tlsexit")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""tlsexit: the TLS 1.0 handshake (RFC 2246) with an exit at every decision about keys and certificates."""

from __future__ import annotations

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

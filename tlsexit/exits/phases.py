"""The ten phases at which the protocol stops and asks (the manual's names), and one question beside them."""

from __future__ import annotations

from enum import Enum


class ExitPhase(Enum):
    """A phase of the PKI exit; the value is the name the manual uses."""

    START_TASK = "StartTask"
    START_HANDSHAKE = "StartHandshake"
    GET_CA_LIST = "GetCAList"
    GET_CERTIFICATE = "GetCertificate"
    CHECK_CERTIFICATE = "CheckCertificate"
    CRYPT_DATA = "CryptData"
    HANDSHAKE_ALERT = "HandshakeAlert"
    HANDSHAKE_DONE = "HandshakeDone"
    END_SESSION = "EndSession"
    END_TASK = "EndTask"
    GET_PRE_SHARED_KEY = "GetPreSharedKey"
    """Not of the manual, which knows no PSK suites: which pre-shared key to use (RFC 4279)."""

    @property
    def method(self) -> str:
        """The method of an exit object that answers this phase: ``get_ca_list`` for GetCAList."""
        return self.name.lower()

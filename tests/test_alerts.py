"""Alerts and errors: the numbers of the RFCs, and an alert on every error that has one."""

from __future__ import annotations

import inspect

import pytest

from tlsexit import alerts
from tlsexit.alerts import (
    ALWAYS_FATAL,
    AlertDescription,
    AlertLevel,
    AlertReceived,
    ExitFailed,
    LocalError,
    PeerError,
    TlsError,
    TruncatedError,
    alert_name,
)

RFC_2246 = {
    "close_notify": 0,
    "unexpected_message": 10,
    "bad_record_mac": 20,
    "decryption_failed": 21,
    "record_overflow": 22,
    "decompression_failure": 30,
    "handshake_failure": 40,
    "bad_certificate": 42,
    "unsupported_certificate": 43,
    "certificate_revoked": 44,
    "certificate_expired": 45,
    "certificate_unknown": 46,
    "illegal_parameter": 47,
    "unknown_ca": 48,
    "access_denied": 49,
    "decode_error": 50,
    "decrypt_error": 51,
    "export_restriction": 60,
    "protocol_version": 70,
    "insufficient_security": 71,
    "internal_error": 80,
    "user_canceled": 90,
    "no_renegotiation": 100,
}
"""§7.2, as printed there."""

LATER = {
    "no_certificate": 41,  # SSL 3.0
    "inappropriate_fallback": 86,  # RFC 7507 §2
    "unsupported_extension": 110,  # RFC 4366 §4, up to 114
    "certificate_unobtainable": 111,
    "unrecognized_name": 112,
    "bad_certificate_status_response": 113,
    "bad_certificate_hash_value": 114,
    "unknown_psk_identity": 115,  # RFC 4279 §6
    "no_application_protocol": 120,  # RFC 7301 §3.2
}

# the names that §7.2.2 calls "always fatal", in the order of its text
FATAL_BY_RULE = [
    "unexpected_message",
    "bad_record_mac",
    "decryption_failed",
    "record_overflow",
    "decompression_failure",
    "handshake_failure",
    "illegal_parameter",
    "unknown_ca",
    "access_denied",
    "decode_error",
    "export_restriction",
    "protocol_version",
    "insufficient_security",
    "internal_error",
]

ERRORS = [item for item in vars(alerts).values() if inspect.isclass(item) and issubclass(item, TlsError)]
PEER_ERRORS = [item for item in ERRORS if issubclass(item, PeerError) and item is not PeerError]


def test_the_numbers() -> None:
    """R2246-7.2-01."""
    assert {item.name.lower(): int(item) for item in AlertDescription} == {**RFC_2246, **LATER}
    assert {item.name.lower(): int(item) for item in AlertLevel} == {"warning": 1, "fatal": 2}


def test_what_is_always_fatal() -> None:
    """R2246-7.2.2-29."""
    assert {item.name.lower() for item in ALWAYS_FATAL} == set(FATAL_BY_RULE)


@pytest.mark.parametrize(
    ("number", "name"), [(48, "unknown_ca(48)"), (0, "close_notify(0)"), (200, "unknown alert(200)")]
)
def test_names_for_people(number: int, name: str) -> None:
    assert alert_name(number) == name


@pytest.mark.parametrize("error", PEER_ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_a_peer_names_its_alert(error: type[PeerError]) -> None:
    """The class is called as the alert is, and its text says both what is sent and why."""
    raised = error("because")
    assert raised.reason == "because"
    assert str(raised) == f"{alert_name(error.description)}: because"
    assert error.__name__.lower().removesuffix("error") == error.description.name.lower().replace("_", "").removesuffix(
        "error"
    )


def test_no_two_errors_for_one_alert() -> None:
    """One class an alert, so that the class says all."""
    descriptions = [error.description for error in PEER_ERRORS]
    assert len(set(descriptions)) == len(descriptions)


@pytest.mark.parametrize("description", [AlertDescription.DECRYPTION_FAILED, AlertDescription.NO_CERTIFICATE])
def test_alerts_that_are_never_sent(description: AlertDescription) -> None:
    """R4346-7.2.2-01, R4346-7.2.2-02: an oracle, and an alert of SSL 3.0."""
    assert description not in {error.description for error in PEER_ERRORS}


def test_one_root() -> None:
    """Whoever catches TlsError has caught all that is raised on purpose."""
    assert {error for error in ERRORS if TlsError not in error.__mro__} == set()
    assert not issubclass(LocalError, PeerError)
    assert not issubclass(TruncatedError, PeerError)


def test_texts() -> None:
    assert str(AlertReceived(40)) == "the peer sent handshake_failure(40)"
    assert str(AlertReceived(99)) == "the peer sent unknown alert(99)"
    failed = ExitFailed("GetCertificate", AlertDescription.INTERNAL_ERROR, "failed")
    assert "GetCertificate" in str(failed)
    assert "internal_error(80)" in str(failed)

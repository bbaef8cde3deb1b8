"""Certificate, CertificateRequest, CertificateVerify and CertificateStatus (RFC 2246 §7.4.2, §7.4.4, §7.4.8)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from tests.support import captures
from tlsexit.alerts import DecodeError, IllegalParameter, LocalError
from tlsexit.handshake.certificate import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_STATUS,
    CERTIFICATE_VERIFY,
    Certificate,
    CertificateRequest,
    CertificateStatus,
    CertificateVerify,
)
from tlsexit.handshake.enums import ClientCertificateType
from tlsexit.wire import build, parse


def test_a_chain_as_written_by_hand() -> None:
    """R2246-4.3-02: three-byte lengths; R2246-7.4.2-12: they add up exactly."""
    raw = bytes.fromhex("000009" + "000002" + "aabb" + "000001" + "cc")
    assert parse(CERTIFICATE, raw) == Certificate((b"\xaa\xbb", b"\xcc"))
    assert build(CERTIFICATE, Certificate((b"\xaa\xbb", b"\xcc"))) == raw


@pytest.mark.parametrize("message", captures.of_kind("certificate"), ids=str)
def test_captured_chains_hold_certificates(message: captures.Captured) -> None:
    for der in parse(CERTIFICATE, message.body).certificate_list:
        assert x509.load_der_x509_certificate(der).subject


def test_a_client_without_certificate_sends_an_empty_list() -> None:
    """R2246-7.4.6-02: handshake body 00 00 00."""
    (flow,) = captures.connections("openssl-no-client-certificate")
    (message,) = [m for m in flow if m.kind == "certificate" and m.sender == "client"]
    assert message.body == bytes(3)
    assert parse(CERTIFICATE, message.body) == Certificate(())
    assert build(CERTIFICATE, Certificate(())) == bytes(3)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "0000",
        "000001",
        "000003000000",  # an entry is at least one byte
        "000004000002aa",
        "000004000001aabb",
        "00000600000230000000",
    ],
)
def test_malformed_chains(body: str) -> None:
    """R2246-7.4.2-12."""
    with pytest.raises(DecodeError):
        parse(CERTIFICATE, bytes.fromhex(body))


def test_a_request_as_written_by_hand() -> None:
    """R2246-4.3-02, R2246-7.4.4-04, R2246-7.4.4-07; unknown types stay (R2246-7.4.4-05)."""
    raw = bytes.fromhex("03" + "01c802" + "0009" + "0003" + "300130" + "0002" + "3000")
    request = CertificateRequest((1, 0xC8, 2), (b"\x30\x01\x30", b"\x30\x00"))
    assert parse(CERTIFICATE_REQUEST, raw) == request
    assert build(CERTIFICATE_REQUEST, request) == raw


def test_captured_requests_name_the_test_authorities() -> None:
    """The names are the subjects of ca.pem, the file that the servers were given."""
    for source in ("openssl-dhe-rsa-client-certificate", "gnutls-server-client-certificate", "nss-server"):
        request = parse(CERTIFICATE_REQUEST, captures.find(source, "certificate_request").body)
        assert ClientCertificateType.RSA_SIGN in request.certificate_types
        assert all(der[0] == 0x30 for der in request.certificate_authorities)
        names = b"".join(request.certificate_authorities)
        assert b"test CA rsa" in names
        assert b"test CA ecdsa" in names


def test_a_request_without_names_is_read() -> None:
    """R2246-7.4.4-06: below the floor of TLS 1.0, and sent all the same (tlslite-ng does, recorded here)."""
    message = captures.find("tlslite-dhe-rsa", "certificate_request")
    assert parse(CERTIFICATE_REQUEST, message.body).certificate_authorities == ()


@pytest.mark.parametrize(
    "body",
    [
        "00" + "0005" + "0003300130",  # no type
        "01" + "01",
        "0101" + "0002" + "0000",  # DistinguishedName<1..2^16-1>
        "0101" + "0006" + "0003300130",
        "0101" + "0004" + "0003300130",
    ],
)
def test_malformed_requests(body: str) -> None:
    """R2246-7.4.4-04, R2246-7.4.4-07."""
    with pytest.raises(DecodeError):
        parse(CERTIFICATE_REQUEST, bytes.fromhex(body))


def test_a_verify_has_no_algorithm() -> None:
    """R2246-4.6.1-01, R2246-4.7-01: a two-byte length and the signature, nothing before it."""
    raw = bytes.fromhex("0003" + "0a0b0c")
    assert parse(CERTIFICATE_VERIFY, raw) == CertificateVerify(b"\x0a\x0b\x0c")
    assert build(CERTIFICATE_VERIFY, CertificateVerify(b"\x0a\x0b\x0c")) == raw
    with pytest.raises(DecodeError):
        parse(CERTIFICATE_VERIFY, raw + b"\0")


def test_a_captured_status_holds_an_ocsp_response() -> None:
    status = parse(CERTIFICATE_STATUS, captures.find("openssl-ecdhe-rsa-extensions", "certificate_status").body)
    assert ocsp.load_der_ocsp_response(status.response).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL


def test_other_kinds_of_status_are_illegal() -> None:
    """R2246-4.5-01, and R4366-3.6-01: nobody asked for them."""
    with pytest.raises(IllegalParameter, match="status_type: 2"):
        parse(CERTIFICATE_STATUS, bytes.fromhex("02" + "000001" + "00"))
    with pytest.raises(LocalError):
        build(CERTIFICATE_STATUS, CertificateStatus(2, b"\0"))
    with pytest.raises(DecodeError):
        parse(CERTIFICATE_STATUS, bytes.fromhex("01" + "000000"))

"""Stapled OCSP responses (RFC 6066 §8, RFC 6960): what is satisfactory, and the alert for what is not."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ocsp import HOUR, REVOKED, UNKNOWN, respond
from tests.support.pki import END, NOW, START, leaf_key, pki, root_authority
from tests.support.questions import context
from tlsexit.alerts import BadCertificateStatusResponse, PeerError
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.calls import CheckCertificateCall
from tlsexit.policy import LeafDemands, SignaturePolicy, check_chain
from tlsexit.policy.certificates import parsed
from tlsexit.policy.failures import CertificateRevoked
from tlsexit.policy.ocsp import check_stapled_response
from tlsexit.policy.throwaway import Issued, key_usage


@cache
def responder(*, appointed: bool = True, current: bool = True) -> Issued:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    return pki().root.issue(
        "responder",
        key=leaf_key(KeyType.RSA),
        role=None if appointed else Role.SERVER,
        usage=key_usage("digital_signature"),
        extensions=[(purposes, False)] if appointed else [],
        not_before=START,
        not_after=END if current else NOW - HOUR,
    )


def check(response: bytes, issued: Issued | None = None, policy: SignaturePolicy | None = None) -> None:
    chain = (issued or pki().server).chain
    path = check_chain(chain, pki().anchors, at=NOW, leaf=LeafDemands(peer=Role.SERVER))
    check_stapled_response(response, path, at=NOW, policy=policy or SignaturePolicy())


@pytest.mark.parametrize("by_hash", [False, True])
@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()])
def test_a_good_response(by_hash: bool, digest: hashes.SHA1 | hashes.SHA256) -> None:
    check(respond(by_hash=by_hash, digest=digest))


def test_a_response_of_the_intermediate() -> None:
    issued = pki().intermediate_server
    check(respond(about=issued, issuer=pki().intermediate), issued)


@pytest.mark.parametrize("by_hash", [False, True])
def test_an_appointed_responder(by_hash: bool) -> None:
    """RFC 6960 §4.2.2.2: named by the issuer through id-kp-OCSPSigning."""
    check(respond(by=responder(), by_hash=by_hash))


def test_revoked() -> None:
    """R2246-7.2.2-11."""
    with pytest.raises(CertificateRevoked, match="CN=RSA root has revoked the certificate of CN=localhost"):
        check(respond(REVOKED))
    with pytest.raises(CertificateRevoked):
        check(respond(REVOKED, since=NOW - 100 * HOUR))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (lambda: respond(UNKNOWN), "does not know"),
        (lambda: respond(since=NOW - 25 * HOUR), "out of date"),
        (lambda: respond(since=NOW + HOUR), "out of date"),
        (lambda: respond(about=pki().client), "is not about CN=localhost"),
        (lambda: respond(about=pki().server, issuer=root_authority("RSA root", number=9)), "not signed with the key"),
        (lambda: respond(by=pki().client), "nobody whom CN=RSA root appointed"),
        (lambda: respond(by=responder(appointed=False)), "nobody whom CN=RSA root appointed"),
        (lambda: respond(by=responder(current=False)), "nobody whom CN=RSA root appointed"),
        (lambda: respond(by=pki(KeyType.EC).server), "nobody whom CN=RSA root appointed"),
        (lambda: b"", "does not parse"),
        (lambda: respond()[:-1], "does not parse"),
        (
            lambda: ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
                Encoding.DER
            ),
            "had no answer",
        ),
    ],
)
def test_what_is_not_satisfactory(response: object, reason: str) -> None:
    """RFC 6066 §8: the client aborts with bad_certificate_status_response(113)."""
    assert callable(response)
    with pytest.raises(BadCertificateStatusResponse, match=reason):
        check(response())


def test_a_responder_appointed_by_somebody_else() -> None:
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    other = root_authority("RSA root", number=9).issue(
        "responder", role=None, extensions=[(purposes, False)], not_before=START, not_after=END
    )
    with pytest.raises(BadCertificateStatusResponse, match="not signed with the key of CN=RSA root"):
        check(respond(by=other))


def test_the_signature_policy_holds_for_responses() -> None:
    path = [parsed(pki().server.certificate), parsed(pki().root.certificate)]
    with pytest.raises(BadCertificateStatusResponse, match="SHA256"):
        check_stapled_response(respond(), path, at=NOW, policy=SignaturePolicy(hashes=frozenset({"sha1"})))


@given(st.data())
def test_a_damaged_response_vouches_for_nothing(data: st.DataObject) -> None:
    response = bytearray(respond())
    signed = ocsp.load_der_ocsp_response(bytes(response)).tbs_response_bytes
    position = response.index(signed) + data.draw(st.integers(0, len(signed) - 1))
    response[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises((PeerError, Warning)):  # warnings are errors in the tests alone
        check(bytes(response))


def test_nobody_answers_for_a_self_signed_leaf() -> None:
    check_stapled_response(b"whatever", [parsed(pki().root.certificate)], at=NOW, policy=SignaturePolicy())


def test_the_builtin_pki_looks_at_what_is_stapled() -> None:
    builtin, session, chain = pki().builtin(Role.CLIENT), context(Role.CLIENT), pki().server.chain
    for response, expected in ((None, None), (respond(), None), (respond(UNKNOWN), 113), (respond(REVOKED), 44)):
        answer = builtin.answer(CheckCertificateCall(session, chain, ocsp_response=response))
        if expected is None:
            assert answer == Handled()
        else:
            assert isinstance(answer, Failed)
            assert answer.alert_reason == expected


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_what_openssl_answers(tmp_path: Path) -> None:
    """A response by the openssl program, from an index file of the form ``openssl ca`` keeps."""
    root, leaf, other = pki().root, pki().server.certificate, pki().client.certificate
    key = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ca.key").write_bytes(key)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    for state, expected in (("V\t491231235959Z\t", None), ("R\t491231235959Z\t200101000000Z", CertificateRevoked)):
        serial = f"{leaf.serial_number:X}"
        serial = serial if len(serial) % 2 == 0 else "0" + serial
        (tmp_path / "index.txt").write_text(f"{state}\t{serial}\tunknown\t/CN=localhost\n")
        command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"]
        command += ["-issuer", "ca.pem", "-cert", "leaf.pem", "-ndays", "7", "-respout", "response.der"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30)
        response = (tmp_path / "response.der").read_bytes()
        at = ocsp.load_der_ocsp_response(response).produced_at_utc
        path = [parsed(leaf), parsed(root.certificate)]
        if expected is None:
            check_stapled_response(response, path, at=at, policy=SignaturePolicy())
        else:
            with pytest.raises(expected):
                check_stapled_response(response, path, at=at, policy=SignaturePolicy())
        with pytest.raises(BadCertificateStatusResponse, match="is not about"):
            check_stapled_response(response, [parsed(other), path[1]], at=at, policy=SignaturePolicy())

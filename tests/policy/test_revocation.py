"""Revocation lists: R2246-7.2.2-11, R2246-D.3-01, R2246-F.1.1-01."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import NOW, faulty, pki, root_authority
from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.policy import LeafDemands, RevocationList, SignaturePolicy, check_chain, load_revocation_lists
from tlsexit.policy.failures import CertificateRevoked, CertificateUnknown
from tlsexit.policy.revocation import RevocationLists
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, key_usage

WEEK = timedelta(days=7)


def crl(
    authority: ThrowawayAuthority, revoked: Iterable[x509.Certificate] = (), *, since: datetime = NOW - WEEK
) -> x509.CertificateRevocationList:
    return authority.revocation_list(revoked, last_update=since, next_update=since + 2 * WEEK)


def check(issued: Issued, *lists: x509.CertificateRevocationList, policy: SignaturePolicy | None = None) -> None:
    check_chain(
        issued.chain,
        pki().anchors,
        at=NOW,
        leaf=LeafDemands(peer=Role.SERVER),
        policy=policy,
        revocation=RevocationLists(lists),
    )


def test_a_revoked_leaf_is_refused() -> None:
    issued = pki().server
    with pytest.raises(CertificateRevoked, match="CN=localhost is on the revocation list of CN=RSA root"):
        check(issued, crl(pki().root, [issued.certificate]))


def test_others_on_the_list_do_not_matter() -> None:
    check(pki().server, crl(pki().root, [pki().client.certificate]))


def test_a_revoked_intermediate_is_refused() -> None:
    with pytest.raises(CertificateRevoked):
        check(pki().intermediate_server, crl(pki().root, [pki().intermediate.certificate]))


def test_an_authority_without_a_list_is_not_checked() -> None:
    check(pki().server, crl(pki().intermediate, [pki().server.certificate]))


def test_the_same_serial_number_of_another_issuer_is_no_revocation() -> None:
    other = root_authority("another root", number=9)
    check(pki().server, crl(other, [pki().server.certificate]))


@pytest.mark.parametrize("since", [NOW - 3 * WEEK, NOW + timedelta(seconds=1)])
def test_a_list_out_of_date_vouches_for_nothing(since: datetime) -> None:
    with pytest.raises(CertificateUnknown, match="out of date"):
        check(pki().server, crl(pki().root, since=since))


def test_a_list_out_of_date_still_revokes() -> None:
    with pytest.raises(CertificateRevoked):
        check(pki().server, crl(pki().root, [pki().server.certificate], since=NOW - 3 * WEEK))


def test_a_current_list_makes_up_for_an_old_one() -> None:
    check(pki().server, crl(pki().root, since=NOW - 3 * WEEK), crl(pki().root))


def test_a_list_signed_by_someone_else_vouches_for_nothing() -> None:
    forged = crl(root_authority("RSA root", number=9))
    with pytest.raises(CertificateUnknown, match="cannot be told"):
        check(pki().server, forged)


def test_a_list_whose_hash_is_not_accepted_vouches_for_nothing() -> None:
    with pytest.raises(CertificateUnknown, match="SHA256"):
        check(faulty().signed_with("sha1"), crl(pki().root), policy=SignaturePolicy(hashes=frozenset({"sha1"})))


def test_an_authority_that_may_not_sign_lists_vouches_for_nothing() -> None:
    no_lists = pki().root.authority(
        "no lists", usage=key_usage("key_cert_sign"), not_before=NOW - WEEK, not_after=NOW + WEEK
    )
    issued = no_lists.issue(not_before=NOW - WEEK, not_after=NOW + WEEK)
    check(issued)
    with pytest.raises(CertificateUnknown, match="may not sign revocation lists"):
        check(issued, crl(no_lists))


def test_files_in_pem_and_der(tmp_path: Path) -> None:
    one, other = crl(pki().root, [pki().server.certificate]), crl(pki().intermediate)
    pem, der = tmp_path / "lists.pem", tmp_path / "list.crl"
    pem.write_bytes(b"two lists\n" + one.public_bytes(Encoding.PEM) + other.public_bytes(Encoding.PEM))
    der.write_bytes(one.public_bytes(Encoding.DER))
    assert [len(item) for item in load_revocation_lists(pem)] == [1, 0]
    (loaded,) = load_revocation_lists(der)
    assert pki().server.certificate.serial_number in loaded


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", b"\x30\x03\x02\x01\x00"]
)
def test_a_file_that_is_no_list_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.crl"
    file.write_bytes(content)
    with pytest.raises(LocalError, match=r"broken\.crl: is not a revocation list"):
        load_revocation_lists(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"absent\.crl: cannot be read"):
        load_revocation_lists(tmp_path / "absent.crl")


def test_a_partial_list_is_refused_when_loaded(tmp_path: Path) -> None:
    """RFC 5280 §5.2.5: read as a complete list it would call revoked certificates good."""
    root = pki().root
    partial = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    builder = x509.CertificateRevocationListBuilder(root.certificate.subject, NOW, NOW + WEEK)
    made = builder.add_extension(partial, critical=True).sign(root.key, hashes.SHA256())
    with pytest.raises(LocalError, match="is not complete"):
        RevocationList(made)
    file = tmp_path / "partial.crl"
    file.write_bytes(made.public_bytes(Encoding.DER))
    with pytest.raises(LocalError, match=r"partial\.crl: .* is not complete"):
        load_revocation_lists(file)

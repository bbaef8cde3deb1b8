"""Name constraints (RFC 5280 §4.2.1.10): the decisions of the RFC's text, kind by kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.pki import END, NOW, START, authority_key, leaf_key, pki
from tlsexit.constants import Role
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import LeafDemands, check_chain
from tlsexit.policy.failures import CertificateUnknown
from tlsexit.policy.throwaway import Issued, ThrowawayAuthority, distinguished_name


def constrained(
    permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()
) -> ThrowawayAuthority:
    constraints = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
    return pki().root.authority(
        "constrained",
        key=authority_key(KeyType.RSA, 1),
        extensions=[(constraints, True)],
        not_before=START,
        not_after=END,
    )


def check(issued: Issued) -> None:
    check_chain(issued.chain, pki().anchors, at=NOW, leaf=LeafDemands(peer=Role.SERVER))


def accepted(authority: ThrowawayAuthority, names: Sequence[x509.GeneralName], common_name: str = "Some One") -> bool:
    extensions = [(x509.SubjectAlternativeName(list(names)), False)] if names else []
    issued = authority.issue(common_name, extensions=extensions, key=leaf_key(KeyType.RSA), not_before=NOW)
    try:
        check_chain(issued.chain, pki().anchors, at=NOW + timedelta(hours=1), leaf=LeafDemands(peer=Role.SERVER))
    except CertificateUnknown:
        return False
    return True


@pytest.mark.parametrize(
    ("base", "host", "expected"),
    [
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", True),
        ("example.com", "A.B.EXAMPLE.com", True),
        ("example.com", "badexample.com", False),
        ("example.com", "example.org", False),
        (".example.com", "a.example.com", True),
        (".example.com", "example.com", False),
        ("example.com", "*.example.com", True),
        ("a.example.com", "*.example.com", False),
        ("", "anything.example", True),
    ],
)
def test_permitted_dns_names(base: str, host: str, expected: bool) -> None:
    """R2246-7.2.2-13."""
    assert accepted(constrained(permitted=[x509.DNSName(base)]), [x509.DNSName(host)]) is expected


@pytest.mark.parametrize(
    ("base", "host", "expected"),
    [
        ("example.com", "example.org", True),
        ("example.com", "a.example.com", False),
        ("a.example.com", "b.example.com", True),
        ("a.example.com", "*.example.com", False),
        ("a.b.example.com", "*.example.com", True),
    ],
)
def test_excluded_dns_names(base: str, host: str, expected: bool) -> None:
    """A wildcard does not let an excluded host back in."""
    assert accepted(constrained(excluded=[x509.DNSName(base)]), [x509.DNSName(host)]) is expected


def test_a_host_name_in_the_common_name_is_constrained_too() -> None:
    authority = constrained(permitted=[x509.DNSName("example.com")])
    assert accepted(authority, [], "a.example.com")
    assert not accepted(authority, [], "a.example.org")
    assert accepted(authority, [x509.DNSName("example.com")], "a.example.org"), "unused beside dNSName"


@pytest.mark.parametrize(("address", "expected"), [("10.1.2.3", True), ("11.1.2.3", False), ("::1", False)])
def test_addresses(address: str, expected: bool) -> None:
    base = x509.IPAddress(ip_network("10.0.0.0/8"))
    assert accepted(constrained(permitted=[base]), [x509.IPAddress(ip_address(address))]) is expected


@pytest.mark.parametrize(
    ("base", "mail", "expected"),
    [
        ("example.com", "a@example.com", True),
        ("example.com", "a@b.example.com", False),
        (".example.com", "a@b.example.com", True),
        ("a@example.com", "a@EXAMPLE.com", True),
        ("a@example.com", "A@example.com", False),
        ("a@example.com", "b@example.com", False),
    ],
)
def test_mail_addresses(base: str, mail: str, expected: bool) -> None:
    assert accepted(constrained(permitted=[x509.RFC822Name(base)]), [x509.RFC822Name(mail)]) is expected


def test_directory_names() -> None:
    base = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "example")]))
    authority = constrained(permitted=[base])
    key = leaf_key(KeyType.RSA)
    inside = authority.issue("a", organization="Example", key=key, not_before=START, not_after=END)
    check(inside)
    outside = authority.issue("a", organization="Other", key=key, not_before=START, not_after=END)
    with pytest.raises(CertificateUnknown, match="may not certify the names of"):
        check(outside)


def test_a_constraint_that_cannot_be_checked_refuses_such_names_only() -> None:
    authority = constrained(permitted=[x509.UniformResourceIdentifier("example.com")])
    assert accepted(authority, [x509.DNSName("example.org")])
    assert not accepted(authority, [x509.UniformResourceIdentifier("http://example.com/")])


def test_intermediates_are_constrained_unless_self_issued() -> None:
    """RFC 5280 §6.1.3 b."""
    authority = constrained(excluded=[x509.DirectoryName(distinguished_name("below"))])
    below = authority.authority("below", key=authority_key(KeyType.RSA, 2), not_before=START, not_after=END)
    issued = below.issue("a", key=leaf_key(KeyType.RSA), not_before=START, not_after=END)
    with pytest.raises(CertificateUnknown, match="CN=constrained may not certify the names of CN=below"):
        check(issued)

    authority = constrained(excluded=[x509.DirectoryName(distinguished_name("constrained"))])
    again = authority.authority("constrained", key=authority_key(KeyType.RSA, 2), not_before=START, not_after=END)
    check(again.issue("a", key=leaf_key(KeyType.RSA), not_before=START, not_after=END))

"""Host names (RFC 2818 §3.1, RFC 6125 §6.4) and the profile's DN filters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import leaf_key, pki
from tlsexit.alerts import LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.policy.certificates import ParsedCertificate, parsed
from tlsexit.policy.names import dn_matches, matches_server_name


def certificate(common_name: str = "subject", hosts: Sequence[str] = ()) -> ParsedCertificate:
    return parsed(pki().root.issue(common_name, hosts=hosts, key=leaf_key(KeyType.RSA)).certificate)


@pytest.mark.parametrize(
    ("presented", "wanted", "expected"),
    [
        ("a.example", "a.example", True),
        ("a.example", "A.Example", True),
        ("A.EXAMPLE", "a.example.", True),
        ("a.example", "b.example", False),
        ("a.example", "x.a.example", False),
        ("*.a.example", "x.a.example", True),
        ("*.a.example", "a.example", False),
        ("*.a.example", ".a.example", False),
        ("*.a.example", "x.y.a.example", False),
        ("*.example", "a.example", False),
        ("x*.a.example", "xy.a.example", False),
        ("a.*.example", "a.b.example", False),
        ("*", "localhost", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
        ("2001:db8::1", "[2001:db8::1]", True),
    ],
)
def test_host_names(presented: str, wanted: str, expected: bool) -> None:
    assert matches_server_name(certificate(hosts=[presented]), wanted) is expected


def test_an_address_is_not_compared_with_dns_names() -> None:
    key = leaf_key(KeyType.RSA)
    names = x509.SubjectAlternativeName([x509.DNSName("10.0.0.1")])
    item = pki().root.issue("10.0.0.1", key=key, extensions=[(names, False)])
    assert not matches_server_name(parsed(item.certificate), "10.0.0.1", allow_common_name=True)


def test_the_common_name_counts_only_on_request() -> None:
    item = certificate("a.example")
    assert not matches_server_name(item, "a.example")
    assert matches_server_name(item, "a.example", allow_common_name=True)


def test_the_common_name_never_counts_beside_dns_names() -> None:
    """RFC 2818 §3.1: "If a subjectAltName extension of type dNSName is present, that MUST be used"."""
    item = certificate("a.example", ["b.example"])
    assert not matches_server_name(item, "a.example", allow_common_name=True)


def test_a_common_name_that_is_free_text_is_no_host() -> None:
    assert not matches_server_name(certificate("Acme Inc"), "Acme Inc", allow_common_name=True)


ALICE = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example  Corp"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Sales"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "West/East"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "alice@example.com"),
        x509.NameAttribute(NameOID.COMMON_NAME, "alice"),
    ]
).public_bytes()


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ((), True),
        (("CN=alice",), True),
        (("/C=FR/O=Example Corp/CN=alice",), True),
        (("CN=alice/O=example corp",), True),
        (("cn=ALICE / o=example  corp",), True),
        (("OU=Sales/OU=West\\/East",), True),
        (("2.5.4.3=alice",), True),
        (("emailAddress=alice@example.com",), True),
        (("CN=bob",), False),
        (("CN=alice/O=Other",), False),
        (("CN=ali",), False),
        (("CN=bob", "CN=alice"), True),
        (("CN=bob", "CN=carol"), False),
        (("O=alice",), False),
    ],
)
def test_dn_filters(alternatives: tuple[str, ...], expected: bool) -> None:
    assert dn_matches(ALICE, alternatives) is expected


@pytest.mark.parametrize("text", ["", "/", "alice", "CN=", "CN=alice//O=x", "XX=alice", "=alice"])
def test_a_filter_that_says_nothing_is_our_own_mistake(text: str) -> None:
    """Never an open door: an empty filter would admit everyone."""
    with pytest.raises(LocalError, match="DN filter"):
        dn_matches(ALICE, (text,))


def test_an_unreadable_name_matches_no_filter() -> None:
    assert not dn_matches(b"junk", ("CN=alice",))
    assert dn_matches(b"junk", ())


@given(st.text(alphabet=st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=30))
def test_a_filter_made_of_an_attribute_finds_it(value: str) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, value)]).public_bytes()
    if not value.endswith("\\"):  # a backslash before the end could only be read as an escape
        assert dn_matches(name, ("O=" + value.replace("/", "\\/"),))

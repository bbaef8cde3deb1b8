"""The two byte forms of exits: the CA list of §7.4.4 and the chain of §7.4.2, and the objects that mean the same."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import pki
from tlsexit.alerts import BadCertificate, LocalError
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.forms import (
    CAList,
    ca_list_bytes,
    ca_list_from,
    certificate_key,
    chain_bytes,
    chain_from,
    load_certificate,
)

NAME = pki().root.certificate.subject
DER_NAME = NAME.public_bytes()
LEAF = pki().server.certificate
DER = LEAF.public_bytes(Encoding.DER)

# written out from RFC 2246 §7.4.4: one byte count of types, the types, two bytes total, two bytes and DER for each name
CA_LIST = bytes([1, 1]) + (len(DER_NAME) + 2).to_bytes(2, "big") + len(DER_NAME).to_bytes(2, "big") + DER_NAME
# and from §7.4.2: three bytes total, then three bytes and DER for each certificate
CHAIN = (2 * (len(DER) + 3)).to_bytes(3, "big") + 2 * (len(DER).to_bytes(3, "big") + DER)


@pytest.mark.parametrize(
    "value",
    [
        CA_LIST,
        bytearray(CA_LIST),
        memoryview(CA_LIST),
        CAList((1,), (DER_NAME,)),
        ((1,), [NAME]),
        ([1], [DER_NAME]),
        (iter([1]), iter([bytearray(DER_NAME)])),
    ],
)
def test_forms_of_a_ca_list(value: object) -> None:
    """R2246-7.4.4-04, R2246-7.4.4-07: wire bytes, or types and names; one canonical form comes of all."""
    assert ca_list_from(value) == CAList((1,), (DER_NAME,))


def test_a_ca_list_in_wire_form() -> None:
    assert ca_list_bytes(CAList((1,), (DER_NAME,))) == CA_LIST
    assert CA_LIST[:2] == b"\1\1"  # what the product's lists begin with


@pytest.mark.parametrize(
    "value",
    [
        b"",
        CA_LIST[:-1],
        CA_LIST + b"\0",
        b"\0" + CA_LIST[2:],
        b"\1\1\0\0",
        b"\1\1\0\2\0\0",
        b"\1\1\0\5\0\3abc",
        b"\1\1\0\3\0\1\x30",
        ((), [NAME]),
        ((1,), []),
        ((256,), [NAME]),
        ((-1,), [NAME]),
        (("rsa",), [NAME]),
        ((1,), ["CN=root"]),
        ((1,), [b"not DER"]),
        ((1,), 7),
        (1, [NAME]),
        ((1,), [NAME], "more"),
        [(1,), [NAME]],
        "text",
        None,
        7,
    ],
)
def test_what_is_no_ca_list(value: object) -> None:
    """A clear error for a list that does not parse: the exit's mistake, never the peer's."""
    with pytest.raises(LocalError):
        ca_list_from(value)


@pytest.mark.parametrize(
    "value",
    [CHAIN, bytearray(CHAIN), memoryview(CHAIN), [LEAF, LEAF], (DER, DER), iter([LEAF, bytearray(DER)])],
)
def test_forms_of_a_chain(value: object) -> None:
    """R2246-7.4.2-12."""
    assert chain_from(value) == (DER, DER)


def test_a_chain_in_wire_form() -> None:
    assert chain_bytes((DER, DER)) == CHAIN
    assert chain_bytes(()) == chain_bytes(chain_from([])) == b"\0\0\0"


@pytest.mark.parametrize(
    "value",
    [b"", b"\0\0", CHAIN[:-1], CHAIN + b"\0", b"\0\0\3\0\0\0", [b""], ["PEM"], [7], "text", 7, None, {1: 2}, [[DER]]],
)
def test_what_is_no_chain(value: object) -> None:
    with pytest.raises(LocalError):
        chain_from(value)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5).map(tuple))
def test_chains_there_and_back(chain: tuple[bytes, ...]) -> None:
    assert chain_from(chain_bytes(chain)) == chain


def _name(text: str) -> bytes:
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, text)]).public_bytes()


@pytest.mark.parametrize("name", [b"", b"0", b"\x31\0", b"0\1", b"0\0\0", b"0123456789", b"\x30\2\x31\0", b"CN=root"])
def test_what_is_no_name(name: bytes) -> None:
    with pytest.raises(LocalError, match="CA list"):
        ca_list_from(((1,), (name,)))


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=255).map(tuple),
    st.lists(st.text(min_size=1, max_size=40).map(_name), min_size=1, max_size=5),
)
def test_ca_lists_there_and_back(types: tuple[int, ...], names: list[bytes]) -> None:
    """Types unknown here included."""
    value = CAList(types, tuple(names))
    assert ca_list_from(ca_list_bytes(value)) == ca_list_from((types, names)) == value


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """A value, or LocalError."""
    reads: list[Any] = [ca_list_from, chain_from]
    for read in reads:
        try:
            read(data)
        except LocalError:
            continue


@pytest.mark.parametrize("kind", KeyType)
def test_certificates_and_their_keys(kind: KeyType) -> None:
    issued = pki(kind).server
    assert load_certificate(issued.chain[0]) == issued.certificate
    assert certificate_key(issued.chain[0]) == issued.key.public_key()


@pytest.mark.parametrize("der", [b"", b"\x30\0", DER[:-1], DER + b"\0", bytes(100)])
def test_what_is_no_certificate(der: bytes) -> None:
    """R2246-7.2.2-09, R2246-7.4.2-14."""
    with pytest.raises(BadCertificate):
        load_certificate(der)

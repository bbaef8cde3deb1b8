"""The DER slicer against what ``cryptography`` says about the same certificates."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pki import pki
from tlsexit.crypto.suites import KeyType
from tlsexit.policy import der


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_elements_undoes_encode(contents: list[bytes]) -> None:
    inner = [der.encode(0x04, item) for item in contents]
    assert der.elements(der.encode(der.SEQUENCE, *inner)) == inner


@pytest.mark.parametrize(
    ("length", "header"),
    [(0, "0400"), (127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100"), (65536, "0483010000")],
)
def test_encode_uses_the_shortest_length(length: int, header: str) -> None:
    """X.690 §10.1."""
    assert der.encode(0x04, b"x" * length) == bytes.fromhex(header) + b"x" * length


@pytest.mark.parametrize("kind", KeyType)
def test_fields_are_those_of_the_certificate(kind: KeyType) -> None:
    certificate = pki(kind).server.certificate
    fields = der.certificate_fields(pki(kind).server.chain[0])
    assert fields.issuer == certificate.issuer.public_bytes()
    assert fields.subject == certificate.subject.public_bytes()
    assert fields.public_key_info == certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    assert fields.inner_algorithm == fields.outer_algorithm


@given(st.integers(min_value=0))
def test_a_cut_certificate_is_a_value_error(length: int) -> None:
    whole = pki().server.chain[0]
    with pytest.raises(ValueError):
        der.certificate_fields(whole[: length % len(whole)])


@given(st.binary(max_size=64))
def test_any_bytes_give_fields_or_a_value_error(data: bytes) -> None:
    try:
        der.certificate_fields(data)
    except ValueError:
        return

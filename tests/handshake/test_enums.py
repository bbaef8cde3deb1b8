"""The numbers, against those of tlslite-ng; a wrong constant would agree with itself everywhere else."""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import Any

import pytest

from tlsexit.handshake import enums

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # tlslite-ng imports asyncore
    from tlslite import constants as tlslite

# tlslite-ng's name where it is another
RENAMED = {"application_layer_protocol_negotiation": "alpn", "next_protocol_negotiation": "supports_npn"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (enums.HandshakeType, tlslite.HandshakeType),
        (enums.ExtensionType, tlslite.ExtensionType),
        (enums.ClientCertificateType, tlslite.ClientCertificateType),
        (enums.NameType, tlslite.NameType),
        (enums.CertificateStatusType, tlslite.CertificateStatusType),
        (enums.ECPointFormat, tlslite.ECPointFormat),
        (enums.ECCurveType, tlslite.ECCurveType),
    ],
)
def test_numbers_agree_with_tlslite(ours: type[IntEnum], theirs: Any) -> None:
    compared = 0
    for member in ours:
        name = RENAMED.get(member.name.lower(), member.name.lower())
        if hasattr(theirs, name):
            assert getattr(theirs, name) == member, member.name
            compared += 1
    assert compared >= len(ours) - 3


@pytest.mark.parametrize(
    ("member", "number"),
    [
        # IANA's registry of ExtensionType values
        (enums.ExtensionType.MAX_FRAGMENT_LENGTH, 1),
        (enums.ExtensionType.TRUSTED_CA_KEYS, 3),
        (enums.ExtensionType.SIGNED_CERTIFICATE_TIMESTAMP, 18),
        # RFC 3749 §2
        (enums.CompressionMethod.DEFLATE, 1),
        # RFC 6066 §6
        (enums.IdentifierType.CERT_SHA1_HASH, 3),
    ],
)
def test_numbers_tlslite_does_not_have(member: IntEnum, number: int) -> None:
    assert member == number

"""The table of what is tried: complete, without idle reasons, and in agreement with tlsexit's own table of suites."""

from __future__ import annotations

import pytest

from tests.interop.matrix import CORE, LACKS, MISSING, Role, Variant, cases, lack, missing, sample
from tests.interop.peers.all import PEERS
from tests.interop.suites import SUITES, suite_number
from tlsexit.crypto.suites import SUITES as OURS


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("peer", PEERS)
def test_every_suite_is_tried_or_has_a_reason(peer: str, role: Role) -> None:
    tried = {case.suite.number for case in cases(role) if case.peer == peer}
    explained = {number for number, suite in SUITES.items() if lack(peer, role, suite)}
    assert tried | explained == set(SUITES)
    assert not tried & explained


@pytest.mark.parametrize("peer", PEERS)
def test_no_reason_is_idle(peer: str) -> None:
    """Each reason is the first that applies to some suite."""
    given = {lack(peer, role, suite) for role in Role for suite in SUITES.values()}
    assert {item.reason for item in LACKS[peer]} == given - {None}


def test_core_suites_are_tried_in_every_variant() -> None:
    for role in Role:
        for number in CORE:
            for peer in PEERS:
                if lack(peer, role, SUITES[number]) is None:
                    chosen = [case for case in cases(role) if (case.peer, case.suite.number) == (peer, number)]
                    explained = {variant for variant in Variant if missing(peer, role, variant)}
                    assert {case.variant for case in chosen} == set(Variant) - explained


def test_every_variant_meets_a_peer_in_both_roles() -> None:
    for role in Role:
        assert {case.variant for case in cases(role)} == set(Variant)


@pytest.mark.parametrize("role", Role)
def test_the_sample_leaves_out_nothing(role: Role) -> None:
    """No variant of a peer and no suite."""
    whole, part = cases(role), sample(role)
    assert {case.suite.number for case in part} == {case.suite.number for case in whole}
    pairs = [
        {(case.peer, case.variant) for case in some if case.variant is not Variant.PLAIN} for some in (whole, part)
    ]
    assert pairs[0] == pairs[1]
    assert len(part) == len(set(part)) < len(whole) / 4


@pytest.mark.parametrize("peer", PEERS)
def test_no_reason_for_a_variant_is_idle(peer: str) -> None:
    given = {missing(peer, role, variant) for role in Role for variant in Variant}
    assert {item.reason for item in MISSING[peer]} == given - {None}


def test_every_suite_meets_a_peer_in_both_roles() -> None:
    """A suite nobody else speaks would be proven by ourselves alone.

    The exception: no peer's server sends the short group that DH_anon_EXPORT_WITH_RC4_40_MD5 demands.
    """
    alone = {role: set(SUITES) - {case.suite.number for case in cases(role)} for role in Role}
    assert alone == {Role.SERVER: {0x0017}, Role.CLIENT: set()}


def test_names_agree_with_the_package() -> None:
    """Two tables made independently; tlsexit's has two kinds besides, which are tried on their own.

    Pre-shared key suites need a key from an exit, and fixed ECDH needs a certificate of its own and has one role only.
    """
    for number, suite in SUITES.items():
        assert (OURS[number].name, OURS[number].openssl_name) == (suite.iana, suite.openssl)
    besides = {OURS[number].key_exchange for number in OURS.keys() - SUITES.keys()}
    assert all(exchange.premaster.psk or exchange.fixed for exchange in besides)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TLS_RSA_WITH_AES_128_CBC_SHA", 0x002F),
        ("SSL_DHE_RSA_WITH_3DES_EDE_CBC_SHA", 0x0016),
        ("TLS-ECDHE-ECDSA-WITH-AES-256-CBC-SHA", 0xC00A),
        ("EDH-RSA-DES-CBC3-SHA", 0x0016),
        ("TLS_AES_128_GCM_SHA256", None),
    ],
)
def test_suite_number(name: str, number: int | None) -> None:
    assert suite_number(name) == number

"""tlsexit as the server of every peer's client (RFC 2246 §7.3, figures 1 and 2)."""

from __future__ import annotations

import pytest

from tests.interop.engine import END, Result, engine_server
from tests.interop.matrix import Case, Role, Variant, sharing, tried
from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.peers.base import ClientRun, Resumption
from tests.interop.suites import SUITES, Suite
from tests.interop.variants import check_agreement, our_elements, their_features
from tests.interop.workshop import Pki
from tlsexit import AlertDescription, PeerError

pytestmark = pytest.mark.interop

AES = SUITES[0x002F]


def check(case: Case, done: ClientRun, results: list[Result]) -> None:
    """Both sides agree on every connection."""
    expected = [False, True] if case.variant.resumes else [False]
    assert done.answered
    assert [result.suite for result in results] == [case.suite.number] * len(expected)
    resumed = [result.resumed for result in results]
    if not case.variant.renegotiates:  # there, clients may take up the session of the first handshake at once
        assert resumed == expected
        assert [report.resumed for report in done.reports] == expected
    assert {report.suite for report in done.reports} <= {case.suite.number, None}
    for result in results:
        check_agreement(case, result)


@pytest.mark.parametrize("case", tried(Role.CLIENT), ids=str)
def test_conversation(case: Case, peer: FindPeer, pki: Pki) -> None:
    other = peer(case.peer, **their_features(case))
    demanded = case.variant.authenticates
    tickets = case.variant.tickets
    resume = Resumption.TICKET if tickets else Resumption.ID if case.variant.resumes else None
    with engine_server(
        [case.suite.number],
        pki,
        certificate=case.suite.certificate,
        client_auth=demanded,
        tickets=tickets,
        renegotiate=case.variant is Variant.WE_RENEGOTIATE,
        **our_elements(case),
    ) as server:
        done = other.run_client(server.port, case.suite, client_cert=demanded, resume=resume)
    try:
        check(case, done, server.results)
    except Exception as error:
        error.add_note(f"{case.peer} said:\n{done.output}")
        raise


@pytest.mark.parametrize(
    ("name", "suite"),
    sharing(Role.CLIENT, ["openssl", "gnutls", "nss", "mbedtls", "node4"], [0x0005, 0x002F, 0x0033]),
    ids=str,
)
def test_long_answer(name: str, suite: Suite, peer: FindPeer, pki: Pki) -> None:
    """Data of many records reaches those clients that print all of it (R2246-6.2.1-01)."""
    with engine_server([suite.number], pki, certificate="rsa", size=100_000) as server:
        done = peer(name).run_client(server.port, suite)
    assert server.results
    assert done.answered, done.output[-2000:]
    assert END.decode() in done.output


@pytest.mark.parametrize("name", ["jsse", "node4"])
def test_temporary_rsa_key(name: str, peer: FindPeer, pki: Pki) -> None:
    """An export suite with a long key in the certificate: a temporary 512-bit key is sent and signed (§7.4.3)."""
    with engine_server([0x0003], pki, certificate="rsa") as server:
        done = peer(name).run_client(server.port, SUITES[0x0003])
    assert [result.suite for result in server.results] == [0x0003]
    assert done.answered, done.output


@pytest.mark.parametrize("name", PEERS)
def test_no_suite_in_common(name: str, peer: FindPeer, pki: Pki) -> None:
    """An offer without an acceptable suite is answered with handshake_failure (RFC 2246 §7.4.1.3)."""
    with engine_server([0x0035], pki, certificate="rsa") as server:
        done = peer(name).run_client(server.port, AES)
    assert not done.answered
    assert [_alert(outcome) for outcome in server.outcomes] == [AlertDescription.HANDSHAKE_FAILURE]


@pytest.mark.parametrize("name", PEERS)
def test_no_certificate_to_show(name: str, peer: FindPeer, pki: Pki) -> None:
    """A client that shows no certificate where one is required meets handshake_failure (RFC 2246 §7.4.6)."""
    with engine_server([AES.number], pki, certificate="rsa", client_auth=True) as server:
        done = peer(name).run_client(server.port, AES)
    assert not done.answered
    assert [_alert(outcome) for outcome in server.outcomes] == [AlertDescription.HANDSHAKE_FAILURE]


def _alert(outcome: Result | Exception) -> AlertDescription | None:
    """The alert that tlsexit sent for a connection that failed."""
    return outcome.description if isinstance(outcome, PeerError) else None

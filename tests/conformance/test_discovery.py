"""What is found out about tlsexit under each of its configurations is what they say."""

from __future__ import annotations

import pytest

from tlsexit.conformance.discovery import NotConforming, discover, favourites_first
from tlsexit.conformance.engine import EVERY_SUITE, EngineTarget
from tlsexit.conformance.needs import Capabilities
from tlsexit.conformance.pki import workshop
from tlsexit.conformance.talk import Terms
from tlsexit.crypto.suites import DEFAULT_SUITES, KeyType
from tlsexit.handshake.enums import ExtensionType as E


def found(name: str) -> Capabilities:
    """What is found out about tlsexit under a configuration."""
    target = EngineTarget(name)
    return discover(target, Terms(credentials=workshop().shown_by(target.tests.peer), authority=workshop()))


def test_a_plain_server() -> None:
    """Defaults: no client certificate, no renegotiation, no tickets."""
    seen = found("server")
    assert set(seen.suites) == set(DEFAULT_SUITES)
    assert (seen.certificate, seen.renegotiation) == ("none", "refused")
    assert (seen.resumes_by_id, seen.resumes_by_ticket) == (True, False)
    assert seen.application is not None
    assert seen.application.startswith(b"HTTP/1.0 200")
    assert seen.key_types == set(KeyType)
    assert {E.EXTENDED_MASTER_SECRET, E.ENCRYPT_THEN_MAC, E.RENEGOTIATION_INFO, E.SERVER_NAME} <= seen.extensions
    assert E.SESSION_TICKET not in seen.extensions
    assert seen.highest_version == 0x0301
    assert seen.compressions == (0,)
    assert seen.v2_hello


def test_a_server_with_everything() -> None:
    """Every suite, one by one."""
    seen = found("server-everything")
    assert set(seen.suites) == set(EVERY_SUITE)
    assert (seen.certificate, seen.renegotiation) == ("optional", "accepted")
    assert (seen.resumes_by_id, seen.resumes_by_ticket) == (True, True)
    assert {E.SESSION_TICKET, E.APPLICATION_LAYER_PROTOCOL_NEGOTIATION} <= seen.extensions


def test_a_server_that_insists() -> None:
    """An empty Certificate does not do."""
    assert found("server-mutual").certificate == "required"


def test_a_plain_client() -> None:
    """Its hello says most of it."""
    seen = found("client")
    assert seen.offered[: len(DEFAULT_SUITES)] == DEFAULT_SUITES
    assert (seen.certificate, seen.renegotiation) == ("none", "refused")
    assert seen.resumes_by_id
    assert seen.application == b"GET / HTTP/1.0\r\n\r\n"
    assert seen.server_names == (b"localhost",)
    assert not seen.v2_hello


def test_clients_that_can_more() -> None:
    """A certificate, renegotiation; a hello in SSL 2.0 format."""
    seen = found("client-everything")
    assert (seen.certificate, seen.renegotiation) == ("shown", "accepted")
    assert found("client-v2-hello").v2_hello


def test_a_client_that_trusts_nobody() -> None:
    """There is nothing to test where no honest handshake completes."""
    from tlsexit.conformance.pki import make_workshop

    target = EngineTarget("client")
    with pytest.raises(NotConforming, match="bad_certificate"):
        discover(target, Terms(credentials=make_workshop().servers))


def test_favourites() -> None:
    """Cheap suites first, and none is lost."""
    assert favourites_first((0xC009, 0x0041, 0x002F)) == (0x002F, 0xC009, 0x0041)

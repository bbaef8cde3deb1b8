"""Fixtures of the interoperability tests: the peers, and what becomes of a test whose peer is missing."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.interop.peers.all import PEERS, FindPeer
from tests.interop.peers.base import Peer
from tests.interop.workshop import Pki, Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Where peers are prepared; workers of pytest-xdist, which have a folder each, share the one above theirs."""
    folder = tmp_path_factory.getbasetemp()
    return Workshop((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "interop")


@pytest.fixture(scope="session")
def peer(workshop: Workshop) -> FindPeer:
    """Return the peer of a name with the features that :class:`Peer` takes.

    A missing one skips the test, or fails it if TLSEXIT_REQUIRE_PEERS is 1.
    """

    def find(name: str, **features: Any) -> Peer:
        for needed in ("openssl", name):  # openssl makes the certificates of all
            if reason := PEERS[needed].available():
                if os.environ.get("TLSEXIT_REQUIRE_PEERS") == "1":
                    pytest.fail(reason, pytrace=False)
                pytest.skip(reason)
        return PEERS[name](workshop, **features)

    return find


@pytest.fixture(scope="session")
def pki(workshop: Workshop, peer: FindPeer) -> Pki:
    """The test keys and certificates."""
    peer("openssl")
    return workshop.pki()

"""Compiled exits and tokens, made once a run; a fresh probe for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.c_exits import PROBE, Probe, compile_exit
from tests.support.softhsm import Token, make_token, softhsm
from tlsexit.adapters.clib import SAMPLE


@pytest.fixture(scope="session")
def probe_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probe, compiled."""
    return compile_exit(PROBE, tmp_path_factory.mktemp("probe") / "probe.so", "-pthread")


@pytest.fixture
def probe(probe_library: Path) -> Probe:
    """An exit in C that does what the test tells it."""
    return Probe(probe_library)


@pytest.fixture(scope="session")
def sample_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample exit, compiled with the strictest standard that knows it."""
    return compile_exit(SAMPLE, tmp_path_factory.mktemp("sample") / "sample_exit.so", "-std=c99", "-pedantic")


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Token]]:
    """Three tokens of SoftHSM2, by name: a server's, a client's, and one that a test may lock or lose."""
    folder = tmp_path_factory.mktemp("hsm")
    module = softhsm(folder)
    yield {name: make_token(folder, module, f"{name}-token", name) for name in ("server", "client", "spare")}
    del os.environ["SOFTHSM2_CONF"]

"""Compiled exits, once a run; a fresh probe for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.c_exits import PROBE, Probe, compile_exit
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

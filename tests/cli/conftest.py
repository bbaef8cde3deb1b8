"""Files and servers for the tests of the command line."""

from __future__ import annotations

import pytest

from tests.support.command import Files


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Keys and certificates in files."""
    return Files(tmp_path_factory.mktemp("files"))

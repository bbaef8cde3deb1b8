"""The configuration fed by the operating system."""

from __future__ import annotations

import os
import time

import pytest

from tlsexit.policy import system_config
from tlsexit.session import MemorySessionStore, Session


def test_sources_are_the_system_s() -> None:
    config = system_config()
    assert config.random is os.urandom
    assert config.clock is time.time
    assert isinstance(config.session_store, MemorySessionStore)
    assert system_config().session_store is not config.session_store


def test_elements_can_be_overridden() -> None:
    config = system_config(session_store=None, split_cbc=False)
    assert config.session_store is None
    assert not config.split_cbc
    with pytest.raises(TypeError):
        system_config(no_such_element=1)


def test_the_store_goes_by_the_overriding_clock() -> None:
    now = [1000.0]
    store = system_config(clock=lambda: now[0]).session_store
    assert store is not None
    store.put(Session(b"id", 0x0301, 0x2F, b"secret", 1000.0))
    assert store.get(b"id") is not None
    now[0] += 86_400
    assert store.get(b"id") is None

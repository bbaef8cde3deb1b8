"""The key store: the manual's "local certificate internal datafile", on standard files in one folder."""

from __future__ import annotations

from tlsexit.keystore.index import Entry, Kind
from tlsexit.keystore.live import LivePki
from tlsexit.keystore.store import KeyStore

__all__ = ["Entry", "KeyStore", "Kind", "LivePki"]

"""What the peers need before they can run: keys and certificates, NSS databases, compiled programs.

Everything is made on first demand, once per test run: workers of pytest-xdist share one folder and take turns.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.process import build

PROGRAMS = Path(__file__).parent / "peers"
"""The programs and scripts that come with the tests."""

NODE4 = Path(os.environ.get("TLSEXIT_NODE4", "~/.cache/tlsexit/node-4.2.3/bin/node")).expanduser()
"""Node 4.2.3, which carries OpenSSL 1.0.2; ``peers/node4.sh`` puts it there."""


class Pki:
    """A folder of test keys and certificates, as ``peers/pki.sh`` writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def ca(self) -> Path:
        """The certificates of all test CAs, in PEM."""
        return self.folder / "ca.pem"

    @property
    def dh(self) -> Path:
        """A 2048-bit Diffie-Hellman group, in PEM."""
        return self.folder / "dh2048.pem"

    def certificate(self, name: str) -> Path:
        """The certificate called ``name``, in PEM."""
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        """The private key of ``name``, unencrypted in its traditional PEM form."""
        return self.folder / f"{name}.key"


class Workshop:
    """A folder in which peers are prepared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _once(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return ``folder/name``, made by ``make`` unless some worker has made it before."""
        place, made = self.folder / name, self.folder / f"{name}.made"
        with self._lock():
            if not made.exists():
                make(place)
                made.touch()
        return place

    def pki(self) -> Pki:
        """Keys and certificates."""
        return Pki(self._once("pki", lambda place: build([PROGRAMS / "pki.sh", place])))

    def nss_database(self, kind: str) -> str:
        """The NSS database whose server key is of ``kind`` (``rsa``, ``ecdsa``, ``dss``), as NSS's tools name it."""
        pki = self.pki()
        folder = self._once("nss", lambda place: build([PROGRAMS / "nssdb.sh", pki.folder, place]))
        return f"sql:{folder}/nssdb-{kind}"

    def mbedtls_program(self) -> Path:
        """``mbedtls_peer``, compiled."""
        source, libraries = PROGRAMS / "mbedtls_peer.c", ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
        return self._once("mbedtls_peer", lambda place: build(["cc", "-O1", source, "-o", place, *libraries]))

    def jsse_classes(self) -> Path:
        """The folder with ``Peer.class``, compiled."""
        source = PROGRAMS / "Peer.java"
        return self._once("classes", lambda place: build(["javac", "-nowarn", "-d", place, source]))

    def scratch(self, name: str) -> Path:
        """A file path that no other worker uses."""
        return self.folder / f"{name}-{os.getpid()}"

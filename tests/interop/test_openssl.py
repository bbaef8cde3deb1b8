"""What OpenSSL's own commands can show beyond a web request: exporters, pre-shared keys, renegotiation on demand."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.all import FindPeer
from tests.interop.process import HOST, free_port, listening
from tests.interop.workshop import Pki
from tests.support.pair import End, make_end
from tests.support.sessions import Sessions
from tlsexit.bindings import export_keying_material
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES, CipherSuite
from tlsexit.events import HandshakeCompleted, WarningReceived
from tlsexit.handshake import states
from tlsexit.policy import BuiltinPki, load_authorities, load_identity
from tlsexit.profile import Profile, Verify
from tlsexit.session import SessionStore

pytestmark = pytest.mark.interop

TIMEOUT = 20.0
KEYS = {b"Client_identity": bytes(range(16))}
RSA, DHE_RSA = 0x002F, 0x0033
ROLES = pytest.mark.parametrize("role", Role, ids=lambda role: f"openssl-{role.value}")


class Program:
    """A running ``openssl`` command that reads commands from its input."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def type(self, text: str) -> None:
        """Type something."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")


class Link:
    """One end of ours on a socket, with OpenSSL at the other."""

    def __init__(self, end: End, sock: socket.socket, program: Program) -> None:
        self.end = end
        self.program = program
        self._sock = sock
        sock.settimeout(0.05)

    def until(self, condition: Callable[[], bool]) -> None:
        """Carry bytes both ways until something has come about."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            self._sock.sendall(self.end.connection.data_to_send())
            if condition():
                return
            assert time.monotonic() < deadline, (self.end.connection.error, self.program.output)
            assert not self.end.connection.closed, (self.end.connection.error, self.program.output)
            try:
                data = self._sock.recv(2**16)
            except TimeoutError:
                continue
            if data:
                self.end.connection.receive_data(data)
            else:
                self.end.connection.receive_eof()
            self.end.drive()

    def handshakes(self) -> int:
        """How many handshakes are complete."""
        return len([event for event in self.end.events if isinstance(event, HandshakeCompleted)])

    def exchange(self) -> None:
        """One line each way."""
        self.end.connection.send(b"from tlsexit\n")
        self.program.type("from openssl\n")
        count = self.end.received.count(b"from openssl\n")
        printed = self.program.output.count("from tlsexit\n")
        self.until(lambda: self.end.received.count(b"from openssl\n") > count)
        self.until(lambda: self.program.output.count("from tlsexit\n") > printed)


@contextmanager
def linked(
    role: Role,
    suite: CipherSuite,
    pki: Pki,
    log: Path,
    *options: str,
    store: SessionStore | None = None,
    **profile: Any,
) -> Iterator[Link]:
    """Run ``openssl`` in ``role`` with more options, and one end of ours with this profile against it."""
    authorities = {"test": load_authorities(pki.ca)}
    own = [load_identity(name, pki.certificate(name), pki.key(name)) for name in ("rsa", "client")]
    common = ["-tls1", "-cipher", f"{suite.openssl_name}:@SECLEVEL=0", "-CAfile", str(pki.ca), *options]
    if role is Role.SERVER:
        # what answers is a client
        builtin = BuiltinPki([own[1]], authorities, pre_shared_keys=KEYS)
        shown = Profile.client(cipher_suites=(suite.value,), server_name="localhost", **profile)
        port = free_port()
        cert = ["-cert", str(pki.certificate("rsa")), "-key", str(pki.key("rsa")), "-dhparam", str(pki.dh)]
        command = ["openssl", "s_server", "-accept", f"{HOST}:{port}", *cert, *common]
    else:
        builtin = BuiltinPki([own[0]], authorities, pre_shared_keys=KEYS)
        shown = Profile.server(**{"cipher_suites": (suite.value,), "verify": Verify.NONE, **profile})
        listener = socket.create_server((HOST, 0))
        cert = ["-cert", str(pki.certificate("client")), "-key", str(pki.key("client"))]
        command = ["openssl", "s_client", "-connect", f"{HOST}:{listener.getsockname()[1]}", *cert, *common]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.STDOUT)
    try:
        if role is Role.SERVER:
            deadline = time.monotonic() + TIMEOUT
            while not listening(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            sock = socket.create_connection((HOST, port))
        else:
            listener.settimeout(TIMEOUT)
            sock, _ = listener.accept()
            listener.close()
        with sock:
            link = Link(make_end(shown, builtin, session_store=store), sock, Program(process, log))
            link.until(lambda: link.end.connection.established)
            yield link
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


# ------------------------------------------------------------------------------------------------ exporters


@ROLES
@pytest.mark.parametrize("suite", [RSA, DHE_RSA], ids=hex)
def test_exported_keys(role: Role, suite: int, peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """RFC 5705 §4."""
    peer("openssl")
    options = ("-keymatexport", "EXPERIMENTAL label", "-keymatexportlen", "33")
    with linked(role, SUITES[suite], pki, tmp_path / "log", *options) as link:
        pattern = re.compile(r"Keying material: ([0-9A-F]+)")
        link.until(lambda: pattern.search(link.program.output) is not None)
        found = pattern.search(link.program.output)
        assert found is not None
        ours = export_keying_material(link.end.connection, b"EXPERIMENTAL label", 33)
        assert found[1] == ours.hex().upper()


# ------------------------------------------------------------------------------------------------ pre-shared keys


@ROLES
@pytest.mark.parametrize(
    "suite",
    [suite for suite in SUITES.values() if suite.key_exchange.premaster.psk and suite.cipher.name == "AES_128_CBC"],
    ids=lambda suite: suite.key_exchange.rfc_name,
)
@pytest.mark.parametrize("hint", ["", "Client_identity"])
def test_pre_shared_keys(role: Role, suite: CipherSuite, hint: str, peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """RFC 4279, RFC 5489: the premaster secret of both parts, with and without a hint."""
    peer("openssl")
    options = ["-psk", KEYS[b"Client_identity"].hex(), "-psk_identity", "Client_identity"]
    profile: dict[str, Any] = {"psk_identity_hint": hint.encode()} if role is Role.CLIENT else {}
    if hint and role is Role.SERVER:
        options += ["-psk_hint", hint]
    with linked(role, suite, pki, tmp_path / "log", *options, **profile) as link:
        link.exchange()
        assert link.end.connection.context.psk_identity == b"Client_identity"


# ------------------------------------------------------------------------------------------------ renegotiation


@ROLES
@pytest.mark.parametrize("suite", [RSA, DHE_RSA], ids=hex)
def test_openssl_starts(role: Role, suite: int, peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """R5746-3.5-01, R5746-3.7-01: twice in a row, data before, between and after."""
    peer("openssl")
    with linked(role, SUITES[suite], pki, tmp_path / "log", renegotiation=True) as link:
        for count in (2, 3):
            link.exchange()
            link.program.type("r\n" if role is Role.SERVER else "R\n")
            link.until(lambda count=count: link.handshakes() == count)  # type: ignore[misc]
        link.exchange()
        assert link.end.connection.context.handshake_count == 3


@ROLES
@pytest.mark.parametrize("suite", [RSA, DHE_RSA], ids=hex)
def test_we_start(role: Role, suite: int, peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """R5746-3.5-01, R5746-3.7-01, with data on the way; OpenSSL's server takes none behind a ClientHello."""
    peer("openssl")
    options = ("-client_renegotiation",) if role is Role.SERVER else ()
    with linked(role, SUITES[suite], pki, tmp_path / "log", *options, renegotiation=True) as link:
        for count in (2, 3):
            link.exchange()
            link.end.connection.renegotiate()
            link.end.drive()
            if role is Role.CLIENT:
                link.end.connection.send(b"on the way\n")
            link.until(lambda count=count: link.handshakes() == count)  # type: ignore[misc]
        link.exchange()
        assert link.program.output.count("on the way\n") == (2 if role is Role.CLIENT else 0)


def test_the_server_asks_for_a_certificate_later(peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """``R`` on the server's input: a new handshake, in which the client shows its certificate."""
    peer("openssl")
    with linked(Role.SERVER, SUITES[RSA], pki, tmp_path / "log", renegotiation=True) as link:
        link.exchange()
        assert not link.end.connection.context.own_chain
        link.program.type("R\n")
        link.until(lambda: link.handshakes() == 2)
        assert len(link.end.connection.context.own_chain) == 1
        link.exchange()


def test_we_refuse_a_server(peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """R2246-7.4.1.1-04: our warning; OpenSSL takes it for the end and hangs up."""
    peer("openssl")
    with linked(Role.SERVER, SUITES[RSA], pki, tmp_path / "log") as link:
        link.exchange()
        link.program.type("r\n")
        with pytest.raises(AssertionError, match=r"AlertReceived|Truncated"):
            link.until(lambda: link.handshakes() == 2)
        assert link.handshakes() == 1
        assert "no renegotiation" in link.program.output


def test_openssl_refuses_us(peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """R2246-7.2.2-25: a server without ``-client_renegotiation`` warns, and the connection goes on as it was."""
    peer("openssl")
    with linked(Role.SERVER, SUITES[RSA], pki, tmp_path / "log", renegotiation=True) as link:
        link.exchange()
        link.end.connection.renegotiate()
        link.end.drive()
        link.until(lambda: any(isinstance(event, WarningReceived) for event in link.end.events))
        assert isinstance(link.end.connection.state, states.Established)
        link.exchange()


# ------------------------------------------------------------------------------------------------ short records


def test_short_records_in_a_resumption(peer: FindPeer, pki: Pki, tmp_path: Path) -> None:
    """R4366-3-01, R4366-3.2-02: the length comes back with the session, without being answered again."""
    peer("openssl")
    store, file = Sessions(), str(tmp_path / "session")
    for option, resumed in (("-sess_out", False), ("-sess_in", True)):
        options = ("-no_ticket", "-maxfraglen", "512", option, file)
        with linked(Role.CLIENT, SUITES[RSA], pki, tmp_path / "log", *options, store=store) as link:
            link.exchange()
            assert link.end.connection.context.resumed is resumed
            link.end.connection.send(b"x" * 3000 + b"\nend of the long line\n")
            link.until(lambda link=link: "end of the long line" in link.program.output)  # type: ignore[misc]

"""``tlsexit serve`` as a process: what it prints, what it answers, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.support.command import PASSWORD, Files, run
from tests.support.pki import pki
from tests.support.serving import Serving, serving
from tlsexit.alerts import AlertReceived
from tlsexit.cli import codes
from tlsexit.constants import Role
from tlsexit.drivers.blocking import TlsSocket, connect
from tlsexit.policy import BuiltinPki
from tlsexit.profile import Profile
from tlsexit.session import Session

EXITS = "tests.support.demo_exits"


def call(server: Serving, *, builtin: BuiltinPki | None = None, session: Session | None = None) -> TlsSocket:
    """Connect to the server with the test client's certificate, should the server want it."""
    return connect(
        ("127.0.0.1", server.port),
        Profile.client(server_name="localhost"),
        pki=builtin or pki().builtin(Role.CLIENT),
        session=session,
        timeout=20,
    )


def trusting() -> BuiltinPki:
    """A client without a certificate."""
    return BuiltinPki(authorities={"root": [pki().root.certificate]})


def read(tls: TlsSocket, size: int) -> bytes:
    """Read so many bytes, which may come in several records."""
    data = b""
    while len(data) < size:
        data += tls.recv()
    return data


def read_all(tls: TlsSocket) -> bytes:
    parts = []
    while data := tls.recv():
        parts.append(data)
    return b"".join(parts)


# ------------------------------------------------------------------------------------------------ modes


def test_connections_are_reported_one_by_one(files: Files) -> None:
    with serving("--cert", files.server, "--max-connections", "2") as server:
        with call(server) as tls:
            tls.sendall(b"x" * 1000)
        server.wait_for(r"#1 127\.0\.0\.1:\d+: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, full handshake, authentication S$")
        server.wait_for(r"#1 127\.0\.0\.1:\d+: closed after 1000 bytes in and 0 bytes out$")
        with call(server, session=tls.session) as again:
            assert again.context.resumed
        server.wait_for(r"#2 127\.0\.0\.1:\d+: .*, resumed, authentication S$")
        server.wait_for(r"#2 .* closed after 0 bytes in and 0 bytes out$")
        assert server.end() == codes.OK
        assert server.errors() == ""


def test_echo(files: Files) -> None:
    with serving("--cert", files.server, "--echo", "--max-connections", "1") as server:
        with call(server) as tls:
            tls.sendall(b"hello")
            assert read(tls, 5) == b"hello"
        server.wait_for("closed after 5 bytes in and 5 bytes out")
        assert server.end() == codes.OK


def test_www_answers_with_the_session(files: Files) -> None:
    with serving("--cert", files.server, "--www", "--max-connections", "4") as server:
        with call(server) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            head, _, body = read_all(tls).partition(b"\r\n\r\n")
            assert tls.connection.peer_closed  # close_notify, not a truncation
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        page = body.decode()
        assert "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA (0xC013)" in page
        assert "├─ ClientHello ─" in page
        assert tls.context.session_id.hex() in page
        with call(server) as tls:
            tls.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            assert read_all(tls).endswith(b"Connection: close\r\n\r\n")
        with call(server) as tls:
            tls.sendall(b"POST / HTTP/1.0\n\nwith a body")
            assert read_all(tls).startswith(b"HTTP/1.0 405 ")
        with call(server) as tls:
            tls.sendall(b"GET /" + b"a" * 20000)
            assert read_all(tls).startswith(b"HTTP/1.0 400 ")
        assert server.end() == codes.OK
        assert server.errors() == ""


def test_a_page_shows_nothing_a_client_could_inject(files: Files, tmp_path: Path) -> None:
    mallory = pki().root.issue("<script>alert(1)</script>", key=pki().client.key, role=Role.CLIENT)
    builtin = BuiltinPki([mallory.identity("m")], {"root": [pki().root.certificate]})
    options = ("--www", "--verify", "required", "--ca-file", files.ca)
    with serving("--cert", files.server, *options) as server, call(server, builtin=builtin) as tls:
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        page = read_all(tls)
    assert b"alert(1)" in page
    assert b"<script>" not in page


# ------------------------------------------------------------------------------------------------ certificates


def test_client_certificates_on_demand(files: Files) -> None:
    with serving("--cert", files.server, "--verify", "required", "--ca-file", files.ca) as server:
        call(server).close()
        server.wait_for("authentication B$")
        with pytest.raises(AlertReceived, match=r"handshake_failure\(40\)"):
            call(server, builtin=trusting()).recv()
        server.wait_for(r"#2 .* failed: handshake_failure\(40\): ")


def test_optional_client_certificates(files: Files) -> None:
    with serving("--cert", files.server, "--verify", "optional", "--ca-file", files.ca) as server:
        call(server).close()
        server.wait_for("authentication B$")
        call(server, builtin=trusting()).close()
        server.wait_for("authentication S$")


def test_an_encrypted_key(files: Files) -> None:
    cert = ("--cert", files.server_certificate, "--key", files.encrypted_key)
    with serving(*cert, "--password-env", "THE_PASSWORD", environment={"THE_PASSWORD": PASSWORD}) as server:
        call(server).close()
        server.wait_for("authentication S$")


def test_throw_away_certificates_and_both_commands_together(tmp_path: Path) -> None:
    """As the examples of --help go."""
    demo = tmp_path / "demo"
    with serving("--throw-away", demo, "--verify", "required", "--max-connections", "1") as server:
        assert server.lines[0] == f"made {demo / 'ca.pem'}, {demo / 'server.pem'} and {demo / 'client.pem'}"
        ran = run(*("connect", "--ca-file", demo / "ca.pem", "--cert", demo / "client.pem", f"localhost:{server.port}"))
        assert ran.status == codes.OK, ran.err
        assert "both sides (B)" in ran.out
        assert server.end() == codes.OK
    with serving("--throw-away", demo) as server:
        assert server.lines == [f"listening on 127.0.0.1:{server.port}"]


def test_an_anonymous_server_needs_no_certificate() -> None:
    with serving("--suites", "ADH-AES128-SHA", "--max-connections", "1") as server:
        ran = run("connect", "--insecure", "--suites", "ADH-AES128-SHA", f"127.0.0.1:{server.port}")
        assert ran.status == codes.OK, ran.err
        server.wait_for("authentication A$")
        assert server.end() == codes.OK


def test_pre_shared_keys_come_from_exits() -> None:
    """Neither certificate nor authority is needed then."""
    options = ("--suites", "DHE-PSK-AES128-CBC-SHA", "--exit", f"{EXITS}:Spoon")
    with serving(*options, "--max-connections", "2") as server:
        ran = run("connect", "--ladder", "--insecure", *options, f"127.0.0.1:{server.port}")
        assert ran.status == codes.OK, ran.err
        assert "● GetPreSharedKey: handled" in ran.out
        server.wait_for("TLS_DHE_PSK_WITH_AES_128_CBC_SHA, full handshake, authentication B$")
        # who has no key cannot take part
        ran = run("connect", "--insecure", *options[:2], f"127.0.0.1:{server.port}")
        assert ran.status == codes.FAILED
        assert ran.problem.startswith(f"127.0.0.1:{server.port}: GetPreSharedKey: ")
        assert server.end() == codes.OK


# ------------------------------------------------------------------------------------------------ options


def test_without_resumption_there_are_no_session_ids(files: Files) -> None:
    with serving("--cert", files.server, "--no-resumption") as server, call(server) as tls:
        assert tls.context.session_id == b""


def test_suites_are_the_server_s(files: Files) -> None:
    with serving("--cert", files.server, "--suites", "AES256-SHA") as server, call(server) as tls:
        assert tls.cipher() == "TLS_RSA_WITH_AES_256_CBC_SHA"


def test_trace_and_ladder_and_key_log(files: Files, tmp_path: Path) -> None:
    log = tmp_path / "keys.log"
    options = ("--trace", "--ladder", "--key-log", log, "--max-connections", "1")
    with serving("--cert", files.server, *options) as server:
        call(server).close()
        assert server.end() == codes.OK
        errors = server.errors()
        assert any(line.startswith("├─ ClientHello ─") for line in server.lines)
        assert any("EndSession" in line for line in server.lines)
        assert "#1 client → server: ClientHello (RFC 2246 §7.4.1.2), " in errors
        assert f"warning: master secrets go to {log}" in errors
    assert re.fullmatch(r"CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}\n", log.read_text())


def test_an_exit_decides(files: Files) -> None:
    options = ("--verify", "required", "--ca-file", files.ca, "--exit", f"{EXITS}:Refuser", "--max-connections", "1")
    with serving("--cert", files.server, *options) as server:
        with pytest.raises(AlertReceived, match=r"certificate_revoked\(44\)"):
            call(server).recv()
        server.wait_for(r"#1 .* failed: CheckCertificate: refused; certificate_revoked\(44\) sent$")
        assert server.end() == codes.OK


def test_an_exit_that_hangs(files: Files) -> None:
    """One client waits for nothing, the next one comes."""
    hangs = ("--exit", f"{EXITS}:Hanging", "--exit-timeout", "0.3", "--verify", "required", "--ca-file", files.ca)
    with serving("--cert", files.server, *hangs, "--max-connections", "2") as server:
        for number in (1, 2):
            with pytest.raises(AlertReceived, match=r"internal_error\(80\)"):
                call(server).recv()
            server.wait_for(
                rf"#{number} .* failed: CheckCertificate: no answer within 0\.3 s; internal_error\(80\) sent$"
            )
        assert server.end() == codes.OK


# ------------------------------------------------------------------------------------------------ failures


def test_a_truncated_connection_is_reported(files: Files) -> None:
    with serving("--cert", files.server, "--max-connections", "1") as server:
        call(server).abort()
        server.wait_for(r"failed: the connection ended without close_notify")
        assert server.end() == codes.OK
        assert server.errors() == ""


def test_what_is_no_tls_is_reported(files: Files) -> None:
    with serving("--cert", files.server, "--max-connections", "2") as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            plain.recv(100)
        server.wait_for(r"#1 .* failed: unexpected_message\(10\): the client speaks plain HTTP, not TLS$")
        socket.create_connection(("127.0.0.1", server.port), 10).close()
        server.wait_for(r"#2 .* failed: the peer closed the connection during the handshake$")
        assert server.end() == codes.OK


def test_a_slow_handshake_is_ended(files: Files) -> None:
    with serving("--cert", files.server, "--timeout", "0.3", "--max-connections", "1") as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as silent:
            server.wait_for(r"#1 .* failed: no handshake within 0\.3 seconds$")
            silent.recv(100)
        assert server.end() == codes.OK


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("where", ["--in-process", "--max-tasks=8"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_everything_in_order(files: Files, number: int, where: str) -> None:
    with serving("--cert", files.server, "--echo", "--drain-seconds", "0", where) as server:
        with call(server) as tls, socket.create_connection(("127.0.0.1", server.port), 10) as waiting:
            tls.sendall(b"still there?")
            assert read(tls, 12) == b"still there?"
            server.signal(number)
            assert tls.recv() == b""  # close_notify
            assert waiting.recv(100)  # alerts: the handshake is called off
        assert server.end() == codes.OK
        assert server.errors() == ""
        assert any("closed after 12 bytes in" in line for line in server.lines)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 10).close()


def test_a_taken_port(files: Files) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("serve", "--cert", files.server, str(port))
    assert (ran.status, ran.problem) == (codes.NETWORK, f"cannot listen on {port}: address already in use")


def test_a_task_that_cannot_start(files: Files) -> None:
    ran = run("serve", "--cert", files.server, "--exit", f"{EXITS}:NoTask", "0")
    assert ran.status == codes.FAILED
    assert ran.problem.startswith("StartTask: ")


def test_a_wrong_option_is_one_sentence(files: Files) -> None:
    cases: list[tuple[tuple[str | Path, ...], str]] = [
        (
            ("0",),
            "a server needs a certificate: name one with --cert or --key-store, or have one made",
        ),
        (
            ("--cert", files.server, "--verify", "required", "0"),
            "--verify required needs the authorities of the clients: --ca-file",
        ),
        (("--cert", files.server, "--echo", "--www", "0"), "--echo and --www exclude each other"),
        (("--cert", files.server, "--throw-away", files.folder, "0"), "--throw-away and --cert exclude each other"),
        (("--cert", files.missing, "0"), f"{files.missing}: cannot be read (--cert)"),
        (("--cert", files.server, "--suites", "X", "0"), "cipher suite X is unknown"),
        (("--cert", files.server, "--suites", "ECDH-RSA-AES128-SHA", "0"), "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA is for"),
        (("--cert", files.server, "nowhere"), "'nowhere' is not an address to listen on"),
    ]
    for arguments, told in cases:
        ran = run("serve", *arguments)
        assert (ran.status, ran.out) == (codes.USAGE, ""), arguments
        assert ran.problem.startswith(told)

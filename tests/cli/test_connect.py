"""``tlsexit connect`` against servers in threads: what it tells, what it sends, and how it fails."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command import Files, run
from tests.support.listening import Listener, listening, raw_listening
from tests.support.pki import pki
from tlsexit.alerts import AlertReceived
from tlsexit.cli import codes
from tlsexit.crypto.suites import parse_suites
from tlsexit.drivers.blocking import TlsSocket
from tlsexit.policy import load_identity, system_config
from tlsexit.policy.builtin import BuiltinPki
from tlsexit.profile import Profile, Verify

EXITS = "tests.support.demo_exits"

NO_INPUT = ("--linger", "0.2")


def test_what_was_negotiated_is_told(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--ca-file", files.ca, server.address)
    assert (ran.status, ran.err) == (codes.OK, "")
    for fact in (
        r"Protocol +TLS 1\.0 \(RFC 2246\)",
        r"Cipher suite +TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA \(0xC013\)",
        r"Server showed +CN=localhost, issued by CN=RSA root, until 2049-12-31, RSA",
        r"Authenticated +the server only \(S\)",
        r"Server name +localhost",
        r"Session +new",
        r"Protections +extended master secret, encrypt-then-MAC, secure renegotiation",
        r"Handshake +[\d.]+ ms",
    ):
        assert re.search(fact, ran.out), fact
    assert "─" not in ran.out
    # close_notify ended it, or the server would have met a truncation
    assert server.errors == []


def test_a_client_certificate_is_shown_on_demand(files: Files) -> None:
    with listening(profile=Profile.server(verify=Verify.REQUIRED)) as server:
        ran = run("connect", "--ca-file", files.ca, "--cert", files.client, "--verify", "enforced", server.address)
    assert ran.status == codes.OK, ran.err
    assert "both sides (B)" in ran.out
    assert server.client_chains == [pki().client.chain]


def test_only_the_suites_that_are_named_are_offered(files: Files) -> None:
    with listening(
        profile=Profile.server(verify=Verify.NONE, cipher_suites=parse_suites("AES256-SHA:RC4-MD5"))
    ) as server:
        strong = run("connect", "--ca-file", files.ca, "--suites", "RC4-SHA,0x0035", server.address)
        weak = run("connect", "--ca-file", files.ca, "--suites", "RC4-MD5", server.address)
        none = run("connect", "--ca-file", files.ca, "--suites", "AES128-SHA", server.address)
    assert "TLS_RSA_WITH_AES_256_CBC_SHA (0x0035)\n" in strong.out
    assert "TLS_RSA_WITH_RC4_128_MD5 (0x0004), weak\n" in weak.out
    assert weak.err == "warning: TLS_RSA_WITH_RC4_128_MD5: too weak to protect anything\n"
    assert none.status == codes.FAILED
    assert none.problem == f"{server.address}: the peer sent handshake_failure(40) after our ClientHello"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_in_brackets(files: Files) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with listening(host="::1") as server:
        ran = run("connect", "--ca-file", files.ca, "--servername", "localhost", server.address)
    assert ran.status == codes.OK, ran.err


def test_an_address_is_checked_against_the_certificate(files: Files) -> None:
    """The certificate of the tests speaks for 127.0.0.1 too."""
    with listening() as server:
        assert run("connect", "--ca-file", files.ca, f"127.0.0.1:{server.port}").status == codes.OK


# ------------------------------------------------------------------------------------------------ input and output


def test_input_is_sent_and_what_arrives_is_printed(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--input", *NO_INPUT, "--ca-file", files.ca, server.address, given=b"one\ntwo\n")
    assert ran.status == codes.OK
    assert ran.out == "one\ntwo\n"
    assert "Cipher suite" in ran.err
    assert server.errors == []  # the end of the input became close_notify


def test_much_input_comes_back_whole(files: Files) -> None:
    given = bytes(range(256)) * 2000
    with listening() as server:
        ran = run("connect", "--input", *NO_INPUT, "--ca-file", files.ca, server.address, given=given.hex())
    assert bytes.fromhex(ran.out) == given


def test_the_server_may_close_first(files: Files) -> None:
    def greet(tls: TlsSocket) -> None:
        tls.sendall(b"good bye\n")

    begin = time.monotonic()
    with listening(greet) as server:
        ran = run("connect", "--input", "--linger", "60", "--ca-file", files.ca, server.address)
    assert (ran.status, ran.out) == (codes.OK, "good bye\n")
    assert time.monotonic() - begin < 30


def test_replies_are_waited_for_as_long_as_they_come(files: Files) -> None:
    """TLS 1.0 has no half-close: our close_notify would cut the answer off."""

    def slow(tls: TlsSocket) -> None:
        tls.recv()
        for word in (b"a", b"b", b"c"):
            time.sleep(0.3)
            tls.sendall(word)
        tls.recv()

    with listening(slow) as server:
        ran = run("connect", "--input", "--linger", "0.8", "--ca-file", files.ca, server.address, given=b"?")
    assert (ran.status, ran.out) == (codes.OK, "abc")


def test_a_truncation_is_told(files: Files) -> None:
    """§7.2.1: without close_notify data may be missing, so what arrived is no success."""

    def hang_up(tls: TlsSocket) -> None:
        tls.sendall(b"half of the")
        tls.abort()

    with listening(hang_up) as server:
        ran = run("connect", "--input", "--linger", "5", "--ca-file", files.ca, server.address)
    assert (ran.status, ran.out) == (codes.TRUNCATED, "half of the")
    assert ran.err.endswith("the connection ended without close_notify; data may be missing\n")


def test_a_server_that_hangs_up_during_the_handshake(files: Files) -> None:
    with raw_listening(lambda connection: connection.close()) as server:
        ran = run("connect", "--ca-file", files.ca, server.address)
    assert ran.status in (codes.TRUNCATED, codes.NETWORK)
    assert server.address in ran.problem


@contextmanager
def talking(files: Files, server: Listener) -> Iterator[subprocess.Popen[bytes]]:
    """A client process whose standard input stays open, as that of a terminal does."""
    command = [sys.executable, "-m", "tlsexit", "connect", "--input", "--ca-file", str(files.ca), server.address]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_an_open_terminal_does_not_keep_a_closed_connection(files: Files) -> None:
    """The program ends in good order although its input could still be read."""
    with listening(lambda tls: tls.sendall(b"good bye\n")) as server, talking(files, server) as process:
        assert process.wait(30) == codes.OK
        assert process.stdout is not None
        assert process.stdout.read() == b"good bye\n"
        assert process.stderr is not None
        assert b"Fatal" not in process.stderr.read()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_an_interrupt_ends_quietly(files: Files) -> None:
    with listening() as server, talking(files, server) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == codes.INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == b"\n"
    assert server.errors == []  # close_notify all the same


# ------------------------------------------------------------------------------------------------ resumption


def test_a_session_is_resumed(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--resume", "--ca-file", files.ca, server.address)
    assert (ran.status, ran.err) == (codes.OK, "")
    assert re.search(r"Session +new\n", ran.out)
    assert re.search(r"Session +resumed\n", ran.out)
    assert len(set(re.findall(r"Session id +([0-9a-f]{64})", ran.out))) == 1


def test_a_server_that_does_not_resume(files: Files) -> None:
    with listening(config=system_config(session_store=None)) as server:
        ran = run("connect", "--resume", "--ca-file", files.ca, server.address)
    assert ran.status == codes.NOT_RESUMED
    assert ran.problem == f"{server.address}: the second connection was a full handshake: the session was not resumed"


# ------------------------------------------------------------------------------------------------ diagrams, trace, JSON


def test_the_ladder_shows_this_side_alone(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--ladder", "--ca-file", files.ca, server.address, env={"COLUMNS": "80"})
    first = ran.out.splitlines()[0]
    assert first == "tlsexit" + server.address.rjust(73)
    assert "○ CheckCertificate: built-in" in ran.out
    assert "GetCAList" not in ran.out


def test_the_ladder_of_a_failure_shows_how_far_it_got(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--ladder", "--ca-file", files.stranger, server.address)
    assert "✗ CheckCertificate: built-in failed → unknown_ca(48)" in ran.out
    assert "HandshakeAlert (unknown_ca(48) sent)" in ran.out
    assert "Cipher suite" not in ran.out


def test_trace_goes_to_standard_error(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--trace", "--ca-file", files.ca, server.address)
    assert "client → server: ClientHello" not in ran.out
    assert "client → server: ClientHello (RFC 2246 §7.4.1.2), " in ran.err
    assert "server → client: Finished (RFC 2246 §7.4.9), 16 bytes, protected\n" in ran.err
    assert "named_curve          x25519 (29)\n" in ran.err


def test_json(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--resume", "--json", "--ca-file", files.ca, server.address)
    document = ran.json
    assert document["command"] == "connect"
    assert document["address"] == server.address
    assert (document["ok"], document["exit_status"]) == (True, codes.OK)
    assert [item["resumed"] for item in document["connections"]] == [False, True]
    assert [item["authentication"] for item in document["connections"]] == ["S", "S"]
    assert document["connections"][0]["times"].keys() == {"handshake_ms"}
    names = [item["name"] for item in document["connections"][1]["events"] if item["event"] == "message"]
    assert names == [
        "ClientHello",
        "ServerHello",
        "ChangeCipherSpec",
        "Finished",
        "ChangeCipherSpec",
        "Finished",
        "Alert",
    ]


def test_json_of_a_failure(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--json", "--ca-file", files.stranger, server.address)
    assert ran.status == codes.FAILED
    (connection,) = ran.json["connections"]
    (error,) = connection["errors"]
    assert error["phase"] == "CheckCertificate"
    assert error["alert"] == {"value": 48, "name": "unknown_ca"}


def test_with_input_json_goes_to_standard_error(files: Files) -> None:
    with listening() as server:
        ran = run("connect", "--json", "--input", *NO_INPUT, "--ca-file", files.ca, server.address, given=b"x")
    assert ran.out == "x"
    assert ran.err.startswith("{\n")


def test_an_exit_decides(files: Files) -> None:
    with listening() as server:
        accepted = run("connect", "--exit", f"{EXITS}:Accepter", "--ca-file", files.stranger, server.address)
        refused = run("connect", "--exit", f"{EXITS}:Refuser", "--ca-file", files.ca, server.address)
        no_task = run("connect", "--exit", f"{EXITS}:NoTask", "--ca-file", files.ca, server.address)
    assert accepted.status == codes.OK
    assert refused.problem == f"{server.address}: CheckCertificate: refused; certificate_revoked(44) sent"
    assert no_task.status == codes.FAILED
    assert no_task.problem.startswith("StartTask: ")


def test_an_exit_that_hangs(files: Files) -> None:
    with listening() as server:
        hangs = ("--exit", f"{EXITS}:Hanging", "--exit-timeout", "0.3")
        ran = run("connect", *hangs, "--ca-file", files.ca, server.address)
    assert ran.status == codes.FAILED
    assert ran.problem == f"{server.address}: CheckCertificate: no answer within 0.3 s; internal_error(80) sent"


def test_the_key_log_is_for_capture_tools_and_for_the_user_alone(files: Files, tmp_path: Path) -> None:
    log = tmp_path / "keys.log"
    with listening() as server:
        for _ in range(2):
            ran = run("connect", "--key-log", log, "--ca-file", files.ca, server.address)
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(r"CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}", line)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert ran.err == f"warning: master secrets go to {log}: whoever reads it can decrypt the connections\n"


# ------------------------------------------------------------------------------------------------ trust


def failing(server: Listener, *arguments: str | Path) -> str:
    """Run a command that must fail, and return what it tells of the server."""
    ran = run("connect", *arguments, server.address)
    assert (ran.status, ran.out) == (codes.FAILED, "")
    return ran.problem.removeprefix(f"{server.address}: ")


def test_an_unknown_authority(files: Files) -> None:
    with listening() as server:
        told = failing(server, "--ca-file", files.stranger)
    assert told.startswith("CheckCertificate: ")
    assert told.endswith("unknown_ca(48) sent")
    (error,) = server.errors
    assert isinstance(error, AlertReceived)


def wrong_name(files: Files) -> BuiltinPki:
    return BuiltinPki([load_identity("other", files.other_name)])


def test_a_wrong_name(files: Files) -> None:
    with listening(builtin=wrong_name(files)) as server:
        told = failing(server, "--ca-file", files.ca)
        # the name alone is not checked, or another one is
        assert run("connect", "--ca-file", files.ca, "--no-name-check", server.address).status == codes.OK
        assert run("connect", "--ca-file", files.ca, "--servername", "other.example", server.address).status == codes.OK
        still = failing(server, "--ca-file", files.stranger, "--no-name-check")
    assert told.startswith("CheckCertificate: ")
    assert "localhost" in told
    assert "unknown_ca(48)" in still


def test_insecure_is_loud(files: Files) -> None:
    with listening(builtin=wrong_name(files)) as server:
        ran = run("connect", "--insecure", server.address)
    assert ran.status == codes.OK
    assert "warning: --insecure: the server's certificate is NOT checked" in ran.err
    assert "the server's certificate was not checked" in " ".join(ran.out.split())


def test_a_server_that_does_not_ask_is_refused_on_demand(files: Files) -> None:
    with listening() as server:
        told = failing(server, "--ca-file", files.ca, "--cert", files.client, "--verify", "enforced")
    assert "handshake_failure(40)" in told
    assert "the server did not ask for it" in told


def test_a_server_that_insists_says_so(files: Files) -> None:
    with listening(profile=Profile.server(verify=Verify.REQUIRED)) as server:
        told = failing(server, "--ca-file", files.ca)
    assert told == "the peer sent handshake_failure(40) after our Finished"


def test_what_is_no_tls_at_all(files: Files) -> None:
    def http(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        connection.recv(1000)

    with raw_listening(http) as server:
        told = failing(server, "--ca-file", files.ca)
    assert re.match(r"[a-z_]+\(\d+\): ", told)


# ------------------------------------------------------------------------------------------------ the network


def test_a_refused_connection(files: Files) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        ran = run("connect", "--ca-file", files.ca, f"127.0.0.1:{port}")
    assert (ran.status, ran.problem) == (codes.NETWORK, f"127.0.0.1:{port}: connection refused")


def test_an_unknown_host(files: Files) -> None:
    ran = run("connect", "--ca-file", files.ca, "no-such-host.invalid:443")
    assert ran.status == codes.NETWORK
    assert ran.problem.startswith("no-such-host.invalid:443: the host name cannot be resolved")


def test_a_server_that_says_nothing(files: Files) -> None:
    def listen_only(connection: socket.socket) -> None:
        while connection.recv(1000):
            pass

    with raw_listening(listen_only) as server:
        ran = run("connect", "--ca-file", files.ca, "--timeout", "0.3", server.address)
    assert (ran.status, ran.problem) == (codes.NETWORK, f"{server.address}: no handshake within 0.3 seconds")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("localhost", "'localhost' is not an address; write HOST:PORT, as in example.org:443"),
        (":443", "':443' is not an address; write HOST:PORT, as in example.org:443"),
        ("localhost:https", "'https' is not a port number from 1 to 65535"),
        ("localhost:0", "'0' is not a port number from 1 to 65535"),
        ("localhost:65536", "'65536' is not a port number from 1 to 65535"),
        ("localhost:٣", "'٣' is not a port number from 1 to 65535"),
        ("::1:443", "'::1:443' is ambiguous; write an IPv6 address in brackets: [::1]:443"),
        ("[::1]443", "'[::1]443' is not an address; for IPv6 write [::1]:443"),
        ("[]:443", "'[]:443' is not an address; for IPv6 write [::1]:443"),
        ("a..b:443", "'a..b' is not a host name: "),
        (f"{'a' * 64}.example:443", f"'{'a' * 64}.example' is not a host name: label"),
    ],
)
def test_a_wrong_address_is_one_sentence(address: str, told: str, files: Files) -> None:
    ran = run("connect", "--ca-file", files.ca, address)
    assert (ran.status, ran.out) == (codes.USAGE, "")
    assert ran.problem.startswith(told)


def test_the_system_may_have_no_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ssl

    nowhere = str(tmp_path / "none.pem")
    paths = ssl.get_default_verify_paths()._replace(cafile=nowhere, openssl_cafile=nowhere)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    ran = run("connect", "localhost:443")
    assert (ran.status, ran.problem) == (
        codes.USAGE,
        "the system has no file of authorities; name one with --ca-file",
    )


def test_the_system_s_authorities_are_the_default(monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    import ssl

    paths = ssl.get_default_verify_paths()._replace(cafile=str(files.ca))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    with listening() as server:
        assert run("connect", server.address).status == codes.OK

"""``tlsexit handshake``: the diagram, the facts under it, JSON, and every way to fail."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from tests.support.command import run
from tlsexit.cli import codes, memory
from tlsexit.crypto.suites import SUITES, KeyType
from tlsexit.exits.phases import ExitPhase

EXITS = "tests.support.demo_exits"


@pytest.fixture(autouse=True)
def _quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys once for each kind of key exchange, not for each test."""
    monkeypatch.setattr(memory, "throwaway_pkis", _THROWAWAY_PKIS)


_THROWAWAY_PKIS = cache(memory.throwaway_pkis)


def facts(out: str) -> dict[str, str]:
    """The facts under the last diagram, by name."""
    text = out.rpartition("protected\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"(\S.*?)  +(\S.*)", line):
            name = match[1]
            found[name] = match[2]
        elif line.strip():
            found[name] += " " + line.strip()
    return found


def events(document: dict[str, Any], connection: int = 0) -> list[str]:
    """Messages and phases in order: ``client: ClientHello``, ``server? GetCAList``."""
    return [
        f"{item['from']}: {item['name']}" if item["event"] == "message" else f"{item['side']}? {item['phase']}"
        for item in document["connections"][connection]["events"]
    ]


def test_a_mutual_handshake_by_default() -> None:
    ran = run("handshake", env={"COLUMNS": "100"})
    assert (ran.status, ran.err) == (codes.OK, "")
    for label in ("ClientHello", "CertificateRequest", "CertificateVerify", "[ChangeCipherSpec]", "Application Data"):
        assert f" {label} " in ran.out
    for phase in ExitPhase:
        asked = phase not in (ExitPhase.HANDSHAKE_ALERT, ExitPhase.GET_PRE_SHARED_KEY)
        assert (phase.value in ran.out) is asked
    found = facts(ran.out)
    assert found["Protocol"] == "TLS 1.0 (RFC 2246)"
    assert found["Cipher suite"] == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA (0xC013)"
    assert found["Authenticated"] == "both sides (B)"
    assert found["Server showed"].startswith("CN=localhost, issued by CN=tlsexit throw-away CA, until ")
    assert found["Client showed"].startswith("CN=throw-away client, issued by ")
    assert found["Session"] == "new"
    assert re.fullmatch(r"[0-9a-f]{64}", found["Session id"])
    assert found["Protections"] == "extended master secret, encrypt-then-MAC, secure renegotiation"
    assert re.fullmatch(r"[\d.]+ ms in all; CPU: client [\d.]+ ms, server [\d.]+ ms", found["Handshake"])


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_diagram_fits_the_terminal(columns: int) -> None:
    diagram = run("handshake", env={"COLUMNS": str(columns)}).out.partition("\n\n")[0]
    assert max(len(line) for line in diagram.splitlines()) == min(columns, 110)


KINDS = {suite.key_exchange: suite for suite in SUITES.values() if not suite.key_exchange.fixed}
"""Those that a server can choose."""


@pytest.mark.parametrize("suite", KINDS.values(), ids=lambda suite: suite.key_exchange.rfc_name)
def test_every_key_exchange_has_the_keys_it_needs(suite: Any) -> None:
    ran = run("handshake", "--suite", suite.openssl_name)
    assert ran.status == codes.OK, ran.err
    assert facts(ran.out)["Cipher suite"].startswith(f"{suite.name} (0x{suite.value:04X})")
    assert ("weak" in ran.err) is suite.weak
    assert ("--verify is none" in ran.err) is (suite.key_exchange.certificate is None)
    if suite.key_exchange.certificate is not None:
        key = {KeyType.RSA: "RSA 2048", KeyType.DSA: "DSA 1024", KeyType.EC: "ECDSA"}[suite.key_exchange.certificate]
        assert key in facts(ran.out)["Server showed"]


def test_verify_none_asks_the_client_for_nothing() -> None:
    ran = run("handshake", "--verify", "none")
    assert ran.status == codes.OK
    assert "CertificateRequest" not in ran.out
    assert facts(ran.out)["Authenticated"] == "the server only (S)"


def test_verify_optional_asks() -> None:
    assert "CertificateRequest" in run("handshake", "--verify", "optional").out


def test_an_anonymous_suite_cannot_carry_a_client_certificate() -> None:
    """§7.4.4; asked for explicitly, it is tried and fails."""
    ran = run("handshake", "--suite", "ADH-AES128-SHA", "--verify", "required")
    assert ran.status == codes.FAILED
    assert "handshake_failure(40)" in ran.problem
    assert facts(run("handshake", "--suite", "ADH-AES128-SHA").out)["Authenticated"].startswith("none")


@pytest.mark.parametrize("chunk", ["1", "7", "1000000"])
def test_chunks_change_nothing_but_the_times(chunk: str) -> None:
    whole, pieces = run("handshake", "--json").json, run("handshake", "--json", "--chunk", chunk).json
    assert events(pieces) == events(whole)


def test_resumption_shows_the_abbreviated_handshake_too() -> None:
    ran = run("handshake", "--resume")
    assert ran.status == codes.OK
    assert ran.out.count("ClientKeyExchange") == 1
    assert ran.out.count("Finished") == 4
    assert "offers session" in ran.out
    assert facts(ran.out)["Session"] == "resumed"


def test_trace_shows_every_field() -> None:
    out = run("handshake", "--trace", "--suite", "DHE-RSA-AES128-SHA").out
    for field in (
        "client → server: ClientHello (RFC 2246 §7.4.1.2), ",
        "  client_version       TLS 1.0 (0x0301)\n",
        "    TLS_DHE_RSA_WITH_AES_128_CBC_SHA (0x0033)\n",
        "      host_name (0)    localhost\n",
        "    - subject          CN=localhost\n",
        "    rsa_sign (1)\n",
        "  dh_Yc                ",
        "client → server: Finished (RFC 2246 §7.4.9), 16 bytes, protected\n",
    ):
        assert field in out


def test_an_exit_answers_for_its_side() -> None:
    ran = run("handshake", "--server-exit", f"{EXITS}:Accepter")
    assert ran.status == codes.OK
    assert "CheckCertificate: handled ●" in ran.out
    assert "○ CheckCertificate: built-in" in ran.out
    assert "GetCAList: not handled → built-in ○" in ran.out


@pytest.mark.parametrize("name", ["Patient", "cftpkie", "Holder.inner"])
def test_an_exit_can_be_anything_that_answers(name: str) -> None:
    """A class with asynchronous methods, a function in the manual's style, an object inside another."""
    ran = run("handshake", "--client-exit", f"{EXITS}:{name}")
    assert ran.status == codes.OK
    assert "● StartTask: handled → exit on" in ran.out


# ------------------------------------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("--server-exit", "Refuser", "server: CheckCertificate: refused; certificate_revoked(44) sent"),
        ("--client-exit", "Refuser", "client: CheckCertificate: refused; certificate_revoked(44) sent"),
        ("--server-exit", "Raising", "server: GetCertificate: failed (ZeroDivisionError); internal_error(80) sent"),
        (
            "--client-exit",
            "Nonsense",
            "client: GetCertificate: a chain is wire bytes or a list of certificates, not int",
        ),
    ],
)
def test_a_failure_names_side_phase_and_alert(option: str, name: str, told: str) -> None:
    ran = run("handshake", option, f"{EXITS}:{name}")
    assert ran.status == codes.FAILED
    assert ran.problem.startswith(told)
    # the diagram shows how far it got
    assert "HandshakeAlert" in ran.out
    assert "Protocol" not in ran.out


def test_a_task_that_cannot_start() -> None:
    ran = run("handshake", "--server-exit", f"{EXITS}:NoTask")
    assert (ran.status, ran.out) == (codes.FAILED, "")
    assert ran.problem.startswith("StartTask: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--suite", "NO-SUCH-SUITE"), "cipher suite NO-SUCH-SUITE is unknown"),
        (("--suite", "TLS_KRB5_WITH_DES_CBC_SHA"), "cipher suite TLS_KRB5_WITH_DES_CBC_SHA is not available: "),
        (("--suite", "ECDH-RSA-AES128-SHA"), "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA is for clients only: "),
        (("--suite", " "), "no cipher suite is named"),
        (("--chunk", "0"), "a chunk has at least one byte"),
        (("--client-exit", "nothing"), "'nothing' does not name an exit; write MODULE:OBJECT"),
        (("--client-exit", "no_such_module:X"), "there is no module 'no_such_module'"),
        (("--client-exit", f"{EXITS}:Missing"), f"{EXITS} has no 'Missing'"),
        (("--client-exit", f"{EXITS}:Unmakeable"), f"{EXITS}:Unmakeable: making an instance failed: TypeError"),
    ],
)
def test_a_wrong_option_is_one_sentence(arguments: tuple[str, ...], told: str) -> None:
    ran = run("handshake", *arguments)
    assert (ran.status, ran.out) == (codes.USAGE, "")
    assert ran.problem.startswith(told)


# ------------------------------------------------------------------------------------------------ JSON


def test_the_document_has_the_shape_that_is_documented() -> None:
    document = run("handshake", "--resume", "--json").json
    assert document.keys() == {"tlsexit", "command", "ok", "exit_status", "connections"}
    assert (document["command"], document["ok"], document["exit_status"]) == ("handshake", True, 0)
    first, second = document["connections"]
    assert first.keys() == second.keys()
    assert {name: first[name] for name in ("completed", "resumed", "protocol", "cipher_suite", "authentication")} == {
        "completed": True,
        "resumed": False,
        "protocol": {"value": 0x0301, "name": "TLS 1.0"},
        "cipher_suite": {"value": 0xC013, "name": "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
        "authentication": "B",
    }
    assert all(first[name] for name in ("extended_master_secret", "encrypt_then_mac", "secure_renegotiation"))
    assert first["certificates"]["server"][0]["subject"] == "CN=localhost"
    assert first["certificates"]["client"][0]["subject"] == "CN=throw-away client"
    assert first["times"].keys() == {"handshake_ms", "client_cpu_ms", "server_cpu_ms"}
    assert all(value >= 0 for value in first["times"].values())
    assert first["bytes_sent"]["client"] > 1000
    assert first["errors"] == []
    assert second["resumed"] is True
    assert second["session_id"] == first["session_id"]


def test_the_documentation_names_every_key() -> None:
    """``pydoc tlsexit.cli.document`` is where --help sends people."""
    import tlsexit.cli.document

    text = str(tlsexit.cli.document.__doc__)
    document = run("handshake", "--json").json
    connection = document["connections"][0]
    kinds = {item["event"]: item for item in connection["events"]}
    for keys in (document, connection, *kinds.values(), connection["times"]):
        for key in keys:
            assert f"``{key}``" in text, key


def test_events_are_those_of_the_diagram() -> None:
    document = run("handshake", "--json", "--server-exit", f"{EXITS}:Accepter").json
    order = events(document)
    assert order.index("server? GetCAList") == order.index("server: CertificateRequest") - 1
    assert order.index("client? CheckCertificate") == order.index("server: Certificate") + 2  # CryptData of the server
    assert order[-2:] == ["client? EndTask", "server? EndTask"]
    phases = {
        (item["side"], item["phase"]): item for item in document["connections"][0]["events"] if item["event"] == "phase"
    }
    assert phases["server", "CheckCertificate"]["answer"] == "handled"
    assert phases["server", "CheckCertificate"]["by"] == "exit"
    assert phases["client", "CheckCertificate"]["answer"] == "not handled"
    assert phases["client", "CheckCertificate"]["by"] == "built-in"
    assert phases["server", "StartTask"]["answer"] == "handled"
    assert phases["client", "StartTask"]["answer"] == "not handled"
    times = [item["at_ms"] for item in document["connections"][0]["events"]]
    assert min(times) >= 0
    finished = [item for item in document["connections"][0]["events"] if item.get("name") == "Finished"]
    assert [item["protected"] for item in finished] == [True, True]
    assert re.fullmatch(r"[0-9a-f]{24}", finished[0]["fields"]["verify_data"])


def test_a_failure_is_in_the_document_too() -> None:
    ran = run("handshake", "--json", "--server-exit", f"{EXITS}:Refuser")
    assert ran.status == codes.FAILED
    assert (ran.json["ok"], ran.json["exit_status"]) == (False, codes.FAILED)
    (connection,) = ran.json["connections"]
    assert connection["completed"] is False
    by_side = {error["side"]: error for error in connection["errors"]}
    assert by_side["server"]["type"] == "ExitFailed"
    assert by_side["server"]["phase"] == "CheckCertificate"
    assert by_side["client"]["type"] == "AlertReceived"
    for error in by_side.values():
        assert error["alert"] == {"value": 44, "name": "certificate_revoked"}
    (refused,) = (item for item in connection["events"] if item.get("answer") == "failed")
    assert (refused["side"], refused["phase"], refused["by"]) == ("server", "CheckCertificate", "exit")
    assert refused["alert"] == {"value": 44, "name": "certificate_revoked"}


def test_a_failure_before_anything_is_settled_leaves_it_null() -> None:
    ran = run("handshake", "--json", "--server-exit", f"{EXITS}:Raising")
    (connection,) = ran.json["connections"]
    for name in ("protocol", "cipher_suite", "authentication"):
        assert connection[name] is None
    assert connection["times"] == {}

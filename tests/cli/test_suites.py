"""``tlsexit suites``."""

from __future__ import annotations

from tests.support.command import run
from tlsexit.cli import codes
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES, UNAVAILABLE_SUITES


def test_every_suite_is_listed_in_full() -> None:
    """Whatever the width of the terminal: names are there to be copied."""
    ran = run("suites", env={"COLUMNS": "40"})
    assert ran.status == codes.OK
    lines = ran.out.splitlines()
    for suite in SUITES.values():
        (line,) = (line for line in lines if line.split()[1:2] == [suite.name])
        cells = line.split()
        assert cells[0] == f"0x{suite.value:04X}"
        assert cells[2:6] == [suite.key_exchange.rfc_name, suite.cipher.name, suite.mac.name, str(suite.rfc)]
        marks = ["weak"] if suite.weak else []
        marks += ["default"] if suite.value in DEFAULT_SUITES else []
        marks += ["clients only"] if suite.key_exchange.rfc_name in ("ECDH_RSA", "ECDH_ECDSA") else []
        assert " ".join(cells[6:]) == ", ".join(marks)


def test_what_is_not_available_is_listed_with_the_reason() -> None:
    ran = run("suites", "--unavailable")
    for value, (name, reason) in UNAVAILABLE_SUITES.items():
        assert f"  0x{value:04X}  {name}\n" in ran.out
        assert f"because {reason}:\n" in ran.out
    assert not any(suite.name in ran.out.split() for suite in SUITES.values())


def test_only_the_default_suites_in_their_order() -> None:
    lines = run("suites", "--default").out.splitlines()[1:]
    assert [line.split()[1] for line in lines] == [SUITES[value].name for value in DEFAULT_SUITES]


def test_json() -> None:
    document = run("suites", "--json").json
    assert document.keys() == {"suites", "unavailable"}
    assert {
        "value": 0x0004,
        "name": "TLS_RSA_WITH_RC4_128_MD5",
        "openssl_name": "RC4-MD5",
        "key_exchange": "RSA",
        "cipher": "RC4_128",
        "mac": "MD5",
        "rfc": 2246,
        "weak": True,
        "default": False,
        "clients_only": False,
    } in document["suites"]
    assert {item["value"] for item in document["suites"]} == SUITES.keys()
    assert {item["value"] for item in document["unavailable"]} == UNAVAILABLE_SUITES.keys()
    assert run("suites", "--json", "--default").json.keys() == {"suites"}

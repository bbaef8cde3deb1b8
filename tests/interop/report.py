"""Run the conversations with all peers and write what came of them as tables.

``python -m tests.interop.report [FILE] [PYTEST-ARGUMENT ...]`` writes ``docs/interop.md``, or FILE; ``-n 2`` and other
arguments go to pytest. The exit status is pytest's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.interop.matrix import CORE, Role, Variant, cases, lack, missing
from tests.interop.peers.all import PEERS
from tests.interop.suites import SUITES, Suite

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

FILES = {Role.SERVER: HERE / "test_with_servers.py", Role.CLIENT: HERE / "test_with_clients.py"}
LETTERS = {Variant.PLAIN: "✓", Variant.CLIENT_CERTIFICATE: "C", Variant.RESUMPTION: "R", Variant.TICKET: "T"}
TITLES = {
    Variant.PLAIN: "full handshake",
    Variant.CLIENT_CERTIFICATE: "client certificate (C)",
    Variant.RESUMPTION: "resumption by session id (R)",
    Variant.TICKET: "resumption by ticket (T)",
    Variant.PEER_RENEGOTIATES: "renegotiation, started by the peer",
    Variant.WE_RENEGOTIATE: "renegotiation, started by tlsexit",
    Variant.ALPN: "ALPN",
    Variant.NEXT_PROTOCOL: "next protocol negotiation",
    Variant.NO_EXTENDED_MASTER_SECRET: "without extended master secret",
    Variant.NO_ENCRYPT_THEN_MAC: "without encrypt-then-MAC",
    Variant.TOGETHER: "client certificate, ALPN and ticket",
}

INTRODUCTION = """\
# Interoperability

What tlsexit and other implementations made of each other at TLS 1.0, over loopback sockets. Written by
`python -m tests.interop.report`; each mark is a test of `tests/interop` that ran.

✓ is a full handshake with data in both directions; C one with a client certificate; R a resumption by session id; T a
resumption by ticket (RFC 5077). Both sides must agree on the suite and on whether the session was resumed; NSS and
some clients of GnuTLS are offered one suite alone, since they do not name the one they use. The first table has every
variant, with the number of suites it was tried with: those of the second table, a plain handshake with all others too.
Where a variant does not say otherwise, extended master secret and encrypt-then-MAC are offered, and must be agreed on
with every peer that has them. ✗ is a failed test, · one that was not run. A number in brackets refers to the reasons
below.

| peer | version |
|---|---|
"""


class Recorder:
    """A pytest plugin that remembers how each conversation ended, by its id."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome; a failed set-up counts, and so does a skip."""
        found = re.search(r"test_conversation\[(.*)\]$", report.nodeid)
        if found and (report.when == "call" or report.outcome != "passed"):
            self.outcomes[found[1]] = report.outcome


class Footnotes:
    """Reasons, numbered in the order of their first use."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """The number that stands for a reason."""
        return f"[{self.numbers.setdefault(reason, len(self.numbers) + 1)}]"


def cell(outcomes: dict[str, str], notes: Footnotes, peer: str, role: Role, suite: Suite) -> str:
    """What the table says of one suite with one peer."""
    if reason := lack(peer, role, suite):
        return notes.mark(reason)
    signs = {"passed": None, "failed": "✗", "skipped": "·"}
    tried = [case for case in cases(role) if (case.peer, case.suite) == (peer, suite) and case.variant in LETTERS]
    marks = ((case.variant, signs[outcomes.get(str(case), "skipped")]) for case in tried)
    return " ".join(sign or LETTERS[variant] for variant, sign in marks)


def total(outcomes: dict[str, str], notes: Footnotes, peer: str, role: Role, variant: Variant) -> str:
    """What the table says of one variant with one peer: with how many suites it went well."""
    if reason := missing(peer, role, variant):
        return notes.mark(reason)
    found = [outcomes.get(str(case), "skipped") for case in cases(role) if (case.peer, case.variant) == (peer, variant)]
    counts = {"passed": "✓", "failed": "✗", "skipped": "·"}
    return " ".join(f"{found.count(outcome)} {sign}" for outcome, sign in counts.items() if outcome in found)


def variants(outcomes: dict[str, str], notes: Footnotes, role: Role) -> list[str]:
    """The table of the variants."""
    lines = [f"| variant | {' | '.join(peer.title for peer in PEERS.values())} |", f"|---|{'---|' * len(PEERS)}"]
    for variant, title in TITLES.items():
        cells = [total(outcomes, notes, peer, role, variant) for peer in PEERS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def table(outcomes: dict[str, str], notes: Footnotes, role: Role, suites: Iterable[Suite]) -> list[str]:
    """One table in Markdown: a row for each suite, a column for each peer."""
    lines = [f"| suite | {' | '.join(peer.title for peer in PEERS.values())} |", f"|---|{'---|' * len(PEERS)}"]
    for suite in suites:
        cells = [cell(outcomes, notes, peer, role, suite) for peer in PEERS]
        lines.append(f"| `{suite.number:04X}` {suite} | {' | '.join(cells)} |")
    return lines


def document(outcomes: dict[str, str]) -> str:
    """The whole page."""
    notes = Footnotes()
    lines = [f"| {peer.title} | {peer.available() or peer.version()} |" for peer in PEERS.values()]
    core = [SUITES[number] for number in CORE]
    others = [suite for suite in SUITES.values() if suite not in core]
    for role in Role:
        ours = {Role.SERVER: "client", Role.CLIENT: "server"}[role]
        lines += ["", f"## tlsexit as the {ours}", "", *variants(outcomes, notes, role)]
        lines += ["", *table(outcomes, notes, role, core)]
        lines += ["", *table(outcomes, notes, role, others)]
    lines += ["", "## Reasons", "", *(f"{number}. {reason}." for reason, number in notes.numbers.items())]
    counts = {sign: list(outcomes.values()).count(sign) for sign in ("passed", "failed", "skipped")}
    lines += ["", "Conversations: " + ", ".join(f"{count} {sign}" for sign, count in counts.items()) + "."]
    return INTRODUCTION + "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the tests and write the page."""
    target = ROOT / "docs" / "interop.md"
    if arguments and not arguments[0].startswith("-"):
        target = Path(arguments.pop(0))
    recorder = Recorder()
    status = pytest.main(["-q", *arguments, *(str(file) for file in FILES.values())], plugins=[recorder])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document(recorder.outcomes), encoding="utf-8")
    print(f"written: {target}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

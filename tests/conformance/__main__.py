"""Probe the peers: ``python -m tests.conformance [PEER...]`` writes a report for each into ``--folder``.

With ``--table`` it makes ``docs/conformance-peers.md`` of the reports that are there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.conformance.peers import ALL, Peer
from tests.conformance.table import write_page
from tests.interop.workshop import Workshop
from tlsexit.conformance.discovery import NotConforming
from tlsexit.conformance.model import Reading
from tlsexit.conformance.pki import load_workshop
from tlsexit.conformance.probes import all_probes
from tlsexit.conformance.runner import Options, run
from tlsexit.conformance.talk import Terms
from tlsexit.conformance.targets import ClientTarget, CommandServerTarget, Target, Unreachable


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("peers", nargs="*", choices=[*ALL, []], help="peers to probe, by default all")
    parser.add_argument("--folder", type=Path, default=Path("build/conformance"), help="where reports go")
    parser.add_argument("--role", choices=["server", "client"], help="only this role")
    parser.add_argument("--configuration", help="only this configuration")
    parser.add_argument("--table", action="store_true", help="make the page of the documentation")
    options = parser.parse_args()
    if options.table:
        return write_page(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    workshop = Workshop(options.folder.absolute() / "workshop")
    for name in options.peers or ALL:
        peer = ALL[name](workshop)
        if peer.missing is not None:
            print(peer.missing, file=sys.stderr)
            continue
        for role, commands in (("server", peer.servers), ("client", peer.clients)):
            for configuration, command in commands.items():
                if options.role in (None, role) and options.configuration in (None, configuration):
                    _probe(peer, role, configuration, command, workshop, options.folder)
    return 0


def _probe(peer: Peer, role: str, configuration: str, command: list[str], workshop: Workshop, folder: Path) -> None:
    made = load_workshop(workshop.pki().folder)
    target: Target = CommandServerTarget(command) if role == "server" else ClientTarget(command, timeout=20.0)
    target.name = f"{peer.title}, {configuration} ({peer.version})"
    terms = Terms(reading=Reading.LATER, credentials=made.shown_by(target.tests.peer), authority=made)
    try:
        with target.running():
            report = run(target, all_probes(), terms, Options())
    except (Unreachable, NotConforming) as error:
        print(f"{peer.name} {role} {configuration}: {error}", file=sys.stderr)
        return
    file = folder / f"{peer.name}.{role}.{configuration}.json"
    file.write_text(report.text(), encoding="utf-8")
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts().items() if number)
    print(f"{peer.name} {role} {configuration}: {counts}; {report.seconds:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""The report of a run: findings as JSON, as a page, and each as a file that ``tlsexit replay`` takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.conformance.catalogue import by_id
from tlsexit.fuzzing.campaign import Discovery, Report
from tlsexit.fuzzing.code import as_code
from tlsexit.fuzzing.play import Played
from tlsexit.fuzzing.script import Script
from tlsexit.fuzzing.scriptfile import dump, load
from tlsexit.trace import ladder, text

FORMAT: Final = 1
"""The format of reports and finding files."""


def ladders(played: Played, width: int = 100) -> str:
    """Return the diagram of each connection of a script, one under the other."""
    parts = []
    for number, conversation in enumerate(played.conversations, 1):
        title = f"connection {number}: {conversation.reaction}"
        parts.append(f"{title}\n{text(ladder(conversation.puppet.talk, width=width))}")
    return "\n\n".join(parts)


def finding_document(report: Report, discovery: Discovery) -> dict[str, Any]:
    """Return one finding as what JSON can hold."""
    finding = discovery.finding
    return {
        "format": FORMAT,
        "target": report.target,
        "role": report.role,
        "flaw": finding.flaw.value,
        "severity": finding.severity,
        "requirements": list(finding.requirements),
        "about": finding.about,
        "detail": finding.detail,
        "after_conversations": discovery.after,
        "script": dump(discovery.script),
    }


def document(report: Report) -> dict[str, Any]:
    """Return the whole report as what JSON can hold."""
    return {
        "format": FORMAT,
        "target": report.target,
        "role": report.role,
        "seed": report.seed,
        "conversations": report.conversations,
        "honest_plans": report.honest,
        "unplayable": report.unplayable,
        "seconds": round(report.seconds, 3),
        "slowest_input_seconds": round(report.slowest, 6),
        "findings": [finding_document(report, discovery) for discovery in report.discoveries],
    }


def dumps(report: Report) -> str:
    """Return the report as JSON text."""
    return json.dumps(document(report), indent=2) + "\n"


def file_name(number: int, discovery: Discovery) -> str:
    """Return the name of a finding's file: ``01-accepted-R2246-7.4.9-03.json``."""
    finding = discovery.finding
    requirement = f"-{finding.requirements[0]}" if finding.requirements else ""
    return f"{number:02}-{re.sub(r'[^a-z]+', '-', finding.flaw.value)}{requirement}.json"


def write_findings(report: Report, folder: Path) -> dict[int, Path]:
    """Write one file for each finding into ``folder``, which is made if need be; returns them by number."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, discovery in enumerate(report.discoveries, 1):
        files[number] = folder / file_name(number, discovery)
        files[number].write_text(json.dumps(finding_document(report, discovery), indent=1) + "\n", encoding="utf-8")
    return files


def read_script(file: Path) -> Script:
    """Return the script in a finding's file, or in a file that holds a script alone.

    Raises :class:`~tlsexit.alerts.LocalError` for a file that has none.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise LocalError(f"{file}: not JSON: {error}") from error
    if isinstance(found, dict) and "script" in found:
        found = found["script"]
    try:
        return load(found)
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from error


def read_corpus(folder: Path) -> tuple[Script, ...]:
    """Return the scripts of a folder, in the order of their names."""
    return tuple(read_script(file) for file in sorted(folder.glob("*.json")))


def html_page(report: Report, replay: str) -> str:
    """Return the report as one page; ``replay`` is the command for a finding, ``FILE`` standing for its file.

    Raises :class:`~tlsexit.alerts.LocalError` where jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise LocalError("the HTML report needs jinja2; install tlsexit[fuzzing]") from error
    environment = Environment(
        loader=PackageLoader("tlsexit.fuzzing", "templates"), autoescape=True, undefined=StrictUndefined
    )
    known = by_id()
    findings = [
        {
            "number": number,
            "finding": discovery.finding,
            "after": discovery.after,
            "requirements": [known[id] for id in discovery.finding.requirements if id in known],
            "script": str(discovery.script),
            "code": as_code(discovery.script),
            "ladder": ladders(discovery.played),
            "replay": replay.replace("FILE", file_name(number, discovery)),
        }
        for number, discovery in enumerate(report.discoveries, 1)
    ]
    page: str = environment.get_template("report.html").render(report=report, findings=findings)
    return page

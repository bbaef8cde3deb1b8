"""The report as one HTML page that needs nothing but itself: no script from elsewhere, no font, no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.model import SEVERITY, Verdict, worst
from tlsexit.conformance.results import Report, Result

_LEVELS: Final = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")

_SLUGS: Final = {verdict: verdict.value.replace(" ", "-") for verdict in Verdict}


def html_page(reports: Sequence[Report]) -> str:
    """Return the page; raises :class:`~tlsexit.alerts.LocalError` where jinja2 is not installed."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise LocalError("the HTML report needs jinja2; pip install 'tlsexit[conformance]'") from error
    environment = Environment(
        loader=PackageLoader("tlsexit.conformance.reports", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(slug=lambda verdict: _SLUGS[Verdict(verdict)])
    return environment.get_template("report.html").render(reports=[_view(report) for report in reports])


def _view(report: Report) -> dict[str, Any]:
    verdicts = report.requirement_verdicts()
    return {
        "report": report,
        "counts": [(verdict, report.count(verdict)) for verdict in Verdict if report.count(verdict)],
        "total": len(report.results),
        "requirements": len(verdicts),
        "kept": sum(verdict is Verdict.PASS for verdict in verdicts.values()),
        "broken": sum(verdict.bad for verdict in verdicts.values()),
        "levels": _LEVELS,
        "sections": [_section(report, name, results) for name, results in report.groups()],
        "capabilities": [(key.replace("_", " "), _text(value)) for key, value in report.capabilities.items()],
    }


def _section(report: Report, name: str, results: Sequence[Result]) -> dict[str, Any]:
    cells = []
    for level in _LEVELS:
        mine = [item for item in results if item.level == level]
        cells.append(
            {
                "total": len(mine),
                "parts": [
                    (verdict, number)
                    for verdict in SEVERITY
                    if (number := sum(item.verdict is verdict for item in mine))
                ],
                "worst": worst(item.verdict for item in mine),
            }
        )
    order = {verdict: rank for rank, verdict in enumerate(SEVERITY)}
    return {
        "name": f"§{name}" if name[0].isdigit() else name,
        "anchor": f"section-{name}",
        "worst": worst(item.verdict for item in results),
        "cells": cells,
        "results": [_finding(report, item) for item in sorted(results, key=lambda item: order[item.verdict])],
        "counts": [
            (verdict, number) for verdict in Verdict if (number := sum(item.verdict is verdict for item in results))
        ],
    }


def _finding(report: Report, item: Result) -> dict[str, Any]:
    return {
        "result": item,
        "entries": [by_id()[id] for id in item.requirements],
        "connections": [[_row(row) for row in rows] for rows in item.connections],
        "open": item.unexpected,
        "replay": replay(report, item),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "fields": _lines(row.get("fields")),
        "own": row.get("own", False),
        "kind": "alert" if row["name"] == "Alert" else "end" if row["length"] == 0 and "section" not in row else "",
    }


def _lines(value: Any, depth: int = 0, name: str = "") -> list[tuple[int, str, str]]:
    """Return decoded fields as lines: depth, name and text."""
    if value is None:
        return []
    if isinstance(value, dict):
        if set(value) == {"value", "name"}:
            shown = str(value["value"]) if value["name"] is None else f"{value['name']} ({value['value']})"
            return [(depth, name, shown)]
        inner = [line for key, item in value.items() for line in _lines(item, depth + bool(name), key)]
        return [(depth, name, ""), *inner] if name else inner
    if isinstance(value, list):
        if not value:
            return [(depth, name, "empty")]
        inner = [line for number, item in enumerate(value) for line in _lines(item, depth + 1, str(number))]
        return [(depth, name, f"{len(value)} items" if len(value) > 1 else ""), *inner]
    return [(depth, name, str(value) if value != "" else "empty")]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def replay(report: Report, item: Result) -> str:
    """Return the command that holds one probe again."""
    command = report.command or f"tlsexit conform {report.role} {json.dumps(report.target)}"
    words = shlex.split(command)
    place = words.index("--") if "--" in words else len(words)
    return shlex.join([*words[:place], "--probe", item.id, "--ladder", *words[place:]])

"""Failures that are known and have a reason, so that a build fails for the others only.

A TOML file names them by the probe's id, or by a pattern with ``*``::

    "server/7.2.1/no-close-notify" = "the load balancer in front resets idle connections"
    "client/attacks/*" = "the old client cannot be changed; see the risk register"

A probe that passes although it is listed is reported, so that the list cannot rot; a pattern must fit some failure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from tlsexit.alerts import LocalError
from tlsexit.conformance.model import Verdict
from tlsexit.conformance.results import Report, Result


def load_expected(file: Path) -> Mapping[str, str]:
    """Return the reasons by id or pattern; raises :class:`~tlsexit.alerts.LocalError` for a file that is wrong."""
    try:
        loaded = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise LocalError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LocalError(f"{file}: is not TOML: {error}") from error
    for id, reason in loaded.items():
        if not isinstance(reason, str) or not reason.strip():
            raise LocalError(f"{file}: {id} has no reason")
    return loaded


def with_expected(report: Report, expected: Mapping[str, str]) -> Report:
    """Return the report with the reasons entered, and with the passes that nobody expected marked."""
    results = [_with_reason(result, _reason(result, expected)) for result in report.results]
    notes = list(report.notes)
    for pattern in expected:
        fitting = [result for result in results if fnmatchcase(result.id, pattern)]
        if not fitting:
            notes.append(f"{pattern} is expected to fail, and there is no such probe in this run")
        elif all(result.verdict is Verdict.PASS for result in fitting):
            results = [
                replace(result, unexpected_pass=True) if fnmatchcase(result.id, pattern) else result
                for result in results
            ]
    return replace(report, results=tuple(results), notes=tuple(notes))


def match(result: Result, expected: Mapping[str, str]) -> Result:
    """Return a single result with its reason entered; only an id of its own makes its pass unexpected."""
    passes = result.id in expected and result.verdict is Verdict.PASS
    return replace(_with_reason(result, _reason(result, expected)), unexpected_pass=passes)


def _reason(result: Result, expected: Mapping[str, str]) -> str | None:
    if result.id in expected:
        return expected[result.id]
    return next((reason for pattern, reason in expected.items() if fnmatchcase(result.id, pattern)), None)


def _with_reason(result: Result, reason: str | None) -> Result:
    if reason is None or not (result.verdict.bad or result.verdict is Verdict.WARNING):
        return result
    return replace(result, expected=reason)

"""What a run has found, as data: the document that ``--json`` writes and every other report is made of.

``report.schema.json`` describes it. A conversation is kept as the messages of each of its connections, decoded field by
field, so that a report needs neither the target nor the probes that were used.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from tlsexit.alerts import LocalError
from tlsexit.conformance.catalogue import by_id
from tlsexit.conformance.model import Probe, Verdict, worst
from tlsexit.conformance.needs import Capabilities
from tlsexit.crypto.suites import SUITES
from tlsexit.puppet import Puppet
from tlsexit.trace import Decoder, MessageRow, names, rows
from tlsexit.trace.ladder import message_label

FORMAT: Final = "tlsexit-conformance"
VERSION: Final = 1
"""Of the document; it grows when an old reader would misunderstand a new document."""


@dataclass(frozen=True)
class Result:
    """What one probe has found.

    ``tries`` are the verdicts of all the times it was repeated. ``expected`` is the reason that the file of expected
    failures gives, ``unexpected_pass`` whether it gives one in vain. ``connections`` are lists of messages.
    """

    id: str
    title: str
    role: str
    group: str
    requirements: tuple[str, ...]
    level: str
    verdict: Verdict
    reason: str = ""
    meaning: str = ""
    suite: str | None = None
    seconds: float = 0.0
    tries: tuple[Verdict, ...] = ()
    expected: str | None = None
    unexpected_pass: bool = False
    connections: tuple[tuple[dict[str, Any], ...], ...] = ()

    @property
    def unexpected(self) -> bool:
        """Whether it ought to fail a build: a failure that nobody expects, or an expected one that did not come."""
        return self.unexpected_pass or (self.verdict.bad and self.expected is None)

    def plain(self) -> dict[str, Any]:
        """The form for JSON."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "requirements": list(self.requirements),
            "verdict": self.verdict.value,
            "tries": [item.value for item in self.tries],
            "connections": [list(item) for item in self.connections],
        }


@dataclass(frozen=True)
class Report:
    """What a whole run has found. ``started`` is a time in ISO 8601, ``seconds`` how long it took."""

    target: str
    role: str
    profile: str
    started: str
    seconds: float
    tool: str
    capabilities: dict[str, Any]
    results: tuple[Result, ...]
    command: str = ""
    notes: tuple[str, ...] = field(default=())

    def count(self, verdict: Verdict) -> int:
        """How many probes have this verdict."""
        return sum(item.verdict is verdict for item in self.results)

    def counts(self) -> dict[str, int]:
        """The number of probes by verdict."""
        return {verdict.value: self.count(verdict) for verdict in Verdict}

    def groups(self) -> Iterator[tuple[str, tuple[Result, ...]]]:
        """Each group with its results, in order."""
        for name in dict.fromkeys(item.group for item in self.results):
            yield name, tuple(item for item in self.results if item.group == name)

    def requirement_verdicts(self) -> dict[str, Verdict]:
        """The verdict on each requirement: the worst of its probes."""
        found: dict[str, list[Verdict]] = {}
        for item in self.results:
            for id in item.requirements:
                found.setdefault(id, []).append(item.verdict)
        return {id: worst(iter(found[id])) for id in by_id() if id in found}

    @property
    def clean(self) -> bool:
        """Whether nothing is unexpected."""
        return not any(item.unexpected for item in self.results)

    def plain(self) -> dict[str, Any]:
        """The document."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "tool": self.tool,
            "target": self.target,
            "role": self.role,
            "profile": self.profile,
            "command": self.command,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "capabilities": self.capabilities,
            "summary": self.counts(),
            "requirements": {
                id: {
                    "verdict": verdict.value,
                    "title": by_id()[id].title,
                    "level": by_id()[id].level,
                    "statement": by_id()[id].statement,
                }
                for id, verdict in self.requirement_verdicts().items()
            },
            "results": [item.plain() for item in self.results],
        }

    def text(self) -> str:
        """The document as JSON."""
        return json.dumps(self.plain(), indent=1, ensure_ascii=False) + "\n"


def read_report(text: str, name: str = "the report") -> Report:
    """Return the report in a document; raises :class:`~tlsexit.alerts.LocalError` for anything else."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise LocalError(f"{name}: is not a report of this version")
        results = tuple(
            Result(
                **{
                    **item,
                    "verdict": Verdict(item["verdict"]),
                    "requirements": tuple(item["requirements"]),
                    "tries": tuple(Verdict(verdict) for verdict in item["tries"]),
                    "connections": tuple(tuple(rows) for rows in item["connections"]),
                }
            )
            for item in document["results"]
        )
        wanted = ("target", "role", "profile", "started", "seconds", "tool", "capabilities", "command")
        return Report(**{key: document[key] for key in wanted}, notes=tuple(document["notes"]), results=results)
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{name}: is no conformance report") from error


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON schema of the document."""
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath("report.schema.json").read_text(encoding="utf-8"))
    return loaded


def result_of(probe: Probe, verdict: Verdict, reason: str, **more: Any) -> Result:
    """Return the result of a probe."""
    return Result(
        probe.id,
        probe.title,
        probe.tests.value,
        probe.group,
        probe.requirements,
        probe.level or probe.entries[0].level,
        verdict,
        reason,
        probe.meaning,
        **more,
    )


def described(found: Capabilities) -> dict[str, Any]:
    """Return what was found out about a target, for the document."""
    return {
        "cipher_suites": [SUITES[value].name for value in found.suites],
        "extensions": sorted(names.EXTENSIONS.get(kind, str(kind)) for kind in found.extensions),
        "highest_version": names.VERSIONS.get(found.highest_version, f"0x{found.highest_version:04X}"),
        "client_certificate": found.certificate,
        "resumes_by_id": found.resumes_by_id,
        "resumes_by_ticket": found.resumes_by_ticket,
        "renegotiation": found.renegotiation,
        "hello_request": found.hello_request,
        "application_data": found.application is not None,
        "compression": 1 in found.compressions,
        "v2_hello": found.v2_hello,
        "several_connections": found.parallel,
        "issues_certificates": found.authority,
        "handshake_ms": round(found.handshake_seconds * 1000, 1),
    }


def conversation(
    puppets: Iterable[Puppet], *, fields: bool, own: Collection[int] = ()
) -> tuple[tuple[dict[str, Any], ...], ...]:
    """Return what was said over each connection; ``fields`` for all the fields of each message.

    ``own`` are the ids of the entries that were not honest.
    """
    return tuple(_said(puppet, fields, own) for puppet in puppets)


def _said(puppet: Puppet, fields: bool, own: Collection[int]) -> tuple[dict[str, Any], ...]:
    decoder, found = Decoder(), list[dict[str, Any]]()
    departed = {id(entry.seen) for entry in puppet.talk if id(entry) in own}
    for row in rows(puppet.talk):
        if not isinstance(row, MessageRow):
            continue
        name, detail = message_label(row)
        item: dict[str, Any] = {
            "at_ms": round(row.at * 1000, 1),
            "from": row.sender.value,
            "name": name,
            "detail": detail,
            "protected": row.seen.protected,
            "length": row.length,
        }
        if id(row.seen) in departed:
            item["own"] = True
        decoded = decoder.decode(row)
        if fields:
            item["section"] = decoded.section
            item["fields"] = decoded.plain()["fields"]
        found.append(item)
    reaction = puppet.reaction
    if reaction.kind in ("close", "reset", "broken"):
        at = found[-1]["at_ms"] if found else 0.0
        detail = reaction.reason if reaction.kind == "broken" else ""
        name = {"close": "end of stream", "reset": "connection reset", "broken": "not TLS"}[reaction.kind]
        found.append(
            {
                "at_ms": at,
                "from": puppet.role.peer.value,
                "name": name,
                "detail": detail,
                "protected": False,
                "length": 0,
            }
        )
    return tuple(found)


def ladder_text(rows: Sequence[dict[str, Any]], width: int = 72) -> str:
    """Return the ladder of a kept conversation: an arrow a message, ``!`` where the probe departs from honesty."""
    lines = ["client" + "server".rjust(width - 6)]
    for row in rows:
        stroke, label, shaft = rung(row, width)
        if row["from"] == "client":
            lines.append(f"├{stroke}{label}{shaft}▶│")
        else:
            lines.append(f"│◀{shaft}{label}{stroke}┤")
    return "\n".join(lines)


def rung(row: dict[str, Any], width: int) -> tuple[str, str, str]:
    """Return the parts of one arrow: a stroke, the label, and the rest of the line."""
    stroke = "═" if row["protected"] else "─"
    mark = " !" if row.get("own") else ""
    label = f"{mark} {row['name']}{' ' if row['detail'] else ''}{row['detail']} "
    label = label if len(label) <= width - 6 else label[: width - 8] + "… "
    return stroke, label, stroke * (width - 4 - len(label))

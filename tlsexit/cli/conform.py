"""``tlsexit conform``: how far an implementation keeps RFC 2246, requirement by requirement."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tlsexit.cli import codes
from tlsexit.cli.options import PATH, Amount, warn
from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.cli.targets import client_target, load_or_make_workshop, own_target, server_target

if TYPE_CHECKING:
    from tlsexit.conformance.model import Probe
    from tlsexit.conformance.results import Report
    from tlsexit.conformance.targets import Target

F = TypeVar("F", bound=Callable[..., Any])

EPILOG: Final = """\b
Exit status:
  0   nothing failed, or only what --expected lists
  1   something failed, or passed although --expected lists it; --compare: something got worse
  2   a bad option, address, file or key
  3   the target cannot be reached, or completes no honest handshake
  130 interrupted
  141 nobody read the output to its end"""


_RUN_OPTIONS: Final = (
    click.option(
        "--profile",
        type=click.Choice(["later", "strict"]),
        default="later",
        show_default=True,
        help="later: with the advice of later RFCs; strict: RFC 2246 by the letter.",
    ),
    click.option("--probe", "patterns", multiple=True, metavar="ID", help="Only these probes; * is a wildcard."),
    click.option("--requirement", "wanted", multiple=True, metavar="ID", help="Only probes of these requirements."),
    click.option("--opt-in", is_flag=True, help="Also probes that are statistical or take long."),
    click.option("--pki", "folder", type=PATH, metavar="DIR", help="Certificates to show, from `conform pki`."),
    click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Probes at a time."),
    click.option(
        "--timeout",
        type=Amount(min=0, min_open=True),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="How long an answer is waited for.",
    ),
    click.option("--expected", type=PATH, metavar="FILE", help="Failures that are known, with reasons (TOML)."),
    click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write the report as JSON; - prints it."),
    click.option("--junit", "junit_file", type=PATH, metavar="FILE", help="Write the report as JUnit XML."),
    click.option("--html", "html_file", type=PATH, metavar="FILE", help="Write the report as one HTML page."),
    click.option("--fields", is_flag=True, help="Keep every field of every message in the report."),
    click.option("--ladder", is_flag=True, help="Show what was said, for each finding."),
    click.option("--all", "everything", is_flag=True, help="Show what passes, too."),
)


def run_options(command: F) -> F:
    """Add the options that every run has."""
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command


@click.group(invoke_without_command=True, epilog=EPILOG)
@click.option(
    "--compare", "compared", nargs=2, type=PATH, metavar="A.json B.json", help="Show what changed from A to B."
)
@click.pass_context
def conform(ctx: click.Context, compared: tuple[Path, Path] | None) -> None:
    """Probe a TLS 1.0 server or client: how far does it keep RFC 2246 and the RFCs that extend it?

    Probes send malformed and hostile messages. Point them only at what is yours.

    \b
    Make certificates for the test, then start your server with DIR/rsa.pem, DIR/rsa.key and DIR/ca.pem:
      tlsexit conform pki DIR
      tlsexit conform server --pki DIR localhost:4433 --html report.html
    Have the server started, `{port}` being the port:
      tlsexit conform server --pki DIR -- openssl s_server -accept {port} -tls1 -cert DIR/rsa.pem -key DIR/rsa.key -www
    A client is started for each connection:
      tlsexit conform client --pki DIR -- curl --cacert DIR/ca.pem --tlsv1.0 https://localhost:{port}/
    """
    if compared is not None:
        ctx.exit(_compare(*compared))
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@conform.command(epilog=EPILOG)
@click.argument("target", nargs=-1, required=True)
@run_options
@click.option("--rate", type=Amount(min=0, min_open=True), metavar="N", help="Connections a second, at most.")
@click.option("--request", metavar="TEXT", help="What the server answers; by default an HTTP request.")
@click.option("--yes", is_flag=True, help="Do not ask before sending to another machine.")
def server(target: tuple[str, ...], **options: Any) -> None:
    """Probe a server: HOST:PORT, or a command that starts it, in which {port} becomes the port."""
    what = "the probes send malformed and hostile messages"
    made = server_target(target, rate=options["rate"], yes=options["yes"], what=what)
    _check_files(options, targets=1)
    _finish([_run(made, options)], options)


@conform.command(epilog=EPILOG)
@click.argument("command", nargs=-1)
@run_options
@click.option("--listen", metavar="[HOST:]PORT", help="Where the client connects to, again and again.")
@click.option("--response", metavar="TEXT", help="What the client is answered; by default an HTTP response.")
def client(command: tuple[str, ...], **options: Any) -> None:
    """Probe a client: a command that makes it connect, in which {port} becomes the port; it is started for each probe.

    Without a command, or with one that does not name {port}, the client is awaited at --listen.
    """
    made = client_target(command, options["listen"])
    _check_files(options, targets=1)
    _finish([_run(made, options)], options)


@conform.command("self", epilog=EPILOG)
@click.argument("configurations", nargs=-1)
@run_options
def self_(configurations: tuple[str, ...], **options: Any) -> None:
    """Probe tlsexit itself, in this process, under one or more of its CONFIGURATIONS."""
    from tlsexit.conformance.engine import CONFIGURATIONS

    workshop = load_or_make_workshop(options["folder"])
    made = [own_target(name, workshop) for name in configurations or CONFIGURATIONS]
    _check_files(options, targets=len(made))
    _finish([_run(target, options) for target in made], options)


@conform.command("list", epilog=EPILOG)
@click.option("--probe", "patterns", multiple=True, metavar="ID", help="Only these probes; * is a wildcard.")
@click.option("--requirement", "wanted", multiple=True, metavar="ID", help="Only probes of these requirements.")
def list_probes(patterns: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """List the probes with their requirements."""
    for probe in _selected(patterns, wanted):
        click.echo(f"{probe.id}  {probe.title}  [{', '.join(probe.requirements)}]")


@conform.command(epilog=EPILOG)
@click.argument("id")
def explain(id: str) -> None:
    """Explain a requirement or a probe: what the RFC says, and what is done about it."""
    from tlsexit.conformance.catalogue import by_id
    from tlsexit.conformance.probes import all_probes

    found = [probe for probe in all_probes() if id in (probe.id, *probe.requirements)]
    if id not in by_id() and not found:
        raise Problem(f"there is no requirement or probe {id!r}; `tlsexit conform list` has them all")
    for item in (by_id()[id],) if id in by_id() else found[0].entries:
        level = f"{item.level}, implied" if item.implied else item.level
        click.echo(f"{item.id}  {item.title}  {level}, applies to: {item.applies_to}\n\n  {item.statement}\n")
        if item.notes:
            click.echo(f"  Note: {item.notes}\n")
    for probe in found:
        click.echo(f"{probe.id}  {probe.title}")
        if probe.meaning:
            click.echo(f"    {probe.meaning}")


@conform.command(epilog=EPILOG)
@click.argument("folder", type=PATH)
def pki(folder: Path) -> None:
    """Make certificates for a test in FOLDER: authorities, and leaves of each kind of key for both roles."""
    from tlsexit.conformance.pki import make_workshop, write_workshop

    if (folder / "ca.pem").exists():
        raise Problem(f"{folder}: has certificates already")
    try:
        write_workshop(make_workshop(), folder)
    except OSError as error:
        raise Problem(f"{folder}: cannot be written: {error.strerror}") from error
    click.echo(
        f"{folder}: trust ca.pem; servers show rsa, ecdsa or dss, clients client, clientec or clientdss (.pem, .key)"
    )


# ------------------------------------------------------------------------------------------------ running


def _selected(patterns: tuple[str, ...], wanted: tuple[str, ...]) -> list[Probe]:
    """Return the probes that the options leave."""
    from tlsexit.conformance.catalogue import by_id
    from tlsexit.conformance.probes import all_probes

    unknown = [id for id in wanted if id not in by_id()]
    if unknown:
        raise Problem(f"there is no requirement {unknown[0]!r}")
    found = [
        probe
        for probe in all_probes()
        if (not patterns or any(fnmatchcase(probe.id, pattern) for pattern in patterns))
        and (not wanted or set(wanted) & set(probe.requirements))
    ]
    if not found:
        raise Problem("no probe is left; `tlsexit conform list` has them all")
    return found


def _check_files(options: dict[str, Any], *, targets: int) -> None:
    """Find out before the run, which may be long, whether its reports can be written."""
    if options["json_file"] is not None and targets > 1:
        raise Problem("--json is for one target; name one configuration")
    if options["html_file"] is not None:
        from tlsexit.conformance.reports import html_page

        with usage_problems():
            html_page([])
    for name in ("json_file", "junit_file", "html_file"):
        file = options[name]
        if file is not None and str(file) != "-" and (file.is_dir() or not file.parent.is_dir()):
            code = errno.EISDIR if file.is_dir() else errno.ENOENT
            raise Problem(f"{file}: cannot be written: {os.strerror(code)}")


def _unescaped(text: str, option: str) -> bytes:
    """Return the bytes that an option stands for: UTF-8, with the escapes of Python such as \\r and \\x00."""
    try:
        return text.encode().decode("unicode_escape").encode("latin-1")
    except UnicodeError as error:
        raise Problem(f"{option}: {getattr(error, 'reason', error)}") from error


def _run(target: Target, options: dict[str, Any]) -> Report:
    """Run the probes against one target."""
    from dataclasses import replace

    from tlsexit.cli.conform_show import Bar
    from tlsexit.cli.show import console
    from tlsexit.conformance.discovery import NotConforming
    from tlsexit.conformance.expected import load_expected, with_expected
    from tlsexit.conformance.model import Reading
    from tlsexit.conformance.runner import Options, run
    from tlsexit.conformance.talk import Terms
    from tlsexit.conformance.targets import Unreachable

    probes = [probe for probe in _selected(options["patterns"], options["wanted"]) if probe.tests is target.tests]
    workshop = load_or_make_workshop(options["folder"])
    terms = Terms(
        reading=Reading(options["profile"]),
        patience=options["timeout"],
        credentials=workshop.shown_by(target.tests.peer),
        authority=workshop if workshop.authorities else None,
    )
    if options.get("request"):
        terms = replace(terms, request=_unescaped(options["request"], "--request"))
    if options.get("response"):
        terms = replace(terms, response=_unescaped(options["response"], "--response"))
    with usage_problems():
        expected = {} if options["expected"] is None else load_expected(options["expected"])
    run_with = Options(fields=options["fields"], opt_in=options["opt_in"])
    if options["jobs"] is not None:
        run_with = replace(run_with, jobs=options["jobs"])
    command = f"tlsexit {shlex.join(sys.argv[1:])}"
    try:
        with target.running(), Bar(console(err=True), len(probes)) as bar:
            report = run(target, probes, terms, run_with, listener=bar.advance, command=command)
    except (Unreachable, NotConforming) as error:
        raise Problem(f"{target.name}: {error}", codes.NETWORK) from error
    return with_expected(report, expected)


def _finish(reports: list[Report], options: dict[str, Any]) -> None:
    """Write and show the reports, and end with the status that says how it went."""
    from tlsexit.cli.conform_show import print_findings, print_summary
    from tlsexit.cli.show import console

    on_standard_output = options["json_file"] is not None and str(options["json_file"]) == "-"
    out = console(err=on_standard_output)
    for report in reports:
        out.print(f"\n{report.target}: {report.role}, profile {report.profile}, {report.seconds:.1f} s\n", style="bold")
        print_findings(out, report, everything=options["everything"], ladders=options["ladder"])
        print_summary(out, report)
        for note in report.notes:
            warn(note)
    _write(reports, options)
    if not all(report.clean for report in reports):
        raise SystemExit(codes.FAILED)


def _write(reports: list[Report], options: dict[str, Any]) -> None:
    """Write the files that were asked for."""
    from tlsexit.conformance.reports import html_page, junit_xml

    if options["json_file"] is not None:
        _save(options["json_file"], reports[0].text())
    if options["junit_file"] is not None:
        _save(options["junit_file"], junit_xml(reports))
    if options["html_file"] is not None:
        with usage_problems():
            page = html_page(reports)
        _save(options["html_file"], page)


def _save(file: Path, text: str) -> None:
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror}") from error


def _compare(first: Path, second: Path) -> int:
    """Show what changed between two reports; returns the exit status."""
    from tlsexit.cli.conform_show import print_changes
    from tlsexit.cli.show import console
    from tlsexit.conformance.compare import Kind, compare
    from tlsexit.conformance.results import read_report

    loaded = []
    for file in (first, second):
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise Problem(f"{file}: cannot be read: {error.strerror}") from error
        with usage_problems():
            loaded.append(read_report(text, str(file)))
    changes = compare(*loaded)
    print_changes(console(), changes)
    return codes.FAILED if any(change.kind is Kind.WORSE for change in changes) else codes.OK

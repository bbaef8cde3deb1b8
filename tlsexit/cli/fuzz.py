"""``tlsexit fuzz`` and ``tlsexit replay``: find what a TLS 1.0 implementation does wrong, and see it again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tlsexit.cli import codes
from tlsexit.cli.differ import differ
from tlsexit.cli.fuzzing import (
    BUDGET_OPTIONS,
    TARGET_OPTIONS,
    WARNING,
    budget,
    need_hypothesis,
    terms,
    with_options,
)
from tlsexit.cli.options import PATH, Amount
from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.cli.targets import client_target, load_or_make_workshop, own_target, reachable, server_target

if TYPE_CHECKING:
    from tlsexit.conformance.pki import Workshop
    from tlsexit.conformance.targets import Target
    from tlsexit.fuzzing.campaign import Discovery, Report
    from tlsexit.fuzzing.script import Script

F = TypeVar("F", bound=Callable[..., Any])

EPILOG: Final = """\b
Exit status:
  0   nothing was found
  1   something was found; replay: the flaw shows
  2   a bad option, address, file or key
  3   the target cannot be reached, or completes no honest handshake
  130 interrupted
  141 nobody read the output to its end"""

_FLAWS: Final = (
    "crash", "hang", "accepted", "early data", "resumed", "oracle", "refused", "ignored", "talks on", "nonsense",
    "internal error", "wrong alert", "no alert", "unanswered",
)  # fmt: skip

_RUN_OPTIONS: Final = (
    *TARGET_OPTIONS,
    *BUDGET_OPTIONS,
    click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Draw other conversations."),
    click.option("--database", type=PATH, metavar="DIR", help="Keep Hypothesis's examples there from run to run."),
    click.option("--redis", metavar="URL", help="Keep them in Redis, for several machines."),
    click.option("--corpus", type=PATH, metavar="DIR", help="Play the scripts in these files first."),
    click.option("--out", type=PATH, metavar="DIR", help="Write each finding there, for `tlsexit replay`."),
    click.option("--ignore", type=click.Choice(_FLAWS), multiple=True, help="A flaw of no interest."),
    click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write the report as JSON."),
    click.option("--html", "html_file", type=PATH, metavar="FILE", help="Write the report as one HTML page."),
)


@click.group(epilog=EPILOG)
def fuzz() -> None:
    """Fuzz a TLS 1.0 server or client.

    First come honest conversations, then each with one thing wrong, then whatever Hypothesis draws. Whatever is found
    is made as small as it will go. The messages are malformed and hostile. Point them only at what is yours.

    \b
    A server that runs, with certificates it trusts (`tlsexit conform pki DIR`):
      tlsexit fuzz server --pki DIR localhost:4433 --out findings
    A server that is started, `{port}` being the port:
      tlsexit fuzz server -- openssl s_server -accept {port} -tls1 -cert DIR/rsa.pem -key DIR/rsa.key -www
    A client that is started for each connection:
      tlsexit fuzz client --pki DIR -- curl --cacert DIR/ca.pem --tlsv1.0 https://localhost:{port}/
    """


@fuzz.command(epilog=EPILOG)
@click.argument("target", nargs=-1, required=True)
@with_options(_RUN_OPTIONS)
@click.option("--rate", type=Amount(min=0, min_open=True), metavar="N", help="Connections a second, at most.")
@click.option("--yes", is_flag=True, help="Do not ask before sending to another machine.")
def server(target: tuple[str, ...], **options: Any) -> None:
    """Fuzz a server: HOST:PORT, or a command that starts it, in which {port} becomes the port."""
    need_hypothesis()
    made = server_target(target, rate=options["rate"], yes=options["yes"], what=WARNING)
    _fuzz(made, load_or_make_workshop(options["folder"]), options, ("server", *target))


@fuzz.command(epilog=EPILOG)
@click.argument("command", nargs=-1)
@with_options(_RUN_OPTIONS)
@click.option("--listen", metavar="[HOST:]PORT", help="Where the client connects to, again and again.")
def client(command: tuple[str, ...], **options: Any) -> None:
    """Fuzz a client: a command that makes it connect, in which {port} becomes the port, or one that uses --listen."""
    need_hypothesis()
    listen = ("--listen", options["listen"]) if options["listen"] else ()
    made = client_target(command, options["listen"])
    _fuzz(made, load_or_make_workshop(options["folder"]), options, ("client", *listen, *command))


fuzz.add_command(differ)


@fuzz.command("self", epilog=EPILOG)
@click.argument("configuration", default="server-everything")
@with_options(_RUN_OPTIONS)
def self_(configuration: str, **options: Any) -> None:
    """Fuzz tlsexit itself, in this process, under a CONFIGURATION of `tlsexit conform self`."""
    need_hypothesis()
    workshop = load_or_make_workshop(options["folder"])
    _fuzz(own_target(configuration, workshop), workshop, options, ("self", configuration))


@click.group(epilog=EPILOG)
def replay() -> None:
    """Play a script that `tlsexit fuzz` has found, and show the conversation as a ladder.

    \b
    Examples:
      tlsexit replay self findings/01-accepted-R2246-7.4.9-03.json
      tlsexit replay server findings/01-accepted-R2246-7.4.9-03.json --pki DIR localhost:4433
    """


@replay.command("server", epilog=EPILOG)
@click.argument("file", type=PATH)
@click.argument("target", nargs=-1, required=True)
@with_options(TARGET_OPTIONS)
@click.option("--yes", is_flag=True, help="Do not ask before sending to another machine.")
def replay_server(file: Path, target: tuple[str, ...], **options: Any) -> None:
    """Play FILE against a server: HOST:PORT, or a command that starts it."""
    made = server_target(target, rate=None, yes=options["yes"], what=WARNING)
    _replay(file, made, load_or_make_workshop(options["folder"]), options)


@replay.command("client", epilog=EPILOG)
@click.argument("file", type=PATH)
@click.argument("command", nargs=-1)
@with_options(TARGET_OPTIONS)
@click.option("--listen", metavar="[HOST:]PORT", help="Where the client connects to.")
def replay_client(file: Path, command: tuple[str, ...], **options: Any) -> None:
    """Play FILE against a client: a command that makes it connect, or one that uses --listen."""
    made = client_target(command, options["listen"])
    _replay(file, made, load_or_make_workshop(options["folder"]), options)


@replay.command("self", epilog=EPILOG)
@click.argument("file", type=PATH)
@click.argument("configuration", default="server-everything")
@with_options(TARGET_OPTIONS)
def replay_self(file: Path, configuration: str, **options: Any) -> None:
    """Play FILE against tlsexit itself, under a CONFIGURATION of `tlsexit conform self`."""
    workshop = load_or_make_workshop(options["folder"])
    _replay(file, own_target(configuration, workshop), workshop, options)


# ------------------------------------------------------------------------------------------------ running


def _fuzz(target: Target, workshop: Workshop, options: dict[str, Any], words: tuple[str, ...]) -> None:
    from tlsexit.cli.show import console
    from tlsexit.fuzzing.campaign import Campaign, NothingWorks
    from tlsexit.fuzzing.findings import Flaw
    from tlsexit.fuzzing.report import read_corpus, write_findings
    from tlsexit.fuzzing.targets import abilities

    corpus: tuple[Script, ...] = ()
    if options["corpus"] is not None:
        with usage_problems():
            corpus = read_corpus(options["corpus"])
    database = _database(options)
    with reachable(target):
        found = abilities(target, workshop, patience=options["patience"])
        limits = budget(options)
        with _progress(console(err=True), limits.seconds, limits.examples) as listen:
            campaign = Campaign(
                target.lane(),
                target.name,
                found,
                terms(target, workshop, options),
                limits,
                number=options["seed"],
                database=database,
                corpus=corpus,
                ignore=frozenset(Flaw(name) for name in options["ignore"]),
                listen=listen,
                revive=target.restart,
            )
            try:
                report = campaign.run()
            except NothingWorks as error:
                raise Problem(f"{target.name}: {error}", codes.NETWORK) from error
    files = {}
    try:
        if options["out"] is not None:
            files = write_findings(report, options["out"])
        _write_reports(report, options, words)
    except OSError as error:
        raise Problem(f"{error.filename}: cannot be written: {error.strerror}") from error
    _print(report, files, words)
    if report.discoveries:
        click.get_current_context().exit(codes.FAILED)


def _database(options: dict[str, Any]) -> Any:
    from tlsexit.fuzzing.database import on_disk, shared

    if options["redis"] is not None:
        if find_spec("redis") is None:
            raise Problem("--redis needs redis-py; install with: python -m pip install 'tlsexit[redis]'")
        return shared(options["redis"])
    return None if options["database"] is None else on_disk(options["database"])


@contextmanager
def _progress(
    out: Any, seconds: float | None, examples: int | None
) -> Iterator[Callable[[Report, Discovery | None], None]]:
    """A bar on a terminal, and a line for each finding as it comes."""
    import time

    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    start = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("fuzzing", total=examples or seconds)

        def listen(report: Report, discovery: Discovery | None) -> None:
            done = report.conversations if examples else time.monotonic() - start
            number = len(report.discoveries)
            text = f"{report.conversations} conversations, {number} finding{'' if number == 1 else 's'}"
            bar.update(task, completed=done, description=text)

        yield listen


def _write_reports(report: Report, options: dict[str, Any], words: tuple[str, ...]) -> None:
    from tlsexit.fuzzing.report import dumps, html_page

    if options["json_file"] is not None:
        options["json_file"].write_text(dumps(report), encoding="utf-8")
    if options["html_file"] is not None:
        with usage_problems():
            page = html_page(report, _command(words, "FILE"))
        options["html_file"].write_text(page, encoding="utf-8")


def _command(words: tuple[str, ...], file: str) -> str:
    """Return the command that replays a finding in ``file`` against the same target."""
    kind, *rest = words
    folder = click.get_current_context().params.get("folder")
    file += "" if folder is None else f" --pki {shlex.quote(str(folder))}"
    if kind == "client" and rest[:1] == ["--listen"]:
        return f"tlsexit replay client --listen {shlex.quote(rest[1])} {file}"
    dashes = "-- " if len(rest) > 1 else ""
    return f"tlsexit replay {kind} {file} {dashes}{shlex.join(rest)}"


def _print(report: Report, files: dict[int, Path], words: tuple[str, ...]) -> None:
    from tlsexit.cli.show import console

    out = console()
    found = len(report.discoveries)
    out.print(
        f"{report.target}: {report.conversations} conversations in {report.seconds:.1f} s, "
        f"{found or 'no'} finding{'' if found == 1 else 's'}"
    )
    for number, discovery in enumerate(report.discoveries, 1):
        finding = discovery.finding
        out.print()
        out.print(f"{number}. {finding.severity}: {finding}")
        out.print(f"{discovery.script}")
        if number in files:
            out.print(f"  {_command(words, shlex.quote(str(files[number])))}")


def _replay(file: Path, target: Target, workshop: Workshop, options: dict[str, Any]) -> None:
    from tlsexit.cli import show
    from tlsexit.fuzzing.play import play
    from tlsexit.fuzzing.report import read_script

    with usage_problems():
        script = read_script(file)
    if script.role is target.tests:
        raise Problem(f"{file}: a script for a {script.role.peer.value}; {target.name} is a {target.tests.value}")
    with reachable(target):
        played = play(target.lane(), script, terms(target, workshop, options))
    out = show.console()
    out.print(f"{script}")
    for number, conversation in enumerate(played.conversations, 1):
        out.print()
        out.print(f"connection {number}: {conversation.reaction}")
        show.print_diagram(out, conversation.puppet.talk)
        if conversation.stuck is not None:
            out.print(f"the fuzzer could not go on: {conversation.stuck}")
    out.print()
    for finding in played.findings:
        out.print(f"{finding.severity}: {finding}")
    if played.findings:
        click.get_current_context().exit(codes.FAILED)
    out.print("nothing is wrong")

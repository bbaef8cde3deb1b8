"""``tlsexit fuzz differ``: the same conversations with two or more implementations, and where they part."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlsexit.cli import codes
from tlsexit.cli.fuzzing import BUDGET_OPTIONS, TARGET_OPTIONS, WARNING, budget, need_hypothesis, terms, with_options
from tlsexit.cli.options import PATH
from tlsexit.cli.problems import Problem
from tlsexit.cli.targets import client_target, load_or_make_workshop, own_target, reachable, server_target
from tlsexit.constants import Role

if TYPE_CHECKING:
    from tlsexit.conformance.pki import Workshop
    from tlsexit.conformance.targets import Target
    from tlsexit.fuzzing.differential import Comparison, Difference
    from tlsexit.fuzzing.script import Script


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET TARGET...")
@click.option("--clients", is_flag=True, help="The targets are clients: commands with {port}, `self` and `ssl`.")
@with_options((*TARGET_OPTIONS, *BUDGET_OPTIONS))
@click.option("--exact", is_flag=True, help="Two alerts are the same only with the same description.")
@click.option(
    "--known",
    type=PATH,
    metavar="FILE",
    help="A TOML file of differences of no interest: [[difference]] tables of `about` and `kinds`, as in --json.",
)
@click.option("--json", "json_file", type=PATH, metavar="FILE", help="Write the differences as JSON.")
@click.option("--out", type=PATH, metavar="DIR", help="Write each script there, for `tlsexit replay`.")
@click.option("--yes", is_flag=True, help="Do not ask before sending to another machine.")
def differ(targets: tuple[str, ...], **options: Any) -> None:
    """Play the same scripts against several targets, and show where they differ.

    A TARGET is `self` or `self:CONFIGURATION` (tlsexit in this process), `ssl` (Python's), HOST:PORT, or a command in
    quotes that starts it, in which {port} becomes the port. Answers are compared by what they come to: the target goes
    on, refuses with an alert, or closes. Each kind of difference is shown once, by the smallest script, with the
    requirement that it is about.

    \b
      tlsexit fuzz differ self ssl
      tlsexit fuzz differ --pki DIR self 'openssl s_server -accept {port} -tls1 -cert DIR/rsa.pem -key DIR/rsa.key -www'

    \b
    Exit status:
      0   no difference, or known ones only
      1   a difference
      2   a bad option, address, file or key
      3   a target cannot be reached, or they have no honest handshake in common
    """
    need_hypothesis()
    if len(targets) < 2:
        raise Problem("there have to be two targets, to differ")
    workshop = load_or_make_workshop(options["folder"])
    known = _known(options["known"])
    made = [_target(text, options, workshop) for text in targets]
    with ExitStack() as running:
        comparison = _compared(made, workshop, options, running)
    _report(comparison, known, options)


def _target(text: str, options: dict[str, Any], workshop: Workshop) -> Target:
    role = Role.CLIENT if options["clients"] else Role.SERVER
    if text == "ssl":
        from tlsexit.fuzzing.targets import ssl_target

        return ssl_target(role, workshop)
    if text == "self" or text.startswith("self:"):
        target = own_target(text.partition(":")[2] or f"{role.value}-everything", workshop)
        if target.tests is not role:
            raise Problem(f"{text} is a {target.tests.value}; --clients says what the targets are")
        return target
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise Problem(f"{text}: {error}") from error
    if role is Role.CLIENT:
        return client_target(words, None)
    return server_target(words, rate=None, yes=options["yes"], what=WARNING)


def _compared(targets: list[Target], workshop: Workshop, options: dict[str, Any], running: ExitStack) -> Comparison:
    from tlsexit.cli.show import console
    from tlsexit.fuzzing.departures import sweep
    from tlsexit.fuzzing.differential import Comparison, Contestant
    from tlsexit.fuzzing.targets import abilities

    err, out = console(err=True), console()
    found = []
    for target in targets:
        running.enter_context(reachable(target))
        found.append(abilities(target, workshop, patience=options["patience"]))
    contestants = tuple(Contestant(item.name, item.lane(), terms(item, workshop, options)) for item in targets)

    def listen(difference: Difference) -> None:
        out.print(f"{_title(difference)}\n{difference}\n")

    comparison = Comparison(contestants, exact=options["exact"], listen=listen)
    plans = comparison.plans(found)
    if not plans:
        raise Problem("the targets have no honest handshake in common", codes.NETWORK)
    limits = budget(options)
    start = time.monotonic()
    with err.status("comparing") as status:
        for script in sweep(plans):
            if limits.spent(comparison.scripts, time.monotonic() - start):
                break
            comparison.look(script)
            status.update(f"{comparison.scripts} scripts, {len(comparison.found)} differences")
    return comparison


def _title(difference: Difference) -> str:
    return f"{', '.join(difference.requirements) or 'no requirement'}: {difference.about}"


def _known(file: Path | None) -> frozenset[tuple[str, tuple[str, ...]]]:
    """Return the differences in a file: tables ``difference`` with ``about`` and ``kinds``."""
    if file is None:
        return frozenset()
    import tomllib

    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        return frozenset((item["about"], tuple(item["kinds"])) for item in document["difference"])
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Problem(f"{file}: no list of differences") from error


def _report(comparison: Comparison, known: frozenset[tuple[str, tuple[str, ...]]], options: dict[str, Any]) -> None:
    from tlsexit.cli.show import console

    found = list(comparison.found.values())
    fresh = [item for item in found if item.key not in known]
    console().print(
        f"{comparison.scripts} scripts, {len(found)} kinds of difference"
        + (f", {len(found) - len(fresh)} of them known" if known else "")
    )
    try:
        if options["json_file"] is not None:
            text = json.dumps([_document(item) for item in found], indent=2)
            options["json_file"].write_text(text + "\n", encoding="utf-8")
        if options["out"] is not None:
            options["out"].mkdir(parents=True, exist_ok=True)
            for number, item in enumerate(found, 1):
                _write(options["out"] / f"{number:02}.json", item.script)
    except OSError as error:
        raise Problem(f"{error.filename}: cannot be written: {error.strerror}") from error
    if fresh:
        click.get_current_context().exit(codes.FAILED)


def _write(file: Path, script: Script) -> None:
    from tlsexit.fuzzing.scriptfile import dump

    file.write_text(json.dumps(dump(script), indent=1) + "\n", encoding="utf-8")


def _document(difference: Difference) -> dict[str, Any]:
    from tlsexit.fuzzing.scriptfile import dump

    return {
        "about": difference.key[0],
        "move": difference.about,
        "requirements": list(difference.requirements),
        "kinds": list(difference.kinds),
        "outcomes": {name: [str(item) for item in outcomes] for name, outcomes in difference.outcomes.items()},
        "script": dump(difference.script),
    }

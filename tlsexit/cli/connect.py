"""``tlsexit connect``: a client, in the manner of ``openssl s_client``."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tlsexit.alerts import TlsError
from tlsexit.cli import codes
from tlsexit.cli.options import (
    PATH,
    Amount,
    credentials,
    exit_option,
    exit_timeout_option,
    host_name,
    key_logger,
    load_exit,
    parse_address,
    suites_option,
    warn,
    warn_of_weak,
)
from tlsexit.cli.pki_options import application_option, chosen_profile, pki_source, profile_options, store_options
from tlsexit.cli.problems import Problem, exit_code, sentence, usage_problems
from tlsexit.constants import Role
from tlsexit.profile import Verify


@click.command(epilog=codes.EPILOG)
@click.argument("address", metavar="HOST:PORT")
@profile_options
@credentials
@store_options
@click.option("--ca-file", type=PATH, metavar="FILE", help="Authorities to trust, PEM. [default: the system's]")
@suites_option("--suites", help="Cipher suites to offer, favourite first; see `tlsexit suites`.")
@click.option("--servername", metavar="NAME", help="Name to send and to check, instead of HOST.")
@click.option("--no-name-check", is_flag=True, help="Trust a certificate of the right authority whatever its name.")
@click.option("--insecure", is_flag=True, help="Trust any certificate: anyone may be at the other end.")
@click.option(
    "--verify",
    type=click.Choice([Verify.NONE.value, Verify.ENFORCED.value]),
    help="enforced: fail unless the server asks for our certificate. [default: that of the profile, else none]",
)
@click.option("--resume", is_flag=True, help="Connect twice; the second connection resumes the session of the first.")
@click.option("--input", "send_input", is_flag=True, help="Send standard input, print what arrives.")
@click.option(
    "--linger",
    type=Amount(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="With --input: how long to wait for more once the input has ended.",
)
@exit_option("--exit", "exit_name", "the")
@exit_timeout_option
@application_option
@click.option("--ladder", is_flag=True, help="Show the messages and phases as a diagram.")
@click.option("--trace", is_flag=True, help="Show every message field by field as it passes, on standard error.")
@click.option("--key-log", type=PATH, metavar="FILE", help="Append the master secrets for capture tools. Dangerous.")
@click.option(
    "--timeout",
    type=Amount(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for connecting and the handshake.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, whose shape `pydoc tlsexit.cli.document` tells.")
def connect(**options: Any) -> None:
    """Connect to a TLS 1.0 server and tell what was negotiated.

    The server's certificate is checked against the authorities of --ca-file, and its name against HOST. With --input
    the connection is used: standard output then carries what the server sends and nothing else, everything about the
    connection goes to standard error, and the end of the input ends the connection with close_notify.

    \b
    Examples:
      tlsexit connect --ca-file ca.pem old-server.example:443
      tlsexit connect --ca-file ca.pem --cert me.pem --key me.key [::1]:4433
      tlsexit connect --profile-file profiles.toml --profile partners --key-store store localhost:4433
      tlsexit connect --resume --ladder --insecure 192.0.2.7:443
      printf 'GET / HTTP/1.0\\r\\n\\r\\n' | tlsexit connect --input --ca-file ca.pem localhost:4433
    """
    import asyncio

    from tlsexit.cli.client import Client

    host, port = parse_address(options["address"])
    plan = _plan(host, port, options)
    client = Client(plan)
    try:
        asyncio.run(client.run())
    except OSError as error:
        raise Problem(f"{options['address']}: {sentence(error)}", codes.NETWORK) from error
    except TlsError as error:
        raise Problem(sentence(error), exit_code(error)) from error
    _report(client.outcomes, options)


def _plan(host: str, port: int, options: dict[str, Any]) -> Any:
    from tlsexit.cli.client import AnyName, Plan, TrustAnyone
    from tlsexit.policy import system_config

    exits = load_exit(options["exit_name"])
    overrides: dict[str, Any] = {}
    if options["verify"]:
        overrides["verify"] = Verify(options["verify"])
    if options["suites"]:
        overrides["cipher_suites"] = options["suites"]
    if options["servername"] is not None:
        overrides["server_name"] = host_name(options["servername"])
    profile = chosen_profile(options, Role.CLIENT, overrides)
    if profile.server_name is None:
        with usage_problems():
            profile = replace(profile, server_name=host_name(host))
    if options["insecure"]:
        profile = replace(profile, root_ca_ids=())
    options["ladder"] = options["ladder"] or profile.trace == 1
    trace = options["trace"] or profile.trace > 1
    source = pki_source(options, profile, has_exit=exits is not None)
    if source.key_store is None and source.ca_file is None and not options["insecure"]:
        source = replace(source, ca_file=_system_authorities())
    with usage_problems():
        pki: Any = source.build()
    if options["insecure"]:
        warn("--insecure: the server's certificate is NOT checked; anyone may be at the other end")
        pki = TrustAnyone(pki)
    elif options["no_name_check"]:
        pki = AnyName(pki)
    warn_of_weak(profile.cipher_suites)
    return Plan(
        host=host,
        port=port,
        profile=profile,
        config=system_config(key_log=key_logger(options["key_log"])),
        pki=pki,
        exits=exits,
        application_exits=load_exit(options["application_spec"]),
        timeout=options["timeout"],
        exit_timeout=options["exit_timeout"],
        resume=options["resume"],
        source=sys.stdin.buffer if options["send_input"] else None,
        sink=sys.stdout.buffer if options["send_input"] else None,
        linger=options["linger"],
        listener=_tracer() if trace else None,
    )


def _system_authorities() -> Path:
    """Return the file of the authorities that the system trusts."""
    import ssl

    paths = ssl.get_default_verify_paths()
    for candidate in (paths.cafile, paths.openssl_cafile):
        if candidate and os.path.isfile(candidate):
            return Path(candidate)
    raise Problem("the system has no file of authorities; name one with --ca-file")


def _tracer() -> Any:
    """Return a listener that prints each message on standard error."""
    from tlsexit.cli import show

    return show.tracer(show.console(err=True))


def _report(outcomes: list[Any], options: dict[str, Any]) -> None:
    """Tell what happened, and end with the status that says so."""
    from tlsexit.cli.outcome import verdict

    status, message = verdict(outcomes, resume=options["resume"])
    if options["as_json"]:
        from tlsexit.cli.document import connection, dump, envelope

        found = [connection(outcome) for outcome in outcomes]
        document = envelope("connect", status, found, address=options["address"])
        click.echo(dump(document), err=options["send_input"])
    else:
        _print(outcomes, options)
    if message is not None:
        raise Problem(f"{options['address']}: {message}", status)


def _print(outcomes: list[Any], options: dict[str, Any]) -> None:
    from tlsexit.cli import show

    out = show.console(err=options["send_input"])
    for number, outcome in enumerate(outcomes):
        if number:
            out.print()
        if options["ladder"]:
            show.print_ladder(out, outcome, ("tlsexit", options["address"]))
            out.print()
            show.print_legend(out)
            out.print()
        if outcome.completed:
            show.print_facts(out, show.session_facts(outcome, trusted=not options["insecure"]))

"""``tlsexit handshake``: a handshake between two sides in one process, as a diagram."""

from __future__ import annotations

from typing import Any

import click

from tlsexit.alerts import ExitFailed
from tlsexit.cli import codes
from tlsexit.cli.options import check_for_server, exit_option, load_exit, suites_option, warn, warn_of_weak
from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.constants import Role
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES
from tlsexit.profile import Profile, Verify

HOST = "localhost"
"""What the throw-away server certificate is for."""


@click.command(epilog=codes.EPILOG)
@suites_option("--suite", help="Cipher suites of both sides; see `tlsexit suites`.")
@click.option(
    "--verify",
    type=click.Choice([Verify.NONE.value, Verify.OPTIONAL.value, Verify.REQUIRED.value]),
    help="Whether the server asks for the client's certificate. [default: required]",
)
@click.option("--resume", is_flag=True, help="Make a second connection that resumes the session of the first.")
@click.option("--chunk", type=int, metavar="BYTES", help="Deliver so many bytes at a time, as a slow network would.")
@exit_option("--client-exit", "client_exit", "the client's")
@exit_option("--server-exit", "server_exit", "the server's")
@click.option("--trace", is_flag=True, help="Show every message field by field.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, whose shape `pydoc tlsexit.cli.document` tells.")
def handshake(
    suites: tuple[int, ...] | None,
    verify: str | None,
    resume: bool,
    chunk: int | None,
    client_exit: str | None,
    server_exit: str | None,
    trace: bool,
    as_json: bool,
) -> None:
    """Show a handshake between a client and a server in memory.

    Both sides get a certificate from an authority made on the spot, and authenticate each other. The diagram shows
    each message, and each phase of the exit where it is called. Without an exit the built-in PKI answers. From 90
    columns on each line begins with its time: that of sending a message, or of asking the exit.

    \b
    Examples:
      tlsexit handshake
      tlsexit handshake --suite DHE-RSA-AES128-SHA --verify none
      tlsexit handshake --resume --trace
      tlsexit handshake --server-exit my_exit:MyExit --chunk 1
    """
    from tlsexit.cli.memory import Demonstration, throwaway_pkis
    from tlsexit.cli.outcome import verdict

    check_for_server(suites)
    exits = {Role.CLIENT: load_exit(client_exit), Role.SERVER: load_exit(server_exit)}
    wanted = suites or DEFAULT_SUITES
    with usage_problems():
        profiles = {
            Role.CLIENT: Profile.client(cipher_suites=wanted, server_name=HOST),
            Role.SERVER: Profile.server(cipher_suites=wanted, verify=_verify(wanted, verify)),
        }
        demonstration = Demonstration(profiles, throwaway_pkis(suites or (), HOST), exits, chunk=chunk)
    warn_of_weak(suites)
    try:
        outcomes = demonstration.handshakes(resume=resume)
    except ExitFailed as error:
        raise Problem(str(error), codes.FAILED) from error
    status, message = verdict(outcomes, resume=resume)
    if as_json:
        _print_json(outcomes, status)
    else:
        _print(outcomes, trace=trace)
    if message is not None:
        raise Problem(message, status)


def _verify(suites: tuple[int, ...], given: str | None) -> Verify:
    """Return what the server demands: by default a certificate, unless no suite can carry one (§7.4.4)."""
    if given is not None:
        return Verify(given)
    if any(SUITES[value].key_exchange.certificate is not None for value in suites):
        return Verify.REQUIRED
    warn("no suite carries a client certificate, so --verify is none")
    return Verify.NONE


def _print_json(outcomes: Any, status: int) -> None:
    from tlsexit.cli.document import connection, dump, envelope

    click.echo(dump(envelope("handshake", status, [connection(outcome) for outcome in outcomes])))


def _print(outcomes: Any, *, trace: bool) -> None:
    from tlsexit.cli import show

    out = show.console()
    for number, outcome in enumerate(outcomes):
        if number:
            out.print()
        show.print_ladder(out, outcome)
        out.print()
        show.print_legend(out)
        if outcome.completed:
            out.print()
            show.print_facts(out, show.session_facts(outcome))
        if trace:
            out.print()
            show.print_messages(out, outcome)

"""``tlsexit serve``: a server, in the manner of ``openssl s_server``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tlsexit.alerts import TlsError
from tlsexit.cli import codes
from tlsexit.cli.monitoring import MonitoredServer, in_process, monitor_options
from tlsexit.cli.options import (
    PATH,
    Amount,
    check_for_server,
    check_key_log,
    credentials,
    exit_option,
    exit_pin,
    exit_timeout_option,
    parse_listening_address,
    suites_option,
    warn_of_weak,
)
from tlsexit.cli.pki_options import (
    PkiSource,
    application_option,
    check_server_pki,
    chosen_profile,
    pki_source,
    profile_options,
    store_options,
)
from tlsexit.cli.problems import Problem, exit_code, sentence, usage_problems
from tlsexit.constants import Role
from tlsexit.profile import Profile, Verify

if TYPE_CHECKING:
    from tlsexit.cli.service import Settings

HOST = "127.0.0.1"
"""Where to listen unless told otherwise: TLS 1.0 does not belong on the open network."""


@click.command(epilog=codes.EPILOG)
@click.argument("address", metavar="[HOST:]PORT")
@profile_options
@credentials
@store_options
@click.option(
    "--throw-away",
    type=PATH,
    metavar="DIR",
    help="Use ca.pem and server.pem in DIR; make them, and client.pem, if they are not there.",
)
@click.option("--ca-file", type=PATH, metavar="FILE", help="Authorities of the clients, PEM.")
@suites_option("--suites", help="Cipher suites to accept; see `tlsexit suites`.")
@click.option(
    "--verify",
    type=click.Choice([Verify.NONE.value, Verify.OPTIONAL.value, Verify.REQUIRED.value]),
    help="Whether to ask for the client's certificate. [default: that of the profile, else none]",
)
@click.option("--echo", is_flag=True, help="Send back what arrives.")
@click.option("--www", is_flag=True, help="Answer HTTP requests with a page about the session.")
@click.option("--resumption/--no-resumption", default=True, show_default=True, help="Let clients resume sessions.")
@exit_option("--exit", "exit_name", "the")
@exit_timeout_option
@application_option
@click.option("--ladder", is_flag=True, help="Show each connection as a diagram when it is over.")
@click.option("--trace", is_flag=True, help="Show every message field by field as it passes, on standard error.")
@click.option("--key-log", type=PATH, metavar="FILE", help="Append the master secrets for capture tools. Dangerous.")
@click.option(
    "--timeout",
    type=Amount(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for a handshake.",
)
@click.option(
    "--max-connections", type=click.IntRange(min=1), metavar="N", help="End after N connections, failed ones included."
)
@monitor_options
def serve(**options: Any) -> None:
    """Serve TLS 1.0 and tell about each connection.

    HOST is 127.0.0.1 unless given; with port 0 the system picks a port, which is printed. Without --echo and --www
    what arrives is only counted. Connections are served by tasks, each a process with an exit of its own: one that
    dies is replaced, and takes no other task's connections with it.

    SIGINT and SIGTERM end the server with status 0: it stops accepting, lets connections finish for a while, and
    closes them then; a second signal closes them at once.

    \b
    Examples:
      tlsexit serve --throw-away demo --www 4433
      tlsexit serve --cert server.pem --key server.key --echo [::1]:4433
      tlsexit serve --throw-away demo --verify required --exit my_exit:MyExit --ladder 4433
      tlsexit serve --profile-file profiles.toml --profile partners --key-store store 4433
      tlsexit serve --throw-away demo --echo --max-tasks 3 --sessions-per-task 100 --live 4433
    and then
      tlsexit connect --ca-file demo/ca.pem --cert demo/client.pem localhost:4433
    """
    import asyncio

    host, port = parse_listening_address(options["address"], HOST)
    here = in_process(options)
    settings = _settings(options)

    async def run() -> None:
        if here:
            await _run_here(settings, host, port, options)
        else:
            await MonitoredServer(settings, host, port, options).run()

    try:
        asyncio.run(run())
    except TlsError as error:
        raise Problem(sentence(error), getattr(error, "code", exit_code(error))) from error
    except BrokenPipeError:
        raise  # nobody reads the output
    except OSError as error:
        raise Problem(f"cannot listen on {options['address']}: {sentence(error)}", codes.NETWORK) from error


async def _run_here(settings: Settings, host: str, port: int, options: dict[str, Any]) -> None:
    """Serve in this process."""
    import time

    from tlsexit.cli import show
    from tlsexit.cli.server import Server
    from tlsexit.cli.service import plan
    from tlsexit.policy import system_config
    from tlsexit.stores.tickets import TicketKeys

    made = plan(
        settings, system_config(tickets=TicketKeys(time.time)), show.console(), show.console(err=True), click.echo
    )
    server = Server(
        made, host, port, max_connections=options["max_connections"], drain_seconds=options["drain_seconds"]
    )
    await server.run()


def _settings(options: dict[str, Any]) -> Settings:
    """Return what to serve, after a look at everything but the exit, which is loaded where it is used."""
    from tlsexit.cli.desk import Mode
    from tlsexit.cli.service import Settings

    if options["echo"] and options["www"]:
        raise Problem("--echo and --www exclude each other")
    overrides: dict[str, Any] = {}
    if options["verify"]:
        overrides["verify"] = Verify(options["verify"])
    if options["suites"]:
        overrides["cipher_suites"] = options["suites"]
    profile = chosen_profile(options, Role.SERVER, overrides)
    check_for_server(profile.cipher_suites)
    pki = _pki(options, profile, has_exit=options["exit_name"] is not None)
    warn_of_weak(profile.cipher_suites)
    if options["key_log"] is not None:
        check_key_log(options["key_log"])
    return Settings(
        profile=profile,
        pki=pki,
        exit_spec=options["exit_name"],
        exit_pin=exit_pin(options["exit_name"]),
        application_spec=options["application_spec"],
        mode=Mode.ECHO if options["echo"] else Mode.WWW if options["www"] else Mode.COUNT,
        timeout=options["timeout"],
        exit_timeout=options["exit_timeout"],
        resumption=options["resumption"],
        key_log=options["key_log"],
        ladder=options["ladder"] or profile.trace == 1,
        trace=options["trace"] or profile.trace > 1,
    )


def _pki(options: dict[str, Any], profile: Profile, *, has_exit: bool) -> PkiSource:
    """Return where the server's certificate and the clients' authorities are, which make a PKI."""
    folder: Path | None = options["throw_away"]
    if folder is not None:
        from tlsexit.cli.throwaway import CA, CLIENT, SERVER, throwaway_folder

        for name in ("cert", "key", "key_store"):
            if options[name] is not None:
                raise Problem(f"--throw-away and --{name.replace('_', '-')} exclude each other")
        if throwaway_folder(folder):
            click.echo(f"made {folder / CA}, {folder / SERVER} and {folder / CLIENT}")
        options = {**options, "cert": folder / SERVER, "ca_file": options["ca_file"] or folder / CA}
    source = pki_source(options, profile, has_exit=has_exit)
    check_server_pki(options, profile, has_exit=has_exit)
    with usage_problems():
        source.build()
    return source

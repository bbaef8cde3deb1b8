"""``tlsexit exit-server``: an exit, or a key, behind a Unix socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tlsexit.cli import codes
from tlsexit.cli.options import PATH, credentials, exit_option, load_exit, load_own_identity, password
from tlsexit.cli.problems import Problem, sentence, usage_problems


@click.command("exit-server", epilog=codes.EPILOG)
@click.argument("path", metavar="SOCKET", type=PATH)
@credentials
@exit_option("--exit", "exit_name", "the")
def exit_server(path: Path, **options: Any) -> None:
    """Answer the questions of other processes on a Unix socket, with a key of its own or an exit.

    Whoever may connect to SOCKET may have anything signed and decrypted; so only this user may. Those who ask name the
    exit unix:SOCKET. SIGINT and SIGTERM end the server with status 0.

    \b
    Examples:
      tlsexit exit-server --cert server.pem --key server.key /run/user/1000/signer.sock
      tlsexit exit-server --exit my_exit:MyExit /run/user/1000/exit.sock
    and then
      tlsexit serve --exit unix:/run/user/1000/signer.sock --www 4433
    """
    import asyncio

    exits = _exits(options)
    try:
        asyncio.run(_serve(exits, path))
    except OSError as error:
        raise Problem(f"cannot listen on {path}: {sentence(error)}", codes.NETWORK) from error


def _exits(options: dict[str, Any]) -> object:
    if (options["exit_name"] is None) == (options["cert"] is None):
        raise Problem("name what answers with one of --cert and --exit")
    if options["exit_name"] is not None:
        return load_exit(options["exit_name"])
    from tlsexit.adapters.remote import Signer

    given = password(options["password_env"], options["password_file"], options["password_fd"])
    return Signer(load_own_identity(options["cert"], options["key"], given))


async def _serve(exits: object, path: Path) -> None:
    import asyncio

    from tlsexit.adapters.remote import ExitServer
    from tlsexit.cli.signals import Signals

    stop = asyncio.Event()
    with usage_problems():
        async with ExitServer(exits, path):
            with Signals(stop.set):
                click.echo(f"listening on {path}")
                await stop.wait()

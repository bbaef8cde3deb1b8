"""The ``tlsexit`` command and its subcommands."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from tlsexit.cli import codes
from tlsexit.cli.c_exit import c_exit
from tlsexit.cli.conform import conform
from tlsexit.cli.connect import connect
from tlsexit.cli.exit_server import exit_server
from tlsexit.cli.fuzz import fuzz, replay
from tlsexit.cli.handshake import handshake
from tlsexit.cli.phases import phases
from tlsexit.cli.pki import pki
from tlsexit.cli.problems import Problem, sentence
from tlsexit.cli.profile import profile
from tlsexit.cli.serve import serve
from tlsexit.cli.suites import suites


class Application(click.Group):
    """The group, which turns a problem into one line and a status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            click.echo(f"tlsexit: {problem}", err=True)
            ctx.exit(problem.status)
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(codes.INTERRUPTED)
        except BrokenPipeError:
            _drop_output()
            ctx.exit(codes.UNREAD)
        except OSError as error:
            # a command explains its own; what is left is the output, on a disk that is full
            _drop_output()
            click.echo(f"tlsexit: {sentence(error)}", err=True)
            ctx.exit(codes.USAGE)


def _drop_output() -> None:
    """Send what is left in the buffer nowhere: it must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=codes.EPILOG,
)
@click.version_option(package_name="tlsexit", prog_name="tlsexit", message="%(prog)s %(version)s")
def cli() -> None:
    """TLS 1.0 (RFC 2246), with an exit at every decision about keys and certificates.

    \b
    See a handshake, with the questions put to an exit:
      tlsexit handshake
    Be a client, in the manner of openssl s_client:
      tlsexit connect --ca-file ca.pem old-server.example:443
    Be a server, with certificates made on the spot:
      tlsexit serve --throw-away demo --www 4433
    """


for command in (handshake, connect, serve, conform, pki, profile, suites, phases, c_exit, exit_server, fuzz, replay):
    cli.add_command(command)

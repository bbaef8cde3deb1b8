"""``tlsexit c-exit``: where the header and the sample of exits in C are."""

from __future__ import annotations

import click

from tlsexit.cli import codes


@click.command("c-exit", epilog=codes.EPILOG)
@click.argument("what", type=click.Choice(["include", "sample"]))
def c_exit(what: str) -> None:
    """Print where the files for exits in C are: the folder with cftpkie.h, or the source of the sample exit.

    \b
    Examples:
      cc -shared -fPIC -I"$(tlsexit c-exit include)" -o pki_exit.so pki_exit.c
      cc -shared -fPIC -I"$(tlsexit c-exit include)" -o sample_exit.so "$(tlsexit c-exit sample)"
      tlsexit serve --exit c:./sample_exit.so --throw-away demo 4433
    """
    from tlsexit.adapters.clib import INCLUDE, SAMPLE

    click.echo(INCLUDE if what == "include" else SAMPLE)

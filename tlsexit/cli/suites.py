"""``tlsexit suites``: what there is to negotiate, and what there is not."""

from __future__ import annotations

from typing import Any

import click

from tlsexit.cli import codes
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES, UNAVAILABLE_SUITES, CipherSuite


@click.command(epilog=codes.EPILOG)
@click.option("--default", "only_default", is_flag=True, help="Only the suites offered by default, favourite first.")
@click.option("--unavailable", is_flag=True, help="Only the suites tlsexit does not have, with the reasons.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def suites(only_default: bool, unavailable: bool, as_json: bool) -> None:
    """List the cipher suites.

    Names of the first column, those of OpenSSL and numbers are all understood by --suite and --suites.

    \b
    Examples:
      tlsexit suites
      tlsexit suites --default
      tlsexit suites --json | jq '.suites[] | select(.weak | not) | .name'
    """
    if only_default:
        shown = [SUITES[value] for value in DEFAULT_SUITES]
    else:
        shown = [] if unavailable else list(SUITES.values())
    if as_json:
        _print_json(shown, with_unavailable=not only_default)
        return
    from tlsexit.cli.show import console

    out = console()
    if shown:
        out.print(_table(shown), soft_wrap=False)
    if not only_default:
        out.print(_unavailable_table(), soft_wrap=False)


def _print_json(shown: list[CipherSuite], *, with_unavailable: bool) -> None:
    from tlsexit.cli.document import dump

    document: dict[str, Any] = {
        "suites": [
            {
                "value": suite.value,
                "name": suite.name,
                "openssl_name": suite.openssl_name,
                "key_exchange": suite.key_exchange.rfc_name,
                "cipher": suite.cipher.name,
                "mac": suite.mac.name,
                "rfc": suite.rfc,
                "weak": suite.weak,
                "default": suite.value in DEFAULT_SUITES,
            }
            for suite in shown
        ]
    }
    if with_unavailable:
        document["unavailable"] = [
            {"value": value, "name": name, "reason": reason} for value, (name, reason) in UNAVAILABLE_SUITES.items()
        ]
    click.echo(dump(document))


def _table(shown: list[CipherSuite]) -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("Value", "Name", "Key exchange", "Cipher", "MAC", "RFC", ""):
        table.add_column(title, no_wrap=True)
    for suite in shown:
        mark = "weak" if suite.weak else "default" if suite.value in DEFAULT_SUITES else ""
        style = "bright_black" if suite.weak else "green" if suite.value in DEFAULT_SUITES else ""
        table.add_row(
            f"0x{suite.value:04X}",
            suite.name,
            suite.key_exchange.rfc_name,
            suite.cipher.name,
            suite.mac.name,
            str(suite.rfc),
            mark,
            style=style,
        )
    return table


def _unavailable_table() -> Any:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, title="Not available", title_justify="left")
    for title in ("Value", "Name"):
        table.add_column(title, no_wrap=True)
    table.add_column("Why not")
    for value, (name, reason) in UNAVAILABLE_SUITES.items():
        table.add_row(f"0x{value:04X}", name, reason)
    return table

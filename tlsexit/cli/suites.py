"""``tlsexit suites``: what there is to negotiate, and what there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tlsexit.cli import codes
from tlsexit.crypto.suites import DEFAULT_SUITES, SUITES, UNAVAILABLE_SUITES, CipherSuite

if TYPE_CHECKING:
    from rich.console import Console


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
        _print_suites(out, shown)
    if not only_default:
        if shown:
            out.print()
        _print_unavailable(out)


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
                "clients_only": suite.key_exchange.fixed,
            }
            for suite in shown
        ]
    }
    if with_unavailable:
        document["unavailable"] = [
            {"value": value, "name": name, "reason": reason} for value, (name, reason) in UNAVAILABLE_SUITES.items()
        ]
    click.echo(dump(document))


def _print_suites(out: Console, shown: list[CipherSuite]) -> None:
    """Print a line a suite: never cut, since names are there to be copied."""
    titles = ("Value", "Name", "Key exchange", "Cipher", "MAC", "RFC", "Marks")
    rows = [
        (
            f"0x{suite.value:04X}",
            suite.name,
            suite.key_exchange.rfc_name,
            suite.cipher.name,
            suite.mac.name,
            str(suite.rfc),
            _mark(suite),
        )
        for suite in shown
    ]
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        style = "bold" if row is titles else {"weak": "dim", "default": "green"}.get(row[-1].partition(",")[0], "")
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print(line.rstrip(), style=style)


def _mark(suite: CipherSuite) -> str:
    marks = {
        "weak": suite.weak,
        "default": suite.value in DEFAULT_SUITES,
        "clients only": suite.key_exchange.fixed,  # CryptData has no operation for a server's half
    }
    return ", ".join(mark for mark, given in marks.items() if given)


def _print_unavailable(out: Console) -> None:
    """Print the suites that are not there, by reason."""
    by_reason: dict[str, list[str]] = {}
    for value, (name, reason) in UNAVAILABLE_SUITES.items():
        by_reason.setdefault(reason, []).append(f"  0x{value:04X}  {name}")
    out.print("Not available", style="bold")
    for reason, lines in by_reason.items():
        out.print(f"because {reason}:", style="yellow")
        for line in lines:
            out.print(line)

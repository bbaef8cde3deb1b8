"""``tlsexit profile``: files of security profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tlsexit.cli import codes
from tlsexit.cli.options import PATH
from tlsexit.cli.problems import usage_problems
from tlsexit.crypto.groups import NamedCurve
from tlsexit.crypto.suites import SUITES
from tlsexit.profile import Profile


@click.group(epilog=codes.EPILOG)
def profile() -> None:
    """Work with files of security profiles.

    \b
    Examples:
      tlsexit profile check profiles.toml
      tlsexit profile check --key-store store cftssl.txt
    """


@profile.command(epilog=codes.EPILOG)
@click.argument("file", metavar="FILE", type=PATH)
@click.option("--key-store", type=PATH, metavar="DIR", help="See to it that what the profiles name is in there too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, key_store: Path | None, as_json: bool) -> None:
    """Check the profiles in FILE and print them.

    FILE is TOML if its name ends in .toml, else it holds CFTSSL commands. The first mistake is told with its line. The
    elements of the CFTSSL command are all printed, those that only tlsexit has where they are not as usual.
    """
    from tlsexit.alerts import LocalError
    from tlsexit.keystore import KeyStore
    from tlsexit.profiles import load_profiles
    from tlsexit.profiles.elements import ELEMENTS

    with usage_problems():
        profiles = load_profiles(file).values()
        if not profiles:
            raise LocalError(f"{file}: has no profile")
        if key_store is not None:
            store = KeyStore.open(key_store)
            for item in profiles:
                store.check_profile(item)
    if as_json:
        from tlsexit.cli.document import dump

        click.echo(dump({"profiles": [elements(item) for item in profiles]}))
        return
    for number, item in enumerate(profiles):
        click.echo(("\n" if number else "") + f"{item.direction.value} {item.id}")
        shown, usual = elements(item), elements(Profile(direction=item.direction))
        for element in ELEMENTS:
            name = element.field
            if element.keyword or shown[name] != usual[name]:
                click.echo(f"  {name:30}{_text(shown[name])}")


def elements(item: Profile) -> dict[str, Any]:
    """Return a profile's elements by their names in TOML, as values for JSON; suites and curves by their names."""
    from tlsexit.profiles.elements import ELEMENTS

    found: dict[str, Any] = {"direction": item.direction.value, "id": item.id}
    for element in ELEMENTS:
        value = getattr(item, element.field)
        found[element.field] = list(value) if isinstance(value, tuple) else value
    found["cipher_suites"] = [SUITES[value].name for value in item.cipher_suites]
    found["groups"] = [NamedCurve(value).name.lower() for value in item.groups]
    found["verify"] = item.verify.value
    found["psk_identity_hint"] = item.psk_identity_hint.decode("utf-8", "replace")
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    return "-" if value in (None, "") else str(value)

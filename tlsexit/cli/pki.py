"""``tlsexit pki``: the key store in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tlsexit.cli import codes
from tlsexit.cli.options import PATH, load_own_identity, on_terminal, password
from tlsexit.cli.problems import Problem, usage_problems

F = TypeVar("F", bound=Callable[..., Any])

STORE: Final = click.argument("folder", metavar="DIR", type=PATH)
ID: Final = click.argument("id", metavar="ID")


def _store_password(command: F) -> F:
    """Add the options for the password of the key store."""
    for option in (
        click.option(
            "--password-fd", type=click.IntRange(min=0), metavar="N", help="File descriptor with that password."
        ),
        click.option("--password-file", type=PATH, metavar="FILE", help="File whose first line is that password."),
        click.option("--password-env", metavar="NAME", help="Environment variable with the password of the store."),
    ):
        command = option(command)
    return command


@click.group(epilog=codes.EPILOG)
def pki() -> None:
    """Keep own certificates, authorities, revocation lists and OCSP responses in a key store.

    A password protects the private keys. It comes from a file, a file descriptor, an environment variable or the
    terminal.

    \b
    Examples:
      tlsexit pki create store
      tlsexit pki import store PARTNERS --cert me.pem --key me.key
      tlsexit pki import store ROOT1 --ca-file ca.pem
      tlsexit pki list store
    """


@pki.command(epilog=codes.EPILOG)
@STORE
@_store_password
def create(folder: Path, **given: Any) -> None:
    """Make an empty key store in DIR."""
    from tlsexit.keystore import KeyStore

    secret = _secret(folder, given, new=True)
    with usage_problems():
        KeyStore.create(folder, secret)


@pki.command("import", epilog=codes.EPILOG)
@STORE
@ID
@click.option("--cert", type=PATH, metavar="FILE", help="Own certificate chain, PEM (leaf first) or PKCS#12.")
@click.option("--key", type=PATH, metavar="FILE", help="Private key, PEM; by default it is in the file of --cert.")
@click.option("--ca-file", type=PATH, metavar="FILE", help="Certificates of an authority, PEM.")
@click.option("--crl-file", type=PATH, metavar="FILE", help="Revocation lists, PEM or DER.")
@click.option("--ocsp-file", type=PATH, metavar="FILE", help="OCSP response, DER.")
@click.option("--key-password-env", metavar="NAME", help="Environment variable with the password of --key.")
@click.option("--comment", default="", metavar="TEXT", help="A line to remember it by.")
@click.option("--inactive", is_flag=True, help="Do not use it yet.")
@click.option("--replace", is_flag=True, help="Replace the entry ID.")
@_store_password
def import_entry(folder: Path, id: str, **options: Any) -> None:
    """Add an own certificate, an authority, revocation lists or an OCSP response under ID."""
    from tlsexit.keystore import KeyStore

    cert, ca_file, crl_file, ocsp_file = (options[name] for name in ("cert", "ca_file", "crl_file", "ocsp_file"))
    if sum(file is not None for file in (cert, ca_file, crl_file, ocsp_file)) != 1:
        raise Problem("name what to import with one of --cert, --ca-file, --crl-file and --ocsp-file")
    if cert is None and options["key"] is not None:
        raise Problem("--key is of no use without --cert")
    flags = {"active": not options["inactive"], "comment": options["comment"], "replace": options["replace"]}
    with usage_problems():
        if cert is None:
            store = KeyStore.open(folder)
            if ca_file is not None:
                store.import_authority(id, ca_file, **flags)
            elif ocsp_file is not None:
                store.import_ocsp_response(id, ocsp_file, **flags)
            else:
                store.import_revocation_lists(id, crl_file, **flags)
            return
        KeyStore.open(folder)  # nobody is asked for the password of a store that is not there
        store = KeyStore.open(folder, _secret(folder, options))
        identity = load_own_identity(cert, options["key"], password(options["key_password_env"], None))
        store.add_identity(id, identity, **flags)


@pki.command("list", epilog=codes.EPILOG)
@STORE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_entries(folder: Path, as_json: bool) -> None:
    """List what is in the key store; this needs no password."""
    from tlsexit.cli.document import dump
    from tlsexit.keystore import KeyStore

    with usage_problems():
        entries = KeyStore.open(folder).list()
    rows = [
        {"id": item.id, "kind": item.kind.value, "active": item.active, "file": item.file, "comment": item.comment}
        for item in entries
    ]
    if as_json:
        click.echo(dump({"entries": rows}))
        return
    width = max((len(item.id) for item in entries), default=0)
    for item in entries:
        state = "active" if item.active else "inactive"
        click.echo(f"{item.id:{width}}  {item.kind.value:9}  {state:8}  {item.comment}".rstrip())


@pki.command(epilog=codes.EPILOG)
@STORE
@ID
@_store_password
def show(folder: Path, id: str, **given: Any) -> None:
    """Show the certificates, revocation lists or OCSP response of an entry."""
    from tlsexit.keystore import KeyStore, Kind
    from tlsexit.trace.certificates import brief

    with usage_problems():
        store = KeyStore.open(folder)
        kind = store.entry(id).kind
        if kind is Kind.CRL:
            for item in store.revocation_lists(id):
                until = "" if item.next_update is None else f", until {item.next_update:%Y-%m-%d}"
                click.echo(f"{item.title}: {len(item)} revoked{until}")
            return
        if kind is Kind.OCSP:
            for line in store.ocsp_answers(id):
                click.echo(line)
            return
        if kind is Kind.IDENTITY:
            store = KeyStore.open(folder, _secret(folder, given))
        for certificate in store.certificates(id):
            click.echo(brief(certificate.der))


@pki.command(epilog=codes.EPILOG)
@STORE
@ID
def activate(folder: Path, id: str) -> None:
    """Use an entry again."""
    from tlsexit.keystore import KeyStore

    with usage_problems():
        KeyStore.open(folder).activate(id)


@pki.command(epilog=codes.EPILOG)
@STORE
@ID
def deactivate(folder: Path, id: str) -> None:
    """Keep an entry without using it."""
    from tlsexit.keystore import KeyStore

    with usage_problems():
        KeyStore.open(folder).deactivate(id)


@pki.command(epilog=codes.EPILOG)
@STORE
@ID
def remove(folder: Path, id: str) -> None:
    """Remove an entry and its file."""
    from tlsexit.keystore import KeyStore

    with usage_problems():
        KeyStore.open(folder).remove(id)


def _secret(folder: Path, options: Mapping[str, Any], *, new: bool = False) -> bytes:
    """Return the password of the store, asked for at the terminal if no option gives it; twice if it is new."""
    given = password(options["password_env"], options["password_file"], options["password_fd"])
    if given is not None:
        return given
    if not on_terminal():
        raise Problem(f"{folder}: needs a password; give --password-file, --password-fd or --password-env")
    text: str = click.prompt(f"Password of {folder}", hide_input=True, confirmation_prompt=new, err=True)
    return text.encode()

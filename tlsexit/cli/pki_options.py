"""The options of ``serve`` and ``connect`` about profiles, own keys, authorities and the application's exits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tlsexit.cli.options import PATH, F, key_password, load_own_identity, on_terminal, password
from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.profile import Profile, Verify

if TYPE_CHECKING:
    from tlsexit.keystore import LivePki
    from tlsexit.policy import BuiltinPki

OWN: Final = "own"
"""The id of the identity of ``--cert``."""

TRUSTED: Final = "trusted"
"""The id of the authorities of ``--ca-file``."""


def profile_options(command: F) -> F:
    """Add the options that name a security profile."""
    for option in (
        click.option("--profile", "profile_id", metavar="ID", help="Which profile of the file, if it has several."),
        click.option(
            "--profile-file",
            type=PATH,
            metavar="FILE",
            help="Security profiles, TOML (FILE.toml) or CFTSSL commands; other options go before the profile.",
        ),
    ):
        command = option(command)
    return command


def store_options(command: F) -> F:
    """Add the options that name a key store and revocation lists."""
    for option in (
        click.option(
            "--ocsp-file",
            "ocsp_files",
            type=PATH,
            multiple=True,
            metavar="FILE",
            help="OCSP response, DER: judges the peer's certificate, or is stapled to the own one.",
        ),
        click.option(
            "--crl-file", "crl_files", type=PATH, multiple=True, metavar="FILE", help="Revocation lists, PEM or DER."
        ),
        click.option(
            "--key-store",
            type=PATH,
            metavar="DIR",
            help="Certificates, keys and authorities by the ids of the profile; see `tlsexit pki`.",
        ),
    ):
        command = option(command)
    return command


def application_option(command: F) -> F:
    """Add the option that names the application's own exits."""
    return click.option(
        "--application-exit",
        "application_spec",
        metavar="MODULE:OBJECT",
        help="Let this object, by its methods directory, file and end_of_transfer, decide on partners and payloads.",
    )(command)


def chosen_profile(options: Mapping[str, Any], direction: Role, overrides: Mapping[str, Any]) -> Profile:
    """Return the profile of the options: that of ``--profile-file``, or a plain one, with ``overrides``.

    ``--cert`` and ``--ca-file`` stand for the certificate and the authorities that the profile names.
    """
    from tlsexit.profiles import find_profile

    file, id = options["profile_file"], options["profile_id"]
    changes = dict(overrides)
    if options["cert"] is not None or options.get("throw_away") is not None:
        changes["user_certificate_id"] = None
    if options["ca_file"] is not None or options.get("throw_away") is not None:
        changes["root_ca_ids"] = ()
    if file is None and id is not None:
        raise Problem("--profile is of no use without --profile-file")
    with usage_problems():
        base = Profile(direction=direction) if file is None else find_profile(file, direction, id)
        return replace(base, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PkiSource:
    """Where own keys and the authorities are. What it is built of can be handed to another process, keys cannot.

    ``password`` opens ``key`` or the ``key_store``; None leaves the key store to the password of StartTask.
    """

    cert: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None
    key_store: Path | None = None
    crl_files: tuple[Path, ...] = ()
    ocsp_files: tuple[Path, ...] = ()
    password: bytes | None = field(default=None, repr=False)

    def build(self) -> BuiltinPki | LivePki:
        """Return what answers from these files; :class:`LocalError` if one of them will not do."""
        from tlsexit.policy import (
            BuiltinPki,
            load_authorities,
            load_identity,
            load_ocsp_response,
            load_revocation_lists,
        )

        lists = [item for file in self.crl_files for item in load_revocation_lists(file)]
        responses = [load_ocsp_response(file) for file in self.ocsp_files]
        if self.key_store is not None:
            from tlsexit.keystore import KeyStore

            return KeyStore.open(self.key_store, self.password).live_pki(crls=lists, ocsp_responses=responses)
        identities = [] if self.cert is None else [load_identity(OWN, self.cert, self.key, self.password)]
        authorities = {} if self.ca_file is None else {TRUSTED: load_authorities(self.ca_file)}
        return BuiltinPki(identities, authorities, lists, ocsp_responses=responses)


def pki_source(options: Mapping[str, Any], profile: Profile, *, has_exit: bool) -> PkiSource:
    """Return where the options say that keys and authorities are, asking for a password if one is needed.

    Raises :class:`Problem` for files that will not do, and, unless an exit may know better, for a profile whose
    certificate or authorities are not there.
    """
    store, cert = options["key_store"], options["cert"]
    given = password(options["password_env"], options["password_file"], options["password_fd"])
    if store is not None:
        for name in ("cert", "key", "ca_file", "throw_away"):
            if options.get(name) is not None:
                raise Problem(f"--key-store and --{name.replace('_', '-')} exclude each other")
        given = _store_password(store, profile, given, has_exit=has_exit)
    else:
        given = key_password(cert, options["key"], given)
        load_own_identity(cert, options["key"], given)
    source = PkiSource(
        cert=cert,
        key=options["key"],
        ca_file=options["ca_file"],
        key_store=store,
        crl_files=tuple(options["crl_files"]),
        ocsp_files=tuple(options["ocsp_files"]),
        password=given,
    )
    if store is None and not has_exit:
        _check_without_store(profile)
    return source


def check_server_pki(options: Mapping[str, Any], profile: Profile, *, has_exit: bool) -> None:
    """Raise :class:`Problem` for a server that could show no certificate, or accept none."""
    if has_exit or options["key_store"] is not None:
        return
    certified = any(SUITES[value].key_exchange.certificate is not None for value in profile.cipher_suites)
    if certified and options["cert"] is None:
        raise Problem(
            "a server needs a certificate: name one with --cert or --key-store, or have one made with --throw-away DIR"
        )
    if options["ca_file"] is None and profile.verify is not Verify.NONE:
        raise Problem(f"--verify {profile.verify.value} needs the authorities of the clients: --ca-file or --key-store")


def _check_without_store(profile: Profile) -> None:
    if profile.user_certificate_id is not None:
        raise Problem(
            f"the profile {profile.id} names the certificate {profile.user_certificate_id}: "
            "give --key-store, or --cert instead of it"
        )
    if profile.root_ca_ids:
        raise Problem(
            f"the profile {profile.id} names authorities, {', '.join(profile.root_ca_ids)}: "
            "give --key-store, or --ca-file instead of them"
        )


def _store_password(folder: Path, profile: Profile, given: bytes | None, *, has_exit: bool) -> bytes | None:
    """Return the password of the key store, once the store has what the profile names.

    Nobody is asked for it if there is nothing to open, or if an exit may return it from StartTask.
    """
    from tlsexit.keystore import KeyStore, Kind

    with usage_problems():
        store = KeyStore.open(folder, given)
        if not has_exit:
            store.check_profile(profile)
        locked = any(item.active and item.kind is Kind.IDENTITY for item in store.list())
    if given is not None or has_exit or not locked:
        return given
    if not on_terminal():
        raise Problem(f"{folder}: needs a password; give --password-file, --password-fd or --password-env")
    secret: bytes = click.prompt(f"Password of {folder}", hide_input=True, err=True).encode()
    with usage_problems():
        KeyStore.open(folder, secret)
    return secret

"""Options and arguments that several commands share, and what their values mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tlsexit.cli.problems import Problem, usage_problems
from tlsexit.crypto.suites import SUITES, parse_suites

F = TypeVar("F", bound=Callable[..., Any])

PATH: Final = click.Path(path_type=Path)


class Amount(click.FloatRange):
    """A number of seconds or the like, as far as clocks can count: neither ``nan`` nor ``inf``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not abs(number) <= 1e9:
            self.fail(f"{value} is not a number up to a thousand million.", param, ctx)
        return number


def suites_option(*names: str, help: str) -> Callable[[F], F]:
    """Return the option that names cipher suites."""

    def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
        with usage_problems():
            return None if value is None else parse_suites(value)

    return click.option(*names, "suites", callback=parse, metavar="NAMES", help=help)


def exit_option(name: str, parameter: str, whose: str) -> Callable[[F], F]:
    """Return the option that names an exit."""
    return click.option(
        name,
        parameter,
        metavar="SPEC",
        help=f"Put {whose} questions about keys and certificates to this exit: MODULE:OBJECT, c:LIBRARY, "
        "unix:SOCKET or pkcs11:URI.",
    )


exit_timeout_option: Final = click.option(
    "--exit-timeout",
    type=Amount(min=0, min_open=True),
    metavar="SECONDS",
    help="Time for each answer of the exit, which is asked in threads of their own then. [default: unbounded]",
)


def credentials(command: F) -> F:
    """Add the options for the own certificate, key and password."""
    for option in reversed(
        (
            click.option(
                "--cert", type=PATH, metavar="FILE", help="Own certificate chain, PEM (leaf first) or PKCS#12."
            ),
            click.option(
                "--key", type=PATH, metavar="FILE", help="Private key, PEM; by default it is in the file of --cert."
            ),
            click.option(
                "--password-env",
                metavar="NAME",
                help="Environment variable that holds the password of --key or the key store.",
            ),
            click.option(
                "--password-file",
                type=PATH,
                metavar="FILE",
                help="File whose first line is the password of --key or the key store.",
            ),
            click.option(
                "--password-fd",
                type=click.IntRange(min=0),
                metavar="N",
                help="File descriptor whose first line is that password.",
            ),
        )
    ):
        command = option(command)
    return command


# ------------------------------------------------------------------------------------------------ addresses


def parse_address(text: str) -> tuple[str, int]:
    """Return (host, port) for ``HOST:PORT`` or ``[IPV6]:PORT``; :class:`Problem` for anything else."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon != ":" or not host:
            raise Problem(f"{text!r} is not an address; for IPv6 write [::1]:443")
    else:
        host, _, port = text.rpartition(":")
        if ":" in host:
            raise Problem(f"{text!r} is ambiguous; write an IPv6 address in brackets: [::1]:443")
        if not host:
            raise Problem(f"{text!r} is not an address; write HOST:PORT, as in example.org:443")
    return host, parse_port(port, lowest=1)


def parse_listening_address(text: str, default_host: str) -> tuple[str, int]:
    """Return (host, port) for ``PORT`` or ``HOST:PORT``; port 0 leaves the choice to the system."""
    if text.isdigit():
        return default_host, parse_port(text, lowest=0)
    if text.startswith("[") or text.count(":") == 1:
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if host:
            return host, parse_port(port, lowest=0)
    raise Problem(f"{text!r} is not an address to listen on; write PORT, HOST:PORT or [::1]:PORT")


def parse_port(text: str, *, lowest: int) -> int:
    """Return a port number."""
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= 65535:
        raise Problem(f"{text!r} is not a port number from {lowest} to 65535")
    return int(text)


def host_name(host: str) -> str:
    """Return a host name in the ASCII form that goes into server_name and certificates; addresses stay as they are."""
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        # the codec wraps what it has to say up to Python 3.12, and says it in `reason` from 3.13 on
        raise Problem(f"{host!r} is not a host name: {getattr(error, 'reason', error.__cause__ or error)}") from error
    if not name:
        raise Problem("a host name has at least one character")
    return name


# ------------------------------------------------------------------------------------------------ keys and files


def password(environment: str | None, file: Path | None, descriptor: int | None = None) -> bytes | None:
    """Return the password that ``--password-env``, ``-file`` or ``-fd`` gives; None if none of them is there."""
    given = {"--password-env": environment, "--password-file": file, "--password-fd": descriptor}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise Problem(f"{' and '.join(names)} exclude each other")
    if environment is not None:
        value = os.environ.get(environment)
        if value is None:
            raise Problem(f"the environment variable {environment} (--password-env) is not set")
        return value.encode()
    if descriptor is not None:
        return _from_descriptor(descriptor)
    if file is None:
        return None
    lines = _read(file, "--password-file").splitlines()
    if not lines:
        raise Problem(f"{file}: the password file is empty")
    return lines[0]


def _from_descriptor(descriptor: int) -> bytes:
    """Return the first line behind a file descriptor, and close it: nobody else is to find the password there."""
    try:
        with os.fdopen(descriptor, "rb") as stream:
            lines = stream.readline().splitlines()
    except OSError as error:
        raise Problem(f"file descriptor {descriptor} (--password-fd) cannot be read: {error.strerror}") from error
    if not lines:
        raise Problem(f"file descriptor {descriptor} (--password-fd) holds no password")
    return lines[0]


def key_password(cert: Path | None, key: Path | None, given: bytes | None) -> bytes | None:
    """Return the password of the own key: the one given, or asked for at the terminal if one is needed."""
    if cert is None or given is not None or not _is_encrypted(cert, key):
        return given
    if not on_terminal():
        raise Problem(f"{key or cert}: needs a password; give --password-file or --password-env")
    text: str = click.prompt(f"Password for {key or cert}", hide_input=True, err=True)
    return text.encode()


def load_own_identity(cert: Path | None, key: Path | None, given: bytes | None) -> Any:
    """Return the own identity, or None if there is none; asks for the password at the terminal if it is needed."""
    from tlsexit.policy import load_identity

    if cert is None:
        if key is not None:
            raise Problem("--key is of no use without --cert")
        return None
    secret = key_password(cert, key, given)
    with usage_problems():
        identity = load_identity("own", cert, key, secret)
    if identity.key is None:
        raise Problem(f"{cert}: holds no private key; name its file with --key")
    return identity


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def on_screen() -> bool:
    """Whether there is somebody who watches."""
    return sys.stdout.isatty()


def _is_encrypted(cert: Path, key: Path | None) -> bool:
    """Whether a password is needed: PEM says so in plain text; PKCS#12 has to be tried."""
    file = key or cert
    option = "--cert" if key is None else "--key"
    data = _read(file, option)
    if b"-----BEGIN" in data:
        return b"ENCRYPTED" in data
    if key is not None:
        return False
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    try:
        load_pkcs12(data, None)
    except ValueError:
        return data[:1] == b"\x30"
    return False


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Problem(f"{file}: cannot be read ({option}): {error.strerror}") from error


def check_key_log(file: Path) -> None:
    """Make the key log, for the user's eyes only, and warn of it; :class:`Problem` if it cannot be written."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError as error:
        raise Problem(f"{file}: cannot be written (--key-log): {error.strerror}") from error
    warn(f"master secrets go to {file}: whoever reads it can decrypt the connections")


def key_log_writer(file: Path) -> Callable[[str], None]:
    """Return what appends lines to a key log; several processes may."""

    def log(line: str) -> None:
        with file.open("a", encoding="ascii") as stream:
            stream.write(line + "\n")

    return log


def key_logger(file: Path | None) -> Callable[[str], None] | None:
    """Return what appends lines to a key log that only the user may read; None for no file."""
    if file is None:
        return None
    check_key_log(file)
    return key_log_writer(file)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    click.secho(f"warning: {message}", fg="yellow", err=True)


def check_for_server(suites: tuple[int, ...] | None) -> None:
    """Raise :class:`Problem` if a server could choose none of these suites."""
    if suites and all(SUITES[value].key_exchange.fixed for value in suites):
        name = SUITES[suites[0]].name
        raise Problem(f"{name} is for clients only: CryptData cannot agree with the key of a server's certificate")


def warn_of_weak(suites: tuple[int, ...] | None) -> None:
    """Warn of suites that protect nothing, or nobody's identity."""
    weak = [SUITES[value].name for value in suites or () if SUITES[value].weak]
    if weak:
        more = f" and {len(weak) - 2} more" if len(weak) > 2 else ""
        warn(f"{', '.join(weak[:2])}{more}: too weak to protect anything")


# ------------------------------------------------------------------------------------------------ exits


def load_exit(spec: str | None, pin: str | None = None) -> object:
    """Return the exit that an option names, None for none; :class:`Problem` if it cannot be had."""
    if spec is None:
        return None
    from tlsexit.adapters.specs import load_exit as load

    with usage_problems():
        return load(spec, exit_pin(spec) if pin is None else pin)


def exit_pin(spec: str | None) -> str | None:
    """Ask at the terminal for the PIN of the token that an option names; None if that is not needed, or nobody there.

    A process that passes the option on asks before: the others have no terminal.
    """
    if spec is None:
        return None
    from tlsexit.adapters.specs import pin_wanted

    with usage_problems():
        token = pin_wanted(spec)
    if token is None or not on_terminal():
        return None
    pin: str = click.prompt(f"PIN of {token}", hide_input=True, err=True)
    return pin

"""The ``tlsexit`` command. Its dependencies, click and rich, come with ``tlsexit[cli]``; the core needs neither."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        print(
            f"tlsexit: the command line needs {' and '.join(missing)}; install with: "
            "python -m pip install 'tlsexit[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show a character shows a question mark instead of a traceback
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    from cryptography.utils import CryptographyDeprecationWarning

    from tlsexit.cli.app import cli

    # old certificates and ciphers are what this command is for
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
    cli(prog_name="tlsexit")


def _open_closed_streams() -> None:
    """Put the null device where the caller has closed a standard stream (``>&-``).

    Otherwise a socket would get its number, and with it what a library in C prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # to the processes of tasks
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))

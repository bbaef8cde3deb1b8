"""The ``tlsexit`` command. Its dependencies, click and rich, come with ``tlsexit[cli]``; the core needs neither."""

from __future__ import annotations

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

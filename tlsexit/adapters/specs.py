"""An exit from one line of text, as the command line and configuration files name it.

============================  ============================================================================
``MODULE:OBJECT``             an object, class or function of Python; ``FILE.py:OBJECT`` too
``c:LIBRARY``                 a shared library with the function ``cftpkie`` (:mod:`tlsexit.adapters.clib`)
``unix:SOCKET``               an exit in another process (:mod:`tlsexit.adapters.remote`)
``pkcs11:...``                a key on a token, by its URI of RFC 7512 (:mod:`tlsexit.adapters.hsm`)
============================  ============================================================================
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from tlsexit.alerts import LocalError


def pin_wanted(spec: str) -> str | None:
    """Return the name of the token whose PIN has to be asked for, if ``spec`` names one and not where its PIN is.

    Raises :class:`LocalError` for a URI that is none.
    """
    if not spec.lower().startswith("pkcs11:"):
        return None
    from tlsexit.adapters.pkcs11_uri import parse_uri

    uri = parse_uri(spec)
    return uri.name if uri.pin_source is None else None


def load_exit(spec: str, pin: str | None = None) -> object:
    """Return the exit that ``spec`` names; :class:`LocalError` in one sentence if there is none.

    Python modules are looked for in the current directory too, and a class is called to make an exit. ``pin`` is that
    of a token (:func:`pin_wanted`). Load an exit in the process that uses it: libraries and connections do not survive
    a fork.
    """
    kind, _, rest = spec.partition(":")
    if kind == "c":
        from tlsexit.adapters.clib import CExit

        if not rest:
            raise LocalError("write c:LIBRARY, as in c:./pki_exit.so")
        return CExit(rest)
    if kind == "unix":
        from tlsexit.adapters.remote import RemoteExit

        if not rest:
            raise LocalError("write unix:SOCKET, as in unix:/run/signer.sock")
        return RemoteExit(rest)
    if kind.lower() == "pkcs11":
        from tlsexit.adapters.hsm import Pkcs11Exit

        return Pkcs11Exit(spec, pin=pin)
    return _python_exit(spec)


def _python_exit(spec: str) -> object:
    where, colon, attribute = spec.rpartition(":")
    if not colon or not where or not attribute:
        raise LocalError(f"{spec!r} does not name an exit; write MODULE:OBJECT, as in my_exit:MyExit")
    found: Any = _load_module(where)
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise LocalError(f"{where} has no {attribute!r}")
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:
        raise LocalError(f"{spec}: making an instance failed: {type(error).__name__}: {error}") from error


def _load_module(where: str) -> Any:
    path = Path(where)
    if where.endswith(".py"):
        folder, where = str(path.parent.resolve()), path.stem
    else:
        folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name == where.split(".")[0] or error.name == where:
            raise LocalError(f"there is no module {where!r} in {folder} or among the installed packages") from error
        raise LocalError(f"{where} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # whatever the user's module does when it is imported
        raise LocalError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error

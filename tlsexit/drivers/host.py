"""The name a client asks for and checks when its profile names none: that of the host it connects to."""

from __future__ import annotations

from dataclasses import replace

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile


def for_host(profile: Profile, host: str) -> Profile:
    """Return the profile with ``host``, a name or an address, as its server_name unless it has one.

    A name outside ASCII is taken in its ASCII form (RFC 3490). Raises :class:`LocalError` if it has none.
    """
    if profile.server_name is not None or profile.direction is not Role.CLIENT or not host:
        return profile
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise LocalError(f"{host!r} is not a host name: {error}") from error
    # the zone of a link-local address means something to this machine only (RFC 4007 §11.2)
    return replace(profile, server_name=name.partition("%")[0])

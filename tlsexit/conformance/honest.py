"""The honest side of whatever handshake is under way, in either role: the trace that probes depart from."""

from __future__ import annotations

from dataclasses import replace

from tlsexit.constants import Role
from tlsexit.crypto.groups import NamedCurve
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.agreement import needs_server_key_exchange
from tlsexit.handshake.enums import ExtensionType
from tlsexit.puppet import Puppet, Step, honest_client
from tlsexit.puppet.steps import (
    certificate_message,
    certificate_request,
    change_cipher_spec,
    finished,
    server_hello,
    server_hello_done,
    server_key_exchange,
)


def honest(role: Role, *, request: bool = False) -> tuple[Step, ...]:
    """Return the steps of ``role``; those that a handshake does not need leave themselves out when their turn comes.

    ``request``: a server asks for a certificate.
    """
    return honest_client() if role is Role.CLIENT else honest_server(request=request)


def honest_server(*, request: bool = False) -> tuple[Step, ...]:
    """Return a server's side, resumption included; ``request`` to ask for a certificate."""
    steps = [
        server_hello,
        replace(certificate_message, when=lambda puppet: _full(puppet) and puppet.exchange.certificate is not None),
        replace(server_key_exchange, when=_has_key_exchange),
        replace(server_hello_done, when=_full),
        change_cipher_spec,
        finished,
    ]
    if request:
        steps.insert(3, replace(certificate_request, when=_full))
    return tuple(steps)


def _full(puppet: Puppet) -> bool:
    return not puppet.resumed


def _has_key_exchange(puppet: Puppet) -> bool:
    return _full(puppet) and needs_server_key_exchange(puppet.exchange, puppet.own_key.public_key())


def curve_extensions() -> tuple[ext.Extension, ...]:
    """Return supported_groups and ec_point_formats, as RFC 4492 §5.1 wants them of a client with curves."""
    curves = tuple(int(curve) for curve in NamedCurve)
    return (
        ext.extension(ExtensionType.SUPPORTED_GROUPS, ext.SUPPORTED_GROUPS, curves),
        ext.Extension(ExtensionType.EC_POINT_FORMATS, b"\x01\0"),
    )

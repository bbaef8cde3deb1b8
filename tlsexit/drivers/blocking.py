"""TLS over a blocking socket: :func:`connect`, :func:`wrap_socket`, and what they return, :class:`TlsSocket`."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tlsexit.config import Config
from tlsexit.drivers.drive import Pki, run
from tlsexit.drivers.host import for_host
from tlsexit.drivers.tlssocket import TlsSocket
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.profile import Profile
from tlsexit.session import Session
from tlsexit.tasks import Task

__all__ = ["TlsSocket", "connect", "wrap_socket"]


def connect(
    address: tuple[str, int],
    profile: Profile,
    *,
    exits: object = None,
    pki: Pki | None = None,
    config: Config | None = None,
    task: Task | None = None,
    session: Session | None = None,
    timeout: float | None = None,
    exit_timeout: float | None = None,
    application_exits: object = None,
    check_host: bool = True,
) -> TlsSocket:
    """Connect to (host, port) and complete the handshake.

    A profile without ``server_name`` gets the host: the name is sent, and the server's certificate must speak for it.
    ``check_host=False`` leaves the profile as it is, so that any trusted certificate will do. ``timeout`` in seconds
    bounds the connect, the whole handshake, and each later operation; ``exit_timeout`` and ``application_exits`` are
    those of :func:`wrap_socket`. Raises ``OSError`` for the network, :class:`TlsError` for the protocol.
    """
    profile = for_host(profile, address[0]) if check_host else profile
    sock = socket.create_connection(address, timeout)
    try:
        return wrap_socket(
            sock,
            profile,
            exits=exits,
            pki=pki,
            config=config,
            task=task,
            session=session,
            exit_timeout=exit_timeout,
            application_exits=application_exits,
        )
    except BaseException:
        sock.close()
        raise


def wrap_socket(
    sock: socket.socket,
    profile: Profile,
    *,
    exits: object = None,
    pki: Pki | None = None,
    config: Config | None = None,
    task: Task | None = None,
    session: Session | None = None,
    do_handshake: bool = True,
    exit_timeout: float | None = None,
    application_exits: object = None,
) -> TlsSocket:
    """Speak TLS over a connected socket, in the role of the profile's direction; the socket is owned from now on.

    Without ``task`` the socket has a task of its own: StartTask is asked here and EndTask when it closes. The socket's
    time-out bounds the whole handshake, then each operation, ``async`` exits included. A plain exit can be bounded only
    in a thread of its own: that is what ``exit_timeout``, in seconds, does (:mod:`tlsexit.drivers.drive`).

    ``application_exits`` is any object with some of the methods of
    :class:`~tlsexit.exits.application.ApplicationExits`; if its ``directory`` refuses the peer, or its chain cannot be
    recorded, the connection is closed and :class:`~tlsexit.exits.application.SessionRefused` raised.
    """
    pki = pki if pki is not None else BuiltinPki()
    own_task = task is None
    if task is None:
        task = Task(config or system_config())
        try:
            run(task, exits, pki, exit_timeout=exit_timeout, await_timeout=sock.gettimeout())
        except BaseException:
            sock.close()
            raise
    try:
        connection = task.connection(
            profile,
            session=session,
            remote_address=_address(sock.getpeername),
            local_address=_address(sock.getsockname),
        )
    except BaseException:
        sock.close()
        if own_task:
            task.end()
            run(task, exits, pki, exit_timeout=exit_timeout)
        raise
    tls = TlsSocket(
        sock,
        connection,
        exits,
        pki,
        task,
        owns_task=own_task,
        exit_timeout=exit_timeout,
        application_exits=application_exits,
    )
    if do_handshake:
        try:
            tls.do_handshake()
        except BaseException:
            # only what is over already has been told to the peer
            if connection.closed:
                tls.close()
            else:
                tls.abort()
            raise
    return tls


def _address(name: Callable[[], object]) -> tuple[str, int] | None:
    """Return (host, port), or None where the socket has none, as one of a Unix socket pair."""
    try:
        address = name()
    except OSError:
        return None
    return (address[0], address[1]) if isinstance(address, tuple) and len(address) >= 2 else None

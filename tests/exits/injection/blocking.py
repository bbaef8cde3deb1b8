"""A cell over blocking sockets: each peer has the other end of a socket pair, in a thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

from tests.exits.injection.outcomes import Elsewhere
from tests.exits.injection.scene import Injector, Listening, Peer, Result, Scene
from tests.exits.injection.table import PING, Cell
from tlsexit.alerts import ExitFailed, TlsError
from tlsexit.drivers.blocking import TlsSocket, wrap_socket
from tlsexit.drivers.drive import run
from tlsexit.exits.phases import ExitPhase

PATIENCE: Final = 20.0


def over_a_socket(cell: Cell) -> Result:
    """Make the cell happen."""
    scene = Scene(cell, Injector)
    lines: list[_Line] = []
    with Listening(scene.result):
        try:
            _play(scene, lines)
        finally:
            for line in lines:
                line.join(PATIENCE)
                assert not line.is_alive()
            scene.finish()
    return scene.result


def _play(scene: Scene, lines: list[_Line]) -> None:
    if scene.others is not scene.task:
        run(scene.others, None, scene.pki)
    try:
        run(scene.task, scene.exits, scene.pki, exit_timeout=scene.exit_timeout)
    except (ExitFailed, KeyboardInterrupt, SystemExit) as error:
        scene.result.raised = error
    first = _open(scene, lines)
    if scene.has_victim:
        try:
            _open(scene, lines, victim=True).close()
        except (TlsError, KeyboardInterrupt, SystemExit, Elsewhere) as error:
            scene.result.raised = error
    later = _open(scene, lines)
    scene.result.others_go_on = _ping(first) and _ping(later)
    first.close()
    later.close()
    if scene.question.phase is not ExitPhase.START_TASK:
        scene.task.end()
        try:
            run(scene.task, scene.exits, scene.pki, exit_timeout=scene.exit_timeout)
        except (KeyboardInterrupt, SystemExit) as error:
            scene.result.raised = error


def _open(scene: Scene, lines: list[_Line], *, victim: bool = False) -> TlsSocket:
    near, far = socket.socketpair()
    for sock in (near, far):
        sock.settimeout(PATIENCE)
    lines.append(_Line(far, scene.peer(victim=victim)))
    lines[-1].start()
    return wrap_socket(
        near,
        scene.profile(victim=victim),
        task=scene.task if victim else scene.others,
        exits=scene.exits if victim else scene.others_exits,
        pki=scene.pki,
        exit_timeout=scene.exit_timeout if victim else None,
    )


def _ping(tls: TlsSocket) -> bool:
    tls.sendall(PING)
    received = b""
    while len(received) < len(PING):
        received += tls.recv()
    return received == PING


class _Line(threading.Thread):
    """Carries a peer's bytes."""

    def __init__(self, sock: socket.socket, peer: Peer) -> None:
        super().__init__(daemon=True)
        self._socket = sock
        self._peer = peer

    def run(self) -> None:
        with self._socket as sock:
            data = b"?"
            while data and not self._peer.over:
                with suppress(OSError):
                    sock.sendall(self._peer.give())
                try:
                    data = sock.recv(2**16)
                except ConnectionError:
                    data = b""
                self._peer.take(data)

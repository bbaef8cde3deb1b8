"""A cell without I/O: connections in memory, whose questions the test puts to the exit."""

from __future__ import annotations

from tests.exits.injection.outcomes import Elsewhere
from tests.exits.injection.scene import InjectorByHand, Listening, Peer, Result, Scene
from tests.exits.injection.table import PING, Cell
from tlsexit.alerts import ExitFailed
from tlsexit.connection import Connection
from tlsexit.drivers.drive import run
from tlsexit.events import ApplicationData
from tlsexit.exits.answers import Failed
from tlsexit.exits.phases import ExitPhase


def by_hand(cell: Cell) -> Result:
    """Make the cell happen."""
    scene = Scene(cell, InjectorByHand)
    with Listening(scene.result):
        try:
            _play(scene)
        finally:
            scene.finish()
    return scene.result


def _play(scene: Scene) -> None:
    if scene.others is not scene.task:
        run(scene.others, None, scene.pki)
    try:
        run(scene.task, scene.exits, scene.pki)
    except (ExitFailed, KeyboardInterrupt, SystemExit) as error:
        scene.result.raised = error
    first = _Session(scene)
    first.talk()
    if scene.has_victim:
        _meet(scene)
    later = _Session(scene)
    later.talk()
    scene.result.others_go_on = first.ping() and later.ping()
    for session in (first, later):
        session.connection.close()
        session.talk()
    if scene.question.phase is not ExitPhase.START_TASK:
        _end(scene)


def _meet(scene: Scene) -> None:
    victim = _Session(scene, victim=True)
    connection = victim.connection
    try:
        victim.talk()
        connection.close()
        victim.talk()
    except (KeyboardInterrupt, SystemExit, Elsewhere) as error:
        # as the drivers do: the connection ends, and the last question is not put twice
        scene.result.raised = error
        if connection.closed:
            connection.answer(Failed(cause=error))
        connection.abort()
        victim.talk()
    victim.peer.take(b"")


def _end(scene: Scene) -> None:
    scene.task.end()
    try:
        run(scene.task, scene.exits, scene.pki)
    except (KeyboardInterrupt, SystemExit) as error:
        scene.result.raised = error


class _Session:
    """One connection and its peer."""

    def __init__(self, scene: Scene, *, victim: bool = False) -> None:
        task = scene.task if victim else scene.others
        self.exits = scene.exits if victim else scene.others_exits
        self.pki = scene.pki
        self.peer: Peer = scene.peer(victim=victim)
        self.connection: Connection = task.connection(scene.profile(victim=victim))
        self.received = b""
        self.connection.start()

    def talk(self) -> None:
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            run(self.connection, self.exits, self.pki)
            while (event := self.connection.next_event()) is not None:
                self.received += event.data if isinstance(event, ApplicationData) else b""
            sent, heard = self.connection.data_to_send(), self.peer.give()
            moved = bool(sent or heard)
            if sent:
                self.peer.take(sent)
            if heard:
                self.connection.receive_data(heard)

    def ping(self) -> bool:
        """Whether data comes back."""
        self.connection.send(PING)
        self.talk()
        return self.received == PING

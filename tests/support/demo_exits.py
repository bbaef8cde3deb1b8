"""Exits for the tests of the command line, which names them as ``tests.support.demo_exits:Refuser``."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from threading import Event, Thread

from tlsexit.alerts import AlertDescription
from tlsexit.exits.answers import Answer, Failed, Handled, NotHandled, ReturnCode
from tlsexit.exits.calls import (
    CheckCertificateCall,
    EndSessionCall,
    EndTaskCall,
    ExitCall,
    GetCertificateCall,
    PreSharedKey,
    StartHandshakeCall,
    StartTaskCall,
    StartTaskResult,
)
from tlsexit.exits.function import Communication
from tlsexit.exits.phases import ExitPhase


class Accepter:
    """Handles StartTask and CheckCertificate, and leaves the rest."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled()

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Handled()


class Refuser(Accepter):
    """Refuses certificates with a reason of its own."""

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return Failed(AlertDescription.CERTIFICATE_REVOKED)


class Raising(Accepter):
    """Its GetCertificate has a bug."""

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        raise ZeroDivisionError("division by zero")


class Hanging(Accepter):
    """Never answers CheckCertificate."""

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        Event().wait()
        return Handled()


class Nonsense(Accepter):
    """Answers GetCertificate with something that is no chain."""

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        return Handled(5)


class NoTask:
    """Cannot start."""

    def start_task(self, call: StartTaskCall) -> Answer:
        return Failed()


class Patient(Accepter):
    """An exit with an asynchronous method."""

    async def get_certificate(self, call: GetCertificateCall) -> Answer:
        return NotHandled()


class Spoon(Accepter):
    """Knows a pre-shared key."""

    def get_pre_shared_key(self, call: ExitCall) -> Answer:
        return Handled(PreSharedKey(b"spoon", b"fork" * 4))


class Diary:
    """Writes its calls to a file of its task, in the folder that the environment names."""

    def start_task(self, call: StartTaskCall) -> Answer:
        self._file = Path(os.environ["DIARY"]) / f"task-{call.task.reference}.log"
        self._write("StartTask", call.task.reference, os.getpid())
        return Handled()

    def start_handshake(self, call: StartHandshakeCall) -> Answer:
        self._write("StartHandshake", call.context.task.reference, call.context.reference)
        return NotHandled()

    def end_session(self, call: EndSessionCall) -> Answer:
        self._write("EndSession", call.context.task.reference, call.context.reference)
        return Handled()

    def end_task(self, call: EndTaskCall) -> Answer:
        self._write("EndTask", call.task.reference, os.getpid())
        return Handled()

    def _write(self, *words: object) -> None:
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(" ".join(str(word) for word in words) + "\n")


class Talkative(Accepter):
    """Prints what it is asked, from a thread of its own too, and as bytes."""

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        print("asked for a certificate")
        thread = Thread(target=print, args=("asked in a thread: ä",))
        thread.start()
        thread.join()
        print("and complained", file=sys.stderr)
        return NotHandled()

    def end_session(self, call: EndSessionCall) -> Answer:
        sys.stdout.buffer.write("asked for the last time: ö\n".encode())
        sys.stdout.flush()
        return Handled()


class Crashing(Diary):
    """Crashes, as a faulty exit in C does, for a client that asks for a certain name."""

    def get_certificate(self, call: GetCertificateCall) -> Answer:
        if call.context.server_name == "crash.example":
            ctypes.string_at(0)
        return NotHandled()


class Unmakeable:
    """A class that needs an argument."""

    def __init__(self, argument: int) -> None:
        self.argument = argument


def cftpkie(com: Communication) -> int:
    """An exit as one function."""
    return ReturnCode.HANDLED if com.phase is ExitPhase.START_TASK else ReturnCode.NOT_HANDLED


class Holder:
    """Has an exit inside."""

    inner = Accepter()


class Opener(Accepter):
    """Knows the password of the key store that the tests make."""

    password = "correct horse"

    def start_task(self, call: StartTaskCall) -> Answer:
        return Handled(StartTaskResult(password=self.password))

    def check_certificate(self, call: CheckCertificateCall) -> Answer:
        return NotHandled()


class WrongOpener(Opener):
    """Believes to know it."""

    password = "battery staple"

"""What a handler returns, and the builder for the messages it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.handshake.actions import Action, InstallWrite, Send, SendChangeCipherSpec, SendV2ClientHello
from tlsexit.handshake.codec import encode
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.inputs import Input
from tlsexit.handshake.states import State
from tlsexit.handshake.transcript import Transcript
from tlsexit.handshake.v2hello import build_v2_client_hello
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class Step:
    """The next state, and what to do, in order; then ``replay``, an input that had to wait for this step."""

    state: State
    actions: tuple[Action, ...] = ()
    replay: Input | None = None


class Flight:
    """Messages sent in one go: each enters the transcript as it is added, and becomes an action."""

    __slots__ = ("actions", "transcript")

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.actions: list[Action] = []

    def send(self, message: Any) -> None:
        """Add a handshake message."""
        raw = encode(message)
        self.transcript = self.transcript.add(raw)
        self.actions.append(Send(message, raw))

    def send_v2_client_hello(self, hello: ClientHello) -> None:
        """Add a ClientHello in SSL 2.0 format; the transcript has it from msg_type on (appendix E.1)."""
        raw = build_v2_client_hello(hello)
        self.transcript = self.transcript.add(raw)
        self.actions.append(SendV2ClientHello(hello, raw))

    def change_write_keys(self, keys: DirectionKeys) -> None:
        """Add ChangeCipherSpec; everything after it goes out under ``keys`` (§7.1)."""
        self.actions += [SendChangeCipherSpec(), InstallWrite(keys)]

    def then(self, state: State, *actions: Action) -> Step:
        """Return the step that sends the flight, does ``actions`` and goes to ``state``."""
        return Step(state, (*self.actions, *actions))


quicken(__name__)

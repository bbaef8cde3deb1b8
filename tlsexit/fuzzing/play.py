"""Scripts played against targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlsexit.fuzzing.conversation import Conversation, Lane, Terms
from tlsexit.fuzzing.findings import Finding
from tlsexit.fuzzing.script import Script

if TYPE_CHECKING:
    from tlsexit.session import Session


@dataclass(frozen=True)
class Played:
    """How a script went: the conversations, one for each connection, and what they have shown."""

    script: Script
    conversations: tuple[Conversation, ...]
    findings: tuple[Finding, ...]

    @property
    def complete(self) -> bool:
        """Whether every move could be made, as far as the target let us."""
        return all(conversation.stuck is None for conversation in self.conversations)


def play(lane: Lane, script: Script, terms: Terms) -> Played:
    """Play a script, connection by connection."""
    conversations: list[Conversation] = []
    findings: list[Finding] = []
    session: Session | None = None
    revoked = False
    for leg in script.legs:
        if leg.resume and session is None:
            break
        conversation = Conversation(
            lane, script, terms, session=session if leg.resume else None, revoked=leg.resume and revoked
        )
        conversation.play(leg.moves)
        findings += conversation.finish()
        conversations.append(conversation)
        session, revoked = conversation.session, conversation.fatal
    return Played(script, tuple(conversations), tuple(dict.fromkeys(findings)))


def rehearse(lane: Lane, script: Script, terms: Terms) -> tuple[Played, dict[tuple[int, int], bytes]]:
    """Play an honest script; returns how it went, and the handshake message that each of its moves has sent."""
    played = play(lane, script, terms)
    specimens: dict[tuple[int, int], bytes] = {}
    for number, conversation in enumerate(played.conversations):
        moves = script.legs[number].moves
        sent = iter(conversation.sent)
        made = iter(conversation.made)
        current = next(made, None)
        for at, move in enumerate(moves):
            if current is not move:
                continue
            current = next(made, None)
            raw = next(sent, None)
            if raw:
                specimens[number, at] = raw
    return played, specimens

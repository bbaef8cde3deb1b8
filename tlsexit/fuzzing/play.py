"""Scripts played against targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlsexit.fuzzing.conversation import Conversation, Lane, Terms
from tlsexit.fuzzing.findings import Finding
from tlsexit.fuzzing.script import Script
from tlsexit.fuzzing.verdict import judge

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


def play(lane: Lane, script: Script, terms: Terms, *, rehearsed: bool = False) -> Played:
    """Play a script, connection by connection; ``rehearsed`` has conversations note what would suit each place."""
    conversations: list[Conversation] = []
    findings: list[Finding] = []
    session: Session | None = None
    revoked = False
    for leg in script.legs:
        if leg.resume and session is None:
            break
        conversation = Conversation(
            lane,
            script,
            terms,
            session=session if leg.resume else None,
            revoked=leg.resume and revoked,
            rehearsed=rehearsed,
        )
        conversation.play(leg.moves)
        conversation.finish()
        findings += judge(conversation)
        conversations.append(conversation)
        session, revoked = conversation.session, conversation.fatal
    return Played(script, tuple(conversations), tuple(dict.fromkeys(findings)))


Place = tuple[int, int]
"""Where a move stands in a script: the number of the connection, and its own in there."""


@dataclass(frozen=True)
class Rehearsal:
    """How an honest script went, and what that shows: by place, the handshake message sent and the tricks that suit."""

    played: Played
    specimens: dict[Place, bytes]
    suited: dict[Place, frozenset[str]]

    @property
    def works(self) -> bool:
        """Whether the target went along to the end, so that there is something to depart from."""
        whole = all(conversation.turns.complete for conversation in self.played.conversations)
        return whole and self.played.complete and not self.played.findings


def rehearse(lane: Lane, script: Script, terms: Terms) -> Rehearsal:
    """Play an honest script."""
    played = play(lane, script, terms, rehearsed=True)
    specimens: dict[Place, bytes] = {}
    suited: dict[Place, frozenset[str]] = {}
    for number, conversation in enumerate(played.conversations):
        made = iter(zip(conversation.made, conversation.sent, conversation.suited, strict=True))
        current = next(made, None)
        for at, move in enumerate(script.legs[number].moves):
            if current is None or current[0] is not move:
                continue
            _, raw, fitting = current
            current = next(made, None)
            suited[number, at] = fitting
            if raw:
                specimens[number, at] = raw
    return Rehearsal(played, specimens, suited)

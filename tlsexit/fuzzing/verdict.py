"""Verdicts: what a conversation has shown, held against what was said in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tlsexit.alerts import AlertDescription, AlertLevel, alert_name
from tlsexit.constants import ContentType, Role
from tlsexit.events import MessageSeen
from tlsexit.fuzzing.conversation import Conversation
from tlsexit.fuzzing.expected import Answer, Expected
from tlsexit.fuzzing.findings import Finding, Flaw
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.finished import Finished
from tlsexit.puppet import Puppet
from tlsexit.trace import Entry


def judge(talk: Conversation) -> tuple[Finding, ...]:
    """Return what a conversation that is finished has shown."""
    found = list(so_far(talk))
    if not (talk.unclear or talk.declined or talk.stuck is not None or talk.guard.problem or talk.guard.hung):
        found += _particular(talk)
    return tuple(dict.fromkeys(found))


def so_far(talk: Conversation) -> Iterable[Finding]:
    """What holds whatever was said, and whatever comes next."""
    about = str(talk.made[-1]) if talk.made else "connecting"
    problem = talk.guard.problem or talk.guard.undocumented
    if problem is not None:
        yield Finding(Flaw.CRASH, ("R2246-7.2.2-22",), about, problem)
    if talk.guard.hung:
        yield Finding(Flaw.HANG, ("R2246-7.2.2-22",), about, f"busy for {talk.guard.slowest:.1f} s")
    puppet = talk.puppet
    if puppet.fatal == AlertDescription.INTERNAL_ERROR:
        yield Finding(Flaw.INTERNAL_ERROR, ("R2246-7.2.2-22",), _about(talk), "alert internal_error(80)")
    yield from _after_the_end(puppet.talk, _about(talk))
    early = _early_data(puppet)
    if early:
        yield Finding(Flaw.EARLY_DATA, ("R2246-7.4.9-08",), about, "the target sent data before its Finished")
    if puppet.resumed and puppet.complete and puppet.peer_finished_is_right and talk.revoked:
        detail = "a session was resumed after a fatal alert"
        yield Finding(Flaw.RESUMED, ("R2246-7.2-03",), "resuming", detail)


def _about(talk: Conversation) -> str:
    move = talk.spoilt_by or (talk.ended_at if talk.ended_at is not None else None)
    return str(move) if move is not None else (str(talk.made[-1]) if talk.made else "connecting")


def _particular(talk: Conversation) -> Iterable[Finding]:
    """What follows from the moves that were made."""
    if talk.spoilt is None:
        yield from _honest(talk)
        return
    expected, puppet, about = talk.spoilt, talk.puppet, str(talk.spoilt_by)
    requirements = expected.requirements
    reaction = talk.reaction
    if len(talk.taken) > talk.taken_before and expected.answer is not Answer.NOT_RESUMED and not talk.turns.complete:
        yield Finding(Flaw.EARLY_DATA, requirements, about, "the target took application data")
        return
    match expected.answer:
        case Answer.UNFINISHED:
            if talk.final_established:
                yield Finding(Flaw.ACCEPTED, requirements, about, "the handshake completed")
        case Answer.NOT_RESUMED:
            if puppet.resumed and talk.final_established:
                yield Finding(Flaw.RESUMED, requirements, about, "the session was resumed all the same")
        case Answer.CLOSED:
            yield from _closed(talk, expected, about)
        case _:
            if not talk.ended:
                yield from _not_refused(talk, expected, about)
            elif expected.answer is Answer.REFUSED_LATER and talk.ended_at == talk.spoilt_by:
                yield Finding(Flaw.ORACLE, requirements, about, f"{reaction} before Finished")
            else:
                yield from _wording(talk, expected, about)


def _honest(talk: Conversation) -> Iterable[Finding]:
    """Nothing was wrong: the target has to have gone along."""
    puppet = talk.puppet
    if puppet.close_notify and talk.turns.complete:
        return
    requirements = tuple(item for _, expected in talk.granted for item in expected.requirements)
    about = str(talk.granted[-1][0]) if talk.granted else "an honest conversation"
    if _may_demand_a_certificate(talk):
        return
    if puppet.broken is not None:
        yield Finding(Flaw.NONSENSE, requirements or ("R2246-7.4.9-01",), about, talk.reaction)
    elif talk.ended:
        detail = f"{talk.reaction} at {talk.ended_at}"
        yield Finding(Flaw.REFUSED, requirements or ("R2246-7.3-01",), about, detail)
    elif talk.turns.complete and puppet.complete and not talk.final_established:
        detail = "the handshake does not complete"
        yield Finding(Flaw.REFUSED, requirements or ("R2246-7.4.9-03",), about, detail)


def _may_demand_a_certificate(talk: Conversation) -> bool:
    """Whether a server has turned down a client without a certificate, as it may (§7.4.6)."""
    refused = talk.puppet.fatal == AlertDescription.HANDSHAKE_FAILURE
    return refused and talk.puppet.role is Role.CLIENT and not talk.script.show_certificate


def _not_refused(talk: Conversation, expected: Expected, about: str) -> Iterable[Finding]:
    if talk.mutated_extension is not None and not _understood(talk, talk.mutated_extension):
        return  # an extension that the target does not know may hold anything (R4366-2.3-03)
    if talk.final_established:
        yield Finding(Flaw.ACCEPTED, expected.requirements, about, "the connection is established and goes on")
    else:
        yield Finding(Flaw.IGNORED, expected.requirements, about, "no alert, and the connection stays open")


def _understood(talk: Conversation, kind: int) -> bool:
    """Whether the target has answered, or offered, an extension of this type."""
    hello = talk.puppet.server_hello if talk.puppet.role is Role.CLIENT else talk.puppet.client_hello
    return hello is not None and ext.find(hello.extensions, kind) is not None


def _closed(talk: Conversation, expected: Expected, about: str) -> Iterable[Finding]:
    puppet = talk.puppet
    if not talk.ended and not puppet.close_notify and not _ended_inside(talk):
        yield Finding(Flaw.ACCEPTED, expected.requirements, about, "the connection stays open")
    elif expected.requirements[0] == "R2246-7.2.1-02" and talk.turns.complete and not puppet.close_notify:
        yield Finding(Flaw.UNANSWERED, expected.requirements, about, "no close_notify in return")


def _ended_inside(talk: Conversation) -> bool:
    """Whether an engine in this process has closed its side before we did."""
    return talk.guard.in_process and not talk.final_established and talk.ended


def _wording(talk: Conversation, expected: Expected, about: str) -> Iterable[Finding]:
    """The end came: did it come with the right word?"""
    fatal = talk.puppet.fatal
    if fatal is None:
        if talk.puppet.broken is None and not talk.puppet.close_notify:
            yield Finding(Flaw.NO_ALERT, expected.requirements, about, talk.reaction)
    elif expected.alerts and fatal not in expected.alerts and fatal != AlertDescription.INTERNAL_ERROR:
        wanted = " or ".join(sorted(alert_name(alert) for alert in expected.alerts))
        yield Finding(Flaw.WRONG_ALERT, expected.requirements, about, f"{alert_name(fatal)} instead of {wanted}")


def _after_the_end(talk: list[Entry], about: str) -> Iterable[Finding]:
    """Nothing may follow a fatal alert (§7.2.2)."""
    heard = [entry.seen for entry in talk if isinstance(entry.seen, MessageSeen) and not entry.seen.sent]
    for place, seen in enumerate(heard):
        message: Any = seen.message
        if seen.content_type is ContentType.ALERT and message.level == AlertLevel.FATAL:
            if heard[place + 1 :]:
                detail = f"{len(heard) - place - 1} more after {alert_name(message.description)}"
                yield Finding(Flaw.TALKS_ON, ("R2246-7.2-02",), about, detail)
            return


def _early_data(puppet: Puppet) -> bool:
    """Whether the target sent application data before both Finished of the first handshake."""
    finished = set[bool]()
    for entry in puppet.talk:
        seen = entry.seen
        if not isinstance(seen, MessageSeen):
            continue
        if isinstance(seen.message, Finished):
            finished.add(seen.sent)
        elif seen.content_type is ContentType.APPLICATION_DATA and not seen.sent and len(finished) < 2:
            return True
    return False

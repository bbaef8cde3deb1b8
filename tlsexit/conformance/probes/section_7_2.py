"""§7.2: alerts, and §7.2.1: closure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tlsexit.alerts import AlertLevel
from tlsexit.conformance.actions import (
    OPEN,
    Check,
    Connect,
    Do,
    Send,
    before,
    connect,
    expect,
    refused,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, closed, refusal, silent, still_open
from tlsexit.conformance.model import Group, Reading
from tlsexit.conformance.needs import APPLICATION, PARALLEL, RESUMES
from tlsexit.conformance.probes.section_7_1 import EARLY
from tlsexit.conformance.probes.section_7_4_1 import in_the_clear
from tlsexit.conformance.probes.section_7_4_1_2_sessions import not_resumed, offered_id
from tlsexit.conformance.talk import Talk
from tlsexit.puppet.steps import alert as an_alert
from tlsexit.puppet.steps import application_data, client_hello, hang_up, hello_request, record
from tlsexit.records.grammar import Alert

section = Group("7.2")
closure = Group("7.2.1")

FATAL: Final = an_alert(2, 80)
CLOSE_NOTIFY: Final = an_alert(1, 0)


def two_bytes(talk: Talk) -> str | None:
    """The last alert record has two bytes, level 2 first."""
    seen = [item.content for item in talk.puppet.records if item.content_type == 21]
    if not seen:
        talk.inapplicable("no alert was sent")
    return None if len(seen[-1]) == 2 and seen[-1][0] == 2 else f"the alert is {seen[-1].hex()}"


def alert_is_protected(talk: Talk) -> str | None:
    """The last alert came under keys."""
    seen = [item for item in talk.puppet.records if item.content_type == 21]
    if not seen:
        talk.inapplicable("no alert was sent")
    return None if seen[-1].protected else "the alert came in the clear"


def first_still_works(talk: Talk) -> str | None:
    """The connection that stayed open takes no harm from the end of another one."""
    first = talk.puppets[0]
    first.listen(talk.terms.quiet)
    return f"the other connection of the session has ended: {first.reaction}" if first.over else None


def keep_the_id(talk: Talk) -> None:
    """Remember the session id of the present connection."""
    hello = talk.puppet.server_hello
    talk.memory["id"] = b"" if hello is None else hello.session_id


def does_not_offer_it(talk: Talk) -> str | None:
    """The client does not offer that session again."""
    return "the session is offered again" if offered_id(talk) == talk.memory["id"] else None


def answers_close_notify(talk: Talk) -> str | None:
    """close_notify is answered with close_notify."""
    return None if talk.puppet.close_notify else "the connection is closed without a close_notify in answer"


def says_nothing_more(talk: Talk) -> str | None:
    """Behind close_notify comes neither data nor an error alert nor a handshake."""
    puppet = talk.puppet
    if puppet.fatal is not None:
        return f"what follows close_notify is answered: {puppet.reaction}"
    new = [item for item in puppet.messages[talk.mark.messages :] if type(item).__name__ == "ServerHello"]
    return "a handshake that follows close_notify is answered" if new else None


def _await_end(talk: Talk) -> None:
    """Give the application behind the target time to close; end the conversation if it does not."""
    puppet = talk.puppet
    puppet.listen_until(lambda: puppet.eof or puppet.close_notify, 3 * talk.terms.quiet)
    if not puppet.eof and not puppet.close_notify:
        talk.inapplicable("the target's application does not close by itself")


def closes_properly(talk: Talk) -> str | None:
    """A target that has ended by itself has sent close_notify first."""
    puppet = talk.puppet
    _await_end(talk)
    return None if puppet.close_notify else "the connection ends without close_notify"


def closes_without_waiting(talk: Talk) -> str | None:
    """The target that has sent close_notify does not wait for ours for ever."""
    puppet = talk.puppet
    _await_end(talk)
    puppet.listen_until(lambda: puppet.eof, 2 * talk.terms.patience)
    return None if puppet.eof else "the target waits for the answer to its close_notify"


def silent_behind_fatal(talk: Talk) -> str | None:
    """Nothing comes behind a fatal alert."""
    heard = list(talk.puppet.heard)
    for number, seen in enumerate(heard[:-1]):
        if isinstance(seen.message, Alert) and seen.message.level == AlertLevel.FATAL:
            return f"a fatal alert is followed by {len(heard) - number - 1} more messages"
    return None


def not_complete(talk: Talk) -> str | None:
    """The handshake was given up."""
    return "the handshake went on behind close_notify" if talk.puppet.complete else None


def literal_about_truncation(talk: Talk) -> str | None:
    """RFC 2246 by the letter: no resumption; RFC 4346 §7.2.1 rescinded it."""
    return "the session was resumed although its connection had not been closed" if talk.puppet.resumed else None


def literal_about_offering(talk: Talk) -> str | None:
    """The same for a client."""
    if talk.memory["id"] and offered_id(talk) == talk.memory["id"]:
        return "the session is offered although its connection had not been closed"
    return None


AGAIN: Final[Connect] = connect(resume=By.ID)

PROBES: Final = (
    *section.both(
        "form",
        "a fatal alert is two bytes, 2 and its description",
        "R2246-7.2-01",
        conversation=(
            before("change_cipher_spec"),
            Send(record(22, b"\x63\0\0\0", waits=True)),
            expect(alert(), closed()),
            Check(two_bytes),
        ),
    ),
    *section.both(
        "half",
        "half an alert is waited for or refused",
        "R2246-7.2-01",
        conversation=(*OPEN, Send(record(21, b"\x02")), expect(refusal(), silent().noted("the rest is waited for"))),
    ),
    *section.both(
        "one-and-a-half",
        "an alert record of three bytes is no over-read",
        "R2246-7.2-01",
        conversation=(*OPEN, Send(record(21, b"\x01\x5a\x01")), expect(refusal(), silent(), closed())),
    ),
    *section.both(
        "fatal-in-handshake",
        "a fatal alert ends the handshake",
        "R2246-7.2-02",
        conversation=(before("change_cipher_spec"), Send(FATAL), expect(closed())),
    ),
    *section.both(
        "fatal-later",
        "a fatal alert ends the connection",
        "R2246-7.2-02",
        conversation=(*OPEN, Send(FATAL), expect(closed())),
    ),
    section.server(
        "fatal-ends-session",
        "a session whose connection a fatal alert ended is not resumed; its other connections go on",
        "R2246-7.2-03",
        needs=(RESUMES, PARALLEL),
        conversation=(
            *OPEN,
            connect(resume=By.ID, keep=True),
            *OPEN,
            Send(FATAL),
            expect(closed()),
            Check(first_still_works),
            AGAIN,
            *OPEN,
            Check(not_resumed),
        ),
    ),
    section.client(
        "fatal-ends-session",
        "a session whose connection a fatal alert ended is not offered again",
        "R2246-7.2-03",
        needs=(RESUMES,),
        conversation=(
            *OPEN,
            Do(keep_the_id),
            Send(FATAL),
            expect(closed()),
            connect(),
            Check(does_not_offer_it),
        ),
    ),
    *section.both(
        "protected",
        "an alert comes under the keys in force",
        "R2246-7.2-04",
        conversation=(*OPEN, Send(EARLY), expect(alert(), closed()), Check(alert_is_protected)),
    ),
    *section.both(
        "in-the-clear",
        "an alert in the clear on a protected connection is not obeyed but refused",
        "R2246-7.2-04",
        conversation=(*OPEN, Do(in_the_clear), Send(FATAL), refused()),
    ),
    *section.both(
        "nothing-behind-fatal",
        "a fatal alert is the last that is said",
        "R2246-7.2-02",
        survey=True,
        conversation=(Check(silent_behind_fatal),),
    ),
    *section.both(
        "level-3",
        "an alert of a level that does not exist is refused, or taken for fatal",
        "R2246-7.2-05",
        conversation=(
            *OPEN,
            Send(an_alert(3, 80)),
            expect(alert(10, 47, 50), closed().warn("the connection ends as if the alert were fatal")),
        ),
    ),
    *section.both(
        "unknown-warning",
        "what becomes of a warning without a meaning",
        "R2246-7.2-06",
        conversation=(*OPEN, Send(an_alert(1, 200)), expect(closed(), alert(), still_open())),
    ),
    *section.both(
        "unknown-fatal",
        "a fatal alert without a meaning ends the connection",
        "R2246-7.2-06",
        conversation=(*OPEN, Send(an_alert(2, 200)), expect(closed())),
    ),
    *closure.both(
        "own",
        "a target that ends a connection sends close_notify first",
        "R2246-7.2.1-01",
        needs=(APPLICATION,),
        conversation=(*OPEN, Do(Talk.send_request), Check(closes_properly)),
    ),
    *closure.both(
        "answer",
        "close_notify is answered with close_notify",
        "R2246-7.2.1-02",
        conversation=(*OPEN, Send(CLOSE_NOTIFY), expect(closed()), Check(answers_close_notify)),
    ),
    *closure.both(
        "data-behind",
        "data behind close_notify is ignored",
        "R2246-7.2.1-03",
        conversation=(
            *OPEN,
            Send(CLOSE_NOTIFY),
            Send(application_data(b"GET / HTTP/1.0\r\n\r\n", waits=False)),
            expect(closed(), alert()),
            Check(says_nothing_more),
        ),
    ),
    closure.server(
        "hello-behind",
        "a ClientHello behind close_notify is ignored",
        "R2246-7.2.1-03",
        conversation=(
            *OPEN,
            Send(CLOSE_NOTIFY),
            Send(replace(client_hello, waits=False)),
            expect(closed(), alert()),
            Check(says_nothing_more),
        ),
    ),
    closure.client(
        "request-behind",
        "a HelloRequest behind close_notify is ignored",
        "R2246-7.2.1-03",
        conversation=(
            *OPEN,
            Send(CLOSE_NOTIFY),
            Send(replace(hello_request, waits=False, after=None)),
            expect(closed(), alert()),
            Check(says_nothing_more),
        ),
    ),
    *closure.both(
        "no-waiting",
        "a target that has sent close_notify does not wait for the answer for ever",
        "R2246-7.2.1-04",
        level="SHOULD",
        needs=(APPLICATION,),
        conversation=(*OPEN, Do(Talk.send_request), Check(closes_without_waiting)),
    ),
    *closure.both(
        "truncated",
        "a target whose connection is cut off goes on with the next one",
        "R2246-7.2.1-06",
        conversation=(*OPEN, Send(hang_up), connect(), *OPEN),
    ),
    closure.server(
        "truncated-session",
        "a session whose connection was cut off is not resumed",
        "R2246-7.2.1-07",
        level="SHOULD",
        readings=(Reading.STRICT,),
        needs=(RESUMES,),
        conversation=(*OPEN, Do(Talk.remember), Send(hang_up), AGAIN, *OPEN, Check(literal_about_truncation)),
    ),
    closure.client(
        "truncated-session",
        "a session whose connection was cut off is not offered",
        "R2246-7.2.1-07",
        level="SHOULD",
        readings=(Reading.STRICT,),
        needs=(RESUMES,),
        conversation=(*OPEN, Do(keep_the_id), Send(hang_up), connect(), Check(literal_about_offering)),
    ),
    *closure.both(
        "in-handshake",
        "close_notify ends a handshake",
        "R2246-7.2.1-08",
        conversation=(
            before("change_cipher_spec"),
            Send(CLOSE_NOTIFY),
            expect(closed(), alert().warn("an error alert answers it")),
            Check(not_complete),
        ),
    ),
)

"""§7.4.1.3: ServerHello."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from tlsexit.conformance.actions import (
    Check,
    Do,
    Observe,
    Repeat,
    Send,
    completed_and_closed,
    connect,
    established,
    expect,
    handshake,
    refused,
    through,
)
from tlsexit.conformance.actions import Resume as By
from tlsexit.conformance.expect import alert, completed, refusal, said, unreadable
from tlsexit.conformance.model import Group, Probe
from tlsexit.conformance.needs import LATER_VERSIONS, RESUMES, SESSION_TICKET, Need
from tlsexit.conformance.probes.section_7_3 import offered
from tlsexit.conformance.probes.section_7_4_1_2 import keep_random, randoms_differ
from tlsexit.conformance.probes.section_7_4_1_2_sessions import long_id, offered_id
from tlsexit.conformance.talk import Talk
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import client_hello, server_hello

section = Group("7.4.1.3")

_NO_4: Final = "it knows no TLS 4"

FIXED_RANDOM: Final = bytes(range(32))
"""A client's random that is the same each time."""


NO_TICKETS: Final = Need("tickets go with made-up session ids", lambda found: SESSION_TICKET.lacks(found) is not None)


def lower_of_both(talk: Talk, hello: ServerHello) -> str | None:
    """server_version is the client's, or the server's highest if that is lower."""
    assert talk.puppet.client_hello is not None
    wanted = min(talk.puppet.client_hello.client_version, talk.capabilities.highest_version)
    if hello.server_version == wanted:
        return None
    return f"server_version is 0x{hello.server_version:04X}, not 0x{wanted:04X}"


def not_the_clients_random(talk: Talk) -> str | None:
    """The server draws its own."""
    same = FIXED_RANDOM in talk.memory["randoms"]
    return "the server's random is the client's" if same else randoms_differ(talk)


def echoes(talk: Talk, hello: ServerHello) -> str | None:
    """A session that is taken up keeps its id, suite and compression method."""
    session = talk.puppet.session
    assert session is not None
    if hello.session_id != session.session_id:
        return "the offered session id is not echoed"
    if hello.cipher_suite != session.cipher_suite:
        return f"the session goes on with suite 0x{hello.cipher_suite:04X}"
    return None if hello.compression_method == 0 else "the session goes on with another compression method"


def its_suite_or_another_session(talk: Talk, hello: ServerHello) -> str | None:
    """Whatever suite comes first in the offer, a resumed session keeps its own."""
    return echoes(talk, hello) if hello.session_id == offered_id(talk) else None


def not_echoed(talk: Talk, hello: ServerHello) -> str | None:
    """An unknown id does not come back, nor does one of more than 32 bytes."""
    return "the unknown session id is echoed" if hello.session_id == offered_id(talk) else None


def keeps_no_session(talk: Talk) -> str | None:
    """A server that gives an empty id keeps nothing."""
    hello = talk.puppet.server_hello
    assert hello is not None
    if hello.session_id:
        talk.inapplicable("the server gives session ids")
    return None


def offers_no_session(talk: Talk) -> str | None:
    """Nothing to resume, so no id."""
    return f"the client offers session {offered_id(talk).hex()}" if offered_id(talk) else None


def from_the_offer(talk: Talk) -> str | None:
    """Suite and compression method were offered."""
    client, server = talk.puppet.client_hello, talk.puppet.server_hello
    assert client is not None
    assert server is not None
    if server.cipher_suite not in client.cipher_suites:
        return f"suite 0x{server.cipher_suite:04X} was not offered"
    return None if server.compression_method in client.compression_methods else "the compression method was not offered"


def choosing(choice: Callable[[Talk], dict[str, Any]]) -> tuple[Do, Send]:
    """A ServerHello with fields that depend on the ClientHello."""
    return Do(lambda talk: talk.puppet.hello.update(choice(talk))), Send(server_hello)


def version_not_offered(version: int) -> Callable[[Talk], dict[str, Any]]:
    """A version above the client's, or one that it cannot have."""

    def choice(talk: Talk) -> dict[str, Any]:
        hello = talk.puppet.client_hello
        assert hello is not None
        if 0x0301 <= version <= hello.client_version:
            talk.inapplicable("the client offers that version")
        return {"server_version": version}

    return choice


def suite_not_offered(value: int | None = None) -> Callable[[Talk], dict[str, Any]]:
    """A suite that the client did not list: ``value``, or one that fits all else it said."""

    def choice(talk: Talk) -> dict[str, Any]:
        hello = talk.puppet.client_hello
        assert hello is not None
        exchange = SUITES[talk.puppet.suite].key_exchange
        alike = (item for item, suite in SUITES.items() if suite.key_exchange is exchange)
        chosen = next((item for item in alike if item not in hello.cipher_suites), None) if value is None else value
        if chosen is None or (chosen in hello.cipher_suites and chosen in SUITES):
            talk.inapplicable("the client lists that suite")
        return {"cipher_suite": chosen}

    return choice


def another_offered_suite(talk: Talk) -> dict[str, Any]:
    """A suite of the client's list that is not the session's."""
    hello, session = talk.puppet.client_hello, talk.puppet.session
    assert hello is not None
    assert session is not None
    others = [value for value in hello.cipher_suites if value in SUITES and value != session.cipher_suite]
    if not others:
        talk.inapplicable("the client offers one suite only")
    return {"cipher_suite": others[0]}


def favour_another_suite(talk: Talk) -> None:
    """Offer the session's suite behind the others."""
    assert talk.puppet.session is not None
    own = talk.puppet.session.cipher_suite
    talk.puppet.hello["cipher_suites"] = (*(value for value in talk.capabilities.suites if value != own), own)


RESUMED: Final = (*completed_and_closed(), connect(resume=By.ID))


def _versions() -> Iterator[Probe]:
    for version in (0x0301, 0x0302, 0x0303, 0x0304, 0x03FF, 0x0400):
        beyond = (alert(70).noted(_NO_4), unreadable().noted(_NO_4)) if version == 0x0400 else ()
        yield section.server(
            f"version-{version:04x}",
            f"client_version 0x{version:04X} is answered with the highest version that both have",
            "R2246-7.4.1.3-01",
            connect=connect(hello={"client_version": version}),
            conversation=(through("client_hello"), expect(said(ServerHello, lower_of_both), *beyond)),
        )
    for version in (0x0200, 0x0300, 0x0302, 0x03FF):
        yield section.client(
            f"version-{version:04x}",
            f"a ServerHello of version 0x{version:04X}, not offered, is refused",
            "R2246-7.4.1.3-02",
            conversation=(
                *choosing(version_not_offered(version)),
                expect(refusal(), unreadable().noted("the answer is of that version")),
            ),
        )


def _suites() -> Iterator[Probe]:
    values: dict[str, int | None] = {
        "not-offered": None,
        "unknown": 0xFEFE,
        "null": 0x0000,
        "scsv": 0x00FF,
        "tls-1-2": 0x009C,
        "pre-shared": 0x008C,
    }
    for name, value in values.items():
        yield section.client(
            f"suite-{name}",
            f"a ServerHello with a suite that cannot be ({name.replace('-', ' ')}) is refused",
            "R2246-7.4.1.3-09",
            conversation=(*choosing(suite_not_offered(value)), refused()),
        )


PROBES: Final = (
    *_versions(),
    section.server(
        "random",
        "the server's random is its own, for the same ClientHello too",
        "R2246-7.4.1.3-03",
        conversation=(
            Repeat(
                3,
                (
                    connect(hello={"random": FIXED_RANDOM}),
                    through("client_hello"),
                    expect(said(ServerHello)),
                    Do(keep_random),
                ),
            ),
            Check(not_the_clients_random),
        ),
    ),
    section.client(
        "own-random",
        "what a client does that gets its own random back",
        "R2246-7.4.1.3-03",
        level="MAY",
        conversation=(
            *choosing(lambda talk: {"random": talk.puppet.client_hello.random}),  # type: ignore[union-attr]
            replace(handshake(), start="server_hello", skip=True),
            expect(completed().noted("it does not mind"), alert()),
        ),
    ),
    section.server(
        "echo",
        "a server that resumes echoes the session id and keeps the suite",
        "R2246-7.4.1.3-04",
        "R2246-7.4.1.3-08",
        "R2246-7.4.1.3-10",
        needs=(RESUMES,),
        conversation=(*RESUMED, through("client_hello"), expect(said(ServerHello, echoes))),
    ),
    section.server(
        "echo-other-order",
        "a resumed session keeps its suite when another one comes first",
        "R2246-7.4.1.3-08",
        needs=(RESUMES,),
        conversation=(
            *RESUMED,
            Do(favour_another_suite),
            Send(client_hello),
            expect(said(ServerHello, its_suite_or_another_session)),
        ),
    ),
    section.server(
        "unknown-id",
        "an unknown session id is not echoed",
        "R2246-7.4.1.3-05",
        connect=connect(hello={"session_id": bytes(range(100, 132))}),
        conversation=(through("client_hello"), expect(said(ServerHello, not_echoed))),
    ),
    section.server(
        "empty-id",
        "a server that keeps no sessions gives an empty session id",
        "R2246-7.4.1.3-06",
        conversation=(Observe(), Check(keeps_no_session)),
    ),
    section.client(
        "empty-id",
        "after an empty session id there is nothing to offer",
        "R2246-7.4.1.3-06",
        needs=(NO_TICKETS,),
        conversation=(
            connect(hello={"session_id": b""}),
            handshake(),
            established(),
            Do(lambda talk: talk.say_goodbye()),
            connect(),
            Check(offers_no_session),
        ),
    ),
    *(
        section.client(
            f"id-of-{size}",
            f"a ServerHello with a session id of {size} bytes is refused",
            "R2246-7.4.1.3-07",
            conversation=(long_id("server_hello", size, b"A"), refused()),
        )
        for size in (33, 200)
    ),
    section.server(
        "id",
        "the server's session id has at most 32 bytes",
        "R2246-7.4.1.3-07",
        conversation=(Observe(), Check(lambda talk: None if len(_id(talk)) <= 32 else "the id is longer")),
    ),
    section.client(
        "resumed-with-another-suite",
        "a resumed session with another suite is refused",
        "R2246-7.4.1.3-08",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), *choosing(another_offered_suite), refused()),
    ),
    *_suites(),
    section.server(
        "choice",
        "suite and compression method come from the offer",
        "R2246-7.4.1.3-09",
        "R2246-7.4.1.3-10",
        conversation=(Observe(), Check(from_the_offer)),
    ),
    section.client(
        "compression",
        "a compression method that was not offered is refused",
        "R2246-7.4.1.3-10",
        conversation=(*choosing(lambda talk: {"compression_method": _unoffered_method(talk)}), refused()),
    ),
    section.client(
        "resumed-with-another-compression",
        "a resumed session with another compression method is refused",
        "R2246-7.4.1.3-10",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), *choosing(lambda talk: {"compression_method": 1}), refused()),
    ),
    section.client(
        "resumed-with-another-version",
        "a resumed session of another version is refused",
        "R2246-7.4.1.3-11",
        needs=(RESUMES,),
        conversation=(*RESUMED, Do(offered), *choosing(lambda talk: {"server_version": 0x0302}), refused()),
    ),
    section.server(
        "resumed-under-a-later-version",
        "a TLS 1.0 session is not taken up under a later version",
        "R2246-7.4.1.3-11",
        needs=(RESUMES, LATER_VERSIONS),
        conversation=(
            *RESUMED,
            Do(lambda talk: talk.puppet.hello.update(client_version=talk.capabilities.highest_version)),
            Send(client_hello),
            expect(said(ServerHello, lambda talk, hello: _crossed(talk, hello)), refusal()),
        ),
    ),
)


def _id(talk: Talk) -> bytes:
    hello = talk.puppet.server_hello
    return b"" if hello is None else hello.session_id


def _unoffered_method(talk: Talk) -> int:
    hello = talk.puppet.client_hello
    assert hello is not None
    return next(value for value in (1, 64, 2) if value not in hello.compression_methods)


def _crossed(talk: Talk, hello: ServerHello) -> str | None:
    """Whether the session has changed its version."""
    if hello.session_id == offered_id(talk) and hello.server_version != 0x0301:
        return f"the session is resumed under version 0x{hello.server_version:04X}"
    return None

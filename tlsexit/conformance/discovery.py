"""Find out what a target can do, by asking: nothing about it has to be configured.

A server is offered everything, then less and less; a client's hellos are read. What cannot be found out stays at the
value that makes fewer probes applicable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from tlsexit.alerts import AlertDescription, TlsError
from tlsexit.conformance.actions import Connect, Expect, Resume
from tlsexit.conformance.expect import answered, completed
from tlsexit.conformance.honest import curve_extensions
from tlsexit.conformance.model import Probe
from tlsexit.conformance.needs import Capabilities, SuiteChoice
from tlsexit.conformance.talk import Stop, Talk, Terms
from tlsexit.conformance.targets import Lane, Target
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.handshake import extensions as ext
from tlsexit.handshake.enums import ExtensionType
from tlsexit.handshake.hello import ServerHello
from tlsexit.puppet.steps import EMPTY_RENEGOTIATION_INFO, client_hello, hello_request, v2_client_hello

OFFERABLE: Final = tuple(
    value for value, suite in SUITES.items() if not suite.key_exchange.premaster.psk and not suite.key_exchange.fixed
)
"""The suites that probes can speak: all but those with pre-shared keys and fixed Diffie-Hellman keys."""

_FAVOURITES: Final = (0x002F, 0x0035, 0x000A, 0x0033, 0xC013, 0x0039, 0xC014, 0x0016, 0x0005, 0x0013, 0xC009)
"""Suites that make short, cheap conversations; what a probe does not care about runs over the first that there is."""


class NotConforming(Exception):
    """The target does not even complete an honest handshake; says how that ended."""


def discover(target: Target, terms: Terms) -> Capabilities:
    """Return what the target can do.

    Raises :class:`~tlsexit.conformance.targets.Unreachable`, and :class:`NotConforming` when nothing works at all.
    """
    lane = target.lane()
    finder = _Finder(lane, terms, target.tests)
    try:
        return finder.server() if target.tests is Role.SERVER else finder.client()
    finally:
        finder.close()
        lane.close()


def favourites_first(suites: tuple[int, ...]) -> tuple[int, ...]:
    """Return suites in the order in which probes prefer them."""
    order = {value: rank for rank, value in enumerate(_FAVOURITES)}
    return tuple(sorted(suites, key=lambda value: (order.get(value, len(order)), value)))


def everything() -> tuple[ext.Extension, ...]:
    """Return every extension that a client may offer, as :func:`discover` offers them."""
    name = ext.ServerName(0, b"localhost")
    return (
        ext.extension(ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST, (name,)),
        ext.Extension(ExtensionType.MAX_FRAGMENT_LENGTH, b"\x04"),
        ext.Extension(ExtensionType.STATUS_REQUEST, b"\x01\0\0\0\0"),
        ext.Extension(ExtensionType.APPLICATION_LAYER_PROTOCOL_NEGOTIATION, b"\0\x09\x08http/1.1"),
        ext.Extension(ExtensionType.ENCRYPT_THEN_MAC, b""),
        ext.Extension(ExtensionType.EXTENDED_MASTER_SECRET, b""),
        ext.Extension(ExtensionType.SESSION_TICKET, b""),
    )


class _Finder:
    """Holds the conversations of the discovery over one lane."""

    def __init__(self, lane: Lane, terms: Terms, tests: Role) -> None:
        self._lane = lane
        self._terms = terms
        self._talks: list[Talk] = []
        self._found = Capabilities(tests, suites=favourites_first(OFFERABLE), authority=terms.authority is not None)

    def _talk(self, how: Connect | None = None) -> Talk:
        probe = Probe("discovery/7.3/discovery", "discovery", self._found.tests, ("R2246-7.3-01",), ())
        self.close()  # some servers take one connection at a time
        talk = Talk(self._lane, self._found, self._terms, probe)
        self._talks.append(talk)
        talk.connect(how or Connect())
        return talk

    def close(self) -> None:
        """End every connection."""
        for talk in self._talks:
            for puppet in talk.puppets:
                puppet.close()
        self._talks.clear()

    def _try(self, act: Callable[[], Any]) -> Any:
        """Return what ``act`` does, None if the conversation breaks."""
        try:
            return act()
        except (Stop, TlsError):
            return None

    def _learn(self, **fields: Any) -> None:
        self._found = replace(self._found, **fields)

    # ------------------------------------------------------------------------------------------- servers

    def server(self) -> Capabilities:
        """Find out about a server."""
        self._learn(suites=favourites_first(self._server_suites()))
        self._honest_server()
        self._server_extensions()
        self._resumption()
        self._server_renegotiation()
        self._learn(
            parallel=bool(self._try(self._parallel)),
            highest_version=self._try(self._highest_version) or 0x0301,
            compressions=(0, 1) if self._try(self._deflate) else (0,),
            v2_hello=bool(self._try(self._v2_hello)),
        )
        return self._found

    def _hello(self, **hello: Any) -> Any:
        """Send a ClientHello with these fields; returns the ServerHello, or how it was refused."""
        talk = self._talk(Connect(hello=tuple(hello.items())))
        puppet = talk.puppet
        puppet.send(client_hello)
        puppet.listen_until(lambda: puppet.server_hello is not None, self._terms.patience)
        puppet.close()
        return puppet.server_hello or puppet.reaction

    def _server_suites(self) -> tuple[int, ...]:
        left, found = list(OFFERABLE), list[int]()
        while left:
            answer = self._hello(cipher_suites=tuple(left), extensions=_with_curves())
            if not isinstance(answer, ServerHello) or answer.cipher_suite not in left:
                if not found:
                    raise NotConforming(f"no cipher suite is accepted: {answer}")
                break
            found.append(answer.cipher_suite)
            left.remove(answer.cipher_suite)
        return tuple(found)

    def _parallel(self) -> bool:
        """Whether a second connection is served while the first is open."""
        talk = self._talk()
        talk.puppet.send(client_hello)
        talk.connect(Connect(keep=True))
        puppet = talk.puppet
        puppet.send(client_hello)
        return puppet.listen_until(lambda: puppet.server_hello is not None, self._terms.patience)

    def _honest_server(self) -> None:
        """Complete a handshake; find out whether a certificate is wanted, and what the application says."""
        with_certificate = self._completed(Connect())
        if isinstance(with_certificate, str):
            raise NotConforming(f"an honest handshake fails: {with_certificate}")
        asked = with_certificate.puppet.request is not None
        certificate = "none"
        if asked:
            without = self._completed(Connect(show_certificate=False))
            certificate = "required" if isinstance(without, str) else "optional"
        self._learn(certificate=certificate, handshake_seconds=with_certificate.puppet.talk[-1].at)
        talk = self._completed(Connect())
        if isinstance(talk, str):
            return
        puppet = talk.puppet
        talk.send_request()
        puppet.listen_until(lambda: puppet.application_data != b"", self._terms.patience)
        requests = sum(type(item).__name__ == "HelloRequest" for item in puppet.messages)
        self._learn(application=puppet.application_data or None, hello_request=requests > 0)
        puppet.close()

    def _completed(self, how: Connect) -> Talk | str:
        """Return a talk whose handshake is complete, or how it ended instead."""
        try:
            talk = self._talk(how)
            for step in talk.trace:
                if not talk.play(step):
                    break
            talk.expect(Expect((completed(),)))
        except Stop as stop:
            return stop.reason
        except TlsError as error:
            return str(error)
        return talk

    def _server_extensions(self) -> None:
        answered: set[int] = set()
        for suite in self._representatives():
            offer = (*_with_curves(), *everything())
            hello = self._try(partial(self._hello, cipher_suites=(suite,), extensions=offer))
            if isinstance(hello, ServerHello):
                answered |= {item.extension_type for item in hello.extensions or ()}
        self._learn(extensions=frozenset(answered))

    def _representatives(self) -> tuple[int, ...]:
        """One suite with a block cipher, and one with a curve: some extensions go with such only."""
        block = SuiteChoice("", block=True).choose(self._found)
        curve = next((value for value in self._found.suites if "ECDHE" in SUITES[value].name), None)
        return tuple(dict.fromkeys(item for item in (block, curve, self._found.suites[0]) if item is not None))

    def _highest_version(self) -> int:
        answer = self._hello(client_version=0x0303)
        return int(answer.server_version) if isinstance(answer, ServerHello) else 0x0301

    def _deflate(self) -> bool:
        answer = self._hello(compression_methods=(1, 0))
        return isinstance(answer, ServerHello) and answer.compression_method == 1

    def _v2_hello(self) -> bool:
        talk = self._talk(Connect(hello=(("extensions", None),)))
        puppet = talk.puppet
        puppet.send(v2_client_hello)
        puppet.listen_until(lambda: puppet.server_hello is not None, self._terms.patience)
        puppet.close()
        return puppet.server_hello is not None

    # ------------------------------------------------------------------------------------------- both

    def _resumption(self) -> None:
        self._learn(
            resumes_by_id=bool(self._try(lambda: self._resumes(Connect(), Resume.ID))),
            resumes_by_ticket=bool(
                self._try(
                    lambda: self._resumes(
                        Connect(extensions=(ext.Extension(ExtensionType.SESSION_TICKET, b""),)), Resume.TICKET
                    )
                )
            ),
        )

    def _resumes(self, first: Connect, how: Resume) -> bool:
        talk = self._completed(first)
        if isinstance(talk, str):
            return False
        talk.say_goodbye()
        talk.connect(Connect(resume=how))
        for step in talk.trace:
            talk.play(step)
        talk.expect(Expect((completed(),)))
        resumed = talk.puppet.resumed
        talk.puppet.close()
        return resumed

    def _server_renegotiation(self) -> None:
        talk = self._completed(Connect())
        if isinstance(talk, str):
            return
        puppet = talk.puppet
        puppet.send(client_hello)
        puppet.listen_until(
            lambda: puppet.server_hello is not None or AlertDescription.NO_RENEGOTIATION in puppet.warnings,
            self._terms.patience,
        )
        if puppet.server_hello is not None:
            result = "accepted"
        elif puppet.over or puppet.close_notify:
            result = "closed"
        else:
            result = "refused" if AlertDescription.NO_RENEGOTIATION in puppet.warnings else "ignored"
        puppet.close()
        self._learn(renegotiation=result)

    # ------------------------------------------------------------------------------------------- clients

    def client(self) -> Capabilities:
        """Find out about a client."""
        talk = self._talk()
        hello = talk.puppet.client_hello
        if hello is None:
            raise NotConforming(f"the client sends no ClientHello: {talk.puppet.reaction}")
        kinds = set(self._terms.credentials)
        usable = tuple(
            value
            for value in hello.cipher_suites
            if value in OFFERABLE
            and (SUITES[value].key_exchange.certificate is None or SUITES[value].key_exchange.certificate in kinds)
        )
        names = self._try(lambda: ext.read(hello.extensions, ExtensionType.SERVER_NAME, ext.SERVER_NAME_LIST)) or ()
        self._learn(
            suites=favourites_first(usable),
            offered=hello.cipher_suites,
            extensions=frozenset(item.extension_type for item in hello.extensions or ()),
            compressions=hello.compression_methods,
            highest_version=hello.client_version,
            server_names=tuple(item.name for item in names),
            v2_hello=talk.puppet.v2_hello,
        )
        talk.puppet.close()
        if not usable:
            raise NotConforming("the client offers no cipher suite that the probes have a certificate for")
        honest = self._completed(Connect())
        if isinstance(honest, str):
            raise NotConforming(f"an honest handshake fails: {honest}")
        self._learn(handshake_seconds=honest.puppet.talk[-1].at)
        self._client_application(honest)
        self._client_certificate()
        self._client_resumption()
        self._client_renegotiation()
        return self._found

    def _client_application(self, talk: Talk) -> None:
        self._try(lambda: talk.expect(Expect((answered(),))))
        self._learn(application=talk.puppet.application_data or None)
        talk.say_goodbye()
        talk.puppet.close()

    def _client_certificate(self) -> None:
        talk = self._completed(Connect(request=True))
        if not isinstance(talk, str):
            self._learn(certificate="shown" if talk.puppet.peer_chain else "none")
            talk.puppet.close()

    def _client_resumption(self) -> None:
        if self._try(lambda: self._resumes(Connect(), Resume.ID)):
            self._learn(resumes_by_id=True)
        else:
            # the first connection may have followed one that was broken off
            self._learn(resumes_by_id=bool(self._try(lambda: self._resumes(Connect(), Resume.ID))))

    def _client_renegotiation(self) -> None:
        talk = self._completed(Connect())
        if isinstance(talk, str):
            return
        puppet = talk.puppet
        puppet.listen_until(lambda: puppet.application_data != b"", self._terms.quiet)
        puppet.send(hello_request)
        puppet.listen_until(
            lambda: puppet.client_hello is not None or puppet.warnings != [] or puppet.over, self._terms.patience
        )
        if puppet.client_hello is not None:
            result = "accepted"
        elif AlertDescription.NO_RENEGOTIATION in puppet.warnings:
            result = "refused"
        else:
            result = "closed" if puppet.over or puppet.close_notify else "ignored"
        puppet.close()
        self._learn(renegotiation=result)


def _with_curves() -> tuple[ext.Extension, ...]:
    """Return the extensions of a hello with elliptic curves, behind an empty renegotiation_info."""
    return (EMPTY_RENEGOTIATION_INFO, *curve_extensions())

"""Whose turn it is to say what: the order of RFC 2246 §7.3, as the peer has to enforce it."""

from __future__ import annotations

from tlsexit.constants import Role
from tlsexit.fuzzing import expected as ex
from tlsexit.fuzzing.expected import Expected
from tlsexit.puppet import Puppet

HANDSHAKE: frozenset[str] = frozenset(
    {
        "hello_request",
        "client_hello",
        "server_hello",
        "certificate",
        "certificate_status",
        "server_key_exchange",
        "certificate_request",
        "server_hello_done",
        "client_key_exchange",
        "certificate_verify",
        "new_session_ticket",
        "change_cipher_spec",
        "finished",
    }
)
"""What has a place in a handshake; anything else may be said at any time, as far as order goes."""

_OUT_OF_TURN = {
    "change_cipher_spec": ("R2246-7.1-07", "R2246-6.1-02"),
    "finished": ("R2246-7.4.9-02", "R2246-7.4-02"),
    "certificate_verify": ("R2246-7.4.8-01", "R2246-7.4-02"),
    "certificate": ("R2246-7.4.6-01", "R2246-7.4-02"),
    "certificate_request": ("R2246-7.4.4-02", "R2246-7.4-02"),
    "server_key_exchange": ("R2246-7.4.3-02", "R2246-7.4-02"),
    "certificate_status": ("R4366-3.6-01",),
    "new_session_ticket": ("R5077-3.3-01",),
}
"""The requirements that a message at the wrong place breaks; for the others it is the order itself."""


class Turns:
    """What one end has said in the handshake under way, and what it may say next."""

    def __init__(self, puppet: Puppet) -> None:
        self._puppet = puppet
        self._said: list[str] = []
        self.complete = 0
        """How many handshakes this end has said all of its part of."""

    @property
    def next(self) -> frozenset[str]:
        """The messages that an honest end may send now."""
        if self._puppet.role is Role.CLIENT:
            return frozenset(self._client())
        found = frozenset(self._server())
        # at any time, and ignored inside a handshake (§7.4.1.1)
        return found | {"hello_request"}

    def needed(self, word: str) -> bool:
        """Whether an honest end says this now."""
        return word in self.next

    def outlook(self, word: str) -> Expected | None:
        """Return what the peer ought to answer to the message because of its place; None if the place is right."""
        if word not in HANDSHAKE or word in self.next:
            return None
        if word == "client_hello" and self._puppet.role is Role.CLIENT and self.complete and not self._said:
            return None
        requirements = _OUT_OF_TURN.get(word, ("R2246-7.4-02",))
        # a body that the state has no use for may be looked at first
        return ex.refused(*requirements, alerts=ex.OUT_OF_TURN | ex.FORBIDDEN)

    def said(self, word: str) -> None:
        """Note that the message has been sent."""
        if word not in HANDSHAKE or word == "hello_request":
            return
        self._said.append(word)
        if word == "finished":
            self.complete += 1
            self._said = []

    def _client(self) -> set[str]:
        puppet, last = self._puppet, self._said[-1] if self._said else None
        if last is None:
            return {"client_hello"} if not self.complete or puppet.complete else set()
        if last == "client_hello":
            if puppet.resumed:
                return {"change_cipher_spec"}
            if not puppet.server_done:
                return set()
            return {"certificate"} if puppet.request is not None else {"client_key_exchange"}
        if last == "client_key_exchange":
            proof = puppet.request is not None and puppet.show_certificate and "certificate" in self._said
            return {"certificate_verify"} if proof else {"change_cipher_spec"}
        following = {
            "certificate": "client_key_exchange",
            "certificate_verify": "change_cipher_spec",
            "change_cipher_spec": "finished",
        }
        return {following[last]} if last in following else set()

    def _server(self) -> set[str]:
        puppet, last = self._puppet, self._said[-1] if self._said else None
        exchange = puppet.exchange
        if puppet.client_hello is None:
            return set()
        if last is None:
            return {"server_hello"} if not puppet.complete else set()
        if last == "server_hello":
            if puppet.resumed:
                return {"change_cipher_spec"}
            if exchange.certificate is not None:
                return {"certificate"}
            return {"server_key_exchange"} if exchange.server_key_exchange else {"server_hello_done"}
        if last == "certificate" and exchange.server_key_exchange:
            return {"server_key_exchange"}
        if last in ("certificate", "server_key_exchange"):
            may_ask = exchange.certificate is not None and not exchange.premaster.psk
            return {"server_hello_done", "certificate_request"} if may_ask else {"server_hello_done"}
        if last == "certificate_request":
            return {"server_hello_done"}
        if last == "server_hello_done":
            return {"change_cipher_spec"} if Role.CLIENT in puppet.finished else set()
        return {"finished"} if last == "change_cipher_spec" else set()

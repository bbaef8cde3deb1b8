"""tlsexit, with the built-in PKI answering every exit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

from benchmarks.contenders.base import Cleanup, Handshake, KeyExchange, Transfer, Unit
from benchmarks.material import DH_GROUP, HOST, material
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.drivers.drive import run
from tlsexit.events import ApplicationData
from tlsexit.exits.forms import certificate_key, load_certificate
from tlsexit.handshake import extensions as ext
from tlsexit.policy import BuiltinPki, system_config
from tlsexit.policy.certificates import display_name, name_key, parse_certificate
from tlsexit.policy.signatures import check_signature
from tlsexit.profile import Profile, Verify
from tlsexit.session import Session
from tlsexit.tasks import Task

SECP256R1 = 23


@cache
def builtin_pki(role: Role) -> BuiltinPki:
    """The key store of one side: its identity, and the authority that vouches for the other."""
    made = material()
    return BuiltinPki([made.issued(role).identity("own")], {"ca": [made.root.certificate]})


def profiles(kind: Handshake) -> tuple[Profile, Profile]:
    """The profiles of client and server."""
    suites = (kind.key_exchange.suite,)
    client = Profile.client(cipher_suites=suites, server_name=HOST, groups=(SECP256R1,))
    verify = Verify.REQUIRED if kind.mutual else Verify.NONE
    server = Profile.server(cipher_suites=suites, verify=verify, groups=(SECP256R1,), dh_group=DH_GROUP)
    return client, server


def new_task(role: Role) -> Task:
    """A task that is ready for connections; its exit is off, so that the built-in PKI answers."""
    task = Task(system_config())
    run(task, None, builtin_pki(role))
    return task


@dataclass(slots=True)
class Pair:
    """A client and a server, joined by two byte strings."""

    client: Connection
    server: Connection

    def handshake(self) -> int:
        """Take both ends to where data may flow; return the bytes carried."""
        client, server = self.client, self.server
        client_pki, server_pki = builtin_pki(Role.CLIENT), builtin_pki(Role.SERVER)
        server.start()
        run(server, None, server_pki)
        client.start()
        run(client, None, client_pki)
        carried = 0
        while True:
            if data := client.data_to_send():
                server.receive_data(data)
                run(server, None, server_pki)
            carried += len(data)
            if answer := server.data_to_send():
                client.receive_data(answer)
                run(client, None, client_pki)
            elif not data:
                break
            carried += len(answer)
        if not (client.established and server.established):
            raise client.error or server.error or RuntimeError("the handshake stopped half-way")
        client.next_event()
        server.next_event()
        return carried

    def close(self) -> None:
        """End both sessions."""
        self.client.close()
        run(self.client, None, builtin_pki(Role.CLIENT))
        self.server.receive_data(self.client.data_to_send())
        run(self.server, None, builtin_pki(Role.SERVER))


def connected(kind: Handshake, session: Session | None = None) -> Pair:
    """Return two ends after a handshake."""
    client, server = profiles(kind)
    pair = Pair(
        new_task(Role.CLIENT).connection(client, session=session),
        new_task(Role.SERVER).connection(server),
    )
    pair.handshake()
    return pair


def forget_all() -> None:
    """Empty every memory of what peers have sent before: certificates, signatures, hello extensions."""
    certificates = (load_certificate, certificate_key, parse_certificate, check_signature, name_key, display_name)
    for memory in (*certificates, ext.remembered_list, ext.remembered_body):
        memory.cache_clear()


class Tlsexit:
    """Both ends under a task each, as a client and a server program would have them.

    ``remembering=False`` forgets before each handshake all that was ever seen, one's own certificate included.
    """

    def __init__(self, *, remembering: bool = True) -> None:
        self.name = "tlsexit" if remembering else "tlsexit, cold"
        self.version = f"tlsexit {version('tlsexit')}"
        self.carried = 0
        self._remembering = remembering

    def handshake(self, kind: Handshake) -> Unit:
        client_profile, server_profile = profiles(kind)
        client_task, server_task = new_task(Role.CLIENT), new_task(Role.SERVER)

        def connect(session: Session | None) -> Pair:
            pair = Pair(client_task.connection(client_profile, session=session), server_task.connection(server_profile))
            self.carried = pair.handshake()
            return pair

        session = connect(None).client.session if kind.resumed else None

        def unit() -> Cleanup:
            if not self._remembering:
                forget_all()
            pair = connect(session)
            if pair.client.context.resumed is not kind.resumed:
                raise RuntimeError("resumption did not go as asked")
            return pair.close

        return unit

    def transfer(self, kind: Transfer) -> Unit:
        pair = connected(Handshake(KeyExchange.RSA))
        client, server = pair.client, pair.server
        data = bytes(kind.size)

        def unit() -> None:
            client.send(data)
            wire = client.data_to_send()
            server.receive_data(wire)
            self.carried = len(wire)
            received = 0
            while (event := server.next_event()) is not None:
                assert isinstance(event, ApplicationData)
                received += len(event.data)
            if received != len(data):
                raise RuntimeError(f"{received} of {len(data)} bytes arrived")

        return unit

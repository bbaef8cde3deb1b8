"""OpenSSL, driven from Python through :mod:`ssl` and its memory BIOs."""

from __future__ import annotations

import ssl
import warnings
from contextlib import suppress

from benchmarks.contenders.base import Cleanup, Handshake, KeyExchange, Transfer, Unit
from benchmarks.material import HOST, material
from tlsexit.constants import Role

_READ = 2**16  # more than one record: SSL_read returns one at a time anyway


def context(role: Role, kind: Handshake) -> ssl.SSLContext:
    """A context for one side: TLS 1.0, one suite, the peer's certificate verified, session ids instead of tickets."""
    made = material()
    made_for = ssl.PROTOCOL_TLS_SERVER if role is Role.SERVER else ssl.PROTOCOL_TLS_CLIENT
    result = ssl.SSLContext(made_for)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        result.minimum_version = result.maximum_version = ssl.TLSVersion.TLSv1
    result.set_ciphers(f"{kind.key_exchange.value}:@SECLEVEL=0")
    result.options |= ssl.OP_NO_TICKET
    result.load_verify_locations(made.root_file)
    if role is Role.SERVER:
        result.load_dh_params(str(made.dh_file))
        result.set_ecdh_curve("prime256v1")
        result.verify_mode = ssl.CERT_REQUIRED if kind.mutual else ssl.CERT_NONE
    if role is Role.SERVER or kind.mutual:
        result.load_cert_chain(made.chain_file(role), made.key_file(role))
    return result


class Pair:
    """A client and a server with the four BIOs between them; the four arrows are two, since each is read at once."""

    def __init__(self, client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self.client_in, self.client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server_in, self.server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self.client_in, self.client_out, server_hostname=HOST, session=session)
        self.server = server.wrap_bio(self.server_in, self.server_out, server_side=True)

    def handshake(self) -> int:
        """Take both ends to where data may flow; return the bytes carried."""
        client_done = server_done = False
        carried = 0
        while not (client_done and server_done):
            if not client_done:
                client_done = _try(self.client)
            carried += _carry(self.client_out, self.server_in)
            if not server_done:
                server_done = _try(self.server)
            carried += _carry(self.server_out, self.client_in)
        return carried

    def close(self) -> None:
        """Exchange close_notify: OpenSSL forgets a session whose connection was dropped without."""
        for end, out, into in (
            (self.client, self.client_out, self.server_in),
            (self.server, self.server_out, self.client_in),
        ):
            with suppress(ssl.SSLWantReadError):
                end.unwrap()
            _carry(out, into)


def _try(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _carry(out: ssl.MemoryBIO, into: ssl.MemoryBIO) -> int:
    data = out.read()
    if data:
        into.write(data)
    return len(data)


class OpenSsl:
    """Both ends from one context each, as ``ssl`` programs have them."""

    name = "openssl"
    version = ssl.OPENSSL_VERSION

    def __init__(self) -> None:
        self.carried = 0

    def handshake(self, kind: Handshake) -> Unit:
        client, server = context(Role.CLIENT, kind), context(Role.SERVER, kind)

        def connect(session: ssl.SSLSession | None) -> Pair:
            pair = Pair(client, server, session)
            self.carried = pair.handshake()
            return pair

        session = None
        if kind.resumed:
            first = connect(None)
            session = first.client.session
            first.close()

        def unit() -> Cleanup:
            pair = connect(session)
            if pair.client.session_reused is not kind.resumed:
                raise RuntimeError("resumption did not go as asked")
            return pair.close

        return unit

    def transfer(self, kind: Transfer) -> Unit:
        handshake = Handshake(KeyExchange.RSA)
        pair = Pair(context(Role.CLIENT, handshake), context(Role.SERVER, handshake))
        pair.handshake()
        client, server, out, into = pair.client, pair.server, pair.client_out, pair.server_in
        data = bytes(kind.size)

        def unit() -> None:
            client.write(data)
            wire = out.read()
            into.write(wire)
            self.carried = len(wire)
            received = 0
            while received < len(data):
                received += len(server.read(_READ))

        return unit

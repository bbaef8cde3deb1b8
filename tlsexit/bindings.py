"""What an application may take from a connection: exported keys (RFC 5705) and channel bindings (RFC 5929)."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from tlsexit.alerts import LocalError
from tlsexit.connection import Connection
from tlsexit.constants import Role
from tlsexit.crypto import schedule
from tlsexit.exits.forms import load_certificate
from tlsexit.handshake import states


def export_keying_material(
    connection: Connection, label: bytes, length: int, context: bytes | None = None, *, allow_legacy: bool = False
) -> bytes:
    """Return ``length`` bytes that only the two ends of this connection know (RFC 5705 §4).

    A ``context`` of None and an empty one give different results. Without the extended master secret the result can
    be the same on two connections that a man in the middle has synchronised, so it is refused unless ``allow_legacy``
    (RFC 7627 §5.4). Raises :class:`LocalError` also before the handshake is complete and for a label of TLS's own.
    """
    established = _established(connection)
    if not (established.context.extended_master_secret or allow_legacy):
        raise LocalError("without the extended master secret exported keys do not identify the connection")
    security = established.security
    return schedule.export_keying_material(
        security.master_secret, label, security.client_random, security.server_random, context, length
    )


def channel_binding(connection: Connection, kind: str = "tls-unique", *, allow_legacy: bool = False) -> bytes:
    """Return a channel binding of this connection: ``tls-unique`` or ``tls-server-end-point`` (RFC 5929 §3, §4).

    ``tls-unique`` is the first Finished of the last handshake: the client's, or the server's if the session was
    resumed; after a resumption without the extended master secret it may be the same on two connections, and is
    refused unless ``allow_legacy`` (RFC 7627 §5.4). Raises :class:`LocalError` also before the handshake is complete,
    and if the server has no certificate.
    """
    established = _established(connection)
    if kind == "tls-unique":
        finished, context = established.finished, established.context
        if context.resumed and not (context.extended_master_secret or allow_legacy):
            raise LocalError("without the extended master secret tls-unique does not identify a resumed connection")
        return finished.server if established.context.resumed else finished.client
    if kind == "tls-server-end-point":
        context = established.context
        chain = context.own_chain if context.role is Role.SERVER else context.peer_chain
        if not chain:
            raise LocalError("the server has shown no certificate")
        digest = hashes.Hash(_end_point_hash(load_certificate(chain[0])))
        digest.update(chain[0])
        return digest.finalize()
    raise LocalError(f"channel binding {kind!r} is unknown; there are tls-unique and tls-server-end-point")


def _end_point_hash(certificate: x509.Certificate) -> hashes.HashAlgorithm:
    """Return the hash of the certificate's signature, with SHA-256 in place of MD5 and SHA-1 (RFC 5929 §4.1)."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None or isinstance(algorithm, (hashes.MD5, hashes.SHA1)):
        return hashes.SHA256()
    return algorithm


def _established(connection: Connection) -> states.Established:
    state = connection.state
    if not isinstance(state, states.Established):
        raise LocalError("the handshake is not complete")
    return state

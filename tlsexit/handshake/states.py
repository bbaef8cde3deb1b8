"""Every state of the handshake, each carrying exactly what is valid in it (RFC 2246 §7.3).

An ``Await…`` state expects the peer's next message; an ``Ask…`` state waits for an exit's answer, and takes no other
input until it has it. States are frozen: one can be kept, compared and printed while the protocol waits, and a test can
start from any of them. Secrets stay out of the repr.

Full handshake of a client::

    Idle → AskClientStartHandshake → AwaitServerHello → AwaitServerCertificate → AskCheckServerCertificate
    → [AwaitServerKeyExchange] → AwaitCertificateRequest → [AwaitServerHelloDone → AskGetClientCertificate
    → AskSignCertificateVerify] → AwaitServerChangeCipherSpec → AwaitServerFinished → AskHandshakeDone → Established

and of a server::

    Idle → AskServerStartHandshake → AwaitClientHello → AskGetServerCertificate → [AskSignServerKeyExchange]
    → [AskGetCAList → AwaitClientCertificate → AskCheckClientCertificate] → AwaitClientKeyExchange
    → [AskDecryptPreMasterSecret] → [AwaitCertificateVerify] → AwaitClientChangeCipherSpec → AwaitClientFinished
    → AskHandshakeDone → Established

An abbreviated handshake goes from the hello to ``AwaitResumed…ChangeCipherSpec`` and ``AwaitResumed…Finished``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsexit.crypto.bulk import DirectionKeys
from tlsexit.crypto.keyops import PublicKey
from tlsexit.crypto.suites import CipherSuite
from tlsexit.exits.context import SessionContext
from tlsexit.handshake.agreement import ClientPublic, Ephemeral, ServerParams
from tlsexit.handshake.certificate import CertificateRequest
from tlsexit.handshake.finished import NewSessionTicket
from tlsexit.handshake.hello import ClientHello
from tlsexit.handshake.inputs import Received
from tlsexit.handshake.negotiation import ClientOffer, FinishedPair, Negotiation, SecurityParameters
from tlsexit.handshake.transcript import Transcript
from tlsexit.session import Session
from tlsexit.values import quicken


@dataclass(frozen=True, slots=True)
class State:
    """The root of all states; ``context`` is what an exit is shown."""

    context: SessionContext


@dataclass(frozen=True, slots=True)
class Idle(State):
    """Nothing has happened. ``session`` is what a client would like to resume."""

    session: Session | None = None


# ------------------------------------------------------------------------------------------------ client


@dataclass(frozen=True, slots=True)
class AskClientStartHandshake(State):
    """StartHandshake is being asked, before any byte; ``established`` is what a renegotiation would replace."""

    established: Established | None
    session: Session | None


@dataclass(frozen=True, slots=True)
class AwaitServerHello(State):
    """ClientHello has been sent, offering ``session`` if there is one."""

    hello: ClientHello
    session: Session | None
    established: Established | None
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class AwaitServerCertificate(State):
    """The suite authenticates the server, so its Certificate comes next (§7.4.2)."""

    negotiation: Negotiation
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class AwaitCertificateStatus(State):
    """The server said that it may staple a CertificateStatus; it may also go on without (RFC 6066 §8)."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey


@dataclass(frozen=True, slots=True)
class AskCheckServerCertificate(State):
    """CheckCertificate is being asked about the server's chain; ``held`` is a message that came before the answer."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey
    held: Received[Any] | None = None


@dataclass(frozen=True, slots=True)
class AwaitServerKeyExchange(State):
    """The suite needs ServerKeyExchange (§7.4.3); ``leaf_key`` is None for an anonymous server."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None


@dataclass(frozen=True, slots=True)
class AwaitPskHint(State):
    """PSK and RSA_PSK: ServerKeyExchange comes only if the server has a hint (RFC 4279 §2)."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None


@dataclass(frozen=True, slots=True)
class AwaitCertificateRequest(State):
    """CertificateRequest (§7.4.4) or, without one, ServerHelloDone."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None
    params: ServerParams | None


@dataclass(frozen=True, slots=True)
class AwaitServerHelloDone(State):
    """The server has asked for a certificate and must now finish its flight (§7.4.5)."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None
    params: ServerParams | None
    request: CertificateRequest


@dataclass(frozen=True, slots=True)
class AskGetClientCertificate(State):
    """GetCertificate is being asked, with the server's CA list."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None
    params: ServerParams | None
    request: CertificateRequest


@dataclass(frozen=True, slots=True)
class AskGetClientPreSharedKey(State):
    """GetPreSharedKey is being asked, perhaps with the server's hint."""

    negotiation: Negotiation
    transcript: Transcript
    leaf_key: PublicKey | None
    params: ServerParams | None


@dataclass(frozen=True, slots=True)
class AskSignCertificateVerify(State):
    """CryptData is being asked to sign the transcript (§7.4.8)."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AwaitNewSessionTicket(State):
    """Our Finished has gone out; the ServerHello promised a ticket before the key change (RFC 5077 §3.3)."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    read_keys: DirectionKeys
    client_verify_data: bytes


@dataclass(frozen=True, slots=True)
class AwaitServerChangeCipherSpec(State):
    """Our Finished has gone out; the server's key change comes next."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    read_keys: DirectionKeys
    client_verify_data: bytes
    ticket: NewSessionTicket | None = None


@dataclass(frozen=True, slots=True)
class AwaitServerFinished(State):
    """The read state has changed; Finished must be the very next message (§7.4.9)."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    client_verify_data: bytes
    ticket: NewSessionTicket | None = None


# ------------------------------------------------------------------------------------------------ server


@dataclass(frozen=True, slots=True)
class AskServerStartHandshake(State):
    """StartHandshake is being asked: before any byte is read or, in a renegotiation, with its ClientHello at hand."""

    previous: FinishedPair | None
    hello: Received[ClientHello] | None = None


@dataclass(frozen=True, slots=True)
class AwaitClientHello(State):
    """The client speaks first (§7.4.1.2)."""

    previous: FinishedPair | None


@dataclass(frozen=True, slots=True)
class AskGetServerCertificate(State):
    """GetCertificate is being asked; the leaf's key decides among ``candidates``."""

    offer: ClientOffer
    candidates: tuple[CipherSuite, ...]
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class AskSignServerKeyExchange(State):
    """CryptData is being asked to sign the ephemeral parameters (§7.4.3)."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral


@dataclass(frozen=True, slots=True)
class AskGetCAList(State):
    """GetCAList is being asked while CertificateRequest is built (§7.4.4)."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral | None


@dataclass(frozen=True, slots=True)
class AwaitClientCertificate(State):
    """The client was asked, so Certificate comes next, possibly empty (§7.4.6)."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral | None
    certificate_types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AskCheckClientCertificate(State):
    """CheckCertificate is being asked about the client's chain."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral | None
    client_key: PublicKey


@dataclass(frozen=True, slots=True)
class AwaitClientKeyExchange(State):
    """ClientKeyExchange is never left out (§7.4.7); ``client_key`` is set if CertificateVerify must follow."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral | None
    client_key: PublicKey | None


@dataclass(frozen=True, slots=True)
class AskGetServerPreSharedKey(State):
    """GetPreSharedKey is being asked about the identity that the client sent."""

    negotiation: Negotiation
    transcript: Transcript
    ephemeral: Ephemeral | None
    public: ClientPublic


@dataclass(frozen=True, slots=True)
class AskDecryptPreMasterSecret(State):
    """CryptData is being asked to decrypt. ``substitute`` was drawn beforehand and serves if anything goes wrong.

    ``psk`` is the key that RSA_PSK adds.
    """

    negotiation: Negotiation
    transcript: Transcript
    client_key: PublicKey | None
    substitute: bytes = field(repr=False)
    psk: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AwaitCertificateVerify(State):
    """The client showed a certificate and must now prove that it holds the key (§7.4.8)."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    client_key: PublicKey


@dataclass(frozen=True, slots=True)
class AwaitClientChangeCipherSpec(State):
    """All that is left of the client's flight is its key change and Finished."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AwaitNextProtocol(State):
    """The read state has changed; the client's choice of protocol comes before its Finished."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    write_keys: DirectionKeys


@dataclass(frozen=True, slots=True)
class AwaitClientFinished(State):
    """The read state has changed; Finished must be the very next message (§7.4.9)."""

    negotiation: Negotiation
    transcript: Transcript
    master_secret: bytes = field(repr=False)
    write_keys: DirectionKeys


# ------------------------------------------------------------------------------------------------ resumption


@dataclass(frozen=True, slots=True)
class AwaitResumedNewSessionTicket(State):
    """Client: the server took up the session and renews its ticket first (RFC 5077 §3.3)."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session


@dataclass(frozen=True, slots=True)
class AwaitResumedServerChangeCipherSpec(State):
    """Client: the server took up the offered session and changes keys at once (§7.3)."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session


@dataclass(frozen=True, slots=True)
class AwaitResumedServerFinished(State):
    """Client: the server's Finished comes first in an abbreviated handshake."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session
    write_keys: DirectionKeys


@dataclass(frozen=True, slots=True)
class AwaitResumedClientChangeCipherSpec(State):
    """Server: our Finished has gone out; the client's key change comes next."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session
    read_keys: DirectionKeys
    server_verify_data: bytes


@dataclass(frozen=True, slots=True)
class AwaitResumedNextProtocol(State):
    """Server: the client's choice of protocol, before the Finished that ends the abbreviated handshake."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session
    server_verify_data: bytes


@dataclass(frozen=True, slots=True)
class AwaitResumedClientFinished(State):
    """Server: the client's Finished ends the abbreviated handshake."""

    negotiation: Negotiation
    transcript: Transcript
    session: Session
    server_verify_data: bytes


# ------------------------------------------------------------------------------------------------ both


@dataclass(frozen=True, slots=True)
class AskHandshakeDone(State):
    """Both Finished messages are verified; HandshakeDone is being asked. ``session`` is new and worth remembering."""

    finished: FinishedPair
    security: SecurityParameters
    session: Session | None


@dataclass(frozen=True, slots=True)
class Established(State):
    """Application data may flow. ``requested``: a HelloRequest of ours is unanswered (§7.4.1.1)."""

    finished: FinishedPair
    security: SecurityParameters
    requested: bool = False


@dataclass(frozen=True, slots=True)
class Closed(State):
    """Over; nothing is accepted any more."""


quicken(__name__)

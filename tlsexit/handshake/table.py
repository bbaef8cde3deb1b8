"""The automaton: which input each state takes, and the function that handles it (RFC 2246 §7.3).

A pair that is not here is an unexpected_message. HelloRequest is legal at any time for a client, so it is added to all
its states below. An exit's refusal ends the handshake in every state but one: the decryption of the premaster secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tlsexit.config import Config
from tlsexit.constants import Role
from tlsexit.handshake import client, finish, resume, server
from tlsexit.handshake import states as s
from tlsexit.handshake.certificate import Certificate, CertificateRequest, CertificateStatus, CertificateVerify
from tlsexit.handshake.finished import Finished, NewSessionTicket, NextProtocol
from tlsexit.handshake.flight import Step
from tlsexit.handshake.hello import ClientHello, HelloRequest, ServerHello, ServerHelloDone
from tlsexit.handshake.inputs import (
    Answered,
    ChangeCipherSpecReceived,
    Refused,
    Renegotiate,
    RenegotiationRefused,
    Start,
)
from tlsexit.handshake.keyexchange import ClientKeyExchange, ServerKeyExchange

Handler = Callable[[Any, Any, Config], Step]
Table = Mapping[tuple[type[s.State], type[Any]], Handler]

CLIENT: Final[Table] = {
    (s.Idle, Start): client.on_start,
    (s.AskClientStartHandshake, Answered): client.on_handshake_started,
    (s.AwaitServerHello, ServerHello): client.on_server_hello,
    # full handshake
    (s.AwaitServerCertificate, Certificate): client.on_certificate,
    (s.AwaitCertificateStatus, CertificateStatus): client.on_certificate_status,
    (s.AwaitCertificateStatus, ServerKeyExchange): client.on_no_certificate_status,
    (s.AwaitCertificateStatus, CertificateRequest): client.on_no_certificate_status,
    (s.AwaitCertificateStatus, ServerHelloDone): client.on_no_certificate_status,
    (s.AskCheckServerCertificate, Answered): client.on_certificate_checked,
    (s.AwaitServerKeyExchange, ServerKeyExchange): client.on_server_key_exchange,
    (s.AwaitPskHint, ServerKeyExchange): client.on_server_key_exchange,
    (s.AwaitPskHint, ServerHelloDone): client.on_server_hello_done,
    (s.AwaitCertificateRequest, CertificateRequest): client.on_certificate_request,
    (s.AwaitCertificateRequest, ServerHelloDone): client.on_server_hello_done,
    (s.AwaitServerHelloDone, ServerHelloDone): client.on_server_hello_done_after_request,
    (s.AskGetClientCertificate, Answered): client.on_certificate_chosen,
    (s.AskGetClientPreSharedKey, Answered): client.on_pre_shared_key,
    (s.AskSignCertificateVerify, Answered): client.on_signed,
    (s.AwaitNewSessionTicket, NewSessionTicket): client.on_new_session_ticket,
    (s.AwaitServerChangeCipherSpec, ChangeCipherSpecReceived): client.on_change_cipher_spec,
    (s.AwaitServerFinished, Finished): client.on_finished,
    # abbreviated handshake
    (s.AwaitResumedNewSessionTicket, NewSessionTicket): resume.on_new_session_ticket,
    (s.AwaitResumedServerChangeCipherSpec, ChangeCipherSpecReceived): resume.on_server_change_cipher_spec,
    (s.AwaitResumedServerFinished, Finished): resume.on_server_finished,
    # both
    (s.AskHandshakeDone, Answered): finish.on_handshake_done,
    # renegotiation
    (s.Established, HelloRequest): finish.on_hello_request,
    (s.Established, Renegotiate): finish.on_client_renegotiate,
    (s.Established, RenegotiationRefused): finish.on_request_refused,
    (s.AwaitServerHello, RenegotiationRefused): finish.on_hello_refused,
}

SERVER: Final[Table] = {
    (s.Idle, Start): server.on_start,
    (s.AskServerStartHandshake, Answered): server.on_handshake_started,
    (s.AwaitClientHello, ClientHello): server.on_client_hello,
    # full handshake
    (s.AskGetServerCertificate, Answered): server.on_certificate_chosen,
    (s.AskSignServerKeyExchange, Answered): server.on_params_signed,
    (s.AskGetCAList, Answered): server.on_ca_list,
    (s.AwaitClientCertificate, Certificate): server.on_certificate,
    (s.AskCheckClientCertificate, Answered): server.on_certificate_checked,
    (s.AwaitClientKeyExchange, ClientKeyExchange): server.on_client_key_exchange,
    (s.AskGetServerPreSharedKey, Answered): server.on_pre_shared_key,
    (s.AskDecryptPreMasterSecret, Answered): server.on_decrypted,
    (s.AskDecryptPreMasterSecret, Refused): server.on_decryption_refused,
    (s.AwaitCertificateVerify, CertificateVerify): server.on_certificate_verify,
    (s.AwaitClientChangeCipherSpec, ChangeCipherSpecReceived): server.on_change_cipher_spec,
    (s.AwaitNextProtocol, NextProtocol): server.on_next_protocol,
    (s.AwaitClientFinished, Finished): server.on_finished,
    # abbreviated handshake
    (s.AwaitResumedClientChangeCipherSpec, ChangeCipherSpecReceived): resume.on_client_change_cipher_spec,
    (s.AwaitResumedNextProtocol, NextProtocol): resume.on_next_protocol,
    (s.AwaitResumedClientFinished, Finished): resume.on_client_finished,
    # both
    (s.AskHandshakeDone, Answered): finish.on_handshake_done,
    # renegotiation
    (s.Established, ClientHello): finish.on_client_hello_again,
    (s.Established, Renegotiate): finish.on_server_renegotiate,
    (s.Established, RenegotiationRefused): finish.on_request_refused,
}

_NEGOTIATING_CLIENT = {state for state, _ in CLIENT} - {s.Idle, s.Established}

TABLES: Final[Mapping[Role, Table]] = {
    # §7.4.1.1: HelloRequest "will be ignored by the client if the client is currently negotiating a session"
    Role.CLIENT: {
        **CLIENT,
        **{(state, HelloRequest): finish.on_hello_request_ignored for state in _NEGOTIATING_CLIENT},
    },
    Role.SERVER: SERVER,
}

RELEASED: Final[tuple[type[s.State], ...]] = (s.AskHandshakeDone, s.Established)
"""Where HandshakeDone has been asked, so that the end is told with EndSession; anywhere else with HandshakeAlert."""

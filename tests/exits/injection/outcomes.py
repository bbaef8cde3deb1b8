"""Every bad thing that an exit can do at each question, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.exits.injection.secrets import PASSWORD, SECRET
from tests.support.pki import pki
from tlsexit.alerts import AlertDescription
from tlsexit.constants import Role
from tlsexit.crypto.keyops import sign
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Failed, Handled
from tlsexit.exits.calls import (
    Credentials,
    CryptDataCall,
    PreSharedKey,
    StartHandshakeResult,
    StartTaskResult,
    Untrusted,
)
from tlsexit.profile import Verify

HANG: Final = "never answers"
_BYTES: Final[Any] = SECRET  # where the type says something else
_TEXT: Final[Any] = PASSWORD


class Elsewhere(BaseException):
    """What is no Exception and means nothing to tlsexit, like the time-outs of some libraries."""


@dataclass(frozen=True)
class Outcome:
    """Something bad. ``act`` takes the call and returns what the exit returns, or raises; :data:`HANG` never returns.

    ``alert`` is what the peer hears, None if nothing; ``says`` what this end's error says.
    ``function`` is for an exit in the style of ``cftpkie``, whose return code ``act`` returns.
    """

    name: str
    act: Callable[[Any], Any]
    says: str
    alert: AlertDescription | None = AlertDescription.INTERNAL_ERROR
    function: bool = False
    profile: dict[str, Any] = field(default_factory=dict)

    @property
    def interrupts(self) -> bool:
        """Whether it is not the exit's failure, but somebody who wants the program to end."""
        return self.alert is None

    @property
    def hangs(self) -> bool:
        return self.name == "no answer in time"


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def act(call: Any) -> Any:
        raise error

    return act


def _answering(value: object) -> Callable[[Any], Any]:
    return lambda call: Handled(value)


def _overflow(call: Any) -> Any:
    area = call.task.public_area if hasattr(call, "task") else call.context.private_area
    area += SECRET
    return Handled()


ALWAYS: Final = (
    Outcome("error, access_denied named", lambda call: Failed(49), "refused", AlertDescription.ACCESS_DENIED),
    Outcome("error, alert 10 named", lambda call: Failed(10), "10 is not one of the recognised alert reasons"),
    Outcome(
        "error, text named as alert", lambda call: Failed(_BYTES), "bytes is not one of the recognised alert reasons"
    ),
    Outcome("error, no alert named", lambda call: Failed(), "failed"),
    Outcome("exception", _raising(OSError("the token is gone")), "failed (OSError)"),
    Outcome("CancelledError", _raising(asyncio.CancelledError()), "failed (CancelledError)"),
    Outcome("KeyboardInterrupt", _raising(KeyboardInterrupt()), "", None),
    Outcome("SystemExit", _raising(SystemExit(3)), "", None),
    Outcome("no answer in time", lambda call: HANG, "no answer within"),
    Outcome(
        "returns something else", lambda call: SECRET, "returned bytes; an exit returns Handled, NotHandled or Failed"
    ),
    Outcome("returns nothing", lambda call: None, "returned NoneType; an exit returns Handled, NotHandled or Failed"),
    Outcome(
        "function, no execution code",
        lambda call: SECRET,
        "the exit function returned bytes, which is no execution code",
        function=True,
    ),
    Outcome(
        "function, code 7", lambda call: 7, "the exit function returned 7, which is no execution code", function=True
    ),
    Outcome("writes beyond its area", _overflow, "failed (BufferError)"),
)
"""Whatever the question."""

_UNVERIFIED: Final = "the signature does not verify with the certificate that was sent"
_PSK_SIZE: Final = "a pre-shared key has 1 to 65535 bytes, its identity at most 65535"
_AREA_SIZE: Final = "a private area has 0 to 1048576 bytes"
_WRONG = Outcome("value of a wrong type", _answering({SECRET: PASSWORD}), "")
_DER = pki().server.chain[0]
_LIST = bytes([1, 1]) + (2 + len(_DER)).to_bytes(2, "big") + len(_DER).to_bytes(2, "big") + _DER
_CHAIN = (3 + len(_DER)).to_bytes(3, "big") + len(_DER).to_bytes(3, "big") + _DER
_ED25519 = Ed25519PrivateKey.generate()


def _elements(**changes: Any) -> Callable[[Any], Any]:
    return _answering(StartHandshakeResult(changes=changes))


_CERTIFICATE = (
    Outcome("chain, cut short", _answering(_CHAIN[:-1]), "certificate chain: length 863 announced, 862 bytes left"),
    Outcome("chain, a byte too many", _answering(_CHAIN + b"\0"), "certificate chain: 1 bytes left over"),
    Outcome("certificate, empty", _answering((b"",)), "certificate chain: 0: length 0 is outside <1..16777215>"),
    Outcome("certificate, not DER", _answering((SECRET,)), "the leaf of the chain is not a usable certificate"),
    Outcome("certificate, cut short", _answering((_DER[:-1],)), "the leaf of the chain is not a usable certificate"),
    Outcome("chain of 20 certificates", _answering((_DER,) * 20), "20 certificates in a chain; at most 16 are read"),
    Outcome(
        "chain of 17 MB",
        _answering((_DER, bytes(17 * 2**20))),
        "certificate chain: 1: length 17825792 is outside <1..16777215>",
    ),
    Outcome(
        "chain, text in it", _answering(("CN=localhost",)), "a chain holds certificates or their DER bytes, not str"
    ),
    Outcome(
        "OCSP response, text",
        _answering(Credentials((_DER,), ocsp_response=_TEXT)),
        "an OCSP response is DER, of less than 2^24 bytes",
    ),
    Outcome(
        "SCTs, an empty one",
        _answering(Credentials((_DER,), sct_list=(b"",))),
        "SCTs are a tuple of bytes, none of them empty",
    ),
)

_SIGN = (
    Outcome(
        "key of another certificate",
        _answering(pki().root.key),
        "the private key does not belong to the certificate that was sent",
    ),
    Outcome("key of another kind", _answering(pki(KeyType.EC).server.key), "CryptData needs a key for RSA"),
    Outcome(
        "key that TLS 1.0 does not know",
        _answering(_ED25519),
        "CryptData answers with bytes or a private key, not Ed25519PrivateKey",
    ),
    Outcome(
        "public key",
        _answering(pki().server.key.public_key()),
        "CryptData answers with bytes or a private key, not RSAPublicKey",
    ),
)

_SIGNATURE = (
    Outcome("signature, a byte short", lambda call: Handled(_signature(call)[:-1]), _UNVERIFIED),
    Outcome("signature, a byte long", lambda call: Handled(_signature(call) + b"\0"), _UNVERIFIED),
    Outcome("signature, empty", _answering(b""), "a signature has 1 to 65535 bytes"),
    Outcome("signature of 70 000 bytes", _answering(bytes(70_000)), "a signature has 1 to 65535 bytes"),
    Outcome("signature by another key", lambda call: Handled(sign(pki().root.key, call.data)), _UNVERIFIED),
)

_DECRYPTED = (
    Outcome("premaster secret, empty", _answering(b""), ""),
    Outcome("premaster secret, a byte short", _answering(b"\3\1" + SECRET[:45]), ""),
    Outcome("premaster secret, a byte long", _answering(b"\3\1" + SECRET[:47]), ""),
    Outcome("premaster secret, version of SSL 3.0", _answering(b"\3\0" + SECRET[:46]), ""),
    Outcome("premaster secret, another one", _answering(b"\3\1" + SECRET[:46]), ""),
)

SPECIFIC: Final[dict[str, tuple[Outcome, ...]]] = {
    "StartTask": (
        replace(_WRONG, says="StartTask answers with StartTaskResult, not dict"),
        Outcome("private area of 1 MB and a byte", _answering(StartTaskResult(None, 2**20 + 1)), _AREA_SIZE),
        Outcome("private area of -1 bytes", _answering(StartTaskResult(None, -1)), _AREA_SIZE),
        Outcome("private area, no number", _answering(StartTaskResult(None, _BYTES)), _AREA_SIZE),
        Outcome(
            "password, no text",
            _answering(StartTaskResult(password=cast(Any, [PASSWORD]))),
            "the key store's password is bytes or str",
        ),
    ),
    "StartHandshake": (
        replace(_WRONG, says="StartHandshake answers with StartHandshakeResult, not dict"),
        Outcome(
            "changes, no mapping",
            _answering(StartHandshakeResult(changes=_BYTES)),
            "the changes of StartHandshake are a mapping of profile elements",
        ),
        Outcome("changes the profile's id", _elements(id="another"), "id is read-only"),
        Outcome("changes the direction", _elements(direction=Role.CLIENT), "direction is read-only"),
        Outcome("changes an unknown element", _elements(colour="red"), "colour is not an element of a profile"),
        Outcome("depth of 11", _elements(depth=11), "depth is 0 to 10, not 11"),
        Outcome("cipher suites, text", _elements(cipher_suites="47"), "cipher_suites is a tuple, not str"),
    ),
    "GetCAList": (
        replace(_WRONG, says="a CA list is wire bytes or a pair (types, names), not dict"),
        Outcome(
            "CA list, empty", _answering(b""), "CA list: certificate_types: a 1-byte length expected, 0 bytes left"
        ),
        Outcome(
            "CA list, cut short",
            _answering(_LIST[:-1]),
            "CA list: certificate_authorities: length 862 announced, 861 bytes left",
        ),
        Outcome("CA list, a byte too many", _answering(_LIST + b"\0"), "CA list: 1 bytes left over"),
        Outcome(
            "CA list, no types",
            _answering(((), (pki().root.certificate.subject,))),
            "CA list: certificate_types: length 0 is outside <1..255>",
        ),
        Outcome(
            "CA list, no names",
            _answering(((1,), ())),
            "CA list: certificate_authorities: length 0 is outside <3..65535>",
        ),
        Outcome(
            "CA list, type 300",
            _answering(((300,), (pki().root.certificate.subject,))),
            "CA list: certificate_types: a value does not fit in 1 bytes",
        ),
        Outcome(
            "CA list, a name that is no DER", _answering(((1,), (SECRET,))), "CA list: an authority is not a DER Name"
        ),
    ),
    "GetCertificate": (
        replace(
            _WRONG,
            name="chain, a number",
            act=_answering(7),
            says="a chain is wire bytes or a list of certificates, not int",
        ),
        *_CERTIFICATE,
    ),
    "CheckCertificate": (
        replace(_WRONG, says="CheckCertificate answers Handled() or Handled(Untrusted(...)), not dict"),
        Outcome(
            "Untrusted where trust is required",
            _answering(Untrusted("no")),
            "Untrusted is an answer for verify=optional only",
        ),
        Outcome(
            "True instead of nothing",
            _answering(True),
            "CheckCertificate answers Handled() or Handled(Untrusted(...)), not bool",
        ),
    ),
    "CryptData (sign)": (
        replace(_WRONG, says="CryptData answers with bytes or a private key, not dict"),
        *_SIGN,
        *_SIGNATURE,
    ),
    "CryptData (decrypt)": (
        replace(_WRONG, says="CryptData answers with bytes or a private key, not dict"),
        *_SIGN,
        *_DECRYPTED,
    ),
    "GetPreSharedKey": (
        replace(_WRONG, says="GetPreSharedKey answers with PreSharedKey, not dict"),
        Outcome("error, unknown_psk_identity named", lambda call: Failed(115), "refused", AlertDescription(115)),
        Outcome("key, empty", _answering(PreSharedKey(b"me", b"")), _PSK_SIZE),
        Outcome("key of 65 536 bytes", _answering(PreSharedKey(b"me", bytes(65_536))), _PSK_SIZE),
        Outcome("identity of 65 536 bytes", _answering(PreSharedKey(bytes(65_536), SECRET)), _PSK_SIZE),
        Outcome("key, text", _answering(PreSharedKey(b"me", _TEXT)), "a pre-shared key and its identity are bytes"),
    ),
    "HandshakeDone": (
        replace(_WRONG, says="the global area is bytes, not dict"),
        Outcome(
            "global area of 65 bytes",
            _answering(SECRET + bytes(65 - len(SECRET))),
            "the global area has 64 bytes, not 65",
        ),
        Outcome("global area, text", _answering(PASSWORD), "the global area is bytes, not str"),
    ),
}
"""By the question's name."""

ONE_ROLE: Final[dict[tuple[str, Role], tuple[Outcome, ...]]] = {
    ("GetCertificate", Role.SERVER): (
        Outcome("chain, empty", _answering(()), "a server's chain holds at least its own certificate"),
        Outcome(
            "suite that was not offered",
            _answering(Credentials((_DER,), 0x0033)),
            "suite 0x0033 is not among the candidates",
        ),
        Outcome(
            "certificate of another kind",
            _answering(pki(KeyType.EC).server.chain),
            "no cipher suite in common with the client fits the certificate",
            AlertDescription.HANDSHAKE_FAILURE,
        ),
    ),
    ("GetCertificate", Role.CLIENT): (
        Outcome(
            "chain, empty, where the profile enforces one",
            _answering(()),
            "the profile enforces client authentication and there is no certificate to show",
            AlertDescription.HANDSHAKE_FAILURE,
            profile={"verify": Verify.ENFORCED},
        ),
        Outcome(
            "certificate of a kind not asked for",
            _answering(pki(KeyType.EC).client.chain),
            "the server did not ask for a certificate for ECDSA",
        ),
    ),
}


def _signature(call: CryptDataCall) -> bytes:
    return sign(pki().server.key, call.data)


def outcomes(phase: str, role: Role | None) -> tuple[Outcome, ...]:
    """Every bad outcome that the question ``phase`` of :data:`~tests.exits.injection.table.QUESTIONS` can have."""
    mine = SPECIFIC.get(phase, ())
    if role is not None:
        mine += ONE_ROLE.get((phase, role), ())
    return (*ALWAYS, *mine)

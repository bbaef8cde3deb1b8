"""A private key on a PKCS #11 token, which never leaves it. Needs ``python-pkcs11``: ``pip install tlsexit[hsm]``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tlsexit.adapters.elsewhere import ExitElsewhere, Worker
from tlsexit.adapters.pkcs11_uri import Pkcs11Uri, parse_uri
from tlsexit.alerts import BadCertificate, DecryptError, HandshakeFailure, LocalError
from tlsexit.constants import Role
from tlsexit.crypto.keyops import DIGEST_LENGTHS, PublicKey, key_type, verify
from tlsexit.crypto.suites import KeyType
from tlsexit.exits.answers import Answer, Handled, NotHandled
from tlsexit.exits.calls import (
    CryptDataCall,
    CryptOperation,
    EndTaskCall,
    ExitCall,
    GetCertificateCall,
    StartTaskCall,
)
from tlsexit.policy import Identity, TrustAnchors, load_authorities
from tlsexit.policy.certificates import parsed
from tlsexit.policy.choice import client_identity, server_credentials
from tlsexit.policy.store import ordered_chain

try:
    import pkcs11
    from pkcs11 import Attribute, Mechanism, ObjectClass, PKCS11Error
    from pkcs11 import exceptions as ck
except ImportError as error:
    raise LocalError("keys on tokens need the package python-pkcs11: pip install 'tlsexit[hsm]'") from error

T = TypeVar("T")

_MECHANISMS: Final = {KeyType.RSA: Mechanism.RSA_PKCS, KeyType.DSA: Mechanism.DSA, KeyType.EC: Mechanism.ECDSA}
"""The mechanisms that sign a digest as it is (RFC 2246 §4.7)."""

_PIN_ERRORS: Final = (ck.PinIncorrect, ck.PinInvalid, ck.PinLenRange, ck.PinLocked, ck.PinExpired)
"""After these no further attempt is made: a token locks itself after a few."""


class Pkcs11Exit(ExitElsewhere):
    """Shows the certificate of a key on a token, and signs and decrypts there, in either role.

    ``uri`` (RFC 7512) names both: ``pkcs11:token=T;object=KEY?module-path=FILE&pin-source=file:PATH``. The chain is
    read from ``certificates`` or the URI's ``x-certificate-file`` (PEM, leaf first), or else from the token: the
    certificate with the id of the key, then its issuers. ``pin`` goes before the URI's ``pin-source``.

    StartTask opens the token and makes sure that key and certificate belong together. GetCertificate answers where the
    certificate fits, and CryptData for the chain that was shown; everything else is left to the built-in PKI.

    A token that is lost fails the signature at hand with internal_error. Every later operation looks for it again, not
    more often than every ``pause`` seconds, and logs in anew. A wrong PIN is tried once and never again. A decryption
    that fails leaves no trace on the wire (RFC 2246 §7.4.7.1): whether the token is still there is asked before each,
    so that nothing depends on the outcome.

    All calls of one module come from one thread, so that an event loop never waits for a token and the module need not
    be safe for threads.
    """

    def __init__(
        self,
        uri: str | Pkcs11Uri,
        *,
        pin: str | None = None,
        certificates: Path | Iterable[bytes] | None = None,
        pause: float = 1.0,
    ) -> None:
        self._uri = parse_uri(uri) if isinstance(uri, str) else uri
        self._pin = pin if pin is not None else self._uri.read_pin()
        self._chain = _chain_from(self._uri.certificate_file if certificates is None else certificates)
        self._module = _module(self._uri.module)
        self._pause = pause
        self._tasks = 0
        self._session: Any = None
        self._key: Any = None
        self._always = False
        self._identity: Identity | None = None
        self._silent_until = -float("inf")
        self._refused: LocalError | None = None

    @property
    def uri(self) -> Pkcs11Uri:
        """Which key on which token."""
        return self._uri

    def submit(self, call: ExitCall) -> Future[Answer]:
        """Answer at once what needs no token, and the rest when its turn comes."""
        if isinstance(call, StartTaskCall):
            return self._module.worker.submit(self._start)
        if isinstance(call, EndTaskCall):
            return self._module.worker.submit(self._end)
        if isinstance(call, CryptDataCall) and self._is_ours(call):
            return self._module.worker.submit(lambda: Handled(self._crypt(call)))
        done: Future[Answer] = Future()
        done.set_result(self._certificate(call) if isinstance(call, GetCertificateCall) else NotHandled())
        return done

    # ------------------------------------------------------------------------------------------------- phases

    def _start(self) -> Answer:
        self._open()
        self._tasks += 1
        return Handled()

    def _end(self) -> Answer:
        self._tasks -= 1
        if self._tasks <= 0:
            self._close()
        return Handled()

    def _certificate(self, call: GetCertificateCall) -> Answer:
        if self._identity is None:
            raise LocalError(f"{self._uri.name}: StartTask has not opened the token")
        if call.context.role is Role.CLIENT:
            identity = client_identity(call, [self._identity])
            return NotHandled() if identity is None else Handled(identity.chain)
        try:
            credentials = server_credentials(call, [self._identity], TrustAnchors())
        except HandshakeFailure:
            return NotHandled()
        return Handled(credentials) if credentials.chain else NotHandled()

    def _is_ours(self, call: CryptDataCall) -> bool:
        own = call.context.own_chain
        return self._identity is not None and own[:1] == self._identity.chain[:1]

    def _crypt(self, call: CryptDataCall) -> bytes:
        if call.operation is CryptOperation.DECRYPT:
            return self._decrypt(call.data)
        try:
            self._ready()
            return self._sign(call.algorithm, call.data)
        except PKCS11Error:
            # the session may have been closed while nobody looked: once more, with a new one
            self._lose()
            return self._told(lambda: self._sign(call.algorithm, call.data))

    # ------------------------------------------------------------------------------------------------- operations

    def _decrypt(self, data: bytes) -> bytes:
        try:
            self._ready()
            self._key.get_attributes([Attribute.CLASS])
        except PKCS11Error:
            self._lose()
        # from here on nothing may depend on whether the padding is good, the next operation included
        return self._told(lambda: self._with_pin(self._key.decrypt, data, Mechanism.RSA_PKCS))

    def _sign(self, algorithm: KeyType, data: bytes) -> bytes:
        signature = self._with_pin(self._key.sign, data, _MECHANISMS[algorithm])
        if algorithm is KeyType.RSA:
            return signature
        # PKCS #11 puts r and s side by side, TLS wants the SEQUENCE of RFC 3279 §2.2.2 and §2.2.3
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))

    def _with_pin(self, operate: Callable[..., bytes], data: bytes, mechanism: Mechanism) -> bytes:
        """Operate; a key that wants its PIN every time (CKA_ALWAYS_AUTHENTICATE) gets it."""
        extra = {"pin": self._pin} if self._always else {}
        return operate(data, mechanism=mechanism, **extra)

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except PKCS11Error as error:
            raise LocalError(f"{self._uri.name}: {_reason(error)}") from error

    # ------------------------------------------------------------------------------------------------- the session

    def _ready(self) -> None:
        if self._session is None:
            self._open()

    def _lose(self) -> None:
        """Open the token anew; :class:`LocalError` if it is not there, or has not been a moment ago."""
        self._close()
        self._open()

    def _open(self) -> None:
        if self._session is not None:
            return
        if self._refused is not None:
            raise self._refused
        if time.monotonic() < self._silent_until:
            raise LocalError(f"{self._uri.name}: the token was not there a moment ago")
        try:
            self._reach()
            self._check()
        except LocalError as error:
            self._close()
            self._silent_until = time.monotonic() + self._pause
            if isinstance(error.__cause__, _PIN_ERRORS):
                self._refused = error
            raise

    def _reach(self) -> None:
        try:
            self._told(self._connect)
        except LocalError as error:
            if isinstance(error.__cause__, _PIN_ERRORS):
                raise
            # a module may see that a token is back only when it starts anew; other exits open theirs again
            self._close()
            self._told(self._module.restart)
            self._told(self._connect)

    def _connect(self) -> None:
        token = self._module.token(self._uri)
        try:
            self._session = token.open(user_pin=self._pin)
        except ck.UserAlreadyLoggedIn:
            # the login belongs to the process: another session of it has given the PIN
            self._session = token.open()
        wanted: dict[Attribute, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        if self._uri.object is not None:
            wanted[Attribute.LABEL] = self._uri.object
        if self._uri.id is not None:
            wanted[Attribute.ID] = self._uri.id
        keys = list(self._session.get_objects(wanted))
        if len(keys) != 1:
            hint = " (no PIN was given)" if self._pin is None and not keys else ""
            raise LocalError(f"{self._uri.name}: the URI fits {len(keys)} private keys, not one{hint}")
        self._key = keys[0]
        self._always = bool(_attribute(self._key, Attribute.ALWAYS_AUTHENTICATE))
        if self._identity is None:
            chain = self._chain or self._chain_on_token()
            self._identity = Identity(self._uri.name, chain)

    def _check(self) -> None:
        """Make sure that the key is that of the certificate; a peer would only see a bad signature."""
        assert self._identity is not None
        public: Any = self._identity.leaf.public_key
        if isinstance(public, RSAPublicKey):
            modulus = self._told(lambda: self._key[Attribute.MODULUS])
            fits = int.from_bytes(modulus, "big") == public.public_numbers().n
        else:
            fits = self._verifies(public)
        if not fits:
            raise LocalError(f"{self._uri.name}: the key is not that of the certificate of {self._identity.leaf.name}")

    def _verifies(self, public: PublicKey) -> bool:
        kind = key_type(public)
        digest = bytes(DIGEST_LENGTHS[kind])
        try:
            verify(public, self._told(lambda: self._sign(kind, digest)), digest)
        except DecryptError:
            return False
        return True

    def _chain_on_token(self) -> tuple[bytes, ...]:
        """The certificate with the key's id, and as many of its issuers as the token has."""
        id = bytes(self._key[Attribute.ID])
        leaf, others = None, []
        for item in self._session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}):
            der = bytes(item[Attribute.VALUE])
            if leaf is None and bytes(item[Attribute.ID]) == id:
                leaf = der
            elif _parses(der):
                others.append(der)
        if leaf is None:
            raise LocalError(f"{self._uri.name}: no certificate with the id of the key is on the token; name a file")
        return ordered_chain(leaf, others)

    def _close(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error:
                return  # it was closed before us, with the token or the module


class _Module:
    """A PKCS #11 module of this process, and the one thread that calls it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.worker = Worker(f"pkcs11 {path.name}", every_call=False)

    def token(self, uri: Pkcs11Uri) -> Any:
        """Return the token that a URI means; :class:`LocalError` if there is none, or more than one."""
        found = [token for token in self._library().get_tokens() if _fits(token, uri.token)]
        if len(found) != 1:
            raise LocalError(f"{uri.name}: the URI fits {len(found)} tokens, not one")
        return found[0]

    def restart(self) -> None:
        """Finalize and initialise the module."""
        self._library().reinitialize()

    def _library(self) -> Any:
        try:
            return pkcs11.lib(str(self._path))
        except PKCS11Error as error:
            raise LocalError(f"{self._path}: not a PKCS #11 module: {_reason(error)}") from error


_modules: Final[dict[Path, _Module]] = {}
_modules_lock: Final = threading.Lock()


def _module(path: Path) -> _Module:
    """Return the one object for a module: it is initialised once in a process, whoever uses it."""
    with _modules_lock:
        # the path goes to python-pkcs11 as it came: it would load the same module again under another name
        return _modules.setdefault(path.resolve(), _Module(path))


def _fits(token: Any, wanted: dict[str, str]) -> bool:
    actual = {
        "token": token.label,
        "manufacturer": token.manufacturer_id,
        "serial": token.serial.decode("ascii", "replace") if isinstance(token.serial, bytes) else token.serial,
        "model": token.model,
        "slot-id": str(token.slot.slot_id),
    }
    return all(str(actual[name]).rstrip() == value for name, value in wanted.items())


def _attribute(key: Any, attribute: Attribute) -> Any:
    """Return an attribute that a token need not have; None if it has not."""
    try:
        return key[attribute]
    except (ck.AttributeTypeInvalid, ck.AttributeSensitive):
        return None


def _parses(der: bytes) -> bool:
    try:
        parsed(der)
    except BadCertificate:
        return False  # somebody else's business on the same token
    return True


_WORDS: Final = {ck.PinIncorrect: "the PIN is wrong", ck.PinLocked: "the PIN is locked"}


def _reason(error: PKCS11Error) -> str:
    """What the module returned, mostly in PKCS #11's words; the exception's own text may be empty, or long."""
    return _WORDS.get(type(error), type(error).__name__)


def _chain_from(source: Path | Iterable[bytes] | None) -> tuple[bytes, ...]:
    if source is None:
        return ()
    return load_authorities(source) if isinstance(source, Path) else tuple(source)

"""The key store: identities, authorities and revocation lists by id, in standard files that other programs read too.

The folder has one PKCS#12 file for each identity, encrypted with the password of the store, one PEM file for each
authority or set of revocation lists, and ``index.toml``. The password protects private keys. It does not protect the
public part, which says whom to trust: that is up to the permissions of the folder.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

from tlsexit.alerts import LocalError
from tlsexit.keystore.files import (
    LOCK,
    check_own,
    check_private,
    locked,
    make_private,
    read_own,
    remove,
    write_whole,
)
from tlsexit.keystore.index import Entry, Index, Kind, PasswordCheck, check_id, parse_index
from tlsexit.keystore.live import LivePki, Stamp
from tlsexit.policy import (
    BuiltinPki,
    Identity,
    IdentityFile,
    RevocationList,
    load_authorities,
    load_identity,
    load_ocsp_response,
    load_revocation_lists,
)
from tlsexit.policy.certificates import ParsedCertificate, parsed
from tlsexit.policy.responses import described_response
from tlsexit.policy.store import ordered_chain
from tlsexit.profile import Profile

INDEX: Final = "index.toml"
"""The name of the index in the folder."""

_SUFFIXES: Final = {Kind.IDENTITY: "p12", Kind.AUTHORITY: "pem", Kind.CRL: "crl.pem", Kind.OCSP: "ocsp.der"}
_KDF_ROUNDS: Final = 100_000


class KeyStore:
    """A key store in a folder; make one with :meth:`create` or :meth:`open`.

    Nothing of the index is kept: each method sees what other processes have done meanwhile. Each raises
    :class:`LocalError`, in one sentence, for a damaged index, a file that cannot be read or written, and an unknown id.
    """

    def __init__(self, folder: str | Path, password: bytes | None) -> None:
        self.folder = Path(folder)
        self._password = password

    def __repr__(self) -> str:
        return f"KeyStore({str(self.folder)!r})"

    @classmethod
    def create(cls, folder: str | Path, password: bytes | str) -> KeyStore:
        """Return a new, empty store; the folder is made, or is empty. The password is text, in UTF-8 if in bytes."""
        store = cls(folder, _password_bytes(password))
        if not store._password:
            raise LocalError("a key store has a password, which is not empty")
        try:
            store._password.decode("utf-8")
            present = _names(store.folder)
            if not present:
                make_private(store.folder)
        except UnicodeDecodeError as error:
            raise LocalError("the password is not text in UTF-8") from error
        except OSError as error:
            raise LocalError(f"{store.folder}: cannot be made: {error.strerror}") from error
        if present and INDEX not in present:
            raise LocalError(f"{store.folder}: is not empty; a key store has a folder of its own")
        with locked(store.folder):
            if store._index_file.exists():
                raise LocalError(f"{store.folder}: is a key store already")
            store._write(Index(PasswordCheck.of(store._password), {}))
        return store

    @classmethod
    def open(cls, folder: str | Path, password: bytes | str | None = None) -> KeyStore:
        """Return the store in ``folder``; :class:`LocalError` if there is none or the password is not the store's.

        Without a password everything works but what needs a private key: :meth:`pki` then opens identities with the
        password of the task, which an exit may have returned from StartTask.
        """
        store = cls(folder, _password_bytes(password))
        index = store._read()
        if store._password is not None and not index.password.accepts(store._password):
            raise LocalError(f"{store.folder}: this is not the password of the key store")
        return store

    # -------------------------------------------------------------------------------------------- reading

    def list(self) -> tuple[Entry, ...]:
        """Return all entries, in the order in which they were added."""
        return tuple(self._read().entries.values())

    def entry(self, id: str) -> Entry:
        """Return one entry."""
        return self._entry(self._read(), id)

    def certificates(self, id: str) -> tuple[ParsedCertificate, ...]:
        """Return an entry's certificates: an identity's chain, leaf first, which needs the password, or authorities."""
        entry = self.entry(id)
        if entry.kind in (Kind.CRL, Kind.OCSP):
            raise LocalError(f"{self.folder}: {id} is {_a(entry.kind)} and has no certificates")
        if entry.kind is Kind.AUTHORITY:
            return tuple(parsed(der) for der in load_authorities(self._file(entry)))
        return load_identity(id, self._file(entry), password=self._needed_password()).certificates

    def revocation_lists(self, id: str) -> tuple[RevocationList, ...]:
        """Return the revocation lists of an entry."""
        entry = self.entry(id)
        if entry.kind is not Kind.CRL:
            raise LocalError(f"{self.folder}: {id} is {_a(entry.kind)}, not a revocation list")
        return load_revocation_lists(self._file(entry))

    def ocsp_answers(self, id: str) -> tuple[str, ...]:
        """Return what an OCSP response says, a line for each certificate."""
        entry = self.entry(id)
        if entry.kind is not Kind.OCSP:
            raise LocalError(f"{self.folder}: {id} is {_a(entry.kind)}, not an OCSP response")
        return described_response(load_ocsp_response(self._file(entry)))

    def check_profile(self, profile: Profile) -> None:
        """Raise :class:`LocalError` unless the certificate and authorities that a profile names are here and active."""
        entries = self._read().entries
        wanted = [] if profile.user_certificate_id is None else [(profile.user_certificate_id, Kind.IDENTITY)]
        for id, kind in (*wanted, *((id, Kind.AUTHORITY) for id in profile.root_ca_ids)):
            entry = entries.get(id)
            if entry is None or entry.kind is not kind:
                raise LocalError(f"{self.folder}: has no {kind.value} {id}, which the profile {profile.id} names")
            if not entry.active:
                raise LocalError(f"{self.folder}: {id}, which the profile {profile.id} names, is not active")

    def stamp(self) -> Stamp:
        """Return what is different after each change of the store."""
        try:
            found = self._index_file.stat(follow_symlinks=False)
        except OSError as error:
            raise LocalError(f"{self._index_file}: cannot be read: {error.strerror}") from error
        return found.st_mtime_ns, found.st_ino, found.st_size

    def live_pki(self, **options: Any) -> LivePki:
        """Return what answers the phases from the active entries as they are at each handshake.

        ``options`` are those of :meth:`pki`.
        """
        return LivePki(self, **options)

    def pki(self, *, opened: dict[str, IdentityFile] | None = None, **options: Any) -> BuiltinPki:
        """Return what answers the phases from the active entries as they are now.

        ``options`` are those of :class:`~tlsexit.policy.BuiltinPki`; ``crls`` and ``ocsp_responses`` come on top of
        the store's. An identity is decrypted when a handshake first needs it: with the password that the store was
        opened with, or else that of the task. ``opened`` keeps the identities for the next call, by their files.
        """
        known = {} if opened is None else opened
        active = [entry for entry in self.list() if entry.active]
        identities = [
            known.get(entry.file) or IdentityFile(entry.id, self._file(entry), password=self._password)
            for entry in active
            if entry.kind is Kind.IDENTITY
        ]
        if opened is not None:
            opened.clear()
            opened.update((item.certificates.name, item) for item in identities)
        authorities = {
            entry.id: load_authorities(self._file(entry)) for entry in active if entry.kind is Kind.AUTHORITY
        }
        crls = [*options.pop("crls", ())]
        for entry in active:
            if entry.kind is Kind.CRL:
                crls += load_revocation_lists(self._file(entry))
        responses = [*options.pop("ocsp_responses", ())]
        responses += [load_ocsp_response(self._file(entry)) for entry in active if entry.kind is Kind.OCSP]
        return BuiltinPki(identities, authorities, crls, ocsp_responses=responses, **options)

    # -------------------------------------------------------------------------------------------- writing

    def import_identity(
        self,
        id: str,
        certificates: str | Path,
        key: str | Path | None = None,
        password: bytes | str | None = None,
        **flags: Any,
    ) -> Entry:
        """Add the identity in these files: PEM with its key in it or in ``key``, or PKCS#12; ``password`` is theirs.

        ``flags`` are those of :meth:`add_identity`.
        """
        check_id(id)
        return self.add_identity(id, load_identity(id, certificates, key, password), **flags)

    def add_identity(
        self, id: str, identity: Identity, *, active: bool = True, comment: str = "", replace: bool = False
    ) -> Entry:
        """Add an own chain with its key, encrypted with the password of the store; return its entry.

        Only with ``replace`` may there be an entry of that id and kind already.
        """
        password = self._needed_password()
        if identity.key is None:
            raise LocalError(f"the identity {id} has no private key")
        leaf, *above = [item.certificate for item in identity.certificates]
        if ordered_chain(leaf, above) != identity.chain:
            raise LocalError(f"the chain of the identity {id} goes on after a self-signed certificate")
        data = serialize_key_and_certificates(id.encode(), identity.key, leaf, above or None, _protection(password))
        return self._add(Entry(id, Kind.IDENTITY, id, active, comment), data, replace=replace)

    def import_authority(
        self, id: str, file: str | Path, *, active: bool = True, comment: str = "", replace: bool = False
    ) -> Entry:
        """Add the certificates to trust in a PEM file; arguments and result as in :meth:`add_identity`."""
        certificates = [x509.load_der_x509_certificate(der) for der in load_authorities(file)]
        data = b"".join(item.public_bytes(Encoding.PEM) for item in certificates)
        return self._add(Entry(id, Kind.AUTHORITY, id, active, comment), data, replace=replace)

    def import_revocation_lists(
        self, id: str, file: str | Path, *, active: bool = True, comment: str = "", replace: bool = False
    ) -> Entry:
        """Add the revocation lists in a PEM or DER file; arguments and result as in :meth:`add_identity`."""
        data = b"".join(item.document.public_bytes(Encoding.PEM) for item in load_revocation_lists(file))
        return self._add(Entry(id, Kind.CRL, id, active, comment), data, replace=replace)

    def import_ocsp_response(
        self, id: str, file: str | Path, *, active: bool = True, comment: str = "", replace: bool = False
    ) -> Entry:
        """Add the OCSP response in a DER file; arguments and result as in :meth:`add_identity`."""
        return self._add(Entry(id, Kind.OCSP, id, active, comment), load_ocsp_response(file), replace=replace)

    def activate(self, id: str) -> Entry:
        """Have the next :meth:`pki` use an entry; return it as it is now."""
        return self._change(id, active=True)

    def deactivate(self, id: str) -> Entry:
        """Keep an entry without using it; return it as it is now."""
        return self._change(id, active=False)

    def remove(self, id: str) -> Entry:
        """Remove an entry and its file; return what it was."""
        with locked(self.folder):
            index = self._read()
            entry = self._entry(index, id)
            self._write(Index(index.password, {key: item for key, item in index.entries.items() if key != id}))
            remove(self.folder / entry.file)
        return entry

    def _add(self, entry: Entry, data: bytes, *, replace: bool) -> Entry:
        """Write the file, then the index that names it, then remove the file it replaces, so that every moment fits."""
        with locked(self.folder):
            index = self._read()
            old = index.entries.get(entry.id)
            if old is not None and not replace:
                raise LocalError(f"{self.folder}: has an entry {entry.id} already")
            if old is not None and old.kind is not entry.kind:
                raise LocalError(f"{self.folder}: {entry.id} is {_a(old.kind)} and cannot become {_a(entry.kind)}")
            name = f"{entry.id}.{os.urandom(4).hex()}.{_SUFFIXES[entry.kind]}"
            entry = replaced(entry, file=name)
            write_whole(self.folder / entry.file, data)
            try:
                self._write(Index(index.password, {**index.entries, entry.id: entry}))
            except LocalError:
                with suppress(LocalError):
                    remove(self.folder / entry.file)
                raise
            if old is not None:
                remove(self.folder / old.file)
        return entry

    def _change(self, id: str, **changes: Any) -> Entry:
        with locked(self.folder):
            index = self._read()
            entry = replaced(self._entry(index, id), **changes)
            self._write(Index(index.password, {**index.entries, id: entry}))
        return entry

    # -------------------------------------------------------------------------------------------- the index

    @property
    def _index_file(self) -> Path:
        return self.folder / INDEX

    def _read(self) -> Index:
        try:
            check_private(self.folder)
            data = read_own(self._index_file)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LocalError(f"{self.folder}: is no key store; make one with `tlsexit pki create`") from error
        except OSError as error:
            raise LocalError(f"{self._index_file}: cannot be read: {error.strerror}") from error
        try:
            return parse_index(data)
        except LocalError as error:
            raise LocalError(f"{self._index_file}: is damaged: {error}") from error

    def _write(self, index: Index) -> None:
        write_whole(self._index_file, index.dump().encode("utf-8"))

    def _entry(self, index: Index, id: str) -> Entry:
        if id not in index.entries:
            raise LocalError(f"{self.folder}: has no entry {id}")
        return index.entries[id]

    def _file(self, entry: Entry) -> Path:
        """Return where an entry's file is."""
        return check_own(self.folder / entry.file)

    def _needed_password(self) -> bytes:
        if self._password is None:
            raise LocalError(f"{self.folder}: private keys need the password of the key store")
        return self._password


def _protection(password: bytes) -> KeySerializationEncryption:

    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_KDF_ROUNDS)
        .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(SHA256())
        .build(password)
    )


def _names(folder: Path) -> list[str]:
    """Return what is in a folder, which need not be there; the lock does not count."""
    try:
        return [item.name for item in folder.iterdir() if item.name != LOCK]
    except FileNotFoundError:
        return []


def _a(kind: Kind) -> str:
    return {
        Kind.IDENTITY: "an identity",
        Kind.AUTHORITY: "an authority",
        Kind.CRL: "a revocation list",
        Kind.OCSP: "an OCSP response",
    }[kind]


def _password_bytes(password: bytes | str | None) -> bytes | None:
    return password.encode() if isinstance(password, str) else password

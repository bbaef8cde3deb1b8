"""Name constraints: an authority that may only speak for part of the name space (RFC 5280 §4.2.1.10).

Checked for directory names, DNS names, IP addresses and mail addresses. A constraint on another kind of name refuses
every certificate below it that has a name of that kind: what cannot be checked is not let through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from tlsexit.policy.certificates import ParsedCertificate, name_key
from tlsexit.policy.failures import CertificateUnknown
from tlsexit.policy.names import common_host_names


def check_name_constraints(path: Sequence[ParsedCertificate]) -> None:
    """Check each authority's constraints on the certificates below it; ``path`` runs from the leaf to the anchor.

    Self-issued certificates between leaf and anchor are exempt (RFC 5280 §6.1.3 b). Raises
    :class:`CertificateUnknown`.
    """
    for height, authority in enumerate(path):
        if authority.name_constraints is None:
            continue
        for below, certificate in enumerate(path[:height]):
            if below == 0 or not certificate.self_issued:
                _check(authority, authority.name_constraints, certificate)


def _check(authority: ParsedCertificate, constraints: x509.NameConstraints, certificate: ParsedCertificate) -> None:
    permitted = constraints.permitted_subtrees or ()
    excluded = constraints.excluded_subtrees or ()
    for name in _names(certificate):
        kind = type(name)
        covers = _COVERS.get(kind)
        allowed = [base for base in permitted if type(base) is kind]
        refused = [base for base in excluded if type(base) is kind]
        if covers is None and (allowed or refused):
            raise CertificateUnknown(f"{authority.name} constrains names of a kind that cannot be checked")
        if covers is None:
            continue
        outside = allowed and not any(covers(base.value, name.value, False) for base in allowed)
        if outside or any(covers(base.value, name.value, True) for base in refused):
            raise CertificateUnknown(f"{authority.name} may not certify the names of {certificate.name}")


def _names(certificate: ParsedCertificate) -> list[x509.GeneralName]:
    """Return every name that the constraints apply to, those that hide in the subject included."""
    names: list[x509.GeneralName] = list(certificate.alternative_names)
    subject = certificate.subject_name
    if subject.rdns:
        names.append(x509.DirectoryName(subject))
    if not any(isinstance(name, x509.DNSName) for name in names):
        names.extend(x509.DNSName(host) for host in common_host_names(certificate))
    if not any(isinstance(name, x509.RFC822Name) for name in names):
        mail = (str(item.value) for item in subject if item.oid == NameOID.EMAIL_ADDRESS)
        names.extend(name for address in mail if (name := _mail_name(address)) is not None)
    return names


def _mail_name(address: str) -> x509.RFC822Name | None:
    """Return the address as a name, None for what is not an address at all and so is under no constraint."""
    try:
        return x509.RFC822Name(address)
    except ValueError:
        return None


def _directory_covers(base: x509.Name, name: x509.Name, _excluding: bool) -> bool:
    wanted, found = name_key(base.public_bytes()), name_key(name.public_bytes())
    return found[: len(wanted)] == wanted


def _dns_covers(base: str, name: str, excluding: bool) -> bool:
    base, name = base.lower(), name.lower().removesuffix(".")
    if _within(base, name):
        return True
    # An excluded host is not let back in by a wildcard that stands for it.
    return excluding and name.startswith("*.") and base.partition(".")[2] == name[2:]


def _within(base: str, host: str) -> bool:
    """Whether ``host`` is ``base`` or below it; below it only, if ``base`` starts with a dot."""
    if not base or base.startswith("."):
        return host.endswith(base)
    return host == base or host.endswith("." + base)


def _address_covers(base: Any, name: Any, _excluding: bool) -> bool:
    return base.version == name.version and name in base


def _mail_covers(base: str, name: str, _excluding: bool) -> bool:
    mailbox, _, host = name.rpartition("@")
    if "@" in base:
        wanted, _, wanted_host = base.rpartition("@")
        return mailbox == wanted and host.lower() == wanted_host.lower()
    base, host = base.lower(), host.lower()
    return host.endswith(base) if base.startswith(".") else not base or host == base


_COVERS: Final[dict[type[x509.GeneralName], Callable[[Any, Any, bool], bool]]] = {
    x509.DirectoryName: _directory_covers,
    x509.DNSName: _dns_covers,
    x509.IPAddress: _address_covers,
    x509.RFC822Name: _mail_covers,
}

"""What the key store calls the certificates of a session: the ids that applications are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tlsexit.alerts import PeerError
from tlsexit.policy.certificates import ParsedCertificate, TrustAnchors, name_key, parsed
from tlsexit.policy.signatures import check_signature


def authority_id(chain: Sequence[bytes], authorities: Mapping[str, TrustAnchors], ids: Iterable[str]) -> str:
    """Return the id of the first authority, going up from the leaf, that signed a certificate of ``chain``.

    A self-signed leaf that is trusted as it stands is its own. The chain has been checked; here it is only looked at,
    signatures included, since authorities may share a name. Empty if no authority of these ``ids`` is in it.
    """
    known = [(id, authorities[id]) for id in ids if id in authorities]
    try:
        certificate, *others = [parsed(der) for der in chain]
    except PeerError:
        return ""  # an exit has accepted what is no chain to us
    for _ in chain:
        for id, anchors in known:
            if certificate in anchors or any(_signed(certificate, item) for item in anchors.issuers_of(certificate)):
                return id
        above = [item for item in others if name_key(item.subject) == name_key(certificate.issuer)]
        certificate = next((item for item in above if _signed(certificate, item)), certificate)
    return ""


def _signed(certificate: ParsedCertificate, issuer: ParsedCertificate) -> bool:
    try:
        check_signature(certificate, issuer)
    except PeerError:
        return False
    return True

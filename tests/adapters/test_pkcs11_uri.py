"""PKCS #11 URIs (RFC 7512), and where their PINs come from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.adapters import pkcs11_uri
from tlsexit.adapters.pkcs11_uri import Pkcs11Uri, parse_uri
from tlsexit.alerts import LocalError

MODULE = Path(__file__)
"""Any file that is there."""

BASE = f"?module-path={MODULE}"


def test_everything() -> None:
    text = (
        "pkcs11:token=My%20token;manufacturer=Snake%20Oil;serial=DECAFBAD;model=One;slot-id=7;object=k%C3%A9y;id=%01%ff;"
        f"type=private{BASE}&pin-source=file:/etc/pin&x-certificate-file=/etc/chain.pem"
    )
    assert parse_uri(text) == Pkcs11Uri(
        module=MODULE,
        token={
            "token": "My token",
            "manufacturer": "Snake Oil",
            "serial": "DECAFBAD",
            "model": "One",
            "slot-id": "7",
        },
        object="kéy",
        id=b"\x01\xff",
        pin_source="file:/etc/pin",
        certificate_file=Path("/etc/chain.pem"),
    )


def test_as_little_as_there_may_be() -> None:
    assert parse_uri(f"pkcs11:{BASE}") == Pkcs11Uri(module=MODULE)
    assert parse_uri(f"PKCS11:object=k;{BASE}&").object == "k"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (Pkcs11Uri(MODULE, {"token": "t"}, "k", b"\1"), "t/k"),
        (Pkcs11Uri(MODULE, {"serial": "7"}, None, b"\1"), "7/01"),
        (Pkcs11Uri(MODULE, {"slot-id": "0"}), "0"),
        (Pkcs11Uri(MODULE), "the token"),
    ],
)
def test_names_for_messages(uri: Pkcs11Uri, name: str) -> None:
    assert uri.name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("token=t", "a PKCS #11 URI begins with pkcs11:"),
        ("pkcs11", "a PKCS #11 URI begins with pkcs11:"),
        (f"pkcs11:tokn=t{BASE}", "'tokn' is not an attribute here; there are id, manufacturer, model, object, "),
        (f"pkcs11:token{BASE}", "'token' is not an attribute here"),
        (f"pkcs11:token=a;token=b{BASE}", "token comes twice"),
        (f"pkcs11:token=%zz{BASE}", "token has a % without two hexadecimal digits"),
        (f"pkcs11:token=%ff{BASE}", "token is not UTF-8"),
        (f"pkcs11:type=cert{BASE}", "names a private key: type=private, or no type"),
        (f"pkcs11:{BASE}&pin-value=1234", "a PIN does not belong into a PKCS #11 URI"),
        (f"pkcs11:pin-value=1234{BASE}", "a PIN does not belong into a PKCS #11 URI"),
        ("pkcs11:token=t", "names its module here: add ?module-path=FILE, or ?module-name=NAME"),
        ("pkcs11:?module-path=/no/such/module.so", "/no/such/module.so: there is no such PKCS #11 module"),
        ("pkcs11:?module-name=no-such-module", "there is no PKCS #11 module 'no-such-module' in "),
        ("pkcs11:?module-name=../../../etc/passwd", "there is no PKCS #11 module "),
    ],
)
def test_what_is_none(text: str, message: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_uri(text)
    assert message in str(caught.value)
    assert "1234" not in str(caught.value)


def test_modules_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "any" / "pkcs11").mkdir(parents=True)
    module = tmp_path / "any" / "pkcs11" / "libtoken.so"
    module.touch()
    monkeypatch.setattr(pkcs11_uri, "MODULE_FOLDERS", (f"{tmp_path}/*/pkcs11",))
    assert parse_uri("pkcs11:?module-name=token").module == module
    assert parse_uri("pkcs11:?module-name=libtoken").module == module


@given(st.text())
def test_any_text(text: str) -> None:
    """A URI, or one clear error."""
    for uri in (text, f"pkcs11:{text}", f"pkcs11:{text}{BASE}"):
        with suppress(LocalError):
            parse_uri(uri)


# ------------------------------------------------------------------------------------------------------------- PINs


def test_a_pin_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\nsecond line\n")
    for source in (f"file:{tmp_path}/pin", f"file://{tmp_path}/pin", f"{tmp_path}/pin"):
        assert Pkcs11Uri(MODULE, pin_source=source).read_pin() == "1234"


def test_a_pin_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = parse_uri(f"pkcs11:{BASE}&pin-source=env:TOKEN_PIN")
    with pytest.raises(LocalError, match=r"^the environment variable TOKEN_PIN \(pin-source\) is not set$"):
        uri.read_pin()
    monkeypatch.setenv("TOKEN_PIN", "1234")
    assert uri.read_pin() == "1234"


def test_no_pin_source() -> None:
    assert Pkcs11Uri(MODULE).read_pin() is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (pin-source): No such file"),
        (b"", "holds no PIN"),
        (b"\n1234", "holds no PIN"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_files_without_a_pin(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "pin").write_bytes(content)
    with pytest.raises(LocalError) as caught:
        Pkcs11Uri(MODULE, pin_source=f"file:{tmp_path}/pin").read_pin()
    assert message in str(caught.value)

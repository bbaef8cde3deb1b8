"""Profiles from files: both kinds say the same, and every mistake is told with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.profile import Profile, Verify
from tlsexit.profiles import ProfileError, load_profiles, read_cftssl, read_toml

COMMANDS = """\
/* what our
   partners get */
CFTSSL id = partners, direct = SERVER,   # the listening side
       CiphList = (47, 53), verify = Required,
       rootcid = (ROOT1, ROOT2), usercid = OURS, depth = 2,
       dnuser = ('CN=alice/O=Example', "CN=bob"), dnissuer = 'CN=My CA',
       certfname = /var/lib/peers/cert, parm = 'any text', trace = 3
cftssl id=partners, direct=client, verify=enforced
"""

TOML = """\
[server.partners]
cipher_suites = ["AES128-SHA", 53]
verify = "required"
root_ca_ids = ["ROOT1", "ROOT2"]
user_certificate_id = "OURS"
depth = 2
dn_user = ["CN=alice/O=Example", "CN=bob"]
dn_issuer = "CN=My CA"
certificate_file_root = "/var/lib/peers/cert"
parm = "any text"
trace = 3

[client.partners]
verify = "enforced"
"""

EXPECTED = {
    (Role.SERVER, "partners"): Profile.server(
        id="partners",
        cipher_suites=(47, 53),
        verify=Verify.REQUIRED,
        root_ca_ids=("ROOT1", "ROOT2"),
        user_certificate_id="OURS",
        depth=2,
        dn_user=("CN=alice/O=Example", "CN=bob"),
        dn_issuer=("CN=My CA",),
        certificate_file_root="/var/lib/peers/cert",
        parm="any text",
        trace=3,
    ),
    (Role.CLIENT, "partners"): Profile.client(id="partners", verify=Verify.ENFORCED),
}


@pytest.mark.parametrize(("name", "text"), [("profiles.toml", TOML), ("profiles.txt", COMMANDS)])
def test_both_kinds_of_file(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert load_profiles(file) == EXPECTED


def test_elements_of_tlsexit_in_toml() -> None:
    text = """
        [client.x]
        groups = ["x25519", "secp256r1", 24]
        renegotiation = true
        alpn = ["h", "i"]
        extensions = false
    """
    expected = Profile.client(id="x", groups=(29, 23, 24), renegotiation=True, alpn=("h", "i"), extensions=False)
    assert read_toml(text, "f") == {(Role.CLIENT, "x"): expected}


def test_mode_replace() -> None:
    text = "CFTSSL id=a, direct=server, depth=1\nCFTSSL id=a, direct=server, depth=2, mode=replace"
    assert read_cftssl(text, "f")[Role.SERVER, "a"].depth == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("CFTSLL id=a", 1, "CFTSSL expected"),
        ("CFTSSL id=a, direct=server,\n  depht=2", 2, "the keyword depht is unknown"),
        ("CFTSSL id=a, direct=server,\n\n depth=eleven", 3, "depth is a number from 0 to 10, not 'eleven'"),
        ("CFTSSL id=a, direct=server, depth=11", 1, "depth is 0 to 10"),
        ("CFTSSL id=a, direct=both", 1, "direct is client or server"),
        ("CFTSSL direct=server", 1, "needs id="),
        ("CFTSSL id=(a,b), direct=server", 1, "needs id="),
        ("CFTSSL id=a", 1, "needs direct="),
        ("CFTSSL id=a, direct=server, verify=enforced", 1, "makes no sense for a server"),
        ("CFTSSL id=a, direct=client, verify=sometimes", 1, "verify is none, optional or required"),
        ("CFTSSL id=a, direct=server, ciphlist=(47,9999)", 1, "ciphlist:"),
        ("CFTSSL id=a, direct=server, ciphlist=(47", 1, "')' expected"),
        ("CFTSSL id=a, direct=server, parm=", 1, "a value expected"),
        ("CFTSSL id=a, direct=server, ", 1, "a keyword expected"),
        ("CFTSSL id a", 1, "'=' expected after id"),
        ("CFTSSL id=a, id=b, direct=server", 1, "id is given twice"),
        ("CFTSSL id=a, direct=server\nCFTSSL id=a, direct=server", 2, "there is a server profile a already"),
        ("CFTSSL id=a, direct=server, mode=delete", 1, "mode is create or replace"),
        ("CFTSSL id=a,\n/* direct=server", 2, "a comment begins here"),
        ("CFTSSL id='a", 1, "a quoted text begins here"),
        (f"CFTSSL id={'x' * 33}, direct=server", 1, "at most 32 characters"),
    ],
)
def test_mistakes_in_commands(text: str, line: int, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_cftssl(text, "profiles.txt")
    assert caught.value.line == line
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"profiles.txt, line {line}: ")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[server.a]\n\ndepht = 2", 3, "the element depht is unknown"),
        ("[server.a]\ndepth = 'two'", 2, "depth is a number from 0 to 10"),
        ("[server.a]\ndepth = true", 2, "depth is a number from 0 to 10"),
        ("\n[server.a]\ndepth = 11", 2, "depth is 0 to 10"),
        ("[server.a]\n[client.a]\nverify = 'required'", 2, "makes no sense for a client"),
        ("[servers.a]", 1, "[server.ID] or [client.ID] expected"),
        ("server = 3", 1, "one table for each profile"),
        ("[server]\na = 3", 1, "is a table"),
        ("[server.a]\n[server.a]", 2, "twice"),
        ("[server.a]\ndepth = ", 2, "nvalid value"),
        ("[server.a]\nrenegotiation = 'perhaps'", 2, "true or false"),
        ("[client.a]\ngroups = ['secp999']", 2, "curves"),
        ("[client.a]\ncipher_suites = ['RC9']", 2, "RC9"),
        ("[client.a]\ndh_group = 'mine'", 1, "DH group 'mine' is unknown"),
    ],
)
def test_mistakes_in_toml(text: str, line: int, words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_toml(text, "p.toml")
    assert caught.value.line == line
    assert words in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No such file"):
        load_profiles(tmp_path / "none.toml")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(LocalError, match="UTF-8"):
        load_profiles(tmp_path / "bytes")


@given(st.text("CFTSSLidrect=serv,()'\"/*#\n 47", max_size=60) | st.text(max_size=40))
def test_any_text_is_profiles_or_an_error_of_ours(text: str) -> None:
    for read in (read_cftssl, read_toml):
        with suppress(ProfileError):
            read(text, "f")

"""Profiles from files: both kinds say the same, and every mistake is told with its line."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsexit.alerts import LocalError
from tlsexit.constants import Role
from tlsexit.crypto.suites import SUITES
from tlsexit.profile import Profile, Verify
from tlsexit.profiles import ProfileError, find_profile, load_profiles, read_cftssl, read_toml
from tlsexit.profiles.elements import ELEMENTS

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


def test_elements_of_tlsexit_in_commands() -> None:
    """By their names in TOML, whatever the case."""
    text = "CFTSSL id=a, direct=server, Server_Preference=Yes, groups=(x25519, 23), renegotiation=false, alpn=h"
    expected = Profile.server(id="a", server_preference=True, groups=(29, 23), alpn=("h",))
    assert read_cftssl(text, "f") == {(Role.SERVER, "a"): expected}


@pytest.mark.parametrize(
    "text",
    [
        "CFTSSL id=a,direct=server,depth=3,parm='it''s'",
        'cftssl ID = \'a\' , DIRECT = Server,\r\n\tdepth = "3", parm = "it\'s"',
        '# first\n/**/CFTSSL\nid\n=\na\n,direct=server,depth=3/* three */,parm="it\'s"# last',
        'CFTSSL id=a, \\\n direct=server, depth=3\\\n , parm="it\'s"',
    ],
)
def test_one_command_in_many_hands(text: str) -> None:
    """Case, blanks, lines, comments, quotes and continuations make no difference."""
    assert read_cftssl(text, "f") == {(Role.SERVER, "a"): Profile.server(id="a", depth=3, parm="it's")}


@pytest.mark.parametrize("mode", ["replace", "Replace", "'REPLACE'"])
def test_mode_replace(mode: str) -> None:
    text = f"CFTSSL id=a, direct=server, depth=1\nCFTSSL id=a, direct=server, depth=2, mode={mode}"
    assert read_cftssl(text, "f")[Role.SERVER, "a"].depth == 2


def test_one_profile_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "profiles"
    file.write_text("\ufeff" + COMMANDS, encoding="utf-8")  # as some editors begin a file
    assert find_profile(file, Role.SERVER) == EXPECTED[Role.SERVER, "partners"]
    assert find_profile(file, Role.CLIENT, "partners") == EXPECTED[Role.CLIENT, "partners"]
    with pytest.raises(LocalError, match="has no client profile other; there are partners"):
        find_profile(file, Role.CLIENT, "other")
    file.write_text("CFTSSL id=a, direct=server\nCFTSSL id=b, direct=server", encoding="utf-8")
    with pytest.raises(LocalError, match="has several server profiles: a, b; name one"):
        find_profile(file, Role.SERVER)
    with pytest.raises(LocalError, match="has no client profile; there is none"):
        find_profile(file, Role.CLIENT)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("CFTSLL id=a", 1, "CFTSSL expected"),
        ("CFTSSL id=a, direct=server,\n  depht=2", 2, "the keyword depht is unknown; did you mean depth?"),
        ("CFTSSL id=a, direct=server,\n\n depth=eleven", 3, "depth is a number from 0 to 10, not 'eleven'"),
        ("CFTSSL id=a, direct=server,\n depth=11", 2, "depth is 0 to 10"),
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
        (f"CFTSSL direct=server,\nid={'x' * 33}", 2, "at most 32 characters"),
        ("CFTSSL id='', direct=server", 1, "needs id="),
        ("CFTSSL id='a\tb', direct=server", 1, "printable"),
        ("CFTSSL id=a, direct=server,\n  dnuser=(\n'CN=a',\n'alice')", 2, "'alice' is not of the form NAME=VALUE"),
        ("CFTSSL id=a, direct=server,\n mode=(a,b)", 2, "mode is create or replace, not ['a', 'b']"),
        ("CFTSSL id=a, direct=server,\n\\\ndepth=11", 3, "depth is 0 to 10, not 11"),
        ("CFTSSL id=a, direct=server, depth=" + "9" * 5000, 1, "depth is a number"),
        ("CFTSSL id=a, direct=server, groups=x25518", 1, "groups is curves"),
        ("CFTSSL id=a, direct=server, ciphlist=()", 1, "a value expected, not ')'"),
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
        ("\n[server.a]\n\ndepth = 11", 4, "depth is 0 to 10"),
        ("[server.a]\n[client.a]\nverify = 'required'", 3, "makes no sense for a client"),
        ("[servers.a]", 1, "[server.ID] or [client.ID] expected"),
        ("server = 3", 1, "one table for each profile"),
        ("[server]\na = 3", 2, "is a table"),
        ("[server.a]\n[server.a]", 2, "twice"),
        ("[server.a]\ndepth = ", 2, "nvalid value"),
        ("[server.a]\nrenegotiation = 'perhaps'", 2, "true or false"),
        ("[client.a]\ngroups = ['secp999']", 2, "curves"),
        ("[client.a]\ncipher_suites = ['RC9']", 2, "RC9"),
        ("[client.a]\nserver = 3\n[client.a.depth]", 2, "the element server is unknown; did you mean server_name?"),
        ("[Server.a]", 1, "[server.ID] or [client.ID] expected, not Server"),
        ("[server.'']", 1, "id is not empty"),
        (f"[server.{'x' * 33}]", 1, "at most 32 characters"),
        ('[server.a]\nparm = """\n[server.b]\ndepth = 1"""\ndepth = 12', 5, "depth is 0 to 10"),
        ("server.a.parm = 'x'\n# no\n\nserver.a.depth = [\n2\n]", 4, "depth is a number"),
        ("server = { a = { depth = 2 }, b = { depht = 2 } }", 1, "did you mean depth?"),
        ('server = {"a\\u0062" = {}}\n[client]\n  \'x y\' . "depth" = "z"', 3, "depth is a number"),
        ("[server.a]\n\n[[server.b]]\ndepth = 2", 3, "[server.b] is a table"),
        ("[server.a]\ntrace = 256", 2, "trace is 0 to 255"),
        ("[server.a]\ndepth = 1_0\nparm = 5", 3, "parm is text"),
        ("[server.a]\ndepth = '1_0'", 2, "depth is a number from 0 to 10, not '1_0'"),
        ("[server.a]\ndepth = 0x" + "f" * 5000, 2, "depth is"),
        ("[server.a]\ndepth = " + "9" * 5000, 2, "not TOML"),
        ("[server.a]\nparm = " + "[" * 5000, 2, "not TOML"),
        ("[server.a]\ndn_user = ['CN=a', 'alice']", 2, "'alice' is not of the form NAME=VALUE"),
        ("[server.a]\ndn_issuer = 'XX=a'", 2, "'XX' is not a known attribute"),
        ("[server.a]\nroot_ca_ids = ['']", 2, "root_ca_ids holds texts, none of them empty"),
        ("[server.a]\nuser_certificate_id = ''", 2, "user_certificate_id is not empty"),
        ("[client.a]\ndh_group = 'mine'", 2, "DH group 'mine' is unknown"),
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


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)
QUOTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=30)
FILTERS = st.lists(st.tuples(st.sampled_from(["CN", "O", "2.5.4.7"]), WORDS).map("=".join), min_size=1, max_size=3)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Any profile that a file can say."""
    direction = draw(st.sampled_from(Role))
    verify = [Verify.NONE, Verify.ENFORCED] if direction is Role.CLIENT else [*Verify][:3]
    return Profile(
        direction=direction,
        id=draw(WORDS),
        cipher_suites=tuple(draw(st.lists(st.sampled_from(sorted(SUITES)), min_size=1, max_size=5, unique=True))),
        server_preference=draw(st.booleans()),
        verify=draw(st.sampled_from(verify)),
        user_certificate_id=draw(st.none() | WORDS),
        root_ca_ids=tuple(draw(st.lists(WORDS, max_size=3))),
        depth=draw(st.integers(0, 10)),
        dn_user=tuple("/".join(item) for item in draw(st.lists(FILTERS, max_size=2))),
        dn_issuer=tuple("/".join(item) for item in draw(st.lists(FILTERS, max_size=2))),
        certificate_file_root=draw(st.none() | QUOTABLE),
        parm=draw(QUOTABLE),
        trace=draw(st.integers(0, 255)),
    )


def elements_of(profile: Profile) -> dict[str, object]:
    """What a file says about the profile: all but id and direction, and what is as in a new one."""
    blank = Profile(direction=profile.direction, id=profile.id)
    found = {name: getattr(profile, name) for name in (item.field for item in ELEMENTS)}
    return {name: value for name, value in found.items() if name == "verify" or value != getattr(blank, name)}


def in_toml(profile: Profile) -> str:
    def value(item: object) -> str:
        plain = item.value if isinstance(item, Verify) else list(item) if isinstance(item, tuple) else item
        return json.dumps(plain, ensure_ascii=False)

    lines = [f"{name} = {value(item)}" for name, item in elements_of(profile).items()]
    return "\n".join([f"[{profile.direction.value}.{profile.id}]", *lines])


def in_commands(profile: Profile) -> str:
    keywords = {item.field: item.keyword or item.field for item in ELEMENTS}

    def value(item: object) -> str:
        if isinstance(item, tuple):
            return f"({', '.join(value(part) for part in item)})"
        plain = item.value if isinstance(item, Verify) else item
        return "'" + str(plain).replace("'", "''") + "'"

    parts = [f"{keywords[name]}={value(item)}" for name, item in elements_of(profile).items()]
    return ",\n".join([f"CFTSSL id={profile.id}, direct={profile.direction.value}", *parts])


@given(profiles())
def test_a_profile_comes_back_from_both_kinds_of_file(profile: Profile) -> None:
    expected = {(profile.direction, profile.id): profile}
    assert read_toml(in_toml(profile), "f") == expected
    assert read_cftssl(in_commands(profile), "f") == expected


KEYS = st.sampled_from([word for item in ELEMENTS for word in (item.field, item.keyword) if word])
VALUES = st.sampled_from(
    ["1", "11", "-1", "'x'", "true", "[]", "[1, 'x']", "{}", "1e9", "nan", "1979-05-27", "(1,2)", ""]
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=3), st.sampled_from(["server", "client"]))
def test_any_value_is_taken_or_an_error_with_its_line(pairs: list[tuple[str, str]], side: str) -> None:
    toml = "\n".join([f"[{side}.a]", *(f"{key} = {value}" for key, value in pairs)])
    commands = ",\n".join([f"CFTSSL id=a, direct={side}", *(f"{key} = {value}" for key, value in pairs)])
    errors = []
    for read, text in ((read_toml, toml), (read_cftssl, commands)):
        try:
            read(text, "f")
        except ProfileError as error:
            errors.append(error)
    assert all(1 <= error.line <= len(pairs) + 1 for error in errors)


@given(st.text("CFTSSLidrect=serv,()'\"/*#\\\r\n 47[].", max_size=60) | st.text(max_size=40))
def test_any_text_is_profiles_or_an_error_of_ours(text: str) -> None:
    for read in (read_cftssl, read_toml):
        with suppress(ProfileError):
            read(text, "f")

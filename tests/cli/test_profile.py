"""``tlsexit profile check``: what it prints of good files, and the one sentence about bad ones."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Files, run
from tlsexit.cli import codes
from tlsexit.keystore import KeyStore

PROFILES = """\
CFTSSL id = partners, direct = server, ciphlist = (47, 53), rootcid = ROOT1,
       dnuser = ('CN=alice/O=Example', 'CN=bob'), groups = (x25519, secp256r1), server_preference = yes
CFTSSL id = partners, direct = client
"""

PRINTED = """\
server partners
  cipher_suites                 TLS_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_AES_256_CBC_SHA
  verify                        required
  user_certificate_id           -
  root_ca_ids                   ROOT1
  depth                         10
  dn_user                       CN=alice/O=Example, CN=bob
  dn_issuer                     -
  certificate_file_root         -
  parm                          -
  trace                         0
  server_preference             yes
  groups                        x25519, secp256r1

client partners
"""


def test_good_profiles_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "profiles.txt"
    file.write_text(PROFILES, encoding="utf-8")
    ran = run("profile", "check", file)
    assert (ran.status, ran.err) == (codes.OK, "")
    assert ran.out.startswith(PRINTED)
    server, client = run("profile", "check", "--json", file).json["profiles"]
    assert server["direction"] == "server"
    assert server["root_ca_ids"] == ["ROOT1"]
    assert server["groups"] == ["x25519", "secp256r1"]
    assert (client["verify"], client["server_preference"], client["parm"]) == ("none", False, "")


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text("[server.a]\n\ndepht = 2\n", encoding="utf-8")
    ran = run("profile", "check", file)
    assert (ran.status, ran.out) == (codes.USAGE, "")
    assert ran.problem == f"{file}, line 3: the element depht is unknown; did you mean depth?"
    assert run("profile", "check", tmp_path / "none").status == codes.USAGE
    file.write_text("# nothing yet\n", encoding="utf-8")
    ran = run("profile", "check", file)
    assert (ran.status, ran.problem) == (codes.USAGE, f"{file}: has no profile")


def test_the_key_store_is_looked_into(tmp_path: Path, files: Files) -> None:
    file = tmp_path / "profiles.txt"
    file.write_text(PROFILES, encoding="utf-8")
    store = KeyStore.create(tmp_path / "store", "secret")
    arguments = ("profile", "check", "--key-store", store.folder, file)
    ran = run(*arguments)
    assert ran.status == codes.USAGE
    assert ran.problem == f"{store.folder}: has no authority ROOT1, which the profile partners names"
    store.import_authority("ROOT1", files.ca, active=False)
    assert run(*arguments).problem == f"{store.folder}: ROOT1, which the profile partners names, is not active"
    store.activate("ROOT1")
    assert run(*arguments).status == codes.OK

"""docs/hsm.md: a token, a key on it, and a server with it, as the page says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.openssl_peer import needs_program
from tests.support.pages import DOCS, blocks
from tests.support.shell import Shell
from tlsexit.adapters import pkcs11_uri

PAGE = "hsm.md"


def test_the_page(tmp_path: Path) -> None:
    needs_program("softhsm2-util", "Debian's softhsm2")
    needs_program("openssl", "Debian's openssl")
    (session,) = blocks(PAGE, "console")
    with Shell(tmp_path) as shell:
        shell.play(session)


def test_the_example_in_python_parses() -> None:
    """Its token is that of the console session, which this process does not have."""
    (example,) = blocks(PAGE, "python")
    compile(example, PAGE, "exec")
    found = re.search(r'"(pkcs11:[^"]*)"', example)
    assert found is not None
    text = re.sub("module-path=[^&]*", f"module-path={__file__}", found[1])
    assert pkcs11_uri.parse_uri(text).name == "demo/server"


def test_every_attribute_is_in_the_table() -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    for row in ("token=t", "serial=1", "manufacturer=m", "model=m", "slot-id=1", "object=o", "id=%01", "type=private"):
        pkcs11_uri.parse_uri(f"pkcs11:{row}?module-path={__file__}")
        assert f"`{row.partition('=')[0]}`" in page
    for name in ("module-path", "module-name", "pin-source", "x-certificate-file"):
        assert f"`{name}`" in page

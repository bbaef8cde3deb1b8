"""docs/remote-exits.md: two processes as the page says, its signer of thirty lines, and its tables."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.ends import DHE_RSA, client_end, handshake, server_end
from tests.support.openssl_peer import needs_program
from tests.support.pages import DOCS, blocks
from tests.support.pki import pki
from tests.support.shell import Shell
from tlsexit.adapters.remote import RemoteExit
from tlsexit.adapters.remote.messages import question
from tlsexit.exits.phases import ExitPhase
from tlsexit.policy import BuiltinPki

PAGE = "remote-exits.md"


def test_two_processes(tmp_path: Path) -> None:
    needs_program("openssl", "Debian's openssl")
    (session,) = blocks(PAGE, "console")
    with Shell(tmp_path) as shell:
        shell.play(session)


def test_the_example_in_python(tmp_path: Path, monkeypatch: Any) -> None:
    from tests.support.demo_exits import Refuser

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"asyncio": asyncio, "MyExit": Refuser}
    exec(blocks(PAGE, "python")[0], names)

    async def main() -> None:
        answering = asyncio.create_task(names["answer"]())
        while not (tmp_path / "exit.sock").exists():
            await asyncio.sleep(0.01)
        client = await asyncio.to_thread(client_end, exits=names["exits"])
        assert client.connection.context.task.exit_enabled
        await asyncio.to_thread(names["exits"].close)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)

    asyncio.run(main())


def test_a_signer_without_tlsexit(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(blocks(PAGE, "python")[1], names)
    key = pki().server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "s"
    signer = threading.Thread(target=names["serve"], args=(str(path), pki().server.chain, key), daemon=True)
    signer.start()
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    exits = RemoteExit(path)
    handshake(client_end(DHE_RSA), server_end(DHE_RSA, exits=exits, builtin=BuiltinPki()))
    exits.close()
    signer.join(20)
    assert not signer.is_alive()


def test_every_member_is_in_the_table() -> None:
    """Of the questions about every phase, and of the answers that have a value."""
    from tests.adapters.remote.test_messages import CALLS

    page = (DOCS / PAGE).read_text(encoding="utf-8")
    members = {name for call in CALLS for name in question(call)}
    assert members <= set(re.findall(r"`(\w+)`", page))
    valued = set(ExitPhase) - {ExitPhase.HANDSHAKE_ALERT, ExitPhase.END_SESSION, ExitPhase.END_TASK}
    rows = page.partition("The values:")[2]
    assert set(re.findall(r"^\| (\w+) \| `?\w", rows, re.MULTILINE)) - {"phase"} == {phase.value for phase in valued}

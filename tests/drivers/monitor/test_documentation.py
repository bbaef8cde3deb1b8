"""The example and the numbers of docs/tasks.md."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.monitoring import TIMEOUT
from tests.support.pki import pki
from tlsexit.cli.monitoring import DRAIN_SECONDS
from tlsexit.constants import Role
from tlsexit.drivers.blocking import connect
from tlsexit.drivers.monitor.monitor import WAITING_TIMEOUT
from tlsexit.profile import Profile
from tlsexit.tasks import Limits, backoff
from tlsexit.tasks.placement import PERMANENT

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


def test_the_example_serves(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "echo.py").write_text(example.replace("4433", "0"), encoding="utf-8")
    (tmp_path / "server.pem").write_bytes(pki().server.chain_pem + pki().server.key_pem())
    process = subprocess.Popen(
        [sys.executable, "echo.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        listening = re.fullmatch(r"listening on \('127\.0\.0\.1', (\d+)\)\n", process.stdout.readline())
        assert listening, process.stderr.read()
        address = ("127.0.0.1", int(listening[1]))
        profile = Profile.client(server_name="localhost")
        with connect(address, profile, pki=pki().builtin(Role.CLIENT), timeout=TIMEOUT) as tls:
            tls.sendall(b"hello")
            answer = b""
            while len(answer) < 5:
                answer += tls.recv()
            assert answer == b"hello"
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_the_numbers_are_those_of_the_code() -> None:
    limits = Limits()
    rows = dict(re.findall(r"^\| `--[a-z-]+` \| `(\w+)` \| \w+ \| (\d+)", PAGE, re.MULTILINE))
    assert rows == {name: str(getattr(limits, name)) for name in limits.__slots__}
    assert f"{PERMANENT}: permanent" in PAGE
    assert f"`--drain-seconds` ({DRAIN_SECONDS:g})" in PAGE
    first = backoff.FIRST_DELAY
    assert f"starts wait {first:g}, {2 * first:g}, {4 * first:g}, … {backoff.LONGEST_DELAY:g} seconds" in PAGE
    assert f"waits for {WAITING_TIMEOUT:g} seconds at most" in PAGE
    assert backoff.MAX_FAILED_STARTS == 10
    assert "ten starts in a row" in PAGE

"""The entry point, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tlsexit.cli import codes

MODULE = (sys.executable, "-m", "tlsexit")

HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {missing!r}:
            raise ModuleNotFoundError(name=name)
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {missing!r} else real(name, package)
sys.meta_path.insert(0, Hidden())
import tlsexit
from tlsexit.cli import main
main()
"""


def process(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("missing", "told"),
    [({"click"}, "needs click;"), ({"rich"}, "needs rich;"), ({"click", "rich"}, "needs click and rich;")],
)
def test_missing_packages_are_named_with_the_way_to_install_them(missing: set[str], told: str) -> None:
    """The core works without either: it has been imported by then."""
    ended = process(sys.executable, "-c", HIDE.format(missing=missing))
    assert ended.returncode == codes.USAGE
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert told in ended.stderr
    assert "pip install 'tlsexit[cli]'" in ended.stderr


def test_the_core_imports_no_package_of_the_command_line() -> None:
    code = "import sys, tlsexit; print([name for name in ('click', 'rich', 'tlsexit.cli') if name in sys.modules])"
    assert process(sys.executable, "-c", code).stdout == "[]\n"


def test_the_program_is_called_tlsexit() -> None:
    ended = process(*MODULE, "connect")
    assert ended.returncode == codes.USAGE
    assert ended.stderr.startswith("Usage: tlsexit connect ")


def test_a_handshake_from_the_shell() -> None:
    ended = process(*MODULE, "handshake", PYTHONIOENCODING="utf-8")
    assert ended.returncode == codes.OK, ended.stderr
    assert ended.stderr == ""
    assert "├─ ClientHello ─" in ended.stdout
    assert "\x1b" not in ended.stdout  # no colours unless there is a terminal


def test_an_ascii_terminal_gets_ascii() -> None:
    ended = process(*MODULE, "handshake", "--trace", PYTHONIOENCODING="ascii")
    assert ended.returncode == codes.OK, ended.stderr
    assert ended.stdout.isascii()
    assert "|- ClientHello -" in ended.stdout


def test_old_certificates_cause_no_warnings_of_the_library() -> None:
    """A system's authorities may include some that cryptography would rather not parse."""
    ended = process(*MODULE, "connect", "localhost:1")
    assert "CryptographyDeprecationWarning" not in ended.stderr
    assert ended.returncode in (codes.NETWORK, codes.USAGE)


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors with the shell's >&-")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(closed: str) -> None:
    line = f'exec "$0" -m tlsexit connect --insecure --input localhost:1 {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == codes.NETWORK
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pipes of the shell")
@pytest.mark.parametrize("words", [("conform", "list"), ("suites",)])
def test_output_that_nobody_reads_is_no_failure(words: tuple[str, ...]) -> None:
    with subprocess.Popen([*MODULE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == codes.UNREAD

"""An exit from one line of text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import demo_exits
from tests.support.c_exits import Probe
from tests.support.softhsm import PIN, Token
from tlsexit.adapters.clib import CExit
from tlsexit.adapters.hsm import Pkcs11Exit
from tlsexit.adapters.remote import RemoteExit
from tlsexit.adapters.specs import load_exit, pin_wanted
from tlsexit.alerts import LocalError
from tlsexit.exits.answers import Handled
from tlsexit.exits.calls import StartTaskCall
from tlsexit.exits.context import TaskContext


def test_python() -> None:
    assert isinstance(load_exit("tests.support.demo_exits:Refuser"), demo_exits.Refuser)
    assert load_exit("tests.support.demo_exits:Holder.inner") is demo_exits.Holder.inner
    assert load_exit("tests.support.demo_exits:cftpkie") is demo_exits.cftpkie


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "exit_in_a_file.py").write_text("class Exit:\n    pass\n")
    assert type(load_exit(f"{tmp_path}/exit_in_a_file.py:Exit")).__module__ == "exit_in_a_file"


def test_a_library(probe: Probe) -> None:
    assert isinstance(load_exit(f"c:{probe.path}"), CExit)


def test_another_process(tmp_path: Path) -> None:
    """Nothing is asked before the first question."""
    assert isinstance(load_exit(f"unix:{tmp_path}/signer.sock"), RemoteExit)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing", "'nothing' does not name an exit; write MODULE:OBJECT, as in my_exit:MyExit"),
        (":x", "does not name an exit"),
        ("x:", "does not name an exit"),
        ("no_such_module:x", "there is no module 'no_such_module' in "),
        ("tests.support.demo_exits:Nobody", "tests.support.demo_exits has no 'Nobody'"),
        ("tests.support.demo_exits:Unmakeable", "making an instance failed: TypeError: "),
        ("c:missing.so", "missing.so: there is no such library"),
        ("c:", "write c:LIBRARY"),
        ("unix:", "write unix:SOCKET"),
        ("pkcs11:token=t", "names its module here"),
    ],
)
def test_what_names_no_exit(spec: str, message: str) -> None:
    with pytest.raises(LocalError) as caught:
        load_exit(spec)
    assert message in str(caught.value)


def test_a_module_with_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "wrong_exit.py").write_text("1 / 0\n")
    with pytest.raises(LocalError, match="wrong_exit cannot be imported: ZeroDivisionError: division by zero"):
        load_exit(f"{tmp_path}/wrong_exit.py:Exit")
    (tmp_path / "leaving_exit.py").write_text("raise SystemExit(5)\n")
    with pytest.raises(LocalError, match="leaving_exit cannot be imported: SystemExit: 5"):
        load_exit(f"{tmp_path}/leaving_exit.py:Exit")
    (tmp_path / "needy_exit.py").write_text("import no_such_thing\n")
    with pytest.raises(LocalError, match="needy_exit cannot be imported: No module named 'no_such_thing'"):
        load_exit(f"{tmp_path}/needy_exit.py:Exit")


@pytest.mark.parametrize(
    ("spec", "token"),
    [
        ("tests.support.demo_exits:Refuser", None),
        ("c:library.so", None),
        (f"pkcs11:token=t;object=k?module-path={__file__}", "t/k"),
        (f"PKCS11:token=t?module-path={__file__}", "t"),
        (f"pkcs11:token=t?module-path={__file__}&pin-source=env:PIN", None),
    ],
)
def test_whose_pin_is_wanted(spec: str, token: str | None) -> None:
    assert pin_wanted(spec) == token


def test_a_token(hsm: dict[str, Token]) -> None:
    exits = load_exit(hsm["server"].uri("rsa", pin_source=""), PIN)
    assert isinstance(exits, Pkcs11Exit)
    assert exits.start_task(StartTaskCall(TaskContext(1))) == Handled()

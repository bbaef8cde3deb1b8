"""The header and the structure of Python say the same, as a compiler sees it."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.c_exits import compile_text, needs_compiler
from tlsexit.adapters import pkicom
from tlsexit.adapters.clib import INCLUDE
from tlsexit.exits.answers import REFUSAL_ALERTS, ReturnCode
from tlsexit.exits.context import GLOBAL_AREA_SIZE, MAX_PRIVATE_AREA_SIZE, PUBLIC_AREA_SIZE
from tlsexit.exits.phases import ExitPhase

HEADER = (INCLUDE / "cftpkie.h").read_text(encoding="ascii")

STRUCTURES = {
    "pki_in": pkicom.In,
    "pki_out": pkicom.Out,
    "pki_profile": pkicom.ProfileFields,
    "pkicom": pkicom.PkiCom,
}


def compiled(lines: list[str], folder: Path) -> dict[str, int]:
    """Compile and run a program that prints these expressions, and return what it printed."""
    needs_compiler()
    prints = "\n".join(f'    printf("%s %lld\\n", {name}, (long long)({value}));' for name, value in pairs(lines))
    text = f"#include <stdio.h>\n#include <cftpkie.h>\nint main(void)\n{{\n{prints}\n    return 0;\n}}\n"
    (folder / "layout.c").write_text(text, encoding="ascii")
    subprocess.run(["cc", f"-I{INCLUDE}", "-o", folder / "layout", folder / "layout.c"], check=True)
    done = subprocess.run([folder / "layout"], check=True, capture_output=True, text=True)
    return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def pairs(lines: list[str]) -> list[tuple[str, str]]:
    return [(f'"{line}"', line) for line in lines]


def test_offsets_and_sizes(tmp_path: Path) -> None:
    expected: dict[str, int] = {}
    for name, structure in STRUCTURES.items():
        expected[f"sizeof(struct {name})"] = ctypes.sizeof(structure)
        for field, *_ in structure._fields_:
            expected[f"offsetof(struct {name}, {field})"] = getattr(structure, field).offset
            expected[f"sizeof(((struct {name} *)0)->{field})"] = getattr(structure, field).size
    assert compiled(list(expected), tmp_path) == expected


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_header_has_the_fields_in_this_order(name: str) -> None:
    """None is missing in Python, which the offsets of those that are there would not show."""
    body = re.search(rf"struct {name} {{\n(.*?)\n}};", HEADER, re.DOTALL)
    assert body is not None
    text = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    fields = re.findall(r"(\w+)(?:\[\w+\])?;", text)
    assert fields == [field for field, *_ in STRUCTURES[name]._fields_]


def test_constants(tmp_path: Path) -> None:
    expected: dict[str, int] = {
        "PKI_MAGIC": pkicom.MAGIC,
        "PKI_VERSION": pkicom.VERSION,
        "PKI_NEED_BUFFER": pkicom.NEED_BUFFER,
        "PKI_MAX_OUTPUT": pkicom.MAX_OUTPUT,
        "PKI_MAX_CALLS": pkicom.MAX_CALLS,
        "PKI_PUBLIC_AREA_SIZE": PUBLIC_AREA_SIZE,
        "PKI_GLOBAL_AREA_SIZE": GLOBAL_AREA_SIZE,
        "PKI_MAX_PRIVATE_AREA_SIZE": MAX_PRIVATE_AREA_SIZE,
    }
    expected |= {f"PKI_{phase.name}": pkicom.PHASES[phase] for phase in ExitPhase}
    expected |= {f"PKI_{code.name}": code for code in ReturnCode}
    expected |= {f"PKI_{alert.name}": alert for alert in REFUSAL_ALERTS}
    expected |= {f"PKI_VERIFY_{verify.name}": number for verify, number in pkicom.VERIFIES.items()}
    expected |= {f"PKI_{operation.name}": number for operation, number in pkicom.OPERATIONS.items()}
    expected |= {f"PKI_{kind.value}": number for kind, number in pkicom.ALGORITHMS.items()}
    expected |= {f"PKI_{form.name}": form for form in pkicom.Form}
    expected |= {f"PKI_CHANGE_{change.name}": change for change in pkicom.Change}
    assert compiled(list(expected), tmp_path) == expected


def test_the_header_watches_its_own_layout(tmp_path: Path) -> None:
    """A field that somebody inserts does not compile."""
    folder = tmp_path / "include"
    folder.mkdir()
    changed = HEADER.replace("    uint64_t task_reference;", "    uint32_t new_field;\n    uint64_t task_reference;")
    assert changed != HEADER
    (folder / "cftpkie.h").write_text(changed, encoding="ascii")
    (tmp_path / "exit.c").write_text('#include "cftpkie.h"\n', encoding="ascii")
    needs_compiler()
    command = ["cc", "-fsyntax-only", f"-I{folder}", str(tmp_path / "exit.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "static assertion failed" in done.stderr


def test_fields_of_a_later_header(tmp_path: Path) -> None:
    """PKI_HAS tells an exit whether its caller knows a field."""
    text = '#include "cftpkie.h"\nint cftpkie(struct pkicom *com) { return PKI_HAS(com, psk_identity); }\n'
    function = ctypes.CDLL(str(compile_text(text, tmp_path / "exit.so"))).cftpkie
    com = pkicom.PkiCom(size=ctypes.sizeof(pkicom.PkiCom))
    assert function(ctypes.byref(com)) == 1
    com.size -= ctypes.sizeof(pkicom.Out)
    assert function(ctypes.byref(com)) == 0

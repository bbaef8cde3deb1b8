"""Record what OpenSSL derives and encrypts: one RSA handshake per cipher, and one exporter.

``python -m tests.vectors.key_schedule`` rewrites ``key_schedule.json``. The file there came from OpenSSL 1.0.2e (in
Node 4.2.3: it has the export suites) and OpenSSL 3.0.19. The premaster secret is decrypted by the ``openssl`` command,
the master secret is read from OpenSSL's own session; nothing of tlsexit takes part, so the file can judge it.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.interop.process import build, run, serve

HERE = Path(__file__).parent
FILE = HERE / "key_schedule.json"
NODE4 = HERE.parent / "interop" / "peers" / "node4.sh"

CIPHERS = """
NULL-MD5 NULL-SHA EXP-RC4-MD5 RC4-MD5 RC4-SHA EXP-RC2-CBC-MD5 IDEA-CBC-SHA EXP-DES-CBC-SHA DES-CBC-SHA DES-CBC3-SHA
AES128-SHA AES256-SHA CAMELLIA128-SHA CAMELLIA256-SHA SEED-SHA
"""
LABEL, LENGTH = "EXPORTER-tlsexit", 40


def records(stream: bytes) -> Iterator[bytes]:
    """The records of one direction, each with its header."""
    while stream:
        size = 5 + int.from_bytes(stream[3:5], "big")
        yield stream[:size]
        stream = stream[size:]


def in_clear(stream: bytes) -> bytes:
    """The handshake messages before ChangeCipherSpec."""
    messages = b""
    for record in records(stream):
        if record[0] == 20:
            return messages
        messages += record[5:]
    raise ValueError("no ChangeCipherSpec")


def under_keys(stream: bytes) -> list[str]:
    """The records after ChangeCipherSpec, in hex."""
    every = list(records(stream))
    first = next(number for number, record in enumerate(every) if record[0] == 20)
    return [record.hex() for record in every[first + 1 :]]


def master_key(session: bytes) -> bytes:
    """The master secret in an OpenSSL session: version, protocol, suite, session id, then the key."""
    at = session.index(b"\x04\x20", 13)  # the session id, an OCTET STRING of 32 bytes
    assert session[at + 34 : at + 36] == b"\x04\x30"
    return session[at + 36 : at + 84]


def handshake(line: str, key: Path) -> dict[str, Any]:
    """What the file keeps of one handshake."""
    seen = json.loads(line)
    client, server = (bytes.fromhex(seen["flow"][side]) for side in ("client", "server"))
    sent, answered = in_clear(client), in_clear(server)
    hello = sent[: 4 + int.from_bytes(sent[1:4], "big")]
    exchange = sent[len(hello) :]
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(key)]
    decrypted = subprocess.run(command, input=exchange[6:], capture_output=True, check=True)
    return {
        "suite": seen["name"],
        "pre_master_secret": decrypted.stdout.hex(),
        "master_secret": master_key(bytes.fromhex(seen["session"])).hex(),
        "client_random": hello[6:38].hex(),
        "server_random": answered[6:38].hex(),
        "messages": (hello + answered + exchange).hex(),
        "client_records": under_keys(client),
        "server_records": under_keys(server),
    }


def exporter(key: Path, certificate: Path) -> dict[str, Any]:
    """An exporter of OpenSSL 3, with the secrets it came from."""
    tls1 = ["-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"]
    files = ["-key", str(key), "-cert", str(certificate)]
    with serve(
        ["openssl", "s_server", "-www", "-accept", "127.0.0.1:{port}", *tls1, *files], key.parent / "log"
    ) as server:
        export = ["-keymatexport", LABEL, "-keymatexportlen", str(LENGTH), "-msg"]
        client = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *tls1, *export]
        printed = run(client, send="Q\n").output
    hellos = (re.search(rf"{name}\n((?: +[0-9a-f ]+\n)+)", printed) for name in ("ClientHello", "ServerHello"))
    client_random, server_random = (bytes.fromhex(found[1])[6:38].hex() for found in hellos if found)
    master_secret = re.search(r"Master-Key: (\w+)", printed)
    material = re.search(r"Keying material: (\w+)", printed)
    assert master_secret
    assert material
    return {
        "label": LABEL,
        "client_random": client_random,
        "server_random": server_random,
        "master_secret": master_secret[1].lower(),
        "keying_material": material[1].lower(),
    }


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build([NODE4, folder / "node4"])
        for bits in ("512", "2048"):  # 512 bits for the export suites (RFC 2246 §7.4.3)
            build(["openssl", "genrsa", "-traditional", "-out", folder / f"rsa{bits}.key", bits])
            request = ["openssl", "req", "-x509", "-sha1", "-subj", "/CN=localhost"]
            build([*request, "-key", folder / f"rsa{bits}.key", "-out", folder / f"rsa{bits}.pem"])
        printed = run([folder / "node4" / "bin" / "node", HERE / "key_schedule.js", folder, *CIPHERS.split()]).output
        handshakes = [handshake(line, folder / "rsa512.key") for line in printed.splitlines()]
        exported = exporter(folder / "rsa2048.key", folder / "rsa2048.pem")
    FILE.write_text(json.dumps({"handshakes": handshakes, "exporter": exported}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Application exits for the tests of the command line; they write what they are told to the file ``$DOORMAN``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tlsexit.exits.application import ApplicationExits, DirectoryCall, EndOfTransferCall, FileCall, Refused


class Doorman(ApplicationExits):
    """Lets everybody in."""

    def directory(self, call: DirectoryCall) -> Any:
        fields = {**call.security.fields(), "cipher_suite": call.security.cipher_suite, "global_area": None}
        self._write("directory", fields)

    def file(self, call: FileCall) -> Any:
        self._write("file", {"action": call.action.value, "name": call.name, "normal": call.normal})

    def end_of_transfer(self, call: EndOfTransferCall) -> Any:
        self._write("end", {"normal": call.normal, "received": call.bytes_received, "sent": call.bytes_sent})

    def _write(self, kind: str, facts: dict[str, Any]) -> None:
        with Path(os.environ["DOORMAN"]).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([kind, facts]) + "\n")


class Closed(ApplicationExits):
    """Lets nobody in."""

    def directory(self, call: DirectoryCall) -> Any:
        return Refused("closed today")


class Full(ApplicationExits):
    """Has no room for payloads."""

    def file(self, call: FileCall) -> Any:
        return Refused("no room")

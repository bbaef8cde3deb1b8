"""Write ``docs/exit-failures.md``: ``python -m tests.exits.injection``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.exits.injection.drivers import DRIVERS
from tests.exits.injection.outcomes import ALWAYS, Outcome, outcomes
from tests.exits.injection.table import QUESTIONS, Cell, Question, cells
from tlsexit.alerts import alert_name
from tlsexit.exits.phases import ExitPhase

ROOT: Final = Path(__file__).parents[3]
TARGET: Final = ROOT / "docs" / "exit-failures.md"

HEAD: Final = """\
# When an exit fails

Written by `python -m tests.exits.injection` from the table in
[tests/exits/injection/](../tests/exits/injection/table.py); do not edit. Every row is a test
([tests/exits/test_injection.py](../tests/exits/test_injection.py)) that is run four times: with the questions
answered by hand, over blocking sockets, and under asyncio with `async` methods and with plain ones in threads of
their own. {cells} rows, {runs} runs. What an exit is and what it should answer is in [exits.md](exits.md).

In every row, besides what the row says:

- a session of the same task that was established before goes on and carries data both ways; one that begins
  afterwards completes its handshake;
- StartTask and EndTask are asked once each, and EndTask is not asked if StartTask failed;
- no piece of the private key, the pre-shared key, the key store's password, a master secret or of what the exit handed
  over is in the error, its `repr`, its traceback with all causes, the log, the `repr` of the state, of the context and
  of all that an observer sees. The search looks for raw bytes, hexadecimal, base64, decimal and Python's own spelling;
- the peer gets one alert, or none.

*Asked afterwards* is what the exit hears of that session after the failure, and it is all that it hears.
HandshakeAlert closes the account; EndSession comes only where HandshakeDone has been asked.

Three rules account for nearly everything:

1. A phase that fails ends the handshake with the alert that the exit named, if it may name it, else with
   internal_error(80), and this end says which mistake it was.
2. **Decryption of the premaster secret is the exception.** Whatever goes wrong there, a random premaster secret takes
   its place and the handshake goes on until the client's Finished does not verify. Type and length of every record
   are compared with those of a well-formed, wrong premaster secret. The reason is told locally only, as the cause of
   the error and in `Connection.exit_failure`.
3. HandshakeAlert, EndSession and EndTask only inform: whatever the exit does there changes nothing, and holds up
   nobody for longer than its time-out.

KeyboardInterrupt and SystemExit are no failures of an exit but somebody's wish to end the program: they go on outwards,
after the connection has been closed without an alert and the exit has heard of the end. Under asyncio they end the
loop, and with it every session of the process. Any other BaseException that is no Exception, as the time-outs of some
libraries are, goes outwards from a plain method too, where asyncio's loop reports it and goes on; from an `async`
method, or out of a thread, it is a failure like an exception.

An answer that is given a second time, or after the end, raises `LocalError` and changes nothing.
"""


def main() -> int:
    """Write the page."""
    TARGET.write_text(page(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(list(cells()))} rows")
    return 0


def page() -> str:
    """The whole page."""
    count = len(list(cells()))
    parts = [HEAD.format(cells=count, runs=len(DRIVERS) * count)]
    for question in QUESTIONS:
        parts.append(f"\n## {title(question)}\n\n{_introduction(question)}\n\n")
        parts.append("| the exit | alert to the peer | asked afterwards | this end says |\n|---|---|---|---|\n")
        parts += [_row(Cell(question, outcome)) for outcome in outcomes(question.name, question.role)]
    return "".join(parts)


def title(question: Question) -> str:
    """What a section is called."""
    return question.name if question.role is None else f"{question.name}, {question.role.value}"


def _introduction(question: Question) -> str:
    if question.of_task:
        text = "A task that fails to start has no sessions, and its EndTask is not asked."
        return text if question.phase is ExitPhase.START_TASK else "The task is over, whatever the exit does."
    asked = Cell(question, ALWAYS[0]).asked
    before = asked[: asked.index(question.phase)]
    return "Asked before: " + (", ".join(phase.value for phase in before) or "nothing") + "."


def _row(cell: Cell) -> str:
    alert = "none" if cell.alert is None else alert_name(cell.alert)
    afterwards = ", ".join(phase.value for phase in cell.afterwards) or "nothing"
    return f"| {cell.outcome.name} | {alert} | {afterwards} | {says(cell)} |\n"


def says(cell: Cell) -> str:
    """What this end's error says, in words."""
    outcome: Outcome = cell.outcome
    if outcome.interrupts:
        return "the interrupt goes on outwards"
    if not cell.question.decides:
        return "nothing"
    if cell.question.decrypts and "premaster" in outcome.name:
        return "bad_record_mac(20); nobody can tell what was wrong"
    return outcome.says.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    sys.exit(main())

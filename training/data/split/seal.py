"""The seal of the test part: opened once, and each opening written down before the rows are given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from staytrue.errors import Conflict, CorruptData
from staytrue.records import append_line, utc

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.rows import Rows
    from training.data.split.plan import Split

LEDGER = "test_ledger.jsonl"


def open_test(ledger: Path, rows: Rows, plan: Split, *, run: str, force: bool = False) -> Rows:
    """Break the seal: the test rows, once. The ledger is written before the rows are given.

    A run that was killed after it opened them goes on with them: the ledger has its line.

    Raises:
        Conflict: opened before, and not forced; says by which run.
        CorruptData: the test rows are not those that were sealed.
    """
    test = rows.take(plan.index("test"))
    if test.digest() != plan.seal:
        raise CorruptData("test split", expected=f"seal {plan.seal[:16]}…", got=f"{test.digest()[:16]}…")
    before = openings(ledger, plan.seal)
    if run in before:
        return test
    if before and not force:
        hint = "a test split seen twice is a validation split: force it only if you must"
        raise Conflict("test split", f"was opened before, by run {before[-1]}", hint=hint)
    append_line(ledger, {"time": utc(time.time()), "seal": plan.seal, "run": run, "forced": bool(before)})
    return test


def openings(ledger: Path, seal: str) -> list[str]:
    """Runs that opened this test split, oldest first.

    Raises:
        CorruptData: a line of the ledger cannot be read.
    """
    lines = ledger.read_bytes().splitlines() if ledger.exists() else []
    runs = []
    for number, line in enumerate(lines, 1):
        try:
            entry = msgspec.json.decode(line, type=dict[str, str | bool])
        except msgspec.MsgspecError as error:
            raise CorruptData(f"{ledger}:{number}", "cannot be read") from error
        if entry.get("seal") == seal:
            runs.append(str(entry.get("run", "")))
    return runs

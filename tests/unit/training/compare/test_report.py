"""The page of a comparison, and runs that no row could pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from staytrue.comparison import AgainstFirst, Comparison, Differences
from staytrue.errors import Unsupported
from tests.golden.test_golden import RECORDS
from training.compare.report import PAGE, lines, write
from training.compare.runs import refuse_unpaired

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint

EVIL = "<script>alert(1)</script>"


def test_names_on_the_page_are_text(tmp_path: Path) -> None:
    note = Differences(name=EVIL, holds=EVIL, rows=1, blocks=0, metrics={}, verdicts={}, note=EVIL)
    made = Comparison(
        name="evil",
        runs=[EVIL, "b"],
        part="validation",
        rows=1,
        blocks=1,
        blocked_by=f"groups of {EVIL}",
        settings={EVIL: [EVIL, "2"]},
        figures={"validation": [{}, {}]},
        against=[AgainstFirst(run=EVIL, differences=[note])],
    )
    write(made, tmp_path)
    assert "<script" not in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert any(EVIL in line for line in lines(made))


def test_a_setting_of_several_lines_is_told_in_one() -> None:
    made: Comparison = RECORDS["comparison"]  # type: ignore[assignment]
    long = msgspec.structs.replace(made, settings={"data.query": ["SELECT *\nFROM source\n", "SELECT " + "x" * 99]})
    told = next(line for line in lines(long) if "data.query" in line)
    assert told.split("  ")[2:] == ["SELECT * FROM source", "SELECT " + "x" * 32 + "…"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"task": "generation"}, "makes pictures of no row"), ({"parent": "3"}, "is a retraining")],
)
def test_runs_that_no_row_could_pair_are_refused(changes: dict[str, Any], why: str) -> None:
    checkpoint: Checkpoint = RECORDS["checkpoint"]  # type: ignore[assignment]
    refuse_unpaired(checkpoint)
    parent = changes.pop("parent", "")
    lineage = msgspec.structs.replace(checkpoint.lineage, parent=parent)
    with pytest.raises(Unsupported, match=why):
        refuse_unpaired(msgspec.structs.replace(checkpoint, lineage=lineage, **changes))

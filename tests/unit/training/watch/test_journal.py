"""Journal: metrics.jsonl, also of a training that was killed and resumed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from staytrue.errors import Unavailable
from tests.trainings import FACTS, LINES
from training.watch.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable


def read(path: Path) -> list[dict[str, float]]:
    """Its lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_epoch_is_a_line_that_can_be_read_at_once(tmp_path: Path, go: Callable[..., None]) -> None:
    journal = Journal(tmp_path / "m.jsonl")
    journal.began(FACTS)
    go(journal, last=2)
    assert read(journal.path) == LINES[:2]
    assert list(read(journal.path)[0]) == ["epoch", "loss", "validation_mae", "learning_rate", "seconds"]
    journal.closed(None)


def test_a_resumed_training_tells_the_later_epochs_anew(tmp_path: Path, go: Callable[..., None]) -> None:
    """Killed while the fourth line was written, and resumed from the second epoch."""
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(line | {"first": 1}) + "\n" for line in LINES[:3]) + '{"epoch": 4, "lo')
    journal = Journal(path)
    journal.began(msgspec.structs.replace(FACTS, before=LINES[:2], best_epoch=2))
    go(journal, done=2)
    journal.closed(None)
    assert read(path) == [*(line | {"first": 1} for line in LINES[:2]), *LINES[2:]]


def test_a_training_that_begins_anew_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("an older one\n")
    journal = Journal(path)
    journal.began(FACTS)
    journal.closed(None)
    assert path.read_text() == ""


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    """``NaN`` is not JSON, and DuckDB or jq would refuse the file."""
    journal = Journal(tmp_path / "m.jsonl")
    journal.began(FACTS)
    journal.epoch_ended({"epoch": 1, "loss": 2.0, "validation_auc": math.nan})
    journal.closed(None)
    assert journal.path.read_text() == '{"epoch": 1, "loss": 2.0, "validation_auc": null}\n'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is Linux's")
def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "m.jsonl")
    journal.began(FACTS)
    journal.closed(None)
    journal._file = Path("/dev/full").open("w")  # noqa: SIM115 - the journal closes it
    with pytest.raises(Unavailable, match=r"m\.jsonl: cannot be written: No space left.*resume"):
        journal.epoch_ended(LINES[0])
    with pytest.raises(OSError, match="No space"):
        journal.closed(None)

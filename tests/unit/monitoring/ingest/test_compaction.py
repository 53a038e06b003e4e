"""Compaction: fewer files, the same rows, over any death."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitoring.ingest import compaction
from monitoring.ingest.compaction import Compaction, recover
from monitoring.ingest.lake import write_table
from staytrue.events import Tensor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig


def fill(folder: Path, first: int, last: int, *compactions: Compaction) -> None:
    """One file a number."""
    folder.mkdir(exist_ok=True)
    for number in range(first, last):
        path = folder / f"f{number:05}.parquet"
        write_table(path, pa.table({"n": [number]}))
        for some in compactions:
            some.wrote(path)


def rows(folder: Path) -> list[int]:
    """What the files hold together."""
    return sorted(n for path in folder.glob("*.parquet") for n in pq.read_table(path)["n"].to_pylist())


def test_files_of_a_generation_become_one_of_the_next(tmp_path: Path) -> None:
    day, some = tmp_path / "day", Compaction(tmp_path, write_table, fan=4)
    for number in range(4**3 + 2):
        fill(day, number, number + 1, some)
        some.compact()
    assert rows(day) == list(range(66))
    assert sorted(path.name.split("-")[0] for path in day.iterdir()) == ["f00064.parquet", "f00065.parquet", "merged3"]


def test_few_files_stay_as_they_are(tmp_path: Path) -> None:
    day, some = tmp_path / "day", Compaction(tmp_path, write_table, fan=4)
    fill(day, 0, 3, some)
    assert some.compact() == 0
    assert len(list(day.iterdir())) == 3


@pytest.mark.parametrize("step", ["write_atomically", "write", "_finish", "fsync_folder"])
@pytest.mark.parametrize("before", [True, False])
def test_a_death_at_any_step_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    class Death(BaseException):
        pass

    def dying(whole: Any) -> Any:
        def die(*arguments: Any) -> None:
            if not before:
                whole(*arguments)
            raise Death

        return die

    day = tmp_path / "day"
    write = dying(write_table) if step == "write" else write_table
    some = Compaction(tmp_path, write, fan=4)
    fill(day, 0, 5, some)
    with monkeypatch.context() as patch:
        if step != "write":
            patch.setattr(compaction, step, dying(getattr(compaction, step)))
        with pytest.raises(Death):
            some.compact()
    recover(tmp_path)
    assert rows(day) == list(range(5))
    assert all(path.suffix == ".parquet" for path in day.iterdir())


def test_what_was_half_written_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "merged1-ab.plan").write_text('["f00000.parquet"]')
    (tmp_path / "merged1-ab.writing").write_bytes(b"half")
    fill(tmp_path, 0, 1)
    recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["f00000.parquet"]


def test_columns_that_cannot_be_one_table_stay_apart(tmp_path: Path) -> None:
    some = Compaction(tmp_path, write_table, fan=2)
    for name, value in (("a", 1), ("b", [1.0])):
        path = tmp_path / f"{name}.parquet"
        write_table(path, pa.table({"n": [value]}))
        some.wrote(path)
    assert some.compact() == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_the_lake_gives_the_same_window_before_and_after(rig: Rig) -> None:
    from monitoring.ingest.lake import Lake

    rig.parts.lake._compaction = Lake(rig.folder / "lake", fan=5)._compaction
    for number in range(10):
        text = [Tensor.of("x", "FP32", np.array([[float(number)]]))] if number else []
        rig.log(rig.event(rig.start + number, name=f"e{number}", inputs=text))
        rig.tell(rig.label(f"e{number}", float(number), rig.start + number))
        rig.parts.events.collect()
        rig.parts.labels.collect()
    before = rig.window(0, 1)
    assert rig.parts.lake.compact() == 2
    after = rig.window(0, 1)
    np.testing.assert_array_equal(before.truth, after.truth)
    np.testing.assert_array_equal(before.columns["x"], after.columns["x"])
    assert len(list((rig.folder / "lake").rglob("*.parquet"))) == 2


def test_nothing_is_merged_while_a_job_reads_the_lake(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from staytrue.verdicts import RetrainJob

    compacted: list[int] = []
    monkeypatch.setattr(rig.parts.lake, "compact", lambda: compacted.append(1))
    monkeypatch.setattr(rig.parts.jobs, "follow", lambda: None)
    rig.analyst.tick()
    job = RetrainJob(id="j", model="toy", trigger="t", champion="1", event_time=0, created=0, state="running")
    rig.parts.state.save_job(job)
    rig.analyst.tick()
    assert compacted == [1]

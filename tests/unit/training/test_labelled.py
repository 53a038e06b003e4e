"""Labelled: served rows with their truth, from the lake."""

from __future__ import annotations

import datetime
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from staytrue.errors import InvalidConfig
from staytrue.signature import MISSING_INTEGER
from training.data.labelled import labelled

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

T0 = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC).timestamp()
_numbers = itertools.count()


def event(name: str, hours: float, **changes: Any) -> dict[str, Any]:
    """One row of a request, that many hours into March."""
    row = {"event_id": name, "row": 0, "time": T0 + hours * 3600, "status": "ok", "role": "champion"}
    return row | {"input_x": 1.5, "input_hour": 3, "input_sky": "sun", "output_y": 0.0} | changes


def label(name: str, truth: float | None, known: float, **changes: Any) -> dict[str, Any]:
    """What became known, that many hours into March."""
    row = {"event_id": name, "row": 0, "truth": truth, "truth_text": None, "known": T0 + known * 3600, "received": 0.0}
    return row | changes


def write(project: Project, kind: str, rows: list[dict[str, Any]]) -> None:
    """A Parquet file for each row, in the day of its time."""
    base: Path = project.monitoring.data / "lake" / kind
    for row in rows:
        seconds = row["time"] if kind.startswith("events") else row["known"]
        day = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).strftime("%Y-%m-%d")
        folder = base / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([row]), folder / f"{next(_numbers)}.parquet")


def lake(project: Project, events: list[dict[str, Any]], labels: list[dict[str, Any]]) -> None:
    """A lake of these rows."""
    write(project, "events/model=toy", events)
    write(project, "labels", labels)


def test_rows_come_with_their_features_and_truth_in_time_order(project: Project) -> None:
    """As they were sent."""
    lake(project, [event("b", 30, input_sky="fog"), event("a", 2)], [label("a", 7, 3), label("b", 8, 31)])
    rows = labelled(project, since=T0, until=T0 + 48 * 3600).rows
    assert rows.target.tolist() == [7, 8]
    assert rows.columns["sky"].tolist() == ["sun", "fog"]
    assert rows.columns["x"].dtype == np.float32
    assert rows.columns["hour"].tolist() == [3, 3]


def test_nothing_is_learnt_from_what_was_not_known_at_the_time(project: Project) -> None:
    """Neither later events, nor later labels, nor later corrections."""
    events = [event("a", 2), event("b", 3), event("c", 11)]
    labels = [label("a", 7, 3), label("a", 70, 12), label("b", 8, 12), label("c", 9, 9)]
    lake(project, events, labels)
    assert labelled(project, since=T0, until=T0 + 10 * 3600).rows.target.tolist() == [7]


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "out of order"])
def test_the_last_known_label_counts_and_of_those_the_last_received(project: Project, *, turned: bool) -> None:
    """In whatever order they came; a label twice is one label."""
    labels = [
        label("a", 1, 3),
        label("a", 2, 4, received=1.0),
        label("a", 3, 4, received=2.0),
        label("a", 3, 4, received=2.0),
    ]
    lake(project, [event("a", 2)], labels[::-1] if turned else labels)
    assert labelled(project, since=T0, until=T0 + 24 * 3600).rows.target.tolist() == [3]


def test_a_label_known_long_before_its_event_is_found_by_the_day_of_its_coming(project: Project) -> None:
    """As the lake files it a second time."""
    lake(project, [event("a", 50)], [label("a", 7, -900)])
    assert labelled(project, since=T0 + 48 * 3600, until=T0 + 72 * 3600).rows.target.tolist() == []
    folder = project.monitoring.data / "lake/backdated/day=2024-03-03"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([label("a", 7, -900)]), folder / "0.parquet")
    assert labelled(project, since=T0 + 48 * 3600, until=T0 + 72 * 3600).rows.target.tolist() == [7]


def test_each_row_of_a_request_has_its_own_label(project: Project) -> None:
    """By event and row."""
    lake(project, [event("a", 2), event("a", 2, row=1)], [label("a", 7, 3), label("a", 8, 3, row=1)])
    assert labelled(project, since=T0, until=T0 + 24 * 3600).rows.target.tolist() == [7, 8]


def test_failures_shadows_orphans_and_words_teach_nothing(project: Project) -> None:
    """A failed request has no answer, a shadow's is a copy, an orphan has no features, a word no value."""
    events = [event("a", 2, status="internal"), event("b", 2, role="shadow"), event("c", 2), event("d", 2)]
    labels = [label(name, 1, 3) for name in "abx"] + [
        label("c", None, 3, truth_text="soon"),
        label("d", None, 3, truth_text="4"),
    ]
    lake(project, events, labels)
    assert labelled(project, since=T0, until=T0 + 24 * 3600).rows.target.tolist() == [4]


def test_missing_features_stay_missing(project: Project) -> None:
    """The graph imputes them, as in serving."""
    lake(project, [event("a", 2, input_x=float("nan"), input_sky=None, input_hour=None)], [label("a", 1, 3)])
    rows = labelled(project, since=T0, until=T0 + 24 * 3600).rows
    assert np.isnan(rows.columns["x"]).all()
    assert (rows.columns["sky"][0], rows.columns["hour"][0]) == ("", MISSING_INTEGER)


def test_an_empty_lake_gives_no_rows(project: Project) -> None:
    """Not an error of the reader."""
    assert len(labelled(project, since=T0, until=T0 + 1).rows) == 0


def test_a_feature_that_was_never_logged_is_named(project: Project) -> None:
    """The project changed since it was served."""
    row = event("a", 2)
    del row["input_sky"]
    lake(project, [row], [label("a", 1, 3)])
    with pytest.raises(InvalidConfig, match="input_sky"):
        labelled(project, since=T0, until=T0 + 24 * 3600)

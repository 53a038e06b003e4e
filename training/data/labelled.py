"""Labelled: rows that were served and whose truth came later, from the monitoring lake."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from staytrue.errors import InvalidConfig
from training.data.pictures import fitting
from training.data.rows import from_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from staytrue.bundle import TaskName
    from staytrue.project import Project
    from training.data.rows import Rows

_NUMBER = "coalesce(truth, try_cast(truth_text AS DOUBLE))"
_NAME = """CASE WHEN truth_text <> '' THEN truth_text
    WHEN truth = trunc(truth) THEN CAST(try_cast(truth AS HUGEINT) AS VARCHAR) ELSE CAST(truth AS VARCHAR) END"""
"""Numbers as :func:`training.data.typed.text_of` writes them."""
_LAST_LABELS = """
    SELECT event_id, row, {truth} AS truth
    FROM read_parquet($labels, union_by_name = true, hive_partitioning = false)
    WHERE known <= $until
    QUALIFY row_number() OVER (PARTITION BY event_id, row ORDER BY known DESC, received DESC, truth, truth_text) = 1
"""
_ROWS = """
    WITH labels AS ({labels})
    SELECT events.time AS time, labels.truth AS truth, {inputs}
    FROM read_parquet($events, union_by_name = true, hive_partitioning = false) AS events
    JOIN labels USING (event_id, row)
    WHERE events.status = 'ok' AND events.role <> 'shadow' AND events.time > $since AND events.time <= $until
        AND labels.truth IS NOT NULL AND {known}
    ORDER BY events.time, events.event_id, events.row
"""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Rows that came back with their truth."""

    rows: Rows
    unfit: int = 0
    """Rows left out, as their pictures are not of the size or datatype that the project names."""


def labelled(project: Project, *, since: float, until: float) -> Labelled:
    """Rows served in (since, until] whose label was known by ``until``; the last label of a row counts.

    Raises:
        InvalidConfig: a feature of the project was never logged.
    """
    lake = project.monitoring.data / "lake"
    events = _files(lake / "events" / f"model={project.name}", since, until)
    labels = [file for kind in ("labels", "backdated") for file in _files(lake / kind, since, until)]
    if not events or not labels:
        return _empty(project)
    inputs = ", ".join('events."input_' + name.replace('"', '""') + '"' for name in project.data.features)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        values = {"events": events, "labels": labels, "since": since, "until": until}
        try:
            result = connection.execute(_query(project.model.task, inputs), values)
        except duckdb.BinderException as error:
            problem = f"do not match the lake: {str(error).splitlines()[0]}"
            raise InvalidConfig("data.features", problem, hint="train and publish with these features first") from error
        fetched = result.fetchnumpy()
    time = np.asarray(fetched.pop("time"), dtype=np.float64)
    truth = fetched.pop("truth")
    table = {name: fetched[f"input_{name}"] for name in project.data.features} | {project.data.goal: truth}
    fits = np.ones(len(time), dtype=np.bool_)
    for name, feature in project.data.features.items():
        if feature.shape and not feature.tokenizer:
            fits &= fitting(feature, table[name])
    table = {name: column[fits] for name, column in table.items()}
    rows = from_table(table, project.data, time[fits], "lake", project.model.task)
    return Labelled(rows, unfit=int((~fits).sum()))


def _query(task: TaskName, inputs: str) -> str:
    truth, known = (_NUMBER, "isfinite(labels.truth)") if task == "regression" else (_NAME, "labels.truth <> ''")
    return _ROWS.format(labels=_LAST_LABELS.format(truth=truth), inputs=inputs, known=known)


def _files(folder: Path, since: float, until: float) -> list[str]:
    """Parquet files of the days in question. The folder is listed once: files may come while we read."""
    first, last = (datetime.datetime.fromtimestamp(s, tz=datetime.UTC).strftime("%Y-%m-%d") for s in (since, until))
    days: Iterable[Path] = sorted(folder.glob("day=*"))
    wanted = [day for day in days if first <= day.name.removeprefix("day=") <= last]
    return [str(path) for day in wanted for path in sorted(day.glob("*.parquet"))]


def _empty(project: Project) -> Labelled:
    nothing = np.zeros(0)
    table = dict.fromkeys((*project.data.features, *project.data.targets), nothing)
    return Labelled(from_table(table, project.data, nothing, "lake", project.model.task))

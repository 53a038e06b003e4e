"""Labelled: rows that were served and whose truth came later, from the monitoring lake."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from staytrue.errors import InvalidConfig
from training.data.rows import Rows, from_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from staytrue.project import Project

_LAST_LABELS = """
    SELECT event_id, row, coalesce(truth, try_cast(truth_text AS DOUBLE)) AS truth
    FROM read_parquet($labels, union_by_name = true, hive_partitioning = false)
    WHERE known <= $until
    QUALIFY row_number() OVER (PARTITION BY event_id, row ORDER BY known DESC, received DESC) = 1
"""
_ROWS = """
    WITH labels AS ({labels})
    SELECT events.time AS time, labels.truth AS truth, {inputs}
    FROM read_parquet($events, union_by_name = true, hive_partitioning = false) AS events
    JOIN labels USING (event_id, row)
    WHERE events.status = 'ok' AND events.role <> 'shadow' AND events.time > $since AND events.time <= $until
        AND labels.truth IS NOT NULL AND isfinite(labels.truth)
    ORDER BY events.time, events.event_id, events.row
"""


def labelled(project: Project, *, since: float, until: float) -> Rows:
    """Rows served in (since, until] whose label was known by ``until``; the last label of a row counts.

    Raises:
        InvalidConfig: a feature of the project was never logged.
    """
    lake = project.monitoring.data / "lake"
    events = _files(lake / "events" / f"model={project.name}", since, until)
    labels = _files(lake / "labels", since, until)
    if not events or not labels:
        return _empty(project)
    inputs = ", ".join('events."input_' + name.replace('"', '""') + '"' for name in project.data.features)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        values = {"events": events, "labels": labels, "since": since, "until": until}
        try:
            result = connection.execute(_ROWS.format(labels=_LAST_LABELS, inputs=inputs), values)
        except duckdb.BinderException as error:
            problem = f"do not match the lake: {str(error).splitlines()[0]}"
            raise InvalidConfig("data.features", problem, hint="train and publish with these features first") from error
        fetched = result.fetchnumpy()
    time = np.asarray(fetched.pop("time"), dtype=np.float64)
    truth = fetched.pop("truth")
    table = {name: fetched[f"input_{name}"] for name in project.data.features} | {project.data.target: truth}
    return from_table(table, project.data, time, "lake")


def _files(folder: Path, since: float, until: float) -> list[str]:
    """Parquet files of the days in question. The folder is listed once: files may come while we read."""
    first, last = (datetime.datetime.fromtimestamp(s, tz=datetime.UTC).strftime("%Y-%m-%d") for s in (since, until))
    days: Iterable[Path] = sorted(folder.glob("day=*"))
    wanted = [day for day in days if first <= day.name.removeprefix("day=") <= last]
    return [str(path) for day in wanted for path in sorted(day.glob("*.parquet"))]


def _empty(project: Project) -> Rows:
    nothing = np.zeros(0)
    table = dict.fromkeys((*project.data.features, project.data.target), nothing)
    return from_table(table, project.data, nothing, "lake")

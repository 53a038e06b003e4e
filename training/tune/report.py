"""Report: what a study found, as a table, files, pictures and a project file with the best settings."""

from __future__ import annotations

import collections
import csv
import io
import math
from typing import TYPE_CHECKING, Any

import msgspec
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from staytrue.records import write_atomically
from training.aligned import aligned
from training.tune.study import ANEW, REASON, STOPPED, VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from optuna.trial import FrozenTrial

    from training.tune.study import Study

SHOWN = 10
"""Rows of the table; the files have all."""
JSON, CSV, HISTORY, IMPORTANCE = "trials.json", "trials.csv", "history.png", "importance.png"
STATES = ("complete", "pruned", "failed", "stopped", "running", "waiting")
LEAST = 2
"""Finished trials that importance needs."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One trial. ``value``: the measure of its best epoch, of a pruned one so far; smaller is better."""

    trial: int
    state: str
    value: float | None
    best_epoch: int | None
    epochs: int
    seconds: float | None
    settings: dict[str, Any]
    reason: str | None
    anew: int | None
    """The trial that was cut short and is repeated by this one."""


def lines(study: Study) -> list[Line]:
    """All trials, by number."""
    return [_line(trial) for trial in study.trials]


def finished(found: Sequence[Line]) -> list[Line]:
    """Those that came to their end, the best first, of equal ones the first."""
    return sorted((line for line in found if line.state == "complete"), key=lambda line: line.value or 0.0)


def best(found: Sequence[Line]) -> Line | None:
    """The best that came to its end, of equal ones the first."""
    return next(iter(finished(found)), None)


def table(found: list[Line], measure: str) -> str:
    """The best trials, and how many of each kind there are."""
    rows = [["trial", measure, "epoch", "seconds", "settings"]]
    for line in finished(found)[:SHOWN]:
        told = ", ".join(f"{path}={_short(value)}" for path, value in line.settings.items())
        rows.append([str(line.trial), f"{line.value:.5g}", str(line.best_epoch), f"{line.seconds or 0:.1f}", told])
    text = aligned(rows)
    counts = collections.Counter(line.state for line in found)
    text.append(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]))
    return "\n".join(text)


def write(study: Study) -> list[Path]:
    """Write the trials and the pictures into the study's folder; their paths."""
    found, folder = lines(study), study.folder
    write_atomically(folder / JSON, msgspec.json.format(msgspec.json.encode(found)))
    write_atomically(folder / CSV, _csv(found).encode())
    paths = [folder / JSON, folder / CSV]
    if best(found) is not None:
        _draw_history(found, study.measure, folder / HISTORY)
        paths.append(folder / HISTORY)
    shares = importance(study)
    if shares:
        _draw_importance(shares, folder / IMPORTANCE)
        paths.append(folder / IMPORTANCE)
    return paths


def importance(study: Study) -> dict[str, float]:
    """Of each setting its share of what the measure varies by, the largest first; none where that cannot be told.

    Source: Hutter, Hoos and Leyton-Brown, 2014, "An efficient approach for assessing hyperparameter importance"
    (functional analysis of variance on a random forest).
    """
    finished = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    if len(finished) < LEAST or len({trial.value for trial in finished}) < LEAST:
        return {}
    evaluator = FanovaImportanceEvaluator(seed=study.settings.seed)
    try:
        return dict(get_param_importances(study.optuna, evaluator=evaluator))
    except (RuntimeError, ValueError):  # as no two trials differ in what they tried
        return {}


def _line(trial: FrozenTrial) -> Line:
    reported = [value for value in trial.intermediate_values.values() if math.isfinite(value)]
    value = trial.value if trial.state is TrialState.COMPLETE else min(reported, default=None)
    told = trial.user_attrs
    state = trial.state.name.lower()
    if trial.state is TrialState.FAIL:
        state = "stopped" if str(told.get(REASON)).startswith(STOPPED) else "failed"
    return Line(
        trial=trial.number,
        state=state,
        value=value,
        best_epoch=told.get("best_epoch"),
        epochs=told.get("epochs", len(trial.intermediate_values)),
        seconds=told.get("seconds"),
        settings=told.get(VALUES, dict(trial.params)),
        reason=told.get(REASON),
        anew=told.get(ANEW),
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _csv(found: list[Line]) -> str:
    """One line a trial, one column a setting."""
    settings = list(dict.fromkeys(path for line in found for path in line.settings))
    plain = [field for field in Line.__struct_fields__ if field != "settings"]
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow([*plain, *settings])
    for line in found:
        writer.writerow([*(getattr(line, field) for field in plain), *(line.settings.get(path) for path in settings)])
    return output.getvalue()


def _draw_history(found: list[Line], measure: str, path: Path) -> None:
    """The measure by trial, the best so far as a line."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - it takes long to import

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for state, colour in (("complete", "tab:blue"), ("pruned", "tab:gray")):
        points = [(line.trial, line.value) for line in found if line.state == state and line.value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4, label=state)
    ended = [(line.trial, line.value) for line in found if line.state == "complete" and line.value is not None]
    so_far = [min(value for _, value in ended[: place + 1]) for place in range(len(ended))]
    axes.step([trial for trial, _ in ended], so_far, where="post", color="tab:green", label="best so far")
    failed = [line.trial for line in found if line.state == "failed"]
    if failed:
        axes.plot(failed, [max(value for _, value in ended)] * len(failed), "x", color="tab:red", label="failed")
    axes.set(xlabel="trial", ylabel=measure.replace("_", " "))
    axes.legend()
    figure.savefig(path, dpi=100)


def _draw_importance(shares: dict[str, float], path: Path) -> None:
    """A bar a setting."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(7, 1 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], list(shares.values())[::-1], color="tab:blue")
    axes.set(xlabel="share of the variation of the measure", xlim=(0, 1))
    figure.savefig(path, dpi=100)

"""The gate: champion against challenger, paired row by row, on rows that neither was trained on.

With d_i the challenger's error minus the champion's on row i (the absolute error, or 1 for a wrong class), rows of one
day resemble each other, so days are drawn with replacement, not rows; the interval is that of the mean of d over many
such draws. Its percentiles are widened for n days as Student's t is wider than the normal, since a plain percentile
interval of few days is too narrow. The challenger passes if all of the interval lies below zero, and there were days
enough for that to mean something.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; :mod:`export.intervals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.intervals import interval
from serving.runtimes.base import RunError
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import Conflict, CorruptData, InvalidInput
from staytrue.records import DAY_SECONDS
from staytrue.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import Bundle, Format
    from staytrue.sections import GateSection
    from staytrue.store import Store
    from staytrue.verdicts import RetrainJob

METRICS = {"regression": "mean_absolute_error", "classification": "error_rate"}
"""What a version is judged by, by its task."""


def judge(
    store: Store,
    job: RetrainJob,
    challenger: str,
    rows: Mapping[str, NDArray[Any]],
    truth: NDArray[Any],
    times: NDArray[np.float64],
    settings: GateSection,
    artefact: Format = "onnx",
) -> Verdict:
    """Run both versions in the server's own runtime and decide; ``artefact`` is the one that is served.

    Shapes:
        rows[name]: [N, 1], or [N, C, H, W] of pictures; truth, times: [N], truth of numbers or of names of classes.

    Raises:
        InvalidInput: no rows, rows, truth and times differ in length, a version fails on them, or a truth or a
            prediction is not finite.
        CorruptData: a version has no such artefact, or does not load.
        Conflict: the versions are of different tasks, or of several targets or labels.
    """
    if not len(truth) or len({len(truth), len(times), *(len(array) for array in rows.values())}) != 1:
        raise InvalidInput("gate", expected="rows, truth and times of one length", got=f"{len(truth)} truths")
    task = _task(store, job, challenger)
    before = _errors(store, job.model, job.champion, rows, truth, artefact)
    after = _errors(store, job.model, challenger, rows, truth, artefact)
    blocks = np.floor(times / DAY_SECONDS).astype(np.int64)
    low, high = interval(after - before, blocks, settings.confidence, seed=_seed(job.id))
    difference = float((after - before).mean())
    days = len(np.unique(blocks))
    promote, reason = _decide(len(truth), days, (difference, low, high), settings)
    return Verdict(
        job=job.id,
        model=job.model,
        champion=job.champion,
        challenger=challenger,
        metric=METRICS[task],
        rows=len(truth),
        blocks=days,
        champion_error=float(before.mean()),
        challenger_error=float(after.mean()),
        difference=difference,
        low=low,
        high=high,
        confidence=settings.confidence,
        promote=promote,
        reason=reason,
        decided=job.event_time,
    )


def _decide(rows: int, days: int, figures: tuple[float, float, float], settings: GateSection) -> tuple[bool, str]:
    difference, low, high = figures
    told = f"error changes by {difference:+.3g} [{low:+.3g}, {high:+.3g}] on {rows} rows of {days} days"
    fewest = max(settings.minimum_days, 2)  # of one day there is no interval
    if rows < settings.minimum_rows or days < fewest:
        needed = f"{settings.minimum_rows} rows of {fewest} days needed"
        return False, f"too little to judge by, {needed}: {told}"
    if high < 0:
        return True, f"better: {told} that neither has seen"
    return False, f"not shown to be better: {told} that neither has seen"


def check_task(task: str, targets: Sequence[str]) -> None:
    """Refuse what cannot be judged yet by one truth a row.

    Raises:
        Conflict: several targets, or several labels.
    """
    if task not in METRICS or len(targets) > 1:
        got = f"task {task} of {', '.join(targets)}"[:200]
        hint = "train and export a new version, judge it by its evaluation, and promote it by hand"
        raise Conflict("gate", expected="one target, which a label tells", got=got, hint=hint)


def _task(store: Store, job: RetrainJob, challenger: str) -> str:
    bundles = [store.load(job.model, version) for version in (job.champion, challenger)]
    for bundle in bundles:
        check_task(bundle.task, bundle.targets)
    before, after = (bundle.task for bundle in bundles)
    if before != after:
        hint = "export and promote the new one by hand"
        raise Conflict("gate", expected=f"two versions of one task, {before}", got=after, hint=hint)
    return before


def _errors(
    store: Store, model: str, version: str, rows: Mapping[str, NDArray[Any]], truth: NDArray[Any], kind: Format
) -> NDArray[np.float64]:
    """Of each row: 1 for a wrong class, else the absolute error."""
    bundle = store.load(model, version)
    answers = _predict(store, bundle, rows, kind)
    if bundle.task == "classification":
        return np.asarray(answers != truth, dtype=np.float64)
    numbers = _finite(f"prediction of {model} version {version}", answers.astype(np.float64))
    return np.abs(numbers - _finite("truth", truth))


def _predict(store: Store, bundle: Bundle, rows: Mapping[str, NDArray[Any]], kind: Format) -> NDArray[Any]:
    model, version = bundle.name, bundle.version
    artefact = bundle.artefacts.get(kind)
    if artefact is None:
        said = "ONNX artefact" if kind == "onnx" else f"artefact {kind}"
        raise CorruptData(f"{model} version {version}", f"has no {said}, which the gate runs")
    runtime = OnnxRuntime(store.path(model, version) / artefact, bundle.signature)
    count, name = len(next(iter(rows.values()))), bundle.signature.outputs[0].name
    parts = []
    for begin in range(0, count, bundle.max_batch):
        part = {key: array[begin : begin + bundle.max_batch] for key, array in rows.items()}
        try:
            parts.append(runtime.run(part)[name].reshape(-1))
        except RunError as error:
            why = str(error).splitlines()[0][:300]
            raise InvalidInput(f"gate, {model} version {version}", f"fails on rows from {begin} on: {why}") from error
    runtime.close()
    return np.concatenate(parts)


def _finite(what: str, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers; an error of NaN would make every comparison false, and look like a verdict."""
    wrong = int(np.count_nonzero(~np.isfinite(numbers)))
    if wrong:
        raise InvalidInput(f"gate, {what}", expected="finite numbers", got=f"{wrong} of {len(numbers)} that are not")
    return numbers


def _seed(text: str) -> int:
    """The same job draws the same blocks."""
    return int.from_bytes(text.encode()[-7:].rjust(7, b"\0"), "big")

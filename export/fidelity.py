"""Fidelity: what an artefact costs on the validation split: its bytes, other decisions, and a worse headline metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.distance import NOTHING_PUBLISHED, Distances
from export.intervals import interval
from export.pool import Pool, sha256_of
from staytrue.bundle import REDUCED, Fidelity, Metric, digest
from staytrue.errors import CorruptData, InvalidInput
from staytrue.records import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from export.held import Held
    from export.trial import Trial
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

    Arrays = dict[str, NDArray[Any]]

CONFIDENCE = 0.95
ONE_DAY = "rows of one day: no interval"


def measure(
    trial: Trial,
    kind: Format,
    path: Path,
    held: Held,
    units: Mapping[str, float],
    settings: ExportSection,
    made: str,
) -> Fidelity:
    """Run artefact and module on the validation rows, of which there are some.

    Args:
        units: what numbers are measured in, by output: the targets' deviations.

    Raises:
        CorruptData: an artefact of fewer bits costs more than is allowed; says what, and how much.
        InvalidInput: the model itself gives no number on all of them.
    """
    own, got = _answers(trial, held, settings.max_batch, f"{path.name} on validation rows")
    distances = Distances(trial.signature, units)
    distances.add(own, got, np.ones(len(held.times), dtype=bool), f"{path.name} on validation rows")
    if silent := distances.uncompared():
        expected, got_none = f'a number in output "{silent[0]}" of the model itself, on one row at least', "none"
        where = f"{path.name} on {len(held.times)} validation rows"
        raise InvalidInput(where, expected=expected, got=got_none, hint=NOTHING_PUBLISHED)
    differing = _differing(own, got)
    metric, before, change = _change(trial.signature, own, got, held)
    bounds = settings.reduction
    found = Fidelity(
        format=kind,
        artefact_sha256=digest(path).sha256,
        bytes=path.stat().st_size,
        rows=len(held.times),
        rows_sha256=sha256_of([held.rows]),
        apart=distances.mean,
        far=distances.far,
        differing=differing,
        metric=metric,
        own=before,
        in_sample=held.in_sample,
        change=change,
        made=made,
        bounds={bound: getattr(bounds, bound) for bound in _SAID} if kind in REDUCED else {},
        passed=True,
    )
    if kind in REDUCED:
        _refuse(found, path.name)
    return found


def _answers(trial: Trial, held: Held, batch: int, where: str) -> tuple[Arrays, Arrays]:
    sides: tuple[list[Arrays], list[Arrays]] = ([], [])
    for begin in range(0, len(held.times), batch):
        rows = {name: array[begin : begin + batch] for name, array in held.rows.items()}
        part = Pool(rows, np.ones(len(next(iter(rows.values()))), dtype=bool))
        sides[0].append(trial.answer(rows))
        sides[1].append(trial.ran(part, f"{where} from {begin} on"))
    own, got = ({name: np.concatenate([one[name] for one in side]) for name in side[0]} for side in sides)
    return own, got


def _differing(own: Arrays, got: Arrays) -> float | None:
    """Share of decisions that are others: of classes a row's, of labels each; nothing where there are none."""
    shares = [float(np.mean(own[name] != got[name])) for name in own if own[name].dtype.kind in "Obiu"]
    return max(shares) if shares else None


def _change(signature: Signature, own: Arrays, got: Arrays, held: Held) -> tuple[str, float, Metric | None]:
    """The headline metric of the module, and how much the artefact's is above it, paired row by row."""
    if held.truth is None:
        return "", 0.0, None
    name, truth = signature.outputs[0].name, held.truth
    classes = own[name].dtype == object
    sides = [side[name].reshape(-1) for side in (own, got)]
    values = [(side == truth) if classes else np.abs(side.astype(np.float64) - truth) for side in sides]
    before, after = (value.astype(np.float64) for value in values)
    told = np.isfinite(before) & np.isfinite(after)  # nothing can be said of rows that have no number
    before, after = before[told], after[told]
    blocks = np.floor(held.times[told] / DAY_SECONDS).astype(np.int64)
    low, high = interval(after - before, blocks, CONFIDENCE, seed=0)
    alone = len(np.unique(blocks)) == 1
    change = Metric(
        value=float((after - before).mean()),
        low=low,
        high=high,
        confidence=CONFIDENCE,
        note=ONE_DAY if alone else "",
        bare=alone,
    )
    return "accuracy" if classes else "mae", float(before.mean()), change


def lost(found: Fidelity) -> float:
    """How much worse the headline metric is: accuracy by as much, a mean error by its share."""
    if found.change is None:
        return 0.0
    if found.metric == "accuracy":
        return -found.change.value
    return found.change.value / found.own if found.own else found.change.value


def _refuse(found: Fidelity, name: str) -> None:
    told = {"differing": found.differing or 0.0, "apart": found.apart, "far": found.far, "lost": lost(found)}
    for bound, value in told.items():
        allowed = found.bounds[bound]
        if not value <= allowed:  # nor is a loss that is no number allowed
            raise CorruptData(
                f"{name} on {found.rows} validation rows",
                expected=f"{_SAID[bound]} at most {allowed:.4g} (export.reduction.{bound})",
                got=f"{value:.4g}{_metric(found) if bound == 'lost' else ''}",
                hint=f"train longer, allow more, or take {found.format} out of export.formats; {NOTHING_PUBLISHED}",
            )


_SAID = {
    "differing": "a share of other decisions of",
    "apart": "a mean distance from the model itself of",
    "far": "a distance from the model itself, of 19 rows in 20, of",
    "lost": "a loss of",
}


def _metric(found: Fidelity) -> str:
    change = found.change
    if change is None:
        return ""
    return f" ({found.metric} {found.own:.4g}, changed by {change.value:+.4g} [{change.low:+.4g}, {change.high:+.4g}])"

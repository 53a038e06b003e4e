"""Steps: the repairs of the rows that train, in order, each learnt from them alone after the split.

Sparse rows go first, then outliers, then noise, then what is missing: an outlier would smear into its window, and what
is set missing may be filled. Held-out rows and callers' are not touched: what they need (fills, bounds, filters of
sequences) the encoder takes over into the exported graph, and what training rows alone go through is warned of.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.feature import Feature
from staytrue.records import utc
from training.data.clean import missing, noise, outliers, targets
from training.data.clean.filters import Filter
from training.data.clean.missing import MissingState
from training.data.clean.noise import NoiseState
from training.data.clean.outliers import OutlierState
from training.data.clean.report import MOST_MARKED, StepsReport, Touch, touch
from training.data.clean.targets import TargetState
from training.data.encode.categories import CategoryState
from training.data.encode.numbers import NumericState
from training.data.encode.sequences import SequenceState
from training.data.rows import learnable
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.preparation import CleaningSection
    from staytrue.project import Project
    from staytrue.repairs import NoiseSection, OutlierSection
    from staytrue.section import Section
    from training.data.encode.encoder import ColumnState
    from training.data.rows import TrainingRows
    from training.progress import Watch


_CAN = {"outliers": ("numeric",), "noise": ("numeric", "sequence")}
"""Kinds of features that a step takes."""
_IN_GRAPH = {"mean", "median", "mode", "constant"}
"""Ways to fill that the exported graph takes over."""


class CleaningState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the steps have learnt; it is stored with the checkpoint."""

    outliers: OutlierState | None = None
    target: TargetState | None = None
    noise: NoiseState | None = None
    missing: MissingState | None = None


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """Training rows after the steps. Shapes: ``kept`` holds the places of those that stay."""

    rows: TrainingRows
    kept: NDArray[np.int64]
    state: CleaningState
    report: StepsReport

    def instruct(self, states: Sequence[ColumnState]) -> list[ColumnState]:
        """The encoder's states with fills and bounds, so that the exported graph does what the steps did."""
        found = self.state.missing.fills if self.state.missing else []
        fills = {fill.name: fill.value for fill in found if fill.value is not None}
        clips = self.state.outliers.clips if self.state.outliers else {}
        made: list[ColumnState] = []
        for state in states:
            changes: dict[str, float | str | Filter] = {}
            if isinstance(state, NumericState) and state.name in clips:
                changes |= {"lowest": clips[state.name].low, "highest": clips[state.name].high}
            if isinstance(state, NumericState | CategoryState) and state.name in fills:
                value = fills[state.name]
                changes["fill"] = float(value) if isinstance(state, NumericState) else _known(state, value)
            if isinstance(state, SequenceState) and self.state.noise and state.name in self.state.noise.sequences:
                told = self.state.noise
                changes["smoothing"] = Filter(**{field: getattr(told, field) for field in Filter.__struct_fields__})
            made.append(msgspec.structs.replace(state, **changes))
        return made


def _known(state: CategoryState, value: float | str) -> str:
    """The fill as the state writes its values; none where no row lacked one and none bears it."""
    text = value if isinstance(value, str) else str(int(value))
    return text if text in state.values else ""


def check(project: Project) -> None:
    """Refuse steps on columns that are no features, or not of the kind that the step needs.

    Raises:
        InvalidConfig: names setting and column.
    """
    settings, features = project.cleaning, project.data.features
    named = {"outliers": settings.outliers.columns, "noise": settings.noise.columns}
    for section, columns in named.items():
        for name in columns:
            kind = features[name].kind if name in features else "no feature"
            if kind not in _CAN[section]:
                place, expected = f"cleaning.{section}.columns", " or ".join(f"{one} features" for one in _CAN[section])
                raise InvalidConfig(place, expected=expected, got=f'"{name}", {kind}')
    for name, way in settings.missing.columns.items():
        place = f"cleaning.missing.columns.{name}"
        if name not in features:
            raise InvalidConfig(place, expected="a feature", got=f'"{name}"', hint=f"there are {', '.join(features)}")
        feature = features[name]
        if way.method not in missing.SUITS[feature.kind]:
            can = ", ".join(sorted(missing.SUITS[feature.kind]))
            raise InvalidConfig(place, expected=f"of kind {feature.kind}: {can}", got=way.method)
        if feature.sent_as != "BYTES" and isinstance(way.value, str):
            raise InvalidConfig(f"{place}.value", expected=f"a number ({feature.sent_as})", got=f'"{way.value}"')
        if feature.kind == "category" and feature.sent_as == "INT64" and way.value is not None and way.value % 1:
            raise InvalidConfig(f"{place}.value", expected="a whole number (INT64)", got=str(way.value))
    _refuse_two_fills(project)
    _check_series(project)


def _check_series(project: Project) -> None:
    """Refuse filters and bounds that could do nothing, or nothing that makes sense.

    Raises:
        InvalidConfig: names setting and column.
    """
    settings, features = project.cleaning, project.data.features
    if settings.target.method != "none" and (project.model.task != "regression" or len(project.data.targets) > 1):
        expected = "none, as it is of one target that is a number"
        raise InvalidConfig("cleaning.target.method", expected=expected, got=settings.target.method)
    by, window = settings.noise.by, settings.noise.window
    if by in features and features[by].kind not in {"category", "numeric"}:
        raise InvalidConfig("cleaning.noise.by", expected="a column of names", got=f'"{by}", {features[by].kind}')
    for name in settings.noise.columns:
        if features[name].kind == "sequence" and window > features[name].shape[0]:
            expected = f'at most {features[name].shape[0]}, the steps of "{name}"'
            raise InvalidConfig("cleaning.noise.window", expected=expected, got=str(window))


def marks(project: Project) -> list[str]:
    """Columns that are read beside time, target and features: what the split goes by, and whose series a row is."""
    by = project.cleaning.noise.by
    return [*project.split.marks, *([by] if by is not None else [])]


def _refuse_two_fills(project: Project) -> None:
    """Refuse two answers to what a missing number counts as.

    Raises:
        InvalidConfig: names the feature.
    """
    usual = Feature.model_fields["fill"].default
    for name, way in missing.chosen(project.data.features, project.cleaning.missing).items():
        feature = project.data.features[name]
        if feature.fill != usual and way.method in _IN_GRAPH:
            place, got = f"data.features.{name}.fill", f"{feature.fill} here and {way.method} of cleaning.missing"
            hint = f"remove it, or set cleaning.missing.columns.{name}: {{method: keep}}"
            raise InvalidConfig(place, expected="one value for what is missing", got=got, hint=hint)


def dense(project: Project, rows: TrainingRows) -> Project:
    """The project without the features that are sparse among its training rows.

    Raises:
        InvalidInput: there are such, and they are not to be dropped, or no other is left.
    """
    features, settings = project.data.features, project.cleaning
    sparse = missing.sparse_columns(rows, features, settings)
    if not sparse:
        return project
    left = {name: feature for name, feature in features.items() if name not in sparse}
    if settings.on_sparse_column == "fail" or not left:
        names = ", ".join(f'"{name}" ({share:.0%})' for name, share in sparse.items())
        hint = "remove them from data.features, raise the limit, or set cleaning.on_sparse_column: drop"
        expected = f"at most {settings.max_missing_column:.0%} missing in each feature"
        raise InvalidInput("cleaning.max_missing_column", expected=expected, got=f"more in {names}", hint=hint)
    data = project.data.model_copy(update={"features": left})
    return project.model_copy(update={"data": data, "cleaning": _without(settings, sparse.keys())})


def _without(settings: CleaningSection, gone: Collection[str]) -> CleaningSection:
    """The settings for a project without some features: a step whose columns have all gone does nothing."""
    changes: dict[str, Section] = {}
    for section in ("outliers", "noise"):
        step: OutlierSection | NoiseSection = getattr(settings, section)
        left = [name for name in step.columns if name not in gone]
        if len(left) < len(step.columns):
            changes[section] = step.model_copy(update={"columns": left}) if left else type(step)()
    ways = {name: way for name, way in settings.missing.columns.items() if name not in gone}
    changes["missing"] = settings.missing.model_copy(update={"columns": ways})
    return settings.model_copy(update=changes)


def apply(
    rows: TrainingRows, features: Mapping[str, Feature], settings: CleaningSection, watch: Watch = unwatched
) -> Cleaned:
    """Learn each step from the rows that the one before it left, and take it.

    Raises:
        TypeError: the rows are not of the training part.
        InvalidInput: too large a share of rows would be dropped, or there is nothing to learn from.
    """
    before = learnable(rows)
    kept, touches = np.arange(len(rows)), list[Touch]()
    drop = missing.sparse_rows(rows, features, settings.max_missing_row)
    if drop.any():
        touches.append(touch("max_missing_row", "", "row dropped", "training rows", drop, rows.time))
        rows, kept = rows.take(~drop), kept[~drop]
    with watch("outliers"):
        rows, stay, times, told, far, goal = _bounded(rows, features, settings, watch)
    kept, touches = kept[stay], touches + told
    with watch("noise"):
        filters = noise.fit(rows, settings.noise)
        if filters is not None:
            rows, told = noise.apply(rows, filters, watch)
            touches += told
    with watch("missing values"):
        gaps = missing.fit(rows, features, settings.missing, watch)
        if gaps is not None:
            rows, stay, told = missing.apply(rows, gaps, features, watch)
            kept, touches = kept[stay], touches + told
    _refuse_few(len(before), len(rows), touches, settings.max_dropped)
    report = StepsReport(
        rows_before=len(before),
        rows_after=len(rows),
        touches=touches,
        marked=[utc(time) for time in times[:MOST_MARKED]],
        warnings=[*_unlike(touches), *_warnings(gaps)],
    )
    return Cleaned(rows, kept, CleaningState(outliers=far, target=goal, noise=filters, missing=gaps), report)


class _Bounded(NamedTuple):
    """Rows without outliers, which of those given stay, times of those marked, what was touched, what was learnt."""

    rows: TrainingRows
    stay: NDArray[np.bool_]
    marked: NDArray[np.float64]
    touches: list[Touch]
    outliers: OutlierState | None
    target: TargetState | None


def _bounded(rows: TrainingRows, features: Mapping[str, Feature], settings: CleaningSection, watch: Watch) -> _Bounded:
    """Outliers of the features first, then those of the target among the rows that stay."""
    numeric = [name for name, feature in features.items() if feature.kind == "numeric"]
    kept, touches, marked = np.ones(len(rows), dtype=np.bool_), list[Touch](), [np.zeros(0)]
    far = outliers.fit(rows, settings.outliers.columns or numeric, settings.outliers, watch)
    if far is not None:
        times = rows.time
        rows, kept, found, told = outliers.apply(rows, far)
        touches += told
        marked += [times[found]] if far.action == "mark" else []
    goal = targets.fit(rows, settings.target)
    if goal is not None:
        times = rows.time
        rows, stay, found, told = targets.apply(rows, goal)
        touches += told
        marked += [times[found]] if goal.action == "mark" else []
        kept[kept] = stay
    return _Bounded(rows, kept, np.sort(np.concatenate(marked)), touches, far, goal)


def _unlike(touches: Sequence[Touch]) -> list[str]:
    """What makes training rows differ from what callers send: none of it may go unsaid."""
    return [
        f"{told.step} ({told.action}) changed {told.count} values of {told.column} in training rows alone: those of "
        "held-out rows and callers stay as they come"
        for told in touches
        if told.scope == "training rows" and told.action != "row dropped"
    ]


def _refuse_few(before: int, after: int, touches: Sequence[Touch], limit: float) -> None:
    dropped = before - after
    if dropped > limit * before or not after:
        drops = [touch for touch in touches if touch.action == "row dropped"]
        told = ", ".join(f"{t.count} by {t.step} {t.column}".strip() for t in drops)
        if sum(touch.count for touch in drops) > dropped:
            told += ": a row that several of them name is dropped once"
        raise InvalidInput(
            "cleaning",
            expected=f"at most {limit:.0%} of {before} training rows dropped",
            got=f"{dropped} ({told})",
            hint="look at the data, or raise cleaning.max_dropped",
        )


def _warnings(state: MissingState | None) -> list[str]:
    if state is None or state.regressions is None or state.regressions.settled:
        return []
    return ["iterative imputing still changed in its last round: raise cleaning.missing.rounds"]

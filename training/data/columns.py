"""Columns: what the rows that may be looked at hold, in figures and pictures; the sealed rows are left out."""

from __future__ import annotations

import base64
import io
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from staytrue.records import utc
from training.data import mapped
from training.data.chapters import Bars, Chapter, Picture, Table
from training.data.clean.cleaning import is_missing
from training.data.clean.outliers import MAD_TO_DEVIATION
from training.data.distinct import counted
from training.data.rows import by_name, evenly, learnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.data.chapters import Cell
    from training.data.rows import TrainingRows

SPANS = 20
FAR = 10.0
"""Deviations, as the median absolute one estimates them, beyond which values are told of."""
MOST_FAR = 0.05
"""Share of a column's values up to which; more are no errors but how it is distributed."""
MOST_BARS = 40
"""No more different values are counted one by one."""
MOST_PICTURES = 16
_TAIL, _ROOM = 0.01, 0.5
"""Share of the numbers at each end that do not tell how far a chart goes; by how much of the rest it goes farther."""
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_FIGURES = ["mean", "deviation", "minimum", "1st quartile", "median", "3rd quartile", "maximum"]
_MOMENTS = ["earliest", "1st quartile", "median", "3rd quartile", "latest"]
_LENGTHS = ["shortest", "mean", "median", "longest", "as long as may be"]
PARTS = {"text": "bytes", "sequence": "steps"}
"""What the length of a kind of feature is counted in."""


def chapter(rows: TrainingRows, features: Mapping[str, Feature], targets: Sequence[str]) -> Chapter:
    """The columns of the training rows, after the repairs, and their targets."""
    learnable(rows)
    columns = {**rows.columns, **by_name(rows.target, targets)}
    kinds = {name: feature.kind for name, feature in features.items()}
    by_kind = _sorted(columns, kinds)
    long = {name: lengths(column) for name, column in by_kind.pop("lengths").items()}
    told = {"numbers": _numbers, "dates": _dates, "categories": _categories}
    tables = [table(by_kind[kind]) for kind, table in told.items() if by_kind[kind]]
    tables += [_long(long, columns, kinds)] if long else []
    pictures = [picture for name, kind in kinds.items() if kind == "image" for picture in _shown(name, rows)]
    empty = [name for name, column in columns.items() if is_missing(column).all()]
    bars = [_bars(name, column, name in by_kind["dates"]) for some in by_kind.values() for name, column in some.items()]
    bars += [_bars(f"{PARTS[kinds[name]]} of {name}", found) for name, found in long.items()]
    return Chapter(
        title="Columns",
        summary=f"{len(rows.columns)} features and the target {', '.join(targets)} of the {len(rows)} training rows as "
        "the model learns from them: after the repairs that the chapter on cleaning tells of.",
        tables=tables,
        bars=[shown for shown in bars if shown.counts],
        pictures=pictures,
        warnings=[f"{name} has no value at all" for name in empty]
        + [f"{name} is the same in every row: it tells a model nothing" for name in constant(rows, targets)]
        + list(_far(by_kind["numbers"], targets)),
    )


def constant(rows: TrainingRows, targets: Sequence[str]) -> list[str]:
    """Columns of single values that are the same wherever they are there, the targets included."""
    columns = {**learnable(rows).columns, **by_name(rows.target, targets)}
    present = {name: _present(column) for name, column in columns.items() if column.ndim == 1}
    return [name for name, values in present.items() if len(values) and (values == values[0]).all()]


def _sorted(columns: Mapping[str, NDArray[Any]], kinds: Mapping[str, str]) -> dict[str, dict[str, NDArray[Any]]]:
    """The columns by what is told of them; of pictures nothing is but how they look."""
    found: dict[str, dict[str, NDArray[Any]]] = {"numbers": {}, "dates": {}, "categories": {}, "lengths": {}}
    for name, column in columns.items():
        kind = kinds.get(name)
        if kind in PARTS:
            found["lengths"][name] = column
        elif column.ndim == 1:
            named = column.dtype == object or kind == "category"
            found["categories" if named else "dates" if kind == "date" else "numbers"][name] = column
    return found


def _present(column: NDArray[Any]) -> NDArray[Any]:
    return column[~is_missing(column)]


def _numbers(columns: dict[str, NDArray[Any]]) -> Table:
    rows: list[list[Cell]] = []
    for name, column in columns.items():
        values = _present(column).astype(np.float64)
        missing = len(column) - len(values)
        figures: list[Cell] = [None] * len(_FIGURES)
        if len(values):
            figures = [float(values.mean()), float(values.std()), *map(float, np.quantile(values, _QUANTILES))]
        rows.append([name, missing, len(np.unique(values)), *figures])
    return Table(title="Numbers", columns=["column", "missing", "different", *_FIGURES], rows=rows)


def _far(columns: Mapping[str, NDArray[Any]], targets: Sequence[str]) -> Iterator[str]:
    """A warning of each column of numbers of which a few lie far from all others.

    Of columns in which half of the values are the same nothing is said: any other number would be far.
    """
    for name, column in columns.items():
        values = _present(column).astype(np.float64)
        centre = float(np.median(values)) if len(values) else 0.0
        spread = MAD_TO_DEVIATION * float(np.median(np.abs(values - centre))) if len(values) else 0.0
        found = values[np.abs(values - centre) > FAR * spread]
        if spread and 0 < len(found) <= MOST_FAR * len(values):
            setting = "cleaning.target" if name in targets else "cleaning.outliers"
            ends = f"{found.min():.4g} to {found.max():.4g}" if len(found) > 1 else f"{found[0]:.4g}"
            yield (
                f"{name} has {len(found)} values far from the others ({ends}, robust z beyond {FAR:g}): where they are "
                f"errors, {setting} treats them"
            )


def _dates(columns: dict[str, NDArray[Any]]) -> Table:
    rows: list[list[Cell]] = []
    for name, column in columns.items():
        values = np.sort(_present(column))
        places = (np.array(_QUANTILES) * (len(values) - 1)).astype(np.int64)
        moments: list[Cell] = [utc(float(value)) for value in values[places]] if len(values) else [None] * len(_MOMENTS)
        rows.append([name, len(column) - len(values), len(np.unique(values)), *moments])
    return Table(title="Dates", columns=["column", "missing", "different", *_MOMENTS], rows=rows, note="In UTC.")


def lengths(column: NDArray[Any]) -> NDArray[np.int64]:
    """Bytes of each text, or steps of each sequence, that are there. Shapes: [N], [N,L] or [N,T,C] → [N]."""
    if column.ndim == 1:  # texts as they are written, for a tokenizer
        return np.array([len(str(text).encode()) for text in column], dtype=np.int64)
    return mapped.by_parts(_there, column)


def _there(column: NDArray[Any]) -> NDArray[np.int64]:
    there = column != 0 if column.ndim == 2 else ~np.isnan(column).all(axis=2)
    return np.asarray(there.sum(axis=1), dtype=np.int64)


def _long(
    lengths: Mapping[str, NDArray[np.int64]], columns: Mapping[str, NDArray[Any]], kinds: Mapping[str, str]
) -> Table:
    rows: list[list[Cell]] = []
    for name, found in lengths.items():
        present, size = found[found > 0], columns[name].shape[1:]
        figures: list[Cell] = [None] * len(_LENGTHS)
        if len(present):
            middle = [float(present.mean()), float(np.median(present))]
            figures = [int(present.min()), *middle, int(present.max()), int((found == size[0]).sum()) if size else None]
        most = f", at most {size[0]}" if size else ""
        rows.append([name, int((found == 0).sum()), f"{PARTS[kinds[name]]}{most}", *figures])
    note = "A text that is as long as may be was perhaps cut; a sequence never is."
    return Table(title="Texts and sequences", columns=["column", "missing", "of", *_LENGTHS], rows=rows, note=note)


def _categories(columns: dict[str, NDArray[Any]]) -> Table:
    rows: list[list[Cell]] = []
    for name, column in columns.items():
        values, counts = counted(_present(column))
        order = np.argsort(-counts, kind="stable")
        ends = [order[0], order[-1]] if len(order) else []
        shown: list[Cell] = [f"{str(values[end])[:60]} ({counts[end] / counts.sum():.1%})" for end in ends] or [
            None
        ] * 2
        rows.append([name, len(column) - int(counts.sum()), len(values), *shown])
    return Table(title="Categories", columns=["column", "missing", "different", "most common", "rarest"], rows=rows)


def _bars(name: str, column: NDArray[Any], date: bool = False) -> Bars:
    """Counts of values where there are few, else of equal spans; of categories the most frequent ones."""
    said: Callable[[Any], str] = (lambda second: utc(float(second))) if date else "{:.4g}".format
    present = _present(column)
    values, counts = counted(present)
    if column.dtype != object and len(values) > MOST_BARS:
        numbers = present.astype(np.float64)
        lowest, highest = _drawn(numbers)
        counts, edges = np.histogram(numbers, bins=SPANS, range=(lowest, highest))
        labels = [f"{said(low)} to {said(high)}" for low, high in itertools.pairwise(edges)]
        ends = {"below": (int((numbers < lowest).sum()), lowest), "above": (int((numbers > highest).sum()), highest)}
        beyond = [f"{count} {side} {said(end)}" for side, (count, end) in ends.items() if count]
        title = f"{name} (not drawn: {', '.join(beyond)})" if beyond else name
        return Bars(title=title, labels=labels, counts=counts.tolist())
    order = np.argsort(-counts, kind="stable")
    shown = np.sort(order[:MOST_BARS]) if column.dtype != object else order[:MOST_BARS]
    named: Callable[[Any], str] = said if date else str
    labels, heights = [named(values[place])[:60] for place in shown], [int(counts[place]) for place in shown]
    if len(values) > MOST_BARS:
        labels, heights = [*labels, "others"], [*heights, int(counts[order[MOST_BARS:]].sum())]
    return Bars(title=name, labels=labels, counts=heights)


def _drawn(numbers: NDArray[np.float64]) -> tuple[float, float]:
    """From where to where numbers are drawn: a few far ones must not squeeze all others into one bar."""
    low, high = np.quantile(numbers, [_TAIL, 1 - _TAIL])
    least, most = float(numbers.min()), float(numbers.max())
    if low == high:
        return least, most
    return max(least, float(low - _ROOM * (high - low))), min(most, float(high + _ROOM * (high - low)))


def _shown(name: str, rows: TrainingRows) -> list[Picture]:
    """Pictures from all over the rows, each with its truth."""
    column = rows.columns[name]
    places = evenly(len(column), MOST_PICTURES)
    return [Picture(caption=f"{name}: {rows.target[place]}", source=address(column[place])) for place in places]


def address(picture: NDArray[Any]) -> str:
    """A picture of 1 or 3 channels as PNG; of others the first channel. Shapes: [C,H,W]."""
    values = picture.astype(np.float64)
    if picture.dtype != np.uint8:
        low, high = np.nanmin(values), np.nanmax(values)
        values = (np.nan_to_num(values, nan=low) - low) / ((high - low) or 1.0) * 255.0
    layers = values.astype(np.uint8)
    image = Image.fromarray(np.moveaxis(layers, 0, -1) if len(layers) == 3 else layers[0])
    written = io.BytesIO()
    image.save(written, format="PNG")
    return png(written.getvalue())


def png(content: bytes) -> str:
    """A PNG file as a data address."""
    return "data:image/png;base64," + base64.b64encode(content).decode()

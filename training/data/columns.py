"""Columns: what the rows that may be looked at hold, in figures and pictures; the sealed rows are left out."""

from __future__ import annotations

import base64
import io
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from training.data.chapters import Bars, Chapter, Picture, Table
from training.data.clean.cleaning import is_missing
from training.data.rows import by_name, evenly, learnable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.preparation import Feature
    from training.data.chapters import Cell
    from training.data.rows import TrainingRows

SPANS = 20
MOST_BARS = 40
"""No more different values are counted one by one."""
MOST_PICTURES = 16
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_FIGURES = ["mean", "deviation", "minimum", "1st quartile", "median", "3rd quartile", "maximum"]


def chapter(rows: TrainingRows, features: Mapping[str, Feature], targets: Sequence[str]) -> Chapter:
    """The columns of the training rows and their targets."""
    learnable(rows)
    columns = {**rows.columns, **by_name(rows.target, targets)}
    flat = {name: column for name, column in columns.items() if column.ndim == 1}
    named = {name for name, feature in features.items() if feature.kind == "category"}
    categories = {name: column for name, column in flat.items() if column.dtype == object or name in named}
    numbers = {name: column for name, column in flat.items() if name not in categories}
    tables = [_numbers(numbers)] if numbers else []
    tables += [_categories(categories)] if categories else []
    shown = [name for name, feature in features.items() if feature.kind == "image"]
    pictures = [picture for name in shown for picture in _shown(name, columns[name], rows)]
    empty = [name for name, column in columns.items() if is_missing(column).all()]
    still = [name for name, column in flat.items() if name not in empty and len(_present(column)) and _constant(column)]
    return Chapter(
        title="Columns",
        summary=f"{len(rows.columns)} features and the target {', '.join(targets)} of the {len(rows)} training rows.",
        tables=tables,
        bars=[_bars(name, column) for name, column in flat.items() if len(_present(column))],
        pictures=pictures,
        warnings=[f"{name} has no value at all" for name in empty]
        + [f"{name} is the same in every row: it tells a model nothing" for name in still],
    )


def _present(column: NDArray[Any]) -> NDArray[Any]:
    return column[~is_missing(column)]


def _constant(column: NDArray[Any]) -> bool:
    present = _present(column)
    return bool((present == present[0]).all())


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


def _categories(columns: dict[str, NDArray[Any]]) -> Table:
    rows: list[list[Cell]] = []
    for name, column in columns.items():
        values, counts = np.unique(_present(column), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        ends = [order[0], order[-1]] if len(order) else []
        shown: list[Cell] = [f"{str(values[end])[:60]} ({counts[end] / counts.sum():.1%})" for end in ends] or [
            None
        ] * 2
        rows.append([name, len(column) - int(counts.sum()), len(values), *shown])
    return Table(title="Categories", columns=["column", "missing", "different", "most common", "rarest"], rows=rows)


def _bars(name: str, column: NDArray[Any]) -> Bars:
    """Counts of values where there are few, else of equal spans; of categories the most frequent ones."""
    present = _present(column)
    values, counts = np.unique(present, return_counts=True)
    if column.dtype != object and len(values) > MOST_BARS:
        counts, edges = np.histogram(present.astype(np.float64), bins=SPANS)
        labels = [f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(edges)]
        return Bars(title=name, labels=labels, counts=counts.tolist())
    order = np.argsort(-counts, kind="stable")
    shown = np.sort(order[:MOST_BARS]) if column.dtype != object else order[:MOST_BARS]
    labels, heights = [str(values[place])[:60] for place in shown], [int(counts[place]) for place in shown]
    if len(values) > MOST_BARS:
        labels, heights = [*labels, "others"], [*heights, int(counts[order[MOST_BARS:]].sum())]
    return Bars(title=name, labels=labels, counts=heights)


def _shown(name: str, column: NDArray[Any], rows: TrainingRows) -> list[Picture]:
    """Pictures from all over the rows, each with its truth."""
    places = evenly(len(column), MOST_PICTURES)
    return [Picture(caption=f"{name}: {rows.target[place]}", source=_address(column[place])) for place in places]


def _address(picture: NDArray[Any]) -> str:
    """A picture of 1 or 3 channels as PNG; of others the first channel. Shapes: [C,H,W]."""
    values = picture.astype(np.float64)
    if picture.dtype != np.uint8:
        low, high = np.nanmin(values), np.nanmax(values)
        values = (np.nan_to_num(values, nan=low) - low) / ((high - low) or 1.0) * 255.0
    layers = values.astype(np.uint8)
    image = Image.fromarray(np.moveaxis(layers, 0, -1) if len(layers) == 3 else layers[0])
    written = io.BytesIO()
    image.save(written, format="PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()

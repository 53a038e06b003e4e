"""The chapter on the rows that a model did worst on: truth, answer and inputs; pictures as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.records import utc
from training.data.chapters import Chapter, Picture, Table
from training.data.columns import address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.evaluation import Example, Examples, PartEvaluation
    from staytrue.feature import Feature
    from training.data.chapters import Cell
    from training.data.rows import Rows

PIXELS = 256
"""Of a picture at most, along each side."""
_NOTE = "Rows are counted from 0, in the order of time."


def chapter(parts: Mapping[str, tuple[PartEvaluation, Rows]], features: Mapping[str, Feature]) -> Chapter | None:
    """Of each part its worst rows; None where there are none."""
    found = {name: (part.worst, rows) for name, (part, rows) in parts.items() if part.worst and part.worst.rows}
    if not found:
        return None
    told = [(name, worst, rows) for name, (worst, rows) in found.items() if worst is not None]
    images = [name for name, feature in features.items() if feature.kind == "image"]
    return Chapter(
        title="Worst answers",
        summary="The rows of the highest loss: what is hard, what is labelled wrongly, and what was measured wrongly.",
        tables=[_table(name, worst, images) for name, worst, _ in told],
        pictures=[
            picture
            for part, worst, rows in told
            for name in images
            for one in worst.rows
            for picture in _picture(part, one, rows.columns[name][one.row], features[name])
        ],
    )


def shown(picture: NDArray[Any], feature: Feature) -> NDArray[Any]:
    """A picture as people look at it, whatever its layout and order of channels, with some of many pixels.

    Shapes: [C,H,W] or [H,W,C] → [C,H,W].
    """
    layers = np.moveaxis(picture, -1, 0) if feature.layout == "channels_last" else picture
    layers = layers[::-1] if feature.channel_order == "reversed" else layers
    step = -(-max(layers.shape[1:]) // PIXELS)
    return layers[:, ::step, ::step]


def _picture(part: str, one: Example, picture: NDArray[Any], feature: Feature) -> list[Picture]:
    """Nothing of one that lacks a pixel."""
    if not np.isfinite(picture).all():
        return []
    caption = f"{part} row {one.row}: {one.truth}, answered {one.answer}"
    return [Picture(caption=caption, source=address(shown(picture, feature)))]


def _table(part: str, worst: Examples, images: list[str]) -> Table:
    names = [name for name in worst.rows[0].inputs if name not in images]
    rows: list[list[Cell]] = [
        [one.row, utc(one.time), one.loss, one.truth, one.answer, *(one.inputs[name] for name in names)]
        for one in worst.rows
    ]
    columns = ["row", "time", worst.loss, "truth", "answer", *names]
    return Table(title=f"Of the {part} rows", columns=columns, rows=rows, note=_NOTE)

"""Preview: rows beside what training sees of them, a sheet of pictures or a page of texts for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from staytrue.records import write_atomically
from training.augment import comparison
from training.augment.texts import readable
from training.augment.tokens import Tokens
from training.data.rows import evenly, learnable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from training.augment.augmenter import Augmenter
    from training.data.rows import TrainingRows

FOLDER = "augmented"
ROWS, EPOCHS = 6, 5
_INCHES = 1.3
"""Of a picture on the sheet."""


def preview(
    augmenter: Augmenter,
    rows: TrainingRows,
    features: Mapping[str, Feature],
    folder: Path,
    *,
    count: int = ROWS,
    epochs: Sequence[int] = range(1, EPOCHS + 1),
) -> list[Path]:
    """Write what becomes of some rows in these epochs: ``NAME.png`` of pictures and sequences, ``NAME.html`` of texts.

    Rows that are mixed are shown mixed.
    """
    which = evenly(len(learnable(rows)), count)
    names = [str(rows.target[place]) for place in which]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for index, (name, feature) in enumerate(features.items()):
        if index not in augmenter.columns and not (augmenter.mixing and feature.kind == "image"):
            continue
        given, vary = rows.columns[name], augmenter.columns.get(index)
        heads = [f"epoch {epoch}" for epoch in epochs]
        path = folder / f"{_file(name)}.{'html' if feature.kind == 'text' else 'png'}"
        if isinstance(vary, Tokens):
            said = [vary.said(which, epoch) for epoch in epochs]
            _write(path, name, heads, names, [given[which].tolist(), *said])
            made.append(path)
            continue
        variants = [_varied(augmenter, index, given, which, epoch) for epoch in epochs]
        if feature.kind == "text":
            _write(path, name, heads, names, [*map(_texts, [given[which], *variants])])
        else:
            sheet(feature, [given[which], *variants], names, ["as sent", *heads]).savefig(path, dpi=100)
        made.append(path)
    return made


def _write(path: Path, name: str, heads: list[str], names: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    """The page of a column: of each row the text that was sent, and what becomes of it."""
    told = [(row, text, others) for row, text, *others in zip(names, *texts, strict=True)]
    write_atomically(path, comparison.page(f"{name}, augmented", heads, told).encode())


def sheet(feature: Feature, columns: Sequence[NDArray[Any]], names: Sequence[str], heads: Sequence[str]) -> Figure:
    """A row for each of N rows, a column for each of K variants. Shapes: columns K of [N,…], names N, heads K."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - it takes long to import

    figure = Figure(figsize=(_INCHES * (len(heads) + 0.5), _INCHES * (len(names) + 0.3)), layout="constrained")
    grid = figure.subplots(len(names), len(heads), squeeze=False)
    for head, values, axes in zip(heads, columns, grid.T, strict=True):
        axes[0].set_title(head, fontsize=8)
        for place, panel in enumerate(axes):
            _draw(panel, feature, values[place], columns[0])
    for name, axes in zip(names, grid[:, 0], strict=True):
        axes.set_ylabel(name[:20], fontsize=8)
    return figure


def _varied(augmenter: Augmenter, index: int, given: NDArray[Any], which: NDArray[Any], epoch: int) -> NDArray[Any]:
    """One column of these rows as an epoch sees it."""

    def seen(places: NDArray[Any]) -> NDArray[Any]:
        source = torch.from_numpy(np.ascontiguousarray(given[places]))
        vary = augmenter.columns.get(index)
        found: NDArray[Any] = (source if vary is None else vary(source, places, epoch)).numpy()
        return found

    mixed = augmenter.mix(torch.from_numpy(which), epoch)
    if mixed is None:
        return seen(which)
    partner, share = (part.numpy() for part in mixed)
    share = share.reshape(-1, *[1] * (given.ndim - 1))
    both: NDArray[Any] = share * seen(which) + (1 - share) * seen(partner)
    return both.astype(given.dtype)


def _draw(axes: Axes, feature: Feature, values: NDArray[Any], given: NDArray[Any]) -> None:
    axes.set(xticks=[], yticks=[])
    if feature.kind == "sequence":
        axes.plot(values, linewidth=0.6)
        axes.set(xlim=(0, len(values) - 1), ylim=(float(np.nanmin(given)), float(np.nanmax(given))))
        return
    low, high = (0.0, 255.0) if feature.sent_as == "UINT8" else (float(np.nanmin(given)), float(np.nanmax(given)))
    picture = values if feature.layout == "channels_last" else np.moveaxis(values, 0, 2)
    picture = picture[:, :, ::-1] if feature.channel_order == "reversed" else picture
    shown = np.clip((picture.astype(np.float64) - low) / ((high - low) or 1.0), 0, 1)
    axes.imshow(shown if shown.shape[2] == 3 else shown.mean(axis=2), cmap="gray", vmin=0, vmax=1)


def _texts(column: NDArray[np.uint8]) -> list[str]:
    return [readable(row) for row in column]


def _file(name: str) -> str:
    """A name that any file system takes."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)

"""The sample sheet: real pictures of rows held out, and made ones below them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.rows import evenly

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.data.rows import Rows
    from training.models.generator import Generator

SHEET = "samples.png"
ACROSS, REAL, MADE = 16, 2, 8
"""Pictures of a line, lines of real ones, lines of made ones."""
GAP = 4
"""White pixels between the two."""


def sheet(model: Generator, held: Rows, seed: int, path: Path) -> None:
    """Write it; black is the least and white the most of real pixels."""
    from matplotlib.image import imsave  # noqa: PLC0415 - it takes long to import

    few = held.take(evenly(len(held), ACROSS * REAL))
    real = model.undone(model.encoded(few.columns))
    low, high = float(real.min()), float(real.max())
    parts = [_tiled(real), _tiled(model.undone(model.drawn(ACROSS * MADE, seed)))]
    lines = [np.full((GAP, *parts[0].shape[1:]), high), parts[1]]
    scaled = (np.concatenate([parts[0], *lines]) - low) / (high - low or 1.0)
    imsave(path, np.clip(scaled, 0, 1))


def _tiled(pictures: NDArray[Any]) -> NDArray[np.float64]:
    """So many across, the last line filled with the least. Shapes: [N,C,H,W] → [H*lines,W*ACROSS,3]."""
    count, channels, high, wide = pictures.shape
    lines = -(-count // ACROSS)
    filled = np.full((lines * ACROSS, channels, high, wide), pictures.min(), dtype=np.float64)
    filled[:count] = pictures
    coloured = filled if channels == 3 else filled[:, :1].repeat(3, axis=1)
    placed = coloured.reshape(lines, ACROSS, 3, high, wide).transpose(0, 3, 1, 4, 2)
    return placed.reshape(lines * high, ACROSS * wide, 3)

"""``python -m examples.digits.prepare``: writes ``digits.parquet`` and ``later.parquet`` here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from examples.album import write

HERE = Path(__file__).parent
GREYS = 15
"""The pictures have 17 greys, 0 to 16; times 15 they fill a byte."""
MINUTES = 10.0
LATER = 600


def prepare(folder: Path = HERE) -> Path:
    """Write both files; the one to train on."""
    digits = load_digits()
    pictures = (digits.images * GREYS).astype(np.uint8)[:, None]  # [N,1,8,8]
    write(folder / "digits.parquet", "digit", pictures, digits.target, minutes=MINUTES, later=LATER)
    return folder / "digits.parquet"


if __name__ == "__main__":
    prepare()

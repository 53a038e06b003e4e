"""Cases of pictures: Fashion-MNIST by ResNet and Inception, whole and in part, and handwritten digits.

The test part of Fashion-MNIST is its own, 10,000 pictures; that of the digits every third. A tenth of the others is
held out to stop by and to choose the epoch.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from benchmarks.training.case import Case
from examples.digits.prepare import GREYS
from examples.fashion.prepare import FILES, FOLDER, NAMES, read

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TEST = tuple(name.replace("train", "t10k") for name in FILES)
SUBSET, WHOLE = 12_000, 60_000
PARTS = ("train", "validation", "test")
HELD = 10
"""One picture in so many is held out."""


def fashion(folder: Path, pictures: int) -> Path:
    """Some of the pictures to train on, and all to test with."""
    images, labels = (
        np.concatenate([read(FOLDER / own), read(FOLDER / test)]) for own, test in zip(FILES, TEST, strict=True)
    )
    some = np.random.default_rng(0).permutation(WHOLE)[:pictures]
    which = np.concatenate([some, np.arange(WHOLE, len(images))])
    tested = which >= WHOLE
    return write(folder / "fashion.parquet", "article", images[which], np.array(NAMES)[labels[which]], tested)


def digits(folder: Path) -> Path:
    """All of scikit-learn's."""
    found = load_digits()
    pictures, tested = (found.images * GREYS).astype(np.uint8), np.arange(len(found.target)) % 3 == 2
    return write(folder / "digits.parquet", "digit", pictures, found.target, tested)


def write(path: Path, target: str, pictures: NDArray[np.uint8], names: NDArray[Any], tested: NDArray[np.bool_]) -> Path:
    """A picture an hour; those that train come first, those to test with last. Shapes: [N,H,W], [N], [N]."""
    part = np.where(tested, 2, 0)
    part[np.flatnonzero(~tested)[::HELD]] = 1
    order = np.argsort(part, kind="stable")
    flat = pictures[order].reshape(len(order), -1)
    times = np.datetime64("2025-01-01T00:00", "us") + np.timedelta64(1, "h") * np.arange(len(order))
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1]).cast(pa.list_(pa.uint8()))
    named = {target: names[order].astype(str).tolist(), "part": np.array(PARTS)[part[order]].tolist()}
    pq.write_table(pa.table({"time": pa.array(times), "image": lists, **named}), path)
    return path


def _case(pictures: int, target: float, seconds: float, model: dict[str, Any], **training: Any) -> Case:
    change = {"split": GIVEN, "model": model, "training": SWIFT | training}
    return Case("fashion", functools.partial(fashion, pictures=pictures), change, target=target, seconds=seconds)


GIVEN = {"method": "given", "column": "part", "allow": ["duplicates", "near_duplicates"]}
"""Fashion-MNIST's own parts share some pictures that are all but the same."""
SWIFT = {"threads": 2, "batch_size": 64, "learning_rate": 0.01, "averaging": 0.95}
RESNET = {"architecture": "resnet", "width": 16, "depth": 2, "memory_format": "channels_last"}
INCEPTION = {"architecture": "inception", "width": 12, "depth": 1, "stem": "pooled"}
ONE_CYCLE = {"batch_size": 128, "schedule": "one_cycle", "learning_rate": 0.02}
BRIEF = {"precision": "bf16"}
"""A fifth less time on processors that multiply such numbers themselves (AMX, AVX512-BF16), and more on others."""

IMAGES: dict[str, Case] = {
    "fashion-resnet": _case(WHOLE, 0.91, 600, RESNET, epochs=8, **ONE_CYCLE),
    "fashion-inception": _case(WHOLE, 0.91, 600, INCEPTION, epochs=5, **ONE_CYCLE),
    "fashion-resnet-12k": _case(SUBSET, 0.88, 60, RESNET, epochs=7, **BRIEF),
    "fashion-inception-12k": _case(SUBSET, 0.88, 60, INCEPTION | {"width": 8}, epochs=5, **ONE_CYCLE | BRIEF),
    "digits-resnet": Case("digits", digits, {"split": GIVEN, "training": {"threads": 2}}, target=0.98),
}

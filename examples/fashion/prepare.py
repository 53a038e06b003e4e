"""``python -m examples.fashion.prepare``: writes ``fashion.parquet`` and ``later.parquet`` here."""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from examples.album import write
from staytrue.errors import CorruptData, InvalidInput, NotFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
PACKAGE = "dataset-fashion-mnist"
FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts it."""
FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
"""Of the labels 0 to 9, as the data set's authors give them."""
MINUTES = 2.0
PICTURES, LATER = 15_000, 3_000


def prepare(folder: Path = HERE, source: Path = FOLDER, pictures: int = PICTURES, later: int = LATER) -> Path:
    """Write both files; the one to train on.

    Raises:
        NotFound: the data set is not there.
        CorruptData: it is something else.
        InvalidInput: fewer pictures asked for than are to be kept for later, or more than there are.
    """
    images, labels = (read(source / name) for name in FILES)
    if not later < pictures <= len(images):
        expected = f"more than {later} and at most {len(images)}"
        raise InvalidInput("--pictures", expected=expected, got=str(pictures))
    some = np.random.default_rng(0).permutation(len(images))[:pictures]
    names = np.array(NAMES)[labels[some]]
    path = folder / "fashion.parquet"
    write(path, "article", images[some][:, None], names, minutes=MINUTES, later=later)  # [N,1,28,28]
    return path


def read(path: Path) -> NDArray[np.uint8]:
    """An array of bytes in the IDX form: two zeros, 8 for bytes, the number of axes, their sizes, the values."""
    if not path.is_file():
        hint = f"apt-get install {PACKAGE}, or name the folder of its files with --folder"
        raise NotFound(str(path), "is no file", hint=hint)
    data = gzip.decompress(path.read_bytes())
    axes = data[3] if data[:3] == b"\0\0\x08" else 0
    shape = tuple(np.frombuffer(data, ">i4", count=axes, offset=4)) if axes else ()
    if not axes or len(data) != 4 + 4 * axes + np.prod(shape):
        raise CorruptData(str(path), expected="bytes in the IDX form", got=f"{len(data)} others")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.fashion.prepare", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the data set (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="how many to take (default: %(default)s)")
    parser.add_argument("--later", type=int, default=LATER, help="how many of them to serve (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    try:
        prepare(HERE, given.folder, given.pictures, given.later)
    except (NotFound, CorruptData, InvalidInput) as error:
        raise SystemExit(f"prepare: {error}") from error

"""Material: the rows that a study trains on and judges by, prepared once; sealed rows are not among them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.errors import CorruptData
from staytrue.records import write_atomically
from training.data.rows import Rows, share_of
from training.data.split.plan import Split
from training.parts import Parts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.project import Project
    from training.prepare import Prepared

ROWS, LISTED = "rows", "rows.json"


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What the files beside it hold: arrays by number, in this order."""

    columns: list[str]
    marks: list[str]
    texts: list[int]
    """Numbers of those arrays that are texts."""
    split: Split
    classes: list[str]
    sha256: str
    most_bytes: int


@dataclasses.dataclass(frozen=True)
class Material:
    """Rows that train and rows that validate, which are which, and what tells them from others."""

    rows: Rows
    split: Split
    """Its part ``test`` is empty."""
    classes: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, prepared: Prepared) -> Material:
        """Of prepared rows; the sealed ones are left behind."""
        train, validation = prepared.split.index("train"), prepared.split.index("validation")
        shown = np.sort(np.concatenate([train, validation]))
        split = msgspec.structs.replace(
            prepared.split,
            parts={
                "train": np.searchsorted(shown, train).tolist(),
                "validation": np.searchsorted(shown, validation).tolist(),
                "test": [],
            },
        )
        rows = prepared.rows.take(shown)
        return cls(rows, split, prepared.classes, _digest(rows, split))

    def parts(self, project: Project) -> Parts:
        """What a training takes, with the project's features."""
        names = project.data.features
        train, held = self.split.training(self.rows), self.split.validation(self.rows)
        return Parts(train.only(names), held.only(names), classes=self.classes)


def _digest(rows: Rows, split: Split) -> str:
    return hashlib.sha256(rows.digest().encode() + msgspec.json.encode(split.parts)).hexdigest()


def keep(material: Material, folder: Path) -> None:
    """Write it for other processes; what tells of the files is written last."""
    rows = material.rows
    arrays = [rows.time, rows.target, *rows.columns.values(), *rows.marks.values()]
    texts = [place for place, array in enumerate(arrays) if array.dtype == object]
    (folder / ROWS).mkdir(parents=True, exist_ok=True)
    for place, array in enumerate(arrays):
        path = folder / ROWS / str(place)
        if place in texts:
            write_atomically(path.with_suffix(".json"), msgspec.json.encode(array.tolist()))
        else:
            np.save(path.with_suffix(".npy"), array, allow_pickle=False)
    listed = Listed(
        columns=list(rows.columns),
        marks=list(rows.marks),
        texts=texts,
        split=material.split,
        classes=list(material.classes),
        sha256=material.sha256,
        most_bytes=rows.most_bytes,
    )
    write_atomically(folder / LISTED, msgspec.json.encode(listed))


def kept(folder: Path) -> Material:
    """What :func:`keep` wrote; large arrays are read from their files as they are used.

    Raises:
        CorruptData: a file is missing or is none of these.
    """
    try:
        listed = msgspec.json.decode((folder / LISTED).read_bytes(), type=Listed)
        most = share_of(listed.most_bytes, len(listed.columns))
        count = 2 + len(listed.columns) + len(listed.marks)
        arrays = [_read(folder / ROWS / str(place), place in listed.texts, most) for place in range(count)]
    except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
        hint = "`staytrue tune` writes them anew"
        raise CorruptData(str(folder / ROWS), f"cannot be read: {error}", hint=hint) from error
    time, target, *others = arrays
    columns = dict(zip(listed.columns, others, strict=False))
    marks = dict(zip(listed.marks, others[len(columns) :], strict=True))
    rows = Rows(time, columns, target, marks, listed.most_bytes)
    return Material(rows, listed.split, tuple(listed.classes), listed.sha256)


def _read(path: Path, text: bool, most: int) -> NDArray[Any]:
    if text:
        return np.array(msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=list[str]), dtype=object)
    array: NDArray[Any] = np.load(path.with_suffix(".npy"), mmap_mode="c", allow_pickle=False)
    return np.asarray(array) if array.nbytes > most else np.array(array)

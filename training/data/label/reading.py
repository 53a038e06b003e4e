"""Reading: annotations from a file in whichever layout, and the features of their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, InvalidInput, NotFound, Unsupported
from staytrue.labelling import LabellingSection
from training.data.label.annotations import in_order, number_of
from training.data.label.labelstudio import read_labelstudio
from training.data.label.tables import Names, columns_of, read_long, read_wide
from training.data.typed import text_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.guideline import Guideline

_READERS = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet"}


def read_annotations(path: Path, settings: LabellingSection, guideline: Guideline | None = None) -> Annotations:
    """Annotations as the settings say, classes in the order that the scale needs.

    Raises:
        NotFound, Unsupported, InvalidConfig, InvalidInput: what is wrong with the file, and on which line or task.
    """
    names = Names(
        item="item" if settings.item is None else settings.item,
        annotator=settings.annotator,
        label=settings.label or "label",
        missing=tuple(settings.missing),
    )
    layout = _layout(path, settings, names)
    if layout == "label-studio":
        item, control = settings.item or "", settings.label or ""
        made = read_labelstudio(path, item=item, control=control, repeats=settings.repeats)
    elif layout == "long":
        made = read_long(path, names, repeats=settings.repeats)
    else:
        made = read_wide(path, names, settings.annotators)
    if settings.order:
        return in_order(made, settings.order, others=False)
    if settings.scale == "interval":
        return made
    if guideline is not None:
        return in_order(made, list(guideline.classes), others=True)
    if settings.scale == "ordinal" and any(number_of(name) is None for name in made.classes):
        got = ", ".join(made.classes)[:200]
        raise InvalidConfig("scale ordinal", expected="an order of the classes", got=got, hint="name it: --order A B C")
    return made


def _layout(path: Path, settings: LabellingSection, names: Names) -> str:
    if settings.layout != "auto":
        return settings.layout
    if path.suffix.lower() == ".json":
        return "label-studio"
    known = columns_of(path)
    if settings.annotators:
        return "wide"
    # A name that was given, or two of the three columns, are meant of a long table, which then says what it lacks.
    lacking = [name for name in (names.item, names.annotator, names.label) if name not in known]
    named = settings.annotator != LabellingSection.model_fields["annotator"].default or settings.label is not None
    return "long" if named or (len(lacking) <= 1 and len(known) > 2) else "wide"


def read_features(path: Path, item: str, wanted: tuple[str, ...]) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Columns of a table beside its items, and which row is of which wanted item.

    Shapes: columns [L] or, of lists, [L,F]; the row of each wanted item [N], -1 where it has none.

    Raises:
        NotFound, Unsupported: no such file, or no table.
        InvalidConfig: no column of items.
        InvalidInput: an item with two rows, or lists of unequal length.
    """
    table = _fetched(path)
    if item not in table:
        raise InvalidConfig(shown(path), f'no column "{item}"', hint=f"there are {', '.join(table)}"[:300])
    place: dict[str, int] = {}
    for row, value in enumerate(np.ma.getdata(table.pop(item)).tolist()):
        if place.setdefault(text_of(value), row) != row:
            raise InvalidInput(f"{shown(path)}, row {row + 1}", f"has item {text_of(value)!r} a second time")
    rows = np.array([place.get(name, -1) for name in wanted], dtype=np.int64)
    return {name: _column(path, name, values) for name, values in table.items()}, rows


def _fetched(path: Path) -> dict[str, NDArray[Any]]:
    reader = _READERS.get(path.suffix.lower())
    if not path.is_file():
        raise NotFound(shown(path), "is no file")
    if reader is None:
        raise Unsupported(shown(path), expected=", ".join(_READERS), got=path.suffix or "no ending")
    with duckdb.connect() as connection:
        try:
            fetched = connection.execute(f"SELECT * FROM {reader}(?)", [str(path)]).fetchnumpy()  # noqa: S608 - ours
        except duckdb.Error as error:
            raise InvalidInput(shown(path), f"cannot be read: {str(error).splitlines()[0]}"[:300]) from error
    return dict(fetched)


def _column(path: Path, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """A column as numbers (NaN is missing), texts, or [N,F] of lists."""
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    if plain.dtype.kind in "fiub":
        return np.where(missing, np.nan, plain.astype(np.float64))
    if plain.dtype.kind in "mM":
        return np.where(missing, np.nan, plain.astype("int64").astype(np.float64))
    there = next((value for value in plain if value is not None), "")
    if not isinstance(there, str):
        try:
            return np.stack([np.asarray(value, dtype=np.float32).ravel() for value in plain])
        except (TypeError, ValueError) as error:
            expected = "lists of numbers, all of one length"
            raise InvalidInput(f'{shown(path)}, column "{name}"', expected=expected, got=str(error)[:100]) from error
    return np.where(missing | (plain == None), "", plain).astype(object)  # noqa: E711 - of each value

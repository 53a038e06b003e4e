"""Whatever bytes a file of annotations holds, it is read or refused in our words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from staytrue.errors import StaytrueError
from staytrue.labelling import LabellingSection
from training.data.label.reading import read_annotations

CSV = b'item,annotator,label\nx,ann,"c,\nat"\ny,bob,dog\n'
RESULT = {"from_name": "k", "value": {"choices": ["a"]}}
JSON = json.dumps([{"id": 1, "data": {"i": "é"}, "annotations": [{"completed_by": 1, "result": [RESULT]}]}]).encode()


def parquet() -> bytes:
    """A small long table."""
    file = io.BytesIO()
    pd.DataFrame({"item": ["x", "y"], "annotator": ["a", "a"], "label": [1.0, None]}).to_parquet(file)
    return file.getvalue()


WHOLE = {".csv": CSV, ".json": JSON, ".parquet": parquet()}


def read_or_refuse(data: bytes, suffix: str) -> bool:
    """Whether it could be read; anything but our errors passes through."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"labels{suffix}"
        path.write_bytes(data)
        try:
            made = read_annotations(path, LabellingSection())
        except StaytrueError:
            return False
    assert made.label.max() < len(made.classes)
    assert made.item.max() < len(made.items)
    return True


@pytest.mark.parametrize("suffix", WHOLE)
def test_files_cut_short_are_read_or_refused(suffix: str) -> None:
    data = WHOLE[suffix]
    assert read_or_refuse(data, suffix)
    for length in range(0, len(data), max(1, len(data) // 60)):
        read_or_refuse(data[:length], suffix)


@pytest.mark.parametrize("suffix", WHOLE)
@settings(max_examples=60)
@given(place=st.integers(0, 10_000), bytes_there=st.binary(min_size=1, max_size=4))
def test_files_with_changed_bytes_are_read_or_refused(suffix: str, place: int, bytes_there: bytes) -> None:
    data = WHOLE[suffix]
    at = place % len(data)
    read_or_refuse(data[:at] + bytes_there + data[at + len(bytes_there) :], suffix)


@pytest.mark.parametrize("suffix", WHOLE)
@settings(max_examples=60)
@given(data=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_arbitrary_bytes_are_read_or_refused(suffix: str, data: bytes) -> None:
    read_or_refuse(data, suffix)


@settings(max_examples=60)
@given(rows=st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=4), max_size=4), mark=st.sampled_from(",;\t"))
def test_tables_of_arbitrary_cells_are_read_or_refused(rows: list[list[str]], mark: str) -> None:
    text = "".join(mark.join(row) + "\n" for row in [["item", "annotator", "label"], *rows])
    read_or_refuse(text.encode(), ".csv")

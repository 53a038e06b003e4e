"""Tensors as bytes: what comes back, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from staytrue.errors import InvalidInput
from staytrue.raw import WIDTHS, from_raw, plain, to_raw
from staytrue.signature import NUMPY


def test_each_datatype_has_the_width_that_the_protocol_gives_it() -> None:
    bits = {name: int(name.lstrip("UINTBFP") or 8) for name in NUMPY if name not in ("BOOL", "BYTES")}
    assert {name: 8 * width for name, width in WIDTHS.items()} == {**bits, "BOOL": 8}


@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_bytes_give_back_the_tensor(datatype: str) -> None:
    values: list[Any] = ["", "ü", "a\0b", "z"] if datatype == "BYTES" else [0, 1, 1, 0]
    array = np.array(values, dtype=NUMPY[datatype]).reshape(2, 2)
    data = to_raw(array, datatype)
    back = from_raw(data, datatype, [2, 2], "x")
    assert back.dtype == array.dtype
    assert back.tolist() == array.tolist()
    assert datatype == "BYTES" or len(data) == 4 * WIDTHS[datatype]
    quick = plain(data, datatype, [2, 2])
    assert (quick is None) == (datatype in ("BYTES", "BOOL", "BF16"))
    assert quick is None or quick.tolist() == array.tolist()


def test_numbers_are_little_endian() -> None:
    assert to_raw(np.array([1], dtype=">i2"), "INT16") == b"\1\0"
    assert to_raw(np.array([258], dtype=np.int32), "INT32") == b"\2\1\0\0"
    assert from_raw(b"\x80\x3f\x40\xc0", "BF16", [2], "x").tolist() == [1.0, -3.0]


def test_numbers_share_the_bytes_unless_they_begin_at_an_odd_place() -> None:
    data = bytes(range(17))
    whole = from_raw(data[:16], "FP64", [2], "x")
    assert not whole.flags.owndata
    odd = from_raw(memoryview(data)[1:], "FP64", [2], "x")
    assert odd.flags.aligned
    assert odd.tobytes() == data[1:]
    assert plain(memoryview(data)[1:], "FP64", [2]) is None


@pytest.mark.parametrize("shape", [[3], [-1, -2], [0], [1] * 8 + [2], [2, 2**62]])
def test_the_quick_way_reads_no_shape_that_is_not_the_datas(shape: list[int]) -> None:
    assert plain(b"\0" * 16, "FP64", shape) is None
    assert plain(b"", "FP64", [0, 2**40]) is None


@pytest.mark.parametrize(
    ("data", "datatype", "said"),
    [
        (b"\0" * 5, "FP32", "x: expected 8 bytes for 2 values of FP32, got 5"),
        (b"\0" * 8, "BF16", "x: expected 4 bytes for 2 values of BF16, got 8"),
        (b"\1\0\0\0a", "BYTES", "x: expected 2 elements, each behind its length in 4 bytes, got 1"),
        (b"\0\0\0\0" * 3, "BYTES", "got more"),
        (b"\5\0\0\0a", "BYTES", "x, element 0: expected 4 and 5 bytes, got 1 left"),
        (b"\1\0\0\0a\1\0\0\0\xff", "BYTES", "x, element 1: expected UTF-8, got byte 0xff at place 0"),
    ],
)
def test_bytes_that_are_not_the_shapes_are_refused(data: bytes, datatype: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        from_raw(data, datatype, [2], "x")

"""The quick reader of requests and the thorough one: the same tensors to the bit, or the quick one leaves it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rest import fast
from staytrue.bodies import parsed
from staytrue.errors import InvalidInput
from staytrue.signature import NUMPY
from staytrue.texts import from_json
from staytrue.values import FLOATS

if TYPE_CHECKING:
    from staytrue.tensors import Parsed

POLICIES = ["reject", "null", "string"]
ODD = [
    None,
    True,
    "NaN",
    "1",
    -0.0,
    0,
    1e39,
    -1e300,
    65520.0,
    3.3895313892515355e38,
    2**63,
    2**64,
    -(2**63) - 1,
    1e-400,
]
PARTS = [
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b" ",
    b"-",
    b"0",
    b"e9",
    b".",
    b"null",
    b"NaN",
    b'"data"',
    b"\0",
]


def thorough(body: bytes, policy: str) -> Parsed | None:
    """What the thorough reader says; None where it refuses."""
    try:
        return parsed(from_json(body), policy)
    except InvalidInput:
        return None


def told(request: Parsed) -> Any:
    """All that a request says, arrays as their bytes."""
    inputs = [
        (item.name, item.datatype, item.array.shape, item.array.dtype, item.array.tolist())
        if item.datatype == "BYTES"
        else (item.name, item.datatype, item.array.shape, item.array.dtype, item.array.tobytes())
        for item in request.inputs
    ]
    return inputs, request.id, request.outputs, repr(request.parameters)


def agree(body: bytes) -> bool:
    """Whether the quick reader read it; then, by any policy, the thorough one reads the same."""
    quick = fast.parse(body)
    if quick is None:
        return False
    for policy in POLICIES:
        slow = thorough(body, policy)
        assert slow is not None, body
        assert told(quick) == told(slow)
    return True


def numbers(datatype: str) -> st.SearchStrategy[Any]:
    """Values of a datatype."""
    kind = NUMPY[datatype]
    if datatype == "BYTES":
        return st.text(max_size=4)
    if datatype == "BOOL":
        return st.booleans()
    if datatype in FLOATS:
        return st.floats(allow_nan=False, allow_infinity=False, width=kind.itemsize * 8) | st.integers(-9, 9)  # type: ignore[arg-type]
    return st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))


@st.composite
def tensors(draw: st.DrawFn, *, odd: bool = False) -> dict[str, Any]:
    """A tensor as JSON has it, flat or nested; with ``odd`` a value of it may be none of its datatype."""
    datatype = draw(st.sampled_from(sorted(NUMPY)))
    shape = draw(st.lists(st.integers(1, 4), max_size=4))
    count = math.prod(shape)
    values = draw(st.lists(numbers(datatype), min_size=count, max_size=count))
    if odd and draw(st.booleans()) and values:
        values[draw(st.integers(0, count - 1))] = draw(st.sampled_from(ODD))
    data: Any = values
    if draw(st.booleans()) and shape:
        data = np.array(values, dtype=object).reshape(shape).tolist()
    made = {"name": draw(st.text(max_size=3)), "datatype": datatype, "shape": shape, "data": data}
    return {key: made[key] for key in draw(st.permutations(list(made)))}


@st.composite
def requests(draw: st.DrawFn, *, odd: bool = False) -> bytes:
    """A request in any layout."""
    request: dict[str, Any] = {"inputs": draw(st.lists(tensors(odd=odd), min_size=1, max_size=3))}
    if draw(st.booleans()):
        request["id"] = draw(st.text(max_size=3))
    if draw(st.booleans()):
        wish = {
            "name": "y",
            "parameters": {"binary_data": draw(st.booleans()), "classification": draw(st.integers(0, 2))},
        }
        request["outputs"] = draw(st.sampled_from([[], [{"name": "y"}], [wish]]))
    if draw(st.booleans()):
        request["parameters"] = draw(
            st.dictionaries(
                st.sampled_from(["a", "binary_data_output"]), st.booleans() | st.integers() | st.text(max_size=2)
            )
        )
    request = {key: request[key] for key in draw(st.permutations(list(request)))}
    escaped = draw(st.booleans())
    body = json.dumps(request, ensure_ascii=escaped, indent=draw(st.sampled_from([None, 1])))
    return body.encode(errors="surrogatepass")


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@given(body=requests(odd=True))
@settings(deadline=None, max_examples=150)
def test_both_readers_read_the_same(small: bool, body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 10**6 if small else 0)
        agree(body)


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@given(body=requests(), data=st.data())
@settings(deadline=None, max_examples=150)
def test_both_read_the_same_of_a_body_that_was_cut_or_changed(small: bool, body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(body)))
        end = min(len(body), begin + data.draw(st.integers(0, 3)))
        chunk = data.draw(st.sampled_from([*PARTS, b"", body[begin : begin + 12], body[end : end + 20]]))
        body = body[:begin] + chunk + body[end:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 10**6 if small else 0)
        agree(body)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("columns", [3, 20])
@pytest.mark.parametrize("datatype", sorted(set(NUMPY) - {"BYTES", "BOOL"}))
def test_the_quick_reader_reads_what_it_is_for(datatype: str, rows: int, columns: int) -> None:
    array = np.arange(rows * columns).reshape(rows, columns)
    for data in (array.tolist(), array.ravel().tolist()):
        tensor = {"name": "x", "datatype": datatype, "shape": [rows, columns], "data": data}
        small = json.dumps({"inputs": [tensor]}).encode()
        assert agree(small)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast, "SMALL_BYTES", 0)
            assert agree(small)


@given(shape=st.lists(st.integers(1, 20), min_size=2, max_size=3), data=st.data())
@settings(deadline=None, max_examples=100)
def test_lists_that_do_not_nest_as_the_shape_says_are_never_read(shape: list[int], data: st.DataObject) -> None:
    """One bracket or comma of a good body stands somewhere else."""
    nested = np.arange(math.prod(shape)).reshape(shape).tolist()
    text = json.dumps(nested, separators=(",", ":"))
    marks = [place for place, mark in enumerate(text) if mark in "[],"]
    gone = data.draw(st.sampled_from(marks))
    shorter = text[:gone] + text[gone + 1 :]
    place = data.draw(st.integers(0, len(shorter)))
    moved = shorter[:place] + text[gone] + shorter[place:]
    body = b'{"inputs":[{"name":"x","datatype":"INT32","shape":%b,"data":%b}]}' % (
        json.dumps(shape).encode(),
        moved.encode(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 0)
        agree(body)


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest.mark.parametrize(
    "change",
    [
        {"datatype": "BF16", "data": [3.4e38, 1]},
        {"datatype": "INT8", "data": [300, 1]},
        {"datatype": "FP16", "data": [65520, 1]},
        {"shape": [2, 1, 1], "data": [[1], [2]]},
        {"shape": [1, 2], "data": [[1], [2]]},
        {"shape": [2], "data": [[], [1, 2]]},
        {"shape": [1, 2], "data": [[[], [1, 2]]]},
        {"shape": [-1, -2]},
        {"shape": [1] * 9, "data": [1]},
        {"name": "a\0"},
        {"other": 1},
    ],
)
def test_what_is_unusual_is_left_to_the_thorough_reader(change: dict[str, Any], small: bool) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1, 2], **change}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 10**6 if small else 0)
        assert fast.parse(json.dumps({"inputs": [tensor]}).encode()) is None


@pytest.mark.parametrize("shape", [[2, 17], [2, 2, 17], [17, 2]])
def test_rows_of_other_lengths_are_never_read(shape: list[int]) -> None:
    """As many numbers as the shape says, and one row longer by what another lacks."""
    rows = np.arange(math.prod(shape)).reshape(-1, shape[-1]).tolist()
    rows[0].append(rows[-1].pop())
    data: Any = rows if len(shape) == 2 else [rows[:2], rows[2:]]
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "data": data}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 0)
        assert fast.parse(json.dumps({"inputs": [tensor]}).encode()) is None


def test_numbers_that_are_nobodys_data_are_left_too() -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "SMALL_BYTES", 0)
        assert fast.parse(json.dumps({"inputs": [tensor], "parameters": {"data": [1, 2]}}).encode()) is None
        assert fast.parse(b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2') is None

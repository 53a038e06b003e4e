"""The compiled reader reads what the other way reads, to the same bytes, or leaves a body to it."""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from serving.rest import codec, compiled, fast, spans
from serving.rest.forms import Side
from staytrue.compiled import native
from staytrue.errors import StaytrueError
from staytrue.signature import NUMPY
from tests.needs import needs_compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.calls import Joined, Packed

    Read = tuple[int, list[Packed]]

MOST = 3
INPUTS = [("x", "FP32", [2]), ("y", "FP64", [])]


@pytest.fixture(autouse=True, scope="module")
def built() -> None:
    """Without it there is nothing to be tested."""
    needs_compiled()


def all_reader(
    inputs: list[tuple[str, str, list[int]]], most: int = MOST
) -> Callable[[list[bytes], int], list[Joined]]:
    """Of a model with these inputs."""
    sides = [Side(name, datatype, np.dtype(np.float32), rest, 0, 0) for name, datatype, rest in inputs]
    return compiled.reader_of(sides, most)


def reader(inputs: list[tuple[str, str, list[int]]], most: int = MOST) -> Callable[[bytes], Read | None]:
    """Of one request: its rows, and its inputs."""
    read = all_reader(inputs, most)

    def one(body: bytes) -> Read | None:
        found = read([body], most)
        return (found[0].rows[0], found[0].blocks) if found else None

    return one


def usually(body: bytes) -> list[Any] | None:
    """Tensors as they are read otherwise; None for a body that is refused."""
    try:
        read = codec.parse(body, "reject")
    except StaytrueError:
        return None
    return [(one.name, one.datatype, one.array) for one in read.inputs]


def asked(rows: int, **changed: Any) -> dict[str, Any]:
    """A request, its first tensor changed."""
    first = {"name": "x", "shape": [rows, 2], "datatype": "FP32", "data": [0.1 * at for at in range(2 * rows)]}
    second = {"name": "y", "shape": [rows], "datatype": "FP64", "data": [-1.5] * rows}
    return {"inputs": [first | changed, second]}


def same(body: bytes) -> bool:
    """Whether it was read; then as usually."""
    found = reader(INPUTS)(body)
    if found is None:
        return False
    rows, packed = found
    wanted = usually(body)
    assert wanted is not None
    assert [(name, datatype) for name, datatype, _ in wanted] == [(name, datatype) for name, datatype, _ in INPUTS]
    assert [array.tobytes() for *_, array in wanted] == packed
    assert {len(array) for *_, array in wanted} == {rows}
    return True


@pytest.mark.parametrize("rows", [1, MOST])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("nested", [False, True])
def test_requests_as_most_are_are_read(rows: int, indent: int | None, nested: bool) -> None:
    told = asked(rows)
    if nested:
        told["inputs"][0]["data"] = np.reshape(told["inputs"][0]["data"], (rows, 2)).tolist()
    assert same(json.dumps(told, indent=indent).encode())
    assert same(json.dumps(told, indent=indent, separators=(",", ":")).encode())
    turned = [dict(reversed(tensor.items())) for tensor in told["inputs"]]
    assert same(json.dumps({"inputs": turned}).encode())


UNUSUAL: list[Any] = [
    {},
    [],
    {"inputs": []},
    {"inputs": {}},
    asked(1) | {"id": "a"},
    {"inputs": asked(1)["inputs"][:1]},
    {"inputs": asked(1)["inputs"] + asked(1)["inputs"][:1]},
    {"inputs": asked(1)["inputs"][::-1]},
    asked(MOST + 1),
    {"inputs": [asked(1)["inputs"][0], asked(2)["inputs"][1]]},
    *[
        asked(1, **changes)
        for changes in list[dict[str, Any]](
            [
                {"name": "z"},
                {"name": 1},
                {"datatype": "FP64"},
                {"shape": [2]},
                {"shape": [1, 3]},
                {"shape": [1, 2, 1]},
                {"shape": [-1, 2]},
                {"shape": [0, 2]},
                {"shape": [1.0, 2]},
                {"shape": [10**7 + 1, 2]},
                {"shape": "x"},
                {"data": []},
                {"data": [1]},
                {"data": [1, 2, 3]},
                {"data": [[1], [2]]},
                {"data": [[1, 2], [3, 4]]},
                {"data": [[1, 2], []]},
                {"data": [[]]},
                {"data": [[[1, 2]]]},
                {"data": [1, [2]]},
                {"data": [[1, 2], 3]},
                {"data": ["1", "2"]},
                {"data": [None, 1]},
                {"data": [True, 1]},
                {"data": [1e39, 1]},
                {"data": [math.nan, 1]},
                {"data": [math.inf, 1]},
                {"data": 1},
                {"more": 1},
                {"parameters": {}},
            ]
        )
    ],
]


@pytest.mark.parametrize("told", UNUSUAL, ids=json.dumps)
def test_what_is_unusual_or_wrong_is_left_to_the_other_way(told: Any) -> None:
    assert not same(json.dumps(told).encode())


BODY = json.dumps(asked(1)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        BODY + b"x",
        BODY + b"\0",
        BODY + BODY,
        b"\xef\xbb\xbf" + BODY,
        BODY.replace(b'"x"', b'"\\u0078"'),
        BODY.replace(b'"x"', '"\xe9"'.encode()),
        BODY.replace(b'"name": "x", ', b'"name": "x", "name": "x", '),
        BODY.replace(b'"inputs"', b'"inputs": [], "inputs"'),
        BODY.replace(b"[1, 2]", b"[1, 02]"),
        BODY.replace(b"[1, 2]", b"[1, 2,]"),
        BODY.replace(b"[0.0, 0.1]", b"[0.0, 0.1,]"),
        BODY.replace(b"[0.0, 0.1]", b"[0.0 0.1]"),
        BODY.replace(b"[0.0, 0.1]", b"[,0.0, 0.1]"),
        BODY.replace(b"}]", b"},]"),
    ],
)
def test_what_is_no_json_or_says_a_thing_twice_is_left_to_the_other_way(body: bytes) -> None:
    assert not same(body)


def test_a_body_that_is_cut_or_has_one_byte_changed_is_read_as_usually_or_not() -> None:
    read = sum(same(BODY[:end]) for end in range(len(BODY)))
    assert read == 0
    for at in range(len(BODY)):
        for byte in b'\0 "[]{},:.-+eE019n\\\x80\xff':
            same(BODY[:at] + bytes([byte]) + BODY[at + 1 :])


def test_a_long_body_is_left_to_the_other_way() -> None:
    padding = b" " * (fast.SMALL_BYTES - len(BODY))
    assert same(BODY + padding)
    assert reader(INPUTS)(BODY + padding + b" ") is None
    many = reader([("y", "FP64", [])], 4096)
    for rows in (1700, 2200):
        body = b'{"inputs":[{"name":"y","datatype":"FP64","shape":[%d],"data":[%b]}]}' % (
            rows,
            b"1," * (rows - 1) + b"1",
        )
        found = many(body)
        assert (found is None) == (len(body) > fast.SMALL_BYTES)


@st.composite
def between(draw: st.DrawFn) -> str:
    """Decimal digits of the middle of two neighbours, or next to it, of as many digits as are read quickly."""
    mantissa, shift = draw(st.integers(2**52, 2**53 - 1)), draw(st.integers(-60, 8))
    middle = np.longdouble(2 * mantissa + 1) * np.longdouble(2.0) ** (shift - 1)
    digits = draw(st.integers(15, 19))
    return f"{np.format_float_scientific(middle, precision=digits - 1, unique=False)}"


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"-?[1-9][0-9]{15,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.builds(lambda times, part: f"{times * 2**64}.{part}", st.integers(1, 2**20), st.integers(0, 10**9)),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map("{:f}".format),
    between(),
)


@given(numbers)
@example("18446744073709551616.5")
@example("340282346638528859811704183484516925440.000000")
@example("36893488147419103232.25e3")
@example("-0")
@example("-0.0")
@example("-0e5")
@example("0e9999")
@example("0.0000000000000000000000000000001")
@example("9007199254740993")
@example("18446744073709551615")
@example("9223372036854775807.0")
@example("1e23")
@example("8.5e22")
@example("2.2250738585072011e-308")
@example("5e-324")
@example("1e-400")
@example("1e400")
@example("179769313486231580793e289")
@example("1.")
@example(".5")
@example("01")
@example("1e")
@example("1e+")
@example("+1")
@example("--1")
@example("0x1p3")
@example("1e99999")
def test_numbers_are_read_to_the_last_bit(text: str) -> None:
    body = b'{"inputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[%b]}]}' % text.encode()
    found, wanted = reader([("y", "FP64", [])])(body), usually(body)
    if found is not None:
        assert wanted is not None
        assert found[1] == [wanted[0][2].tobytes()]
        assert found[1] == [struct.pack("=d", float(text))]


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-15, max_value=1e15), st.booleans())
def test_numbers_as_programs_write_them_are_all_read(number: float, single: bool) -> None:
    number = float(np.float32(number)) if single else number
    assume(number)
    body = json.dumps({"inputs": [{"name": "y", "datatype": "FP64", "shape": [1], "data": [-number]}]}).encode()
    assert reader([("y", "FP64", [])])(body) == (1, [struct.pack("=d", -number)])


@pytest.mark.parametrize(
    ("name", "datatype", "rest"),
    [
        ("x", "INT64", []),
        ("x", "BYTES", []),
        ("", "FP32", []),
        ('a"b', "FP32", []),
        ("a\\b", "FP32", []),
        ("a\nb", "FP32", []),
        ("\xe9", "FP32", []),
        ("x", "FP32", [4096]),
        ("x", "FP32", [64, 64, 64]),
        ("x", "FP32", [1] * 8),
        ("x", "FP32", [2**70]),
    ],
)
def test_models_that_it_does_not_know_are_left_to_the_other_way(name: str, datatype: str, rest: list[int]) -> None:
    read = all_reader([(name, datatype, rest)])
    assert read([json.dumps(asked(1)).encode()], MOST) == []
    assert read is compiled._nothing


def test_where_nothing_was_compiled_all_is_left_to_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "Reader", None)
    assert reader(INPUTS)(BODY) is None


@pytest.mark.parametrize(
    ("inputs", "most"),
    [((), 1), (((b"x", b"FP32", ()),), 0), (((b"x", b"FP32", ()),) * 65, 1), (((b"x", b"FP32", (0,)),), 1)],
)
def test_what_it_is_made_of_is_looked_at(inputs: Any, most: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        native.Reader(inputs, most)


@pytest.mark.parametrize("inputs", [None, (1,), ((1, 2, 3),), ((b"x", b"FP32", [1]),), ((b"x", b"FP32", ("a",)),)])
def test_types_of_what_it_is_made_of_are_looked_at(inputs: Any) -> None:
    with pytest.raises(TypeError):
        native.Reader(inputs, 1)


def test_it_reads_bytes_alone() -> None:
    with pytest.raises(TypeError, match="expected bytes"):
        reader(INPUTS)(BODY.decode())  # type: ignore[arg-type]


@pytest.mark.parametrize("together", [1, 2, 3, 4, 100])
def test_several_are_read_behind_each_other_and_no_more_together_than_may_be(together: int) -> None:
    rows, chance = [1, 3, 2, 2, 1, 1], np.random.default_rng(0)
    bodies = []
    for count in rows:
        told = asked(count, data=chance.normal(size=2 * count).tolist())
        told["inputs"][1]["data"] = chance.normal(size=count).tolist()
        bodies.append(json.dumps(told).encode())
    spoilt = {1: BODY[:-1], 4: b"", 7: json.dumps(asked(1, data=["1", 2])).encode()}
    for at in sorted(spoilt):
        bodies.insert(at, spoilt[at])
    there = [at for at in range(len(bodies)) if at not in spoilt]
    found = all_reader(INPUTS)(bodies, together)
    assert [place for some in found for place in some.places] == there
    assert [count for some in found for count in some.rows] == rows
    assert all(sum(some.rows) <= together or len(some.rows) == 1 for some in found)
    assert together < 100 or len(found) == 1
    for some in found:
        apart = [usually(bodies[place]) or [] for place in some.places]
        wanted = [b"".join(one[at][2].tobytes() for one in apart) for at in range(2)]
        assert some.blocks == wanted


def test_a_place_beyond_the_bodies_is_refused() -> None:
    read = native.Reader(((b"y", b"FP64", ()),), MOST).read
    assert read([b""], 1, 1) == (1, [], [], [b""])
    for first in (-1, 2):
        with pytest.raises(ValueError, match="a place among"):
            read([b""], first, 1)


def listed(text: bytes, count: int, datatype: str) -> bool:
    """Whether a list was read by itself; then as it is read otherwise, and refused where that refuses it."""
    found = compiled.floats(b"xx" + text + b"9", 2, 2 + len(text), count, NUMPY[datatype].itemsize)
    if found is None:
        return False
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spans, "floats", lambda *_: None)
        assert spans.array(text, (0, len(text), 1), datatype, [count]).tobytes() == found
    return True


@given(
    st.lists(numbers, min_size=1, max_size=40),
    st.sampled_from([",", " ,\n", ",\t \r"]),
    st.sampled_from(["FP32", "FP64"]),
)
@example(["1e39"], ",", "FP32")
@example(["3.4028235677973366e38"], ",", "FP32")
@example(["-0", "1"], ",", "FP64")
def test_lists_of_numbers_are_read_as_otherwise_or_left(made: list[str], comma: str, datatype: str) -> None:
    text = b"[%b]" % comma.join(made).encode()
    listed(text, len(made), datatype)
    assert not listed(text, len(made) + 1, datatype)
    assert len(made) == 1 or not listed(text, len(made) - 1, datatype)


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_a_picture_is_read_from_any_place_of_a_body(datatype: str) -> None:
    picture = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    assert listed(json.dumps(picture.tolist()).encode(), picture.size, datatype)
    assert listed(json.dumps(picture.tolist(), indent=1).encode(), picture.size, datatype)


def test_a_list_that_is_cut_or_has_one_byte_changed_is_read_as_otherwise_or_left() -> None:
    text = b"[0.125, -1.5e3,\n12345678.123456789, 7]"
    assert listed(text, 4, "FP64")
    assert not any(listed(text[:end], 4, "FP64") for end in range(len(text)))
    for at in range(len(text)):
        for byte in b'\0 "[]{},:.-+eE019n\\\x80\xff':
            listed(text[:at] + bytes([byte]) + text[at + 1 :], 4, "FP64")


def test_many_numbers_that_are_slow_to_read_are_left() -> None:
    few, many = ([f"1.2345678901234567e-{200 + at}" for at in range(count)] for count in (10, 100))
    assert listed(f"[{','.join(few)}]".encode(), 10, "FP64")
    assert not listed(f"[{','.join(many)}]".encode(), 100, "FP64")


def test_no_memory_is_taken_for_numbers_that_a_list_cannot_hold() -> None:
    assert compiled.floats(b"[1,2]", 0, 5, 2**60, 8) is None
    assert compiled.floats(b"[]", 0, 2, 1, 8) is None


@pytest.mark.parametrize(("start", "end", "count"), [(-1, 3, 1), (0, 4, 1), (3, 2, 1), (0, 3, 0), (0, 3, -1)])
def test_where_a_list_stands_is_looked_at(start: int, end: int, count: int) -> None:
    with pytest.raises(ValueError, match="expected a place"):
        compiled.floats(b"[1]", start, end, count, 4)


def test_numbers_have_four_bytes_or_eight() -> None:
    with pytest.raises(ValueError, match="of 4 or 8 bytes"):
        compiled.floats(b"[1]", 0, 3, 1, 2)


def test_a_list_stands_in_bytes_alone() -> None:
    with pytest.raises(TypeError):
        compiled.floats("[1]", 0, 3, 1, 4)  # type: ignore[arg-type]

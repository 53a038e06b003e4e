"""Texts that differ in little are put together the same way by compiled code and by Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue import weaving
from staytrue.weaving import Woven
from tests.needs import needs_compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.weaving import Column

    Weave = Callable[[int, list[bytes], list[Column]], list[bytes]]


@pytest.fixture(params=["python", "compiled"], scope="module")
def weave(request: pytest.FixtureRequest) -> Weave:
    """Each of the two."""
    if request.param == "python":
        return weaving.woven
    needs_compiled()
    return weaving.weave


@st.composite
def columns_of(draw: st.DrawFn, rows: int) -> tuple[Column, list[bytes]]:
    """A column in one of its forms, and its texts."""
    form = draw(st.sampled_from(["list", "block", "json"]))
    if form == "json":
        told = draw(st.lists(st.lists(st.floats() | st.booleans(), max_size=4), min_size=rows, max_size=rows))
        return (orjson.dumps(told),), [orjson.dumps(row)[1:-1] for row in told]
    width = draw(st.integers(1, 20))
    sizes = {"min_size": width, "max_size": width} if form == "block" else {"max_size": 300}
    texts = draw(st.lists(st.binary(**sizes), min_size=rows, max_size=rows))
    return (b"".join(texts) if form == "block" else texts), texts


@given(data=st.data(), gaps=st.integers(1, 4), rows=st.integers(1, 5))
def test_each_row_stands_between_what_is_around(weave: Weave, data: st.DataObject, gaps: int, rows: int) -> None:
    around = data.draw(st.lists(st.binary(max_size=300), min_size=gaps + 1, max_size=gaps + 1))
    columns = data.draw(st.lists(columns_of(rows), min_size=gaps, max_size=gaps))
    wanted = [
        around[0] + b"".join(texts[row] + after for (_, texts), after in zip(columns, around[1:], strict=True))
        for row in range(rows)
    ]
    assert weave(rows, around, [column for column, _ in columns]) == wanted
    assert Woven(rows, around, [column for column, _ in columns]).texts() == wanted


@pytest.mark.parametrize(
    ("rows", "around", "columns"),
    [
        (0, [b""], []),
        (1, [b""], []),
        (0, [b"", b""], [[]]),
        (-1, [b"", b""], [b"a"]),
        (1, [b""], [[b"a"]]),
        (1, [b"", b"", b""], [[b"a"]]),
        (1, [b"", b"", b""], [[b"a"], []]),
        (2, [b"", b""], [b"abc"]),
        (2, [b"", b""], [[b"a"]]),
        (2, [b"", b""], [b""]),
        (2**60, [b"", b""], [b""]),
        (2, [b"", b""], [(b"[[1]]",)]),
        (2, [b"", b""], [(b"",)]),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused(weave: Weave, rows: int, around: list[bytes], columns: list[Column]) -> None:
    with pytest.raises(ValueError, match="expected"):
        weave(rows, around, columns)


@pytest.mark.parametrize(
    "given",
    [
        (),
        (1, [b""]),
        ("1", [b"", b""], [[b""]]),
        (1, (b"", b""), [[b""]]),
        (1, [b"", b""], ([b""],)),
        (1, [b"", ""], [[b""]]),
        (1, [b"", b""], [[""]]),
        (1, [b"", b""], ["a"]),
        (1, [b"", b""], [()]),
        (1, [b"", b""], [("a",)]),
        (1, [b"", b""], [(b"[1]",)]),
        (1, [b"", b""], [(b"[[1",)]),
        (1, [b"", b""], [(b"[",)]),
    ],
    ids=repr,
)
def test_compiled_code_looks_at_what_it_is_given(given: tuple[object, ...]) -> None:
    needs_compiled()
    with pytest.raises((TypeError, ValueError), match=r"expected|argument|interpreted as an integer"):
        weaving.weave(*given)  # type: ignore[arg-type]

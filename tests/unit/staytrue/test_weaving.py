"""Texts that differ in little are put together the same way by compiled code and by Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue import weaving
from staytrue.weaving import Woven
from tests.needs import needs_compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    Weave = Callable[[list[bytes], tuple[list[bytes], ...]], list[bytes]]


@pytest.fixture(params=["python", "compiled"], scope="module")
def weave(request: pytest.FixtureRequest) -> Weave:
    """Each of the two."""
    if request.param == "python":
        return weaving.woven
    needs_compiled()
    return weaving.weave


@given(data=st.data(), gaps=st.integers(1, 4), rows=st.integers(0, 5))
def test_each_row_stands_between_what_is_around(weave: Weave, data: st.DataObject, gaps: int, rows: int) -> None:
    around = data.draw(st.lists(st.binary(max_size=300), min_size=gaps + 1, max_size=gaps + 1))
    column = st.lists(st.binary(max_size=300), min_size=rows, max_size=rows)
    columns = tuple(data.draw(st.lists(column, min_size=gaps, max_size=gaps)))
    wanted = [
        around[0] + b"".join(one[row] + after for one, after in zip(columns, around[1:], strict=True))
        for row in range(rows)
    ]
    assert weave(around, columns) == wanted


@pytest.mark.parametrize(
    ("around", "columns"),
    [([b""], ([b"a"],)), ([b"", b"", b""], ([b"a"],)), ([b"", b"", b""], ([b"a"], []))],
    ids=["one text too few", "one too many", "columns of different lengths"],
)
def test_what_does_not_fit_is_refused(weave: Weave, around: list[bytes], columns: tuple[list[bytes], ...]) -> None:
    with pytest.raises(ValueError, match=r"around: expected|columns: expected|zip\(\) argument"):
        weave(around, columns)


@pytest.mark.parametrize(
    "given",
    [(), ([b""],), ((b"", b""), ([b""],)), ([b"", b""], [[b""]]), ([b"", ""], ([b""],)), ([b"", b""], ([""],))],
    ids=repr,
)
def test_compiled_code_looks_at_what_it_is_given(given: tuple[object, ...]) -> None:
    needs_compiled()
    with pytest.raises((TypeError, ValueError), match="expected"):
        weaving.weave(*given)  # type: ignore[arg-type]


@given(data=st.data(), gaps=st.integers(1, 4), rows=st.integers(1, 5))
def test_columns_of_texts_as_long_as_each_other_are_kept_as_one(data: st.DataObject, gaps: int, rows: int) -> None:
    around = data.draw(st.lists(st.binary(max_size=30), min_size=gaps + 1, max_size=gaps + 1))
    columns = []
    for _ in range(gaps):
        width = data.draw(st.integers(1, 20))
        column = st.lists(st.binary(min_size=width, max_size=width), min_size=rows, max_size=rows)
        columns.append(data.draw(column))
    kept = [b"".join(column) if data.draw(st.booleans()) else column for column in columns]
    assert Woven(rows, around, kept).texts() == weaving.woven(around, tuple(columns))


@pytest.mark.parametrize(
    "kept",
    [
        Woven(0, [b""], []),
        Woven(1, [b""], []),
        Woven(0, [b"", b""], [[]]),
        Woven(-1, [b"", b""], [b"a"]),
        Woven(2, [b"", b""], [b"abc"]),
        Woven(2, [b"", b""], [[b"a"]]),
        Woven(2**60, [b"", b""], [b""]),
        Woven(2, [b""], [b"ab"]),
        Woven(2, [b"", b"", b""], [b"ab"]),
    ],
    ids=repr,
)
def test_what_is_kept_has_to_fit_together(kept: Woven) -> None:
    with pytest.raises(ValueError, match="expected"):
        kept.texts()

"""CSV and data frames become the signature's tensors; cells that do not are named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.rest import invocations
from staytrue.errors import InvalidInput
from staytrue.signature import Signature
from tests.unit.serving.test_legacy import LABEL, MATRIX, ROOMS, SCORE, SHARES, TEXT, answer, spec, tensors

ALL = {"size": [[1.5], [2.0]], "kind": [["attic"], ["a, b"]], "floor": [4, -1]}
FLAGS = Signature(inputs=[spec("f", "BOOL", -1, 2)], outputs=[])


def csv(text: str, signature: Signature = ROOMS, policy: str = "reject") -> Any:
    """The tensors of a table."""
    return tensors(invocations.parse_csv(text.encode(), signature, policy))


def frame(told: Any, signature: Signature = ROOMS) -> Any:
    """The tensors of a body in JSON."""
    return tensors(invocations.parse_json(json.dumps(told).encode(), signature, "reject"))


def test_a_table_names_its_columns_in_any_order() -> None:
    assert csv('kind,floor,size\r\nattic,4,1.5\r\n"a, b",-1,2\r\n') == ALL


def test_a_model_of_one_input_needs_no_names() -> None:
    assert csv("1,2,3\n4,5,6e0\n", MATRIX) == {"x": [[1, 2, 3], [4, 5, 6]]}
    assert csv("a\nb", TEXT) == {"t": [["a"], ["b"]]}
    assert csv("t\nb", TEXT) == {"t": [["b"]]}
    assert csv("true,0\nFALSE,1", FLAGS) == {"f": [[True, False], [False, True]]}


def test_an_empty_cell_is_missing_and_words_are_numbers_by_the_policy() -> None:
    assert np.isnan(csv("1,,3", MATRIX, "null")["x"][0][1])
    assert csv("1,Infinity,3", MATRIX, "string")["x"][0][1] == np.inf


@pytest.mark.parametrize(
    ("text", "signature", "said"),
    [
        ("", MATRIX, "body: expected at least one line of values, got nothing"),
        ("size,kind,floor\n", ROOMS, "body: expected at least one line of values"),
        ("1,attic,4\n", ROOMS, "body, line 1: expected the names of the inputs: size,kind,floor, got 1,attic,4"),
        ("size,kind\n1,a\n", ROOMS, "body, line 1: expected the names of the inputs"),
        ("size,kind,floor,size\n1,a,4,1\n", ROOMS, "body, line 1: names a column twice"),
        ("size,kind,floor\n1,a\n", ROOMS, "body, row 2: expected 3 values, got 2"),
        ("size,kind,floor\n1,a,4\nx,a,4\n", ROOMS, """body, row 3 column "size": expected FP32, got a string 'x'"""),
        ("size,kind,floor\n1,a,4.5\n", ROOMS, """body, row 2 column "floor": expected INT64, got a string '4.5'"""),
        ("size,kind,floor\n1_0,a,4\n", ROOMS, "got a string '1_0'"),
        ("size,kind,floor\nnan,a,4\n", ROOMS, "got a string 'nan'"),
        ("size,kind,floor\n1e999,a,4\n", ROOMS, "got a string '1e999'"),
        (
            "size,kind,floor\n,a,4\n",
            ROOMS,
            r"""row 2 column "size": expected FP32, got nothing \(null\); .*nan_policy""",
        ),
        ("size,kind,floor\n1,a,99999999999999999999\n", ROOMS, 'row 2 column "floor": expected INT64 from .* got 9999'),
        ("1,2\n", MATRIX, "body, row 1: expected a list of 3, got a list of 2"),
        ('1,"2\n', MATRIX, "body: is not CSV in UTF-8"),
        ("maybe,1", FLAGS, "body, row 1: expected BOOL, got a string 'maybe'"),
    ],
)
def test_a_cell_that_is_not_the_inputs_is_refused_with_row_and_column(
    text: str, signature: Signature, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        csv(text, signature)


def test_a_table_must_be_utf_8() -> None:
    with pytest.raises(InvalidInput, match="body: is not CSV in UTF-8"):
        invocations.parse_csv(b"\xff", MATRIX, "reject")


def test_a_frame_comes_split_or_as_records() -> None:
    columns = ["kind", "size", "floor"]
    rows = [["attic", 1.5, 4], ["a, b", 2, -1]]
    assert frame({"dataframe_split": {"columns": columns, "index": [0, 1], "data": rows}}) == ALL
    assert frame({"dataframe_records": [dict(zip(columns, row, strict=True)) for row in rows]}) == ALL


def test_a_frames_columns_may_be_the_values_of_the_one_input() -> None:
    split = {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}
    assert frame({"dataframe_split": split}, MATRIX) == {"x": [[1, 2, 3]]}
    assert frame({"dataframe_split": {"columns": ["t"], "data": [["a"]]}}, TEXT) == {"t": [["a"]]}


def test_instances_and_inputs_are_v1() -> None:
    assert (
        frame({"instances": [[1, 2, 3]]}, MATRIX) == frame({"inputs": {"x": [[1, 2, 3]]}}, MATRIX) == {"x": [[1, 2, 3]]}
    )


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], 'body: expected an object with one of "dataframe_split"'),
        ({"dataframe_split": {}, "instances": []}, "body: expected an object with one of"),
        ({"dataframe_split": 5}, "dataframe_split columns: expected a list of names"),
        ({"dataframe_split": {"columns": ["size", "size"], "data": [[1, 2]]}}, "names a column twice"),
        ({"dataframe_split": {"columns": ["size"], "data": []}}, "dataframe_split data: expected a list of rows"),
        (
            {"dataframe_split": {"columns": ["size"], "data": [[1], 2]}},
            r"data\[1\]: expected a list of 1 values, got a num",
        ),
        ({"dataframe_split": {"columns": ["size"], "data": [["x"]]}}, r'data\[0\] "size": expected FP32, got a string'),
        ({"dataframe_split": {"columns": ["z"], "data": [["x"]]}}, 'input "z": is not an input of this model'),
        ({"dataframe_records": {}}, "dataframe_records: expected a list of objects by column"),
        ({"dataframe_records": [{"size": 1}]}, r'dataframe_records\[0\] "kind": expected BYTES'),
    ],
)
def test_a_frame_that_is_none_is_refused(told: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        frame(told)


def test_the_answer_is_one_prediction_or_one_line_a_row() -> None:
    assert json.loads(invocations.write(answer(SCORE), "reject")) == {"predictions": [0.5, 0.25]}
    assert invocations.write_csv(answer(SCORE), "reject") == b"0.5\n0.25\n"
    assert invocations.write_csv(answer(SHARES), "reject") == b"0.25,0.75\n1.0,0.0\n"
    assert invocations.write_csv(answer(LABEL, SHARES), "reject") == (
        b"label,shares_0,shares_1\ncat,0.25,0.75\ndog,1.0,0.0\n"
    )


def test_cells_of_the_answer_are_quoted_empty_or_words() -> None:
    odd = (spec("y", "BYTES", -1, 1), np.array([['a,"b"']], dtype=object))
    flag = (spec("f", "BOOL", -1, 1), np.array([[True]]))
    lost = (SCORE[0], np.array([[np.nan]], np.float32))
    assert invocations.write_csv(answer(odd), "reject") == b'"a,""b"""\n'
    assert invocations.write_csv(answer(flag, lost), "null") == b"f,score\ntrue,\n"
    with pytest.raises(InvalidInput, match="outputs: do not have as many rows"):
        invocations.write_csv(answer(SCORE, flag), "reject")

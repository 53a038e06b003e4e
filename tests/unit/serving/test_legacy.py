"""The older protocols: rows and columns become the signature's tensors, and answers become rows again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.rest import legacy
from staytrue.errors import InvalidInput
from staytrue.signature import Signature, TensorSpec
from staytrue.tensors import Answer, Asked, Parsed


def spec(name: str, datatype: str, *shape: int) -> TensorSpec:
    """One tensor of a signature."""
    return TensorSpec(name=name, datatype=datatype, shape=list(shape))  # type: ignore[arg-type]


ROOMS = Signature(
    inputs=[spec("size", "FP32", -1, 1), spec("kind", "BYTES", -1, 1), spec("floor", "INT64", -1)], outputs=[]
)
MATRIX = Signature(inputs=[spec("x", "FP32", -1, 3)], outputs=[])
CUBE = Signature(inputs=[spec("x", "FP32", -1, 2, 2)], outputs=[])
TEXT = Signature(inputs=[spec("t", "BYTES", -1, 1)], outputs=[])
FREE = Signature(inputs=[spec("x", "FP64", -1, -1)], outputs=[])
ROW = {"size": 1.5, "kind": "attic", "floor": 4}


def read(told: Any, signature: Signature, policy: str = "reject") -> Any:
    """The tensors of a body of V1."""
    return tensors(legacy.parse(json.dumps(told).encode(), signature, policy)[0])


def tensors(parsed: Parsed) -> Any:
    """Arrays by name, as lists."""
    return {item.name: item.array.tolist() for item in parsed.inputs}


def test_rows_are_objects_by_input_name() -> None:
    other = {"floor": 0, "kind": "", "size": [2.5]}
    assert read({"instances": [ROW, other]}, ROOMS) == {
        "size": [[1.5], [2.5]],
        "kind": [["attic"], [""]],
        "floor": [4, 0],
    }


def test_rows_are_bare_where_there_is_one_input() -> None:
    assert read({"instances": [[1, 2, 3], [4, 5, 6]]}, MATRIX) == {"x": [[1, 2, 3], [4, 5, 6]]}
    assert read({"instances": [{"x": [1, 2, 3]}]}, MATRIX) == {"x": [[1, 2, 3]]}
    assert read({"instances": ["a", ["b"]][:1]}, TEXT) == {"t": [["a"]]}
    assert read({"instances": [[[1, 2], [3, 4]]]}, CUBE) == {"x": [[[1, 2], [3, 4]]]}
    assert read({"instances": [[1, 2], [3, 4]]}, FREE) == {"x": [[1, 2], [3, 4]]}


def test_columns_are_whole_tensors() -> None:
    told = {"size": [1.5, 2.5], "kind": [["a"], ["b"]], "floor": [1, 2]}
    body = json.dumps({"signature_name": "serving_default", "inputs": told}).encode()
    parsed, columns = legacy.parse(body, ROOMS, "reject")
    assert columns
    assert tensors(parsed) == {"size": [[1.5], [2.5]], "kind": [["a"], ["b"]], "floor": [1, 2]}
    assert read({"inputs": [[1, 2, 3]]}, MATRIX) == {"x": [[1, 2, 3]]}
    assert not legacy.parse(b'{"instances": [[1, 2, 3]]}', MATRIX, "reject")[1]


def test_datatypes_are_the_signatures() -> None:
    (item,) = legacy.parse(b'{"instances": [[1, 2, 3]]}', MATRIX, "reject")[0].inputs
    assert item.datatype == "FP32"
    assert item.array.dtype == np.float32


def test_bytes_may_come_in_base64() -> None:
    assert read({"instances": [{"b64": "c8O8w58="}]}, TEXT) == {"t": [["süß"]]}
    assert read({"instances": [{**ROW, "kind": {"b64": "YQ=="}}]}, ROOMS)["kind"] == [["a"]]


def test_missing_numbers_follow_the_policy() -> None:
    assert np.isnan(read({"instances": [[1, None, 3]]}, MATRIX, "null")["x"][0][1])
    with pytest.raises(InvalidInput, match=r"instances\[0\]: expected FP32, got nothing \(null\); .*nan_policy"):
        read({"instances": [[1, None, 3]]}, MATRIX)


REFUSED: list[tuple[str, Any, Signature, str]] = [
    ("no object", [1], MATRIX, 'body: expected an object with "instances" or "inputs"'),
    ("neither", {}, MATRIX, 'body: expected either "instances" or "inputs", got neither'),
    ("both", {"instances": [1], "inputs": [1]}, MATRIX, "got both"),
    (
        "another signature",
        {"signature_name": "x", "instances": [1]},
        MATRIX,
        'body "signature_name": expected "serving',
    ),
    ("no rows", {"instances": []}, MATRIX, "instances: expected a list of at least one row"),
    ("rows no list", {"instances": 5}, MATRIX, "instances: expected a list of at least one row, got a number 5"),
    (
        "bare rows of several inputs",
        {"instances": [[1]]},
        ROOMS,
        r'instances\[0\]: expected an object with "size", "kind"',
    ),
    (
        "an input missing",
        {"instances": [ROW, {"size": 1}]},
        ROOMS,
        r'instances\[1\] "kind": expected BYTES \[-1,1\], got noth',
    ),
    (
        "an input too many",
        {"instances": [{**ROW, "z": 1}]},
        ROOMS,
        r'instances\[0\] "z": is not an input .* takes size, kind',
    ),
    (
        "a row no object",
        {"instances": [ROW, 5]},
        ROOMS,
        r"instances\[1\]: expected an object like the first, got a number 5",
    ),
    (
        "another type",
        {"instances": [ROW, {**ROW, "size": "x"}]},
        ROOMS,
        r"""instances\[1\] "size": expected FP32, got .* 'x'""",
    ),
    (
        "fraction",
        {"instances": [{**ROW, "floor": 1.5}]},
        ROOMS,
        r'instances\[0\] "floor": expected INT64, got a number 1.5',
    ),
    (
        "too long a row",
        {"instances": [[1, 2, 3], [1, 2]]},
        MATRIX,
        r"instances\[1\]: expected a list of 3, got a list of 2",
    ),
    ("a row no list", {"instances": [[1, 2, 3], 7]}, MATRIX, r"instances\[1\]: expected a list of 3, got a number 7"),
    (
        "nested too little",
        {"instances": [[[1, 2], 3]]},
        CUBE,
        r"instances\[0\]: expected lists nested as \[2, 2\], got a num",
    ),
    ("nested too deep", {"instances": [[1, 2, [3]]]}, MATRIX, r"instances\[0\]: expected FP32, got a list"),
    (
        "beyond range",
        {"instances": [[1, 2, 1e39]]},
        MATRIX,
        r"instances\[0\]: expected finite FP32, got 1e.39, a number",
    ),
    ("no base64", {"instances": [{"b64": "?"}]}, TEXT, '"b64": expected UTF-8 in base64'),
    ("base64 no text", {"instances": [{"b64": "/w=="}]}, TEXT, '"b64": expected UTF-8 in base64'),
    ("base64 no string", {"instances": [{"b64": 5}]}, TEXT, r"instances\[0\]: expected BYTES, got an object"),
    ("unknown column", {"inputs": {"z": [1]}}, ROOMS, 'input "z": is not an input of this model; it takes "size"'),
    ("column no list", {"inputs": {"size": 5}}, ROOMS, 'input "size": expected a list with an entry for each row'),
    ("column's value", {"inputs": {"size": [1, "x"]}}, ROOMS, r'inputs "size"\[1\]: expected FP32, got a string'),
]


@pytest.mark.parametrize(
    ("told", "signature", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_not_the_signatures_is_refused_with_row_and_input(told: Any, signature: Signature, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(told, signature)


def test_keys_given_twice_are_refused() -> None:
    with pytest.raises(InvalidInput, match='key "x" is given twice'):
        legacy.parse(b'{"instances": [{"x": [1, 2, 3], "x": [1, 2, 3]}]}', MATRIX, "reject")


def answer(*outputs: tuple[TensorSpec, Any]) -> Answer:
    """An answer of these outputs."""
    told: list[tuple[Asked, Any]] = [(Asked(spec), array) for spec, array in outputs]
    return Answer("e", "", "m", "1", told)


SCORE = (spec("score", "FP32", -1, 1), np.array([[0.5], [0.25]], np.float32))
LABEL = (spec("label", "BYTES", -1, 1), np.array([["cat"], ["dog"]], dtype=object))
SHARES = (spec("shares", "FP64", -1, 2), np.array([[0.25, 0.75], [1, 0]]))


def written(told: Answer, policy: str = "reject", *, columns: bool = False) -> Any:
    """What the body of V1 says."""
    return json.loads(legacy.write(told, policy, columns=columns))


def test_predictions_are_bare_values_of_one_output_and_objects_of_several() -> None:
    assert written(answer(SCORE)) == {"predictions": [0.5, 0.25]}
    assert written(answer(SHARES)) == {"predictions": [[0.25, 0.75], [1, 0]]}
    assert written(answer(LABEL, SHARES)) == {
        "predictions": [{"label": "cat", "shares": [0.25, 0.75]}, {"label": "dog", "shares": [1, 0]}]
    }


def test_columns_keep_their_shape() -> None:
    assert written(answer(SCORE), columns=True) == {"outputs": [[0.5], [0.25]]}
    assert written(answer(LABEL, SCORE), columns=True) == {
        "outputs": {"label": [["cat"], ["dog"]], "score": [[0.5], [0.25]]}
    }
    cube = (spec("cube", "INT8", -1, 2, 2), np.arange(8, dtype=np.int8).reshape(2, 2, 2))
    assert written(answer(cube), columns=True) == {"outputs": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]}
    assert written(answer((spec("one", "INT8"), np.array(3, np.int8))), columns=True) == {"outputs": 3}


def test_answers_that_are_not_finite_follow_the_policy() -> None:
    lost = answer((SCORE[0], np.array([[np.nan]], np.float32)))
    assert written(lost, "null") == {"predictions": [None]}
    with pytest.raises(InvalidInput, match='output "score": came out NaN'):
        written(lost)


def test_outputs_of_other_numbers_of_rows_are_no_rows() -> None:
    with pytest.raises(InvalidInput, match="outputs: do not have as many rows"):
        written(answer(SCORE, (spec("one", "INT8", 1), np.array([3], np.int8))))


def test_the_status_speaks_to_both_kinds_of_callers() -> None:
    told = legacy.status("m", "7", ready=True)
    assert (told["name"], told["ready"]) == ("m", True)
    (state,) = told["model_version_status"]
    assert state == {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert legacy.status("m", "7", ready=False)["model_version_status"][0]["state"] != "AVAILABLE"


V2 = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}


@pytest.mark.parametrize(
    "told",
    [
        [[1, 2, 3]],
        [{"x": [1, 2, 3]}],
        {"x": [1, 2, 3]},
        {"instances": [[1, 2, 3]]},
        {"inputs": {"x": [[1, 2, 3]]}},
        {"inputs": [[1, 2, 3]]},
        V2,
        {**V2, "unknown": 1},
    ],
)
def test_torchserve_takes_rows_an_object_v1_and_v2(told: Any) -> None:
    assert tensors(legacy.parse_torchserve(json.dumps(told).encode(), MATRIX, "reject")) == {"x": [[1, 2, 3]]}


def test_torchserve_takes_one_row_by_input_name() -> None:
    parsed = legacy.parse_torchserve(json.dumps(ROW).encode(), ROOMS, "reject")
    assert tensors(parsed) == {"size": [[1.5]], "kind": [["attic"]], "floor": [4]}


def test_an_input_called_as_the_protocols_key_is_an_input() -> None:
    named = Signature(inputs=[spec("inputs", "FP32", -1, 1)], outputs=[])
    assert tensors(legacy.parse_torchserve(b'{"inputs": 2}', named, "reject")) == {"inputs": [[2]]}


@pytest.mark.parametrize(
    ("body", "said"), [(b"5", "expected a list of rows"), (b"[]", "at least one row"), (b"", "got nothing")]
)
def test_torchserve_refuses_what_is_none_of_these(body: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        legacy.parse_torchserve(body, MATRIX, "reject")


def test_torchserve_answers_a_list_of_one_entry_a_row() -> None:
    assert json.loads(legacy.write_torchserve(answer(LABEL), "reject")) == ["cat", "dog"]
    assert json.loads(legacy.write_torchserve(answer(LABEL, SCORE), "reject"))[1] == {"label": "dog", "score": 0.25}

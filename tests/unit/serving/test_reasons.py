"""The log line of a failed request says why, in the same words over both protocols, and nothing of what was sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from serving.reasons import LONGEST, reason_of
from staytrue.errors import InvalidInput, NotFound, StaytrueError, Unavailable
from tests.unit.serving import grpc_house, house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

INFER = "/v2/models/tiny/infer"


@pytest.fixture
def rest(store: Store, tmp_path: Path) -> Iterator[house.House]:
    """A server over REST."""
    made = house.House(store, tmp_path)
    yield made
    made.close()


@pytest.fixture
def rpc(store: Store, tmp_path: Path) -> Iterator[grpc_house.House]:
    """A server over gRPC."""
    made = grpc_house.House(store, tmp_path)
    yield made
    made.close()


def line(caplog: pytest.LogCaptureFixture) -> str:
    """The one line of a request."""
    (told,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("request event=")]
    return told


def body(kind: Any = "a", number: str = "number") -> dict[str, Any]:
    """A request in JSON."""
    inputs = ((number, "FP32", 1.5), ("kind", "BYTES", kind), ("count", "INT64", 10))
    return {"inputs": [{"name": n, "datatype": d, "shape": [1, 1], "data": [v]} for n, d, v in inputs]}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (body(kind=4111111), " status=invalid_input ms=0.0 where='input \"kind\" data[0]' expected='BYTES'"),
        (body(number="4111111"), "where='input \"…\"' problem='is not an input of this model'"),
        ([4111111], "where='body' expected='an object'"),
    ],
    ids=["value", "name", "list"],
)
def test_over_rest_the_line_says_where_and_expected_and_no_value(
    rest: house.House, caplog: pytest.LogCaptureFixture, sent: Any, said: str
) -> None:
    with caplog.at_level(logging.INFO):
        answer = rest.client.post(INFER, json=sent)
    assert answer.status_code == 400
    assert "4111111" in answer.text  # the caller is told
    assert line(caplog).endswith(said)
    assert "4111111" not in caplog.text


def test_over_rest_the_line_of_broken_json_says_which_place(
    rest: house.House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        rest.client.post(INFER, content=b'{"secret": tru}')
    assert line(caplog).endswith("problem='is not JSON'")
    assert "secret" not in caplog.text


def test_a_csv_without_a_line_of_names_leaves_no_value_in_the_log(
    rest: house.House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = rest.client.post("/invocations", content=b"4111111,Smith\n1,2\n", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 400
    assert "status=invalid_input" in line(caplog)
    assert "4111111" not in caplog.text
    assert "Smith" not in caplog.text


def test_over_grpc_the_line_says_where_and_expected_and_no_value(
    rpc: grpc_house.House, caplog: pytest.LogCaptureFixture
) -> None:
    asked = grpc_house.request()
    asked.inputs[1].contents.bytes_contents[0] = b"\xff4111111"
    with caplog.at_level(logging.INFO):
        grpc_house.refused(lambda: rpc.stub.ModelInfer(asked, timeout=20))
    assert "protocol=grpc status=invalid_input" in line(caplog)
    assert line(caplog).endswith("where='input \"kind\" contents, element 0' expected='UTF-8'")
    assert "4111111" not in caplog.text


def test_over_grpc_a_model_that_is_not_there_is_named(rpc: grpc_house.House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        grpc_house.refused(lambda: rpc.stub.ModelInfer(grpc_house.request(model_name="tyni"), timeout=20))
    assert "status=not_found" in line(caplog)
    assert "where='model \"tyni\"'" in line(caplog)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("event log", "cannot be written: No space left"), "problem='cannot be written: No space left'"),
        (NotFound("/v2/x", "is no address: really"), " where='/v2/x' problem='is no address'"),
        (InvalidInput("body", 'key "card 4111" is given twice'), "problem='key \"…\" is given twice'"),
        (InvalidInput('body "inputs"', expected="a list", got="4111"), " where='body \"inputs\"' expected='a list'"),
        (InvalidInput("a\nb"), " where='a\\nb'"),
    ],
    ids=["ours", "address", "key", "part", "two lines"],
)
def test_a_reason_keeps_our_words_and_leaves_out_the_callers(error: StaytrueError, said: str) -> None:
    assert reason_of(error, ()).endswith(said)


def test_a_reason_is_bounded() -> None:
    error = InvalidInput("x" * 10_000, "y" * 10_000, expected="z" * 10_000, got="g" * 10_000)
    assert len(reason_of(error, ())) < 3 * LONGEST + 50

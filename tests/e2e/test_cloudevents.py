"""A model served by KServe, watched by its payload log alone: no server of ours runs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from examples.bikeshare.demo.client import Connection, infer_body, wait_until
from examples.bikeshare.demo.story import lake_ids
from examples.bikeshare.demo.stream import DAY, read
from staytrue.store import Store
from tests.kserve import REQUEST, RESPONSE, Logger, headers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service
    from examples.bikeshare.demo.stream import Row
    from staytrue.signature import Signature

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e


def asked(row: Row, signature: Signature) -> dict[str, Any]:
    """The V2 request of one hour."""
    inputs = [{"name": spec.name, "datatype": spec.datatype} for spec in signature.inputs]
    return {"id": f"hour {row.time:.0f}", "inputs": infer_body(row, inputs)["inputs"]}


def answered(row: Row, signature: Signature) -> dict[str, Any]:
    """The V2 answer of a server elsewhere, which is off by half."""
    output = {"name": signature.outputs[0].name, "datatype": "FP32", "shape": [1, 1], "data": [row.truth / 2]}
    return {"model_name": "bikes", "model_version": "1", "id": f"hour {row.time:.0f}", "outputs": [output]}


def name(row: Row) -> str:
    """The id that the caller gave in its own Ce-Id header, which KServe keeps."""
    return f"bike-{row.time:.0f}"


def pairs(logger: Logger, rows: list[Row], signature: Signature) -> None:
    """Both events of each hour, every third time the answer first, as the logger's workers may have it."""
    for place, row in enumerate(rows):
        both = [
            (headers(REQUEST, name(row), "bikes", row.time), asked(row, signature)),
            (headers(RESPONSE, name(row), "bikes", row.time + 0.25), answered(row, signature)),
        ]
        states = [logger.send(*half) for half in (reversed(both) if place % 3 == 2 else both)]
        assert states == [(202, {"state": "waiting"}), (202, {"state": "paired"})]


def test_a_model_served_by_kserve_shows_drift_and_quality(project: Path, start: Starter) -> None:
    signature = Store(project.parent / "store").load("bikes", "1").signature
    may = [row for row in read() if row.values["mnth"] == "May"][: 20 * 24]
    first = start("monitor", project)
    logger = Logger(first.address)
    pairs(logger, may[:100], signature)
    caught = may[100]  # the sidecar dies between its request and its answer
    assert logger.send(headers(REQUEST, name(caught), "bikes", caught.time), asked(caught, signature))[0] == 202
    first.kill()
    logger.close()
    sidecar = start("monitor", project)
    logger, told = Logger(sidecar.address), Connection(sidecar.address)
    answer = headers(RESPONSE, name(caught), "bikes", caught.time + 0.25), answered(caught, signature)
    assert logger.send(*answer) == (202, {"state": "paired"})
    assert logger.send(*answer) == (202, {"state": "duplicate"})
    for _, day in itertools.groupby(may[101:], key=lambda row: row.time // DAY):
        hours = list(day)
        labels = [{"event_id": name(row), "truth": row.truth, "known": row.time + 3600} for row in hours]
        assert told.call("POST", "/v1/labels", {"labels": labels})[0] == 200
        pairs(logger, hours, signature)
    looked = wait_until(
        lambda: [w for w in told.call("GET", "/v1/windows?model=bikes")[1] if w["end"] >= may[-1].time // DAY * DAY],
        30,
        "the last look",
        0.1,
    )
    assert looked[-1]["version"] == "1"
    assert max(item["evidence"] for item in looked[-1]["drift"]) > 1
    assert looked[-1]["quality"]["evidence"] > 1
    wait_until(lambda: told.call("GET", "/v1/status")[1]["counts"]["events"] == len(may), 30, "the last hours", 0.1)
    assert sorted(lake_ids(project.parent / "monitoring")) == sorted(map(name, may))
    status = told.call("GET", "/v1/status")[1]
    assert status["counts"]["by_status"] == {"ok": len(may)}
    logger.close()
    told.close()

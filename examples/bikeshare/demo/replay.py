"""The replay: the year's hours as live requests over REST and gRPC, each hour's truth told one event-hour later."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from examples.bikeshare.demo.client import Connection, infer_body, wait_until
from examples.bikeshare.demo.rpc import Calls, infer_request
from examples.bikeshare.demo.stream import DAY, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOUR = 3600.0
PACE_SECONDS = 0.2
"""Pause between requests while a retraining runs: training takes real time, so event time must not race away."""


@dataclass(frozen=True)
class Answer:
    """What the application was told about one hour."""

    row: Row
    event_id: str
    version: str
    prediction: float
    protocol: str


@dataclass
class Replay:
    """Sends rows, every second one over gRPC, and keeps what came back."""

    server: str
    grpc: str
    sidecar: str
    model: str
    pace: float = PACE_SECONDS
    answers: list[Answer] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    """Ids of the events whose label was accepted."""
    failures: list[str] = field(default_factory=list)
    """Requests that were answered, but not with a prediction."""
    on_day: Callable[[float], None] = lambda _: None

    def __post_init__(self) -> None:
        self._infer, self._monitor = Connection(self.server), Connection(self.sidecar)
        self._calls, self._sent = Calls(self.grpc), 0
        _, metadata = self._infer.call("GET", f"/v2/models/{self.model}")
        self._inputs: list[dict[str, Any]] = metadata["inputs"]
        self._owed: Answer | None = None

    def run(self, rows: Sequence[Row], title: str) -> None:
        """Replay rows in order; returns when the sidecar has looked at all of them but the last day."""
        for row in tqdm(rows, desc=title, unit="h", mininterval=2.0, ncols=90):
            if self._owed and row.time // DAY > self._owed.row.time // DAY:
                self._send(row)
                self._wait_for_look(row.time // DAY * DAY)
                self.on_day(row.time)
            else:
                self._send(row)
            if self._busy:
                time.sleep(self.pace)
                self._busy = self.status()["job"] is not None
        self.label_owed()

    _busy = False

    def _send(self, row: Row) -> None:
        self.label_owed()
        self._sent += 1
        if self._sent % 2:
            protocol, path = "rest", f"/v2/models/{self.model}/infer"
            status, body = self._infer.call("POST", path, infer_body(row, self._inputs))
        else:
            protocol = "grpc"
            status, body = self._calls.infer(infer_request(self.model, row, self._inputs))
        if status != 200:
            self.failures.append(f"{protocol}: {status} {body}")
            return
        prediction = float(body["outputs"][0]["data"][0])
        answer = Answer(row, body["parameters"]["event_id"], body["model_version"], prediction, protocol)
        self.answers.append(answer)
        self._owed = answer

    def label_owed(self) -> None:
        """Tell the truth about the hour before: the bikes have been rented by now."""
        if self._owed is None:
            return
        label = {"event_id": self._owed.event_id, "truth": self._owed.row.truth, "known": self._owed.row.time + HOUR}
        status, body = self._monitor.call("POST", "/v1/labels", {"labels": [label]})
        if status == 200:
            self.labelled.append(self._owed.event_id)
        else:
            self.failures.append(f"label: {status} {body}")
        self._owed = None

    def status(self) -> dict[str, Any]:
        """The sidecar's own account of itself."""
        answer: dict[str, Any] = self._monitor.call("GET", "/v1/status")[1]
        return answer

    def _wait_for_look(self, end: float) -> None:
        """Event time runs a thousand times faster than life: give the sidecar its moment at each day's end."""

        def looked() -> dict[str, Any] | None:
            status = self.status()
            return status if (status["looked_until"] or 0) >= end else None

        self._busy = wait_until(looked, 60, "the sidecar's look at a day")["job"] is not None

    def settle(self, seconds: float = 120) -> dict[str, Any]:
        """Wait until everything answered has been collected and no job runs; the status then."""

        def settled() -> dict[str, Any] | None:
            status = self.status()
            return status if status["job"] is None and status["backlog_bytes"] == 0 else None

        return dict(wait_until(settled, seconds, "collecting the rest", pause=0.05))

    def close(self) -> None:
        """Let go of all connections."""
        self._infer.close()
        self._calls.close()
        self._monitor.close()

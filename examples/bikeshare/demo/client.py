"""The two calls over HTTP that an application makes: ask for a prediction, and tell the truth once it is known."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from examples.bikeshare.demo.stream import Row


class Connection:
    """One kept-alive connection to a local server; closed by a request that got no answer, opened by the next."""

    def __init__(self, address: str) -> None:
        self.address = address.removeprefix("http://")
        self._http = http.client.HTTPConnection(self.address, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send JSON, get status and JSON.

        Raises:
            OSError, http.client.HTTPException: no answer; nothing was acknowledged.
        """
        data = None if body is None else json.dumps(body).encode()
        try:
            self._http.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = self._http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()


def infer_body(row: Row, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """An Open Inference Protocol request of one row, in the datatypes that the model's metadata names."""
    tensors = []
    for spec in inputs:
        text = row.values[spec["name"]]
        value = (
            text if spec["datatype"] == "BYTES" else int(text) if spec["datatype"].startswith("INT") else float(text)
        )
        tensors.append({"name": spec["name"], "datatype": spec["datatype"], "shape": [1, 1], "data": [value]})
    return {"inputs": tensors, "parameters": {"event_time": row.time}}


def wait_until(condition: Any, seconds: float, what: str, pause: float = 0.004) -> Any:
    """Ask again until the answer is true; the answer.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
    return answer

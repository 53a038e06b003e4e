"""What KServe's payload logger writes to its url, byte for byte, as its source says.

Sources: kserve/kserve ``pkg/logger/worker.go`` (the attributes, binary mode), ``handler.go`` (one id for both
sides, the request's content type on both, answers of status 200 alone); cloudevents/sdk-go
``v2/protocol/http/write_request.go`` (attributes as plain headers ``Ce-…``); Go's net/http (headers sorted, its user
agent, ``Accept-Encoding`` last).
"""

from __future__ import annotations

import datetime
import http.client
import json
import socket
from typing import Any

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"


def stamp(seconds: float) -> str:
    """A time as Go writes it: RFC 3339 with nanoseconds."""
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{moment.microsecond:06d}789Z"


def headers(kind: str, name: str, model: str, seconds: float, **more: str) -> dict[str, str]:
    """The headers of one event, in the order of the wire; ``more`` replaces attributes."""
    said = {
        "Ce-Component": "predictor",
        "Ce-Endpoint": "",
        "Ce-Id": name,
        "Ce-Inferenceservicename": model,
        "Ce-Metadata": "{}",
        "Ce-Namespace": "default",
        "Ce-Source": "http://localhost:9081/",
        "Ce-Specversion": "1.0",
        "Ce-Time": stamp(seconds),
        "Ce-Type": kind,
        "Content-Type": "application/json",
    }
    return said | {f"Ce-{key.capitalize()}": value for key, value in more.items()}


def message(host: str, said: dict[str, str], body: bytes) -> bytes:
    """One POST as Go's client writes it."""
    first = {"Host": host, "User-Agent": "Go-http-client/1.1", "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in (first | said | {"Accept-Encoding": "gzip"}).items()]
    return "\r\n".join(["POST /v1/events HTTP/1.1", *lines, "", ""]).encode() + body


class Logger:
    """Sends events over one kept-alive connection, as the logger does."""

    def __init__(self, address: str) -> None:
        self._host = address.removeprefix("http://")
        host, port = self._host.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)

    def send(self, said: dict[str, str], payload: Any) -> tuple[int, Any]:
        """Send one event; status and body of the answer."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._socket.sendall(message(self._host, said, body))
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()

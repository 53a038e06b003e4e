"""An ONNX file in KServe's Python server, in one process, without gRPC."""

from __future__ import annotations

import sys
from typing import Any

import kserve  # type: ignore[import-not-found]
import uvicorn

from benchmarks.peers.session import session


class Onnx(kserve.Model):  # type: ignore[misc]
    """Runs the first input."""

    def __init__(self, path: str) -> None:
        super().__init__("bench")
        self._session = session(path)
        self.ready = True

    async def predict(self, payload: Any, *_: object, **__: object) -> Any:
        """Run one request."""
        tensor = payload.inputs[0]
        (y,) = self._session.run(None, {tensor.name: tensor.as_numpy()})
        output = kserve.InferOutput(name="y", datatype="FP32", shape=list(y.shape))
        output.set_data_from_numpy(y, binary_data=False)
        return kserve.InferResponse(response_id="", model_name="bench", infer_outputs=[output])


class Loopback(uvicorn.Config):
    """KServe listens on every address, and has no setting for it."""

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **settings | {"host": "127.0.0.1"})


if __name__ == "__main__":
    uvicorn.Config = Loopback  # type: ignore[misc, assignment]
    server = kserve.ModelServer(http_port=int(sys.argv[2]), workers=1, enable_grpc=False, enable_latency_logging=False)
    server.start([Onnx(sys.argv[1])])

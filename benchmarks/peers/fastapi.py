"""The least that serves an ONNX file over HTTP with FastAPI: no model of the body, no limits, no log, no reload."""

from __future__ import annotations

import sys

import fastapi
import numpy as np
import orjson
import uvicorn

from benchmarks.peers.session import session

LENGTH = "inference-header-content-length"


def application(path: str) -> fastapi.FastAPI:
    """Takes and gives the Open Inference Protocol's shapes, JSON and binary, and trusts them."""
    app, model = fastapi.FastAPI(), session(path)

    async def infer(request: fastapi.Request) -> fastapi.Response:
        body, head = await request.body(), request.headers.get(LENGTH)
        tensor = orjson.loads(body if head is None else body[: int(head)])["inputs"][0]
        if head is None:
            array = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        else:
            array = np.frombuffer(body, np.float32, offset=int(head)).reshape(tensor["shape"])
        (y,) = model.run(None, {tensor["name"]: array})
        output = {"name": "y", "datatype": "FP32", "shape": y.shape}
        if head is None:
            answer = orjson.dumps({"model_name": "bench", "outputs": [output | {"data": y.ravel().tolist()}]})
            return fastapi.Response(answer, media_type="application/json")
        told = orjson.dumps({"outputs": [output | {"parameters": {"binary_data_size": y.nbytes}}]})
        return fastapi.Response(told + y.tobytes(), headers={LENGTH: str(len(told))})

    app.post("/v2/models/bench/infer")(infer)
    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )

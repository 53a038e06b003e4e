"""The baseline: the least that serves the same ONNX file over HTTP. No validation, no limits, no log, no reload."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


def application(path: Path) -> Starlette:
    """Takes and gives the Open Inference Protocol's shape, and trusts it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    async def infer(request: Request) -> Response:
        tensor = orjson.loads(await request.body())["inputs"][0]
        array = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
        (result,) = session.run(None, {tensor["name"]: array})
        output = {"name": "y", "datatype": "FP32", "shape": list(result.shape), "data": result.ravel().tolist()}
        return Response(orjson.dumps({"outputs": [output]}), media_type="application/json")

    return Starlette(routes=[Route("/v2/models/bench/infer", infer, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        application(Path(sys.argv[1])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
    )

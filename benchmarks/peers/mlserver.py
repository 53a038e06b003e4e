"""An ONNX file in MLServer, in its own process (no workers), without its metrics."""

from __future__ import annotations

import asyncio
import socket
import sys

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings  # type: ignore[import-not-found]
from mlserver.settings import ModelParameters  # type: ignore[import-not-found]
from mlserver.types import (  # type: ignore[import-not-found]
    InferenceRequest,
    InferenceResponse,
    ResponseOutput,
    TensorData,
)

from benchmarks.peers.session import session


class Onnx(MLModel):  # type: ignore[misc]
    """Runs the first input."""

    async def load(self) -> bool:
        """Open the file that the settings name."""
        self._session = session(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run one request."""
        tensor = payload.inputs[0]
        array = np.array(tensor.data, np.float32).reshape(tensor.shape)
        (y,) = self._session.run(None, {tensor.name: array})
        data = TensorData(y.ravel().tolist())
        output = ResponseOutput(name="y", datatype="FP32", shape=list(y.shape), data=data)
        return InferenceResponse(model_name=self.name, outputs=[output])


async def serve(path: str, port: int, folder: str) -> None:
    """Serve until a signal."""
    with socket.create_server(("127.0.0.1", 0)) as free:  # its gRPC cannot be switched off
        rpc = free.getsockname()[1]
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=rpc,
        metrics_endpoint=None,
        parallel_workers=0,
        load_models_at_startup=False,
        model_repository_root=folder,
        debug=False,
    )
    # By name: the class in a module that runs as a program cannot be imported again.
    parameters = ModelParameters(uri=path)
    model = ModelSettings(name="bench", implementation="benchmarks.peers.mlserver.Onnx", parameters=parameters)
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

"""The same question over gRPC: a prediction by the Open Inference Protocol's own messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from serving.proto.open_inference_grpc_pb2 import InferParameter, ModelInferRequest
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub

if TYPE_CHECKING:
    from examples.bikeshare.demo.stream import Row

FIELDS = {"FP32": "fp32_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}
"""Where the values of each datatype stand."""


class Calls:
    """One channel to a local server."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stub = GRPCInferenceServiceStub(self._channel)

    def infer(self, request: ModelInferRequest) -> tuple[int, Any]:
        """Ask for a prediction: 200 and what REST would say of it, or the status and its details."""
        try:
            told = self._stub.ModelInfer(request, timeout=30)
        except grpc.RpcError as error:
            return error.code().value[0], error.details()
        outputs = [{"name": item.name, "data": list(item.contents.fp32_contents)} for item in told.outputs]
        parameters = {"event_id": told.parameters["event_id"].string_param}
        return 200, {"model_version": told.model_version, "parameters": parameters, "outputs": outputs}

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()


def infer_request(model: str, row: Row, inputs: list[dict[str, Any]]) -> ModelInferRequest:
    """A request of one row, in the datatypes that the model's metadata names."""
    request = ModelInferRequest(model_name=model, parameters={"event_time": InferParameter(double_param=row.time)})
    for spec in inputs:
        text, datatype = row.values[spec["name"]], spec["datatype"]
        value = text.encode() if datatype == "BYTES" else int(text) if datatype == "INT64" else float(text)
        tensor = request.inputs.add(name=spec["name"], datatype=datatype, shape=[1, 1])
        getattr(tensor.contents, FIELDS[datatype]).append(value)
    return request

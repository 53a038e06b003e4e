"""The least that serves an ONNX file over gRPC: the synchronous server, raw contents, no check of anything."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np

from benchmarks.peers.session import session
from serving.proto.open_inference_grpc_pb2 import ModelInferRequest, ModelInferResponse

MODEL = session(sys.argv[1])


def infer(request: ModelInferRequest, _: object) -> ModelInferResponse:
    """Run one request."""
    tensor = request.inputs[0]
    array = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(tensor.shape)
    (y,) = MODEL.run(None, {tensor.name: array})
    answer = ModelInferResponse(model_name="bench", raw_output_contents=[y.tobytes()])
    answer.outputs.add(name="y", datatype="FP32", shape=y.shape)
    return answer


if __name__ == "__main__":
    call = grpc.unary_unary_rpc_method_handler(
        infer, ModelInferRequest.FromString, ModelInferResponse.SerializeToString
    )
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": call})
    server = grpc.server(ThreadPoolExecutor(max_workers=8), handlers=[service])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    server.start()
    server.wait_for_termination()

"""Other servers of the same ONNX file, each the least code that serves it; which ones, and how they are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A server that Staytrue is compared with; started as ``python -m benchmarks.peers.NAME MODEL PORT FOLDER``."""

    title: str
    forms: tuple[str, ...] = ("json", "binary")
    """How it is asked: tensors as JSON, by the protocol's binary extension, or over gRPC."""
    path: str = "/v2/models/bench/infer"
    alone: bool = False
    """Whether its packages fight ours: it then has an environment of its own, from ``benchmarks/peers/NAME.txt``."""


PEERS = {
    "floor": Peer("Answers from memory, floor", forms=("json",)),
    "fastapi": Peer("FastAPI, minimal"),
    "grpc": Peer("gRPC, minimal", forms=("grpc",)),
    "mlserver": Peer("MLServer", forms=("json",), alone=True),
    "kserve": Peer("KServe", forms=("json",), alone=True),
    "torchserve": Peer("TorchServe, batch 32", forms=("json",), path="/predictions/bench"),
}

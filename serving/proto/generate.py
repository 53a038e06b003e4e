"""Writes the Python of the pinned .proto files: ``python -m serving.proto.generate [FOLDER]``. Needs grpcio-tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = "serving/proto/open_inference_grpc.proto"
SERVICE = "GRPCInferenceService"
METHODS = (
    "ServerLive",
    "ServerReady",
    "ModelReady",
    "ServerMetadata",
    "ModelMetadata",
    "ModelInfer",
    "ModelStreamInfer",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
)
STREAM = "ModelStreamInfer"
OTHER = "serving/proto/tensorflow_serving.proto"
"""Of it only the messages are needed."""


def generate(folder: Path) -> list[Path]:
    """Write messages, stubs and types below a folder; their paths.

    Raises:
        subprocess.CalledProcessError: protoc refuses the file, or is not installed.
    """
    folder = folder.resolve()
    made: list[Path] = []
    for proto, kinds in ((PROTO, ("python", "pyi", "grpc_python")), (OTHER, ("python", "pyi"))):
        out = [f"--{kind}_out={folder}" for kind in kinds]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", *out, proto], cwd=ROOT, check=True)
        messages = Path(f"{(folder / proto).with_suffix('')}_pb2.py")
        _own_pool(messages)
        made += [messages, messages.with_suffix(".pyi")]
    stubs = Path(f"{(folder / PROTO).with_suffix('')}_pb2_grpc.py")
    types = stubs.with_suffix(".pyi")
    types.write_text(_stub_types(), encoding="utf-8")
    return [*made, stubs, types]


def _own_pool(path: Path) -> None:
    """Every library of this protocol registers the same names, and a process may hold two: tritonclient beside ours.

    In protobuf's one default pool the second to be imported would fail.
    """
    text = path.read_text(encoding="utf-8")
    shared = "_descriptor_pool.Default().AddSerializedFile"
    if text.count(shared) != 1:
        raise ValueError(f"{path}: expected {shared} once, got {text.count(shared)} times")
    path.write_text(text.replace(shared, "_descriptor_pool.DescriptorPool().AddSerializedFile"), encoding="utf-8")


def _stub_types() -> str:
    """What protoc does not write: the types of the stub."""
    calls = "".join(
        f"    {name}: _Call[open_inference_grpc_pb2.{name}Request, open_inference_grpc_pb2.{name}Response]\n"
        for name in METHODS
        if name != STREAM
    )
    requests = "open_inference_grpc_pb2.ModelInferRequest"
    responses = f"open_inference_grpc_pb2.{STREAM}Response"
    calls += f"    {STREAM}: Callable[[Iterator[{requests}]], Iterator[{responses}]]\n"
    return (
        "from typing import Callable, Generic, Iterator, Protocol, Sequence, TypeVar\n\n"
        "import grpc\n\n"
        "from serving.proto import open_inference_grpc_pb2\n\n"
        '_Request = TypeVar("_Request", contravariant=True)\n'
        '_Response = TypeVar("_Response", covariant=True)\n\n'
        "class _Call(Protocol, Generic[_Request, _Response]):\n"
        "    def __call__(\n"
        "        self,\n"
        "        request: _Request,\n"
        "        timeout: float | None = None,\n"
        "        metadata: Sequence[tuple[str, str | bytes]] | None = None,\n"
        "        *,\n"
        "        wait_for_ready: bool | None = None,\n"
        "        compression: grpc.Compression | None = None,\n"
        "    ) -> _Response: ...\n\n"
        f"class {SERVICE}Stub:\n"
        "    def __init__(self, channel: grpc.Channel) -> None: ...\n"
        f"{calls}"
    )


if __name__ == "__main__":
    for made in generate(Path(sys.argv[1]) if sys.argv[1:] else ROOT):
        print(made)

"""Writes the Python of the pinned .proto: ``python -m serving.proto.generate [FOLDER]``. Needs grpcio-tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = "serving/proto/open_inference_grpc.proto"
SERVICE = "GRPCInferenceService"
METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")


def generate(folder: Path) -> list[Path]:
    """Write messages, stubs and types below a folder; their paths.

    Raises:
        subprocess.CalledProcessError: protoc refuses the file, or is not installed.
    """
    folder = folder.resolve()
    out = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", *out, PROTO], cwd=ROOT, check=True)
    stem = (folder / PROTO).with_suffix("")
    messages, stubs = Path(f"{stem}_pb2.py"), Path(f"{stem}_pb2_grpc.py")
    _own_pool(messages)
    types = Path(f"{stem}_pb2_grpc.pyi")
    types.write_text(_stub_types(), encoding="utf-8")
    return [messages, messages.with_suffix(".pyi"), stubs, types]


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
    )
    return (
        "from typing import Generic, Protocol, Sequence, TypeVar\n\n"
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

"""Feeds the codecs bytes that atheris makes up, guided by coverage: a refusal is fine, anything else is a fault.

``python -m tests.fuzz.codecs [SECONDS]``. Found inputs lie in ``build/fuzz``, and belong into a test.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import atheris

with atheris.instrument_imports(include=["serving", "staytrue"]):
    from serving.grpc import codec as grpc_codec
    from serving.proto.open_inference_grpc_pb2 import ModelInferRequest
    from serving.rest import binary, bodies, codec, invocations, legacy
    from staytrue.errors import StaytrueError
    from staytrue.signature import Signature, TensorSpec
    from staytrue.tensors import accepted, wanted

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS, LONGEST = 60, 4096
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="n", datatype="FP32", shape=[-1, 2]),
        TensorSpec(name="t", datatype="BYTES", shape=[-1, 1], categories=["a"]),
        TensorSpec(name="b", datatype="BF16", shape=[-1]),
    ],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 2])],
)
SEEDS = [
    b'\0{"inputs":[{"name":"n","datatype":"FP32","shape":[1,2],"data":[1.5,2]}],"id":"a"}',
    b'\0{"inputs":[{"name":"t","datatype":"BYTES","shape":[1,1],"data":["a"]}]}',
    b'\0{"inputs":[{"name":"b","datatype":"BF16","shape":[1],"data":[1]}],"outputs":[{"name":"y"}]}',
    b'\1\x7f{"inputs":[{"name":"n","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}12345678',
    b'\2{"instances":[{"n":[1,2],"t":"a","b":1}]}',
    b'\3[{"n":[1,2],"t":"a","b":1}]',
    b"\4n,t,b\n1,a,2\n",
    b'\5{"dataframe_split":{"columns":["n","t","b"],"data":[[[1,2],"a",1]]}}',
    b"\6" + ModelInferRequest(model_name="m", raw_input_contents=[b"12345678"]).SerializeToString(),
    b"\7\x1f\x8b\x08",
]


def read(data: bytes) -> Any:
    """Read a body by the codec that its first byte names."""
    kind, body = data[0] % 8, data[1:]
    policy = ("reject", "null", "string")[data[0] // 8 % 3]
    readers: list[Callable[[], Any]] = [
        lambda: codec.parse(body, policy),
        lambda: binary.parse(body[1:], str(body[0] if body else 0), policy, SIGNATURE),
        lambda: legacy.parse(body, SIGNATURE, policy)[0],
        lambda: legacy.parse_torchserve(body, SIGNATURE, policy),
        lambda: invocations.parse_csv(body, SIGNATURE, policy),
        lambda: invocations.parse_json(body, SIGNATURE, policy),
        lambda: grpc_codec.parse(grpc_codec.message(ModelInferRequest, body)),
        lambda: bodies.unpacked(body, b"gzip", LONGEST),
    ]
    return readers[kind]()


def feed(data: bytes) -> None:
    """One made-up body; an exception that is no refusal ends the run."""
    if not data:
        return
    try:
        parsed = read(data)
        if not isinstance(parsed, bytes):
            accepted(SIGNATURE, 16, parsed.inputs)
            wanted(SIGNATURE, parsed)
    except StaytrueError as error:
        str(error).encode()  # it can be told


def main() -> None:
    """Fuzz for so many seconds."""
    found = Path("build/fuzz")
    seeds = found / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (seeds / str(number)).write_bytes(seed)
    seconds = sys.argv[1] if len(sys.argv) > 1 else str(SECONDS)
    bounds = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-artifact_prefix={found}/"]
    atheris.Setup([sys.argv[0], *bounds, str(seeds)], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

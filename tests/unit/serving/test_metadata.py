"""Metadata tell all of a signature: over REST and over gRPC it can be made anew of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict

from serving.description import Description
from serving.grpc import codec as grpc
from serving.rest import codec as rest
from staytrue.bundle import Bundle
from staytrue.lineage import Lineage
from staytrue.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="sound", datatype="FP32", shape=[-1, -1], unit="amplitude", range=[-1, 1], typical=[1, 576]),
        TensorSpec(name="state", datatype="FP32", shape=[2, -1, 8], state="stateN", description="what it remembers"),
        TensorSpec(name="rate", datatype="INT64", shape=[], categories=["16000", "8000"], unit="Hz"),
        TensorSpec(name="said", datatype="BYTES", shape=[-1, 1], tokenizer="tokenizer-1.json", tokens=8),
    ],
    outputs=[
        TensorSpec(name="speech", datatype="FP32", shape=[-1, 2], unit="probability", range=[0, 1]),
        TensorSpec(name="stateN", datatype="FP32", shape=[2, -1, 8]),
    ],
    rows="dependent",
)
MANY = {"descriptions": "description", "units": "unit", "ranges": "range", "tokenizers": "tokenizer"}


def described() -> Description:
    """Of a version with all that a signature may hold."""
    bundle = Bundle(
        name="voices",
        version="3",
        created="",
        task="classification",
        target="speech",
        signature=SIGNATURE,
        classes=["noise", "speech"],
        max_batch=8,
        artefacts={},
        files={},
        parity=[],
        evaluation={},
        lineage=Lineage(run="", data_fingerprint="", project_fingerprint=""),
    )
    return Description(bundle, ["3"], "onnx_onnxv1", "cpu", "fake", {}, ready=True)


def made(told: dict[str, Any], more: dict[str, Any]) -> Signature:
    """A signature of nothing but metadata."""
    assert more["classes"] == ["noise", "speech"]
    fields = {field.name for field in msgspec.structs.fields(TensorSpec)} - {"name", "datatype", "shape"}
    named = {MANY.get(key, key): value for key, value in more.items()}
    assert fields <= named.keys(), "each is told"
    sides = [
        [
            TensorSpec(
                name=one["name"],
                datatype=one["datatype"],
                shape=[int(size) for size in one.get("shape", [])],
                **{key: named[key][one["name"]] for key in fields if one["name"] in named[key]},
            )
            for one in told[side]
        ]
        for side in ("inputs", "outputs")
    ]
    return Signature(inputs=sides[0], outputs=sides[1], rows=more.get("rows", "independent"))


def test_a_signature_comes_back_whole_over_rest() -> None:
    told = json.loads(json.dumps(rest.metadata(described())))
    assert made(told, told["parameters"]) == SIGNATURE


def test_a_signature_comes_back_whole_over_grpc() -> None:
    message = grpc.metadata(described())
    plain = ("version", "runtime", "provider", "rows")
    more = {key: said if key in plain else json.loads(said) for key, said in message.properties.items()}
    assert made(MessageToDict(message), more) == SIGNATURE

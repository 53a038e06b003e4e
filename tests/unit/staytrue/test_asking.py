"""The request that a model card shows is accepted as it is printed, whatever the inputs are, by a shell and by curl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving.rest import binary
from serving.rest.codec import parse
from staytrue.asking import ADDRESS, HEADER, MOST_VALUES, Zeros, command, example, example_of
from staytrue.signature import Signature, TensorSpec
from staytrue.tensors import accepted

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CURL = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done > "$OUT/words"
case "$*" in *--data-binary*) cat > "$OUT/body";; esac
"""
"""Stands for curl: writes down what it was given."""


def spec(name: str, datatype: Any, shape: list[int], **more: Any) -> TensorSpec:
    """An input."""
    return TensorSpec(name=name, datatype=datatype, shape=shape, **more)


SIGNATURES = {
    "columns": [
        spec("temperature", "FP32", [-1, 1]),
        spec("hour", "INT64", [-1, 1], categories=["7", "8"]),
        spec("sky's $(state) `x` \"é\\", "BYTES", [-1, 1], categories=["it's\n!clear", "b"]),
        spec("open", "BOOL", [-1, 1]),
    ],
    "text": [spec("body", "BYTES", [-1, 1], tokenizer="tokenizer-1.json", tokens=8)],
    "bytes of text": [spec("body", "UINT8", [-1, 64])],
    "sequence": [spec("steps", "FP32", [-1, -1, 3], typical=[1, 5, 3])],
    "ranged": [spec("rate", "INT64", [], range=[8000, 16000]), spec("x", "FP16", [-1, 2], range=[-2.5, -1.5])],
    "state": [spec("sound", "FP32", [-1, 16]), spec("state", "FP32", [2, -1, 8], state="next")],
    "half": [spec("x", "BF16", [-1, 2]), spec("y", "UINT64", [-1])],
    "picture": [spec("photo", "UINT8", [-1, 3, 64, 64]), spec("what", "BYTES", [-1, 1], categories=["a"])],
}


def typed(text: str, folder: Path) -> tuple[list[str], bytes]:
    """What curl is given where a shell runs a line: its words, and what comes by its input."""
    (folder / "curl").write_text(CURL)
    (folder / "curl").chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "OUT": str(folder), "LANG": "C.UTF-8"}
    subprocess.run(["sh", "-c", text], env=environment, check=True, timeout=30)  # noqa: S607
    body = folder / "body"
    return (folder / "words").read_bytes().decode().split("\0")[:-1], body.read_bytes() if body.exists() else b""


@pytest.mark.parametrize("kind", SIGNATURES)
def test_the_printed_line_asks_what_the_signature_accepts(kind: str, tmp_path: Path) -> None:
    signature = Signature(inputs=SIGNATURES[kind], outputs=[])
    words, body = typed(command("m.1", signature), tmp_path)
    assert words[:2] == ["-s", f"{ADDRESS}/v2/models/m.1/infer"]
    if kind == "picture":
        length = int(words[words.index(f"{HEADER}: {len(body) - 3 * 64 * 64 - 4}")].split(": ")[1])
        given = binary.parse(body, str(length), "reject", signature)
    else:
        given = parse(words[words.index("-d") + 1].encode(), "reject")
    arrays, right = accepted(signature, 1, given.inputs), example(signature)
    assert {name: array.shape for name, array in arrays.items()} == {name: one.shape for name, one in right.items()}
    if kind != "picture":
        assert all(same(arrays[name], right[name]) for name in right)


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal in type and value."""
    return one.dtype == other.dtype and np.array_equal(one, other)


def test_an_example_has_known_categories_and_stays_within_ranges() -> None:
    held = example(Signature(inputs=SIGNATURES["columns"] + SIGNATURES["ranged"], outputs=[]), 2)
    assert held["hour"].tolist() == [[7], [7]]
    assert held["rate"].tolist() == 8000
    assert held["x"].tolist() == [[-1.5, -1.5]] * 2
    assert held["temperature"].tolist() == [[0.0], [0.0]]


def test_only_a_long_example_is_told_as_bytes() -> None:
    for values, zeros in ((MOST_VALUES, False), (MOST_VALUES + 1, True)):
        made = example_of(Signature(inputs=[spec("x", "FP32", [1, values])], outputs=[], rows="none"))
        assert isinstance(made, Zeros) == zeros

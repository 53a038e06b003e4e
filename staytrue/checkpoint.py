"""The record of a training run, ``runs/ID/checkpoint.json``: all that export needs to know besides the weights.

Beside it stand ``model.safetensors`` (weights, never pickle), ``project.yaml`` (the configuration as resolved),
``metrics.jsonl``, ``learning_curve.png``, ``evaluation.json``, ``report.html``, ``profile.json`` and ``split.json``
(indices, seed, the test seal); of pictures also ``pictures.safetensors``, a sample of them for the parity proof, as
the profile holds none. Of texts with a tokenizer ``texts.json`` is that sample, and ``tokenizer-DIGEST.json`` the
file which the signature names.
"""

from __future__ import annotations

from typing import Any

import msgspec

from staytrue.bundle import Metric, TaskName
from staytrue.environment import Environment
from staytrue.lineage import Lineage
from staytrue.records import Record
from staytrue.signature import Signature

CHECKPOINT = "checkpoint.json"
CONFIGURATION = "project.yaml"
WEIGHTS = "model.safetensors"


class Checkpoint(Record, frozen=True, kw_only=True):
    """One finished training run."""

    schema: int = 1
    run: str
    name: str
    task: TaskName
    target: str
    """The column, or all of them for people where there are several."""
    targets: list[str] = msgspec.field(default_factory=list)
    """All columns where there are several."""
    signature: Signature
    classes: list[str] = msgspec.field(default_factory=list)
    architecture: str
    model: dict[str, Any]
    """Arguments of the architecture, JSON values, enough to build the module again."""
    preprocessing: dict[str, Any]
    """State of the encoder: scales, fills and category lists, JSON values."""
    evaluation: dict[str, dict[str, Metric]]
    lineage: Lineage
    epochs: int
    best_epoch: int
    weights_sha256: str
    environment: Environment | None = None
    """What it was trained on; runs from before it was written down have none."""

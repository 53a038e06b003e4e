"""Signature: what callers send to a trained model and what it answers, by names and datatypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.signature import Signature, TensorSpec
from training.data.classes import PROBABILITIES
from training.data.encode.encoder import input_specs
from training.models.classifier import Classifier

if TYPE_CHECKING:
    from training.models.assembly import Model


def signature_of(model: Model, target: str) -> Signature:
    """One input a feature; out comes the target, and of a classifier also the probability of each class."""
    inputs = input_specs(model.encoder.states)
    if not isinstance(model, Classifier):
        return Signature(inputs=inputs, outputs=[TensorSpec(name=target, datatype="FP32", shape=[-1, 1])])
    named = TensorSpec(name=target, datatype="BYTES", shape=[-1, 1], categories=model.classes)
    likely = TensorSpec(name=PROBABILITIES, datatype="FP32", shape=[-1, len(model.classes)])
    return Signature(inputs=inputs, outputs=[named, likely])

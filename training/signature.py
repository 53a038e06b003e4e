"""Signature: what callers send to a trained model and what it answers, by names and datatypes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.signature import Signature

if TYPE_CHECKING:
    from training.models.model import Model
    from training.tasks.task import Task


def signature_of(model: Model, task: Task) -> Signature:
    """In goes what the model takes, which is mostly one input a feature; out comes what the task answers."""
    return Signature(inputs=model.inputs(), outputs=task.specs())

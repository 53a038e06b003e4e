"""Cases by name. Data come from the ``prepare`` of an example, whose ``staytrue.yaml`` a case changes."""

from __future__ import annotations

from typing import Any

from benchmarks.training.case import Case
from benchmarks.training.images import IMAGES
from examples.spam import prepare as spam
from examples.vowels import prepare as vowels

__all__ = ["CASES", "Case"]


def _vowels(architecture: str, **training: Any) -> Case:
    change = {"model": {"architecture": architecture}, "training": training}
    return Case("vowels", vowels.prepare, change, target=0.95)


CASES: dict[str, Case] = {
    "vowels-lstm": _vowels("lstm"),
    "vowels-gru": _vowels("gru"),
    "vowels-transformer": _vowels("transformer", learning_rate=0.002),
    "spam-gru": Case("spam", spam.prepare, {}, target=0.97),
    **IMAGES,
}

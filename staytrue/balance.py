"""What the setting ``training.class_weights`` takes: a word, or a weight for each class."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from staytrue.section import Positive


def _weights(given: Any) -> Any:
    """A mapping with its keys as text, which whole numbers in YAML are not; anything else as it is.

    Raises:
        ValueError: neither word nor mapping, or a weight that is no number above zero.
    """
    if given in ("none", "balanced"):
        return given
    if not isinstance(given, dict) or not given:
        raise ValueError("takes none, balanced, or a mapping of classes to weights, {broken: 5, whole: 1}")
    if any(isinstance(name, bool) for name in given):
        raise ValueError("classes called yes, no, on, off, true or false stand in quotes, or YAML reads no text")
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ValueError(f'the weight of class "{name}" is no number above 0')
    return {str(name): weight for name, weight in given.items()}


ClassWeights = Annotated[Literal["none", "balanced"] | dict[str, Positive], BeforeValidator(_weights)]

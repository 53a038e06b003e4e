"""Cases by name."""

from __future__ import annotations

from benchmarks.training.case import Case
from benchmarks.training.images import IMAGES

__all__ = ["CASES", "Case"]

CASES: dict[str, Case] = {**IMAGES}

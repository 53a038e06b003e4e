"""Cases by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.training.images import IMAGES

if TYPE_CHECKING:
    from benchmarks.training.case import Case

CASES: dict[str, Case] = {**IMAGES}

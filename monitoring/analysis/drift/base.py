"""What every drift detector is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monitoring.analysis.windows import WindowRows
    from staytrue.windows import Evidence


class Detector(Protocol):
    """Calibrated on a reference, asked about windows."""

    name: str

    def evidence(self, rows: WindowRows, unfit: set[str]) -> list[Evidence]:
        """Evidence for each feature; those in ``unfit`` failed a data check and are left out."""

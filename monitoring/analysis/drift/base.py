"""What every drift detector is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monitoring.analysis.rows import WindowRows
    from staytrue.windows import Evidence


class Detector(Protocol):
    """Calibrated on a reference, asked about windows."""

    name: str

    def evidence(self, served: WindowRows, own: WindowRows, unfit: set[str]) -> list[Evidence]:
        """Evidence for each feature: inputs of all rows served, outputs of the version's own.

        Features in ``unfit`` failed a data check and are left out.
        """

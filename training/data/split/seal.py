"""The seal: what is in the test rows is taken out of all others' reach, until they are opened by the ledger."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import CorruptData
from staytrue.signature import MISSING_INTEGER, MISSING_TEXT
from training.data import mapped
from training.data.split.copies import without_copies
from training.data.split.identity import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from staytrue.project import Project
    from staytrue.splitting import Leakage
    from training.data.divide import Division
    from training.data.rows import Rows, TrainingRows
    from training.data.split.copies import Copies
    from training.data.split.ledger import Ledger, Opener
    from training.data.split.plan import Split


@dataclasses.dataclass(frozen=True)
class Sealed:
    """The test rows, which come out through :meth:`open` alone."""

    keys: Keys
    _rows: Rows = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lineage(self) -> str:
        """Which rows they are, whatever the model takes of them."""
        return self.keys.lineage

    def seal(self, features: Iterable[str]) -> str:
        """SHA-256 of what they hold in some features, with times, truths and marks."""
        return self._rows.only(features).digest()

    def without_copies(
        self, division: Division, own: tuple[TrainingRows, Rows], features: Iterable[str], allow: Sequence[Leakage]
    ) -> tuple[Division, list[Copies]]:
        """Newly labelled rows without copies of these and of a project's ``own`` rows, and what was found.

        Nothing of the sealed rows is given but how many were met, and when one of them was.
        """
        return without_copies(division, (*own, self._rows.only(features)), allow)

    def open(
        self,
        ledger: Ledger,
        opener: Opener,
        seal: str,
        features: Iterable[str],
        *,
        known: Sequence[str] = (),
        force: bool = False,
    ) -> Rows:
        """Break the seal: the rows, once. The ledger has its line before they are given.

        ``known`` are the times of openings that the ledger has to tell of.

        Raises:
            CorruptData: they do not hold what they held when ``seal`` was made.
            Conflict: some were opened before, or the ledger does not tell of all, and it is not forced.
        """
        features = list(features)
        found = self.seal(features)
        if found != seal:
            hint = "bring back the data as they were when the run was trained, or train anew on these"
            expected, got = f"seal {seal[:16]}… as the run keeps it", f"{found[:16]}…"
            raise CorruptData("test split", "holds other data than were sealed", expected=expected, got=got, hint=hint)
        ledger.open(opener, self.keys, seal, known=known, force=force)
        return self._rows.only(features)


def seal_off(rows: Rows, plan: Split, project: Project) -> tuple[Rows, Sealed]:
    """All rows, of which those of the test part have times and marks alone, and what was in these.

    Values are blanked in place: whoever reads them by mistake finds them missing.
    """
    index = plan.index("test")
    test = rows.take(index)
    test = dataclasses.replace(  # of mapped columns it may be a view, which would be blanked as well
        test,
        columns={
            name: mapped.changed(lambda some: some, column, rows.share)
            if np.may_share_memory(column, rows.columns[name])
            else column
            for name, column in test.columns.items()
        },
    )
    keys = Keys.of(test, project.data.targets, pictured=project.model.task == "generation")
    columns = {name: _blanked(column, index) for name, column in rows.columns.items()}
    beside = {name: _blanked(column, index) for name, column in rows.beside.items()}
    target = rows.target if project.model.task == "generation" else _blanked(rows.target, index)
    return dataclasses.replace(rows, columns=columns, target=target, beside=beside), Sealed(keys, test)


def _blanked(values: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    values = values if values.flags.writeable else values.copy()
    missing: dict[str, Any] = {"f": np.nan, "i": MISSING_INTEGER, "O": MISSING_TEXT, "M": np.datetime64("NaT")}
    values[index] = missing.get(values.dtype.kind, 0)
    return values

"""Trial: one artefact, run beside its module on rows of a pool; in batches, in other orders and company, along axes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from export.comparison import check_outputs
from export.pool import Pool, sha256_of
from staytrue.errors import CorruptData, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import Parity
    from staytrue.signature import Signature

    Arrays = dict[str, NDArray[Any]]
    Axis = tuple[str, int]

COMPANY = 7
"""Rows of a batch whose order and neighbours are changed."""
MOST_ARRANGED = 8
"""Batches of them."""
SIZES = (1, 2, 7)
"""Tried along a free axis, and twice what real rows have, and one more."""
MIXED = "in another order, and beside other rows"


class Comparison(Protocol):
    """What outputs are held to; see :mod:`export.comparison`."""

    absolute: float
    relative: float

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Compare one batch."""

    def end(self, where: str) -> None:
        """Judge all of them."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What some batches have shown."""

    batch: int
    rows: int
    rows_sha256: str
    comparison: Comparison


class Differs(CorruptData):
    """The artefact's answers are not the module's, or those of either hang on the rows beside them; on which rows."""

    def __init__(self, error: CorruptData, rows: Arrays, *, depends: bool = False) -> None:
        super().__init__(error.where, error.problem, expected=error.expected, got=error.got, hint=error.hint)
        self.rows, self.depends = rows, depends

    def told(self, found: str) -> CorruptData:
        """The same with where it begins, where that was found."""
        hint = f"{found}; {self.hint}" if found and self.hint else found or self.hint
        return CorruptData(self.where, self.problem, expected=self.expected, got=self.got, hint=hint)


@dataclasses.dataclass(frozen=True)
class Trial:
    """An artefact that runs, and its module.

    Args:
        answer: the module's outputs, of rows as callers send them.
        run: the artefact's.
        comparison: makes one, for some batches; ``own`` one for the module beside itself.
        record: makes a proof of what was found.
    """

    answer: Callable[[Arrays], Arrays]
    run: Callable[[Arrays], Arrays]
    signature: Signature
    comparison: Callable[[], Comparison]
    own: Callable[[], Comparison]
    record: Callable[..., Parity]

    def batch(self, pool: Pool, batch: int, name: str) -> Parity:
        """Batches of one size.

        Raises:
            Differs: the outputs do.
            InvalidInput: the module's own are not those of the signature.
        """
        return self.record(self._compared(pool.batches(batch), f"{name} at batch {batch}"))

    def arranged(self, pool: Pool, batch: int, name: str) -> list[Parity]:
        """Each row in another place, and beside other rows: answers stay with their rows. Nothing where rows depend.

        Raises:
            Differs: they do not; first the module's own are looked at.
        """
        if batch < 2 or not self.signature.merges:
            return []
        parts, mixed, compared = pool.batches(batch, MOST_ARRANGED), [], self.comparison()
        for place, part in enumerate(parts):
            other = parts[(place + 1) % len(parts)]
            expected = self.answer(part.rows)
            for rows, which in _arrangements(part, other, place):
                asked = which >= 0
                want = {key: array[which[asked]] for key, array in expected.items()}
                real = part.real[which[asked]]
                for whose, run in (("the model itself", self.answer), (name, self.run)):
                    where = f"{whose} in a permuted batch of {batch}"
                    judge = self.own() if run is self.answer else compared
                    got = {key: array[asked] for key, array in run(rows).items()}
                    self._judged(judge, want, got, real, where, part.rows, depends=run is self.answer)
                mixed.append(rows)
        _ended(compared, f"{name} in permuted batches of {batch}", parts[0].rows)
        found = Found(batch, batch * len(mixed), sha256_of(mixed), compared)
        return [self.record(found, arrangement=MIXED)]

    def along_axes(self, pool: Pool, batch: int, name: str) -> list[Parity]:
        """Other sizes along each free axis beside that of the rows; those tied to each other together.

        Raises:
            InvalidInput: the module takes no other size than that of real rows.
            Differs: the artefact answers otherwise at one.
        """
        (part, *_), proofs = pool.batches(batch, 1), []
        for axes in self._free(part):
            for rows in _resized(part.rows, axes):
                if self._refused(rows):
                    continue  # too small for the module itself, perhaps
                shapes = {key: list(rows[key].shape) for key, _ in axes}
                said = ", ".join(f'"{key}" {shape}' for key, shape in shapes.items())
                found = self._compared([Pool(rows, part.real)], f"{name} with {said}")
                proofs.append(self.record(found, shapes=shapes))
        return proofs

    def _compared(self, parts: Sequence[Pool], where: str) -> Found:
        compared, batch = self.comparison(), len(parts[0])
        for part in parts:
            expected = self.answer(part.rows)
            check_outputs(self.signature, expected, batch)
            self._judged(compared, expected, self.run(part.rows), part.real, where, part.rows)
        _ended(compared, where, parts[0].rows)
        return Found(batch, batch * len(parts), sha256_of(part.rows for part in parts), compared)

    @staticmethod
    def _judged(
        compared: Comparison,
        expected: Arrays,
        got: Arrays,
        real: NDArray[np.bool_],
        where: str,
        rows: Arrays,
        *,
        depends: bool = False,
    ) -> None:
        try:
            compared.add(expected, got, real, where)
        except CorruptData as error:
            raise Differs(error, rows, depends=depends) from error

    def _free(self, part: Pool) -> Iterator[tuple[Axis, ...]]:
        """Free axes, each by itself where the module takes that, or with those of the same size.

        Raises:
            InvalidInput: it takes no other size.
        """
        free = [
            (spec.name, axis)
            for spec in self.signature.inputs
            for axis, size in enumerate(spec.shape)
            if size < 0 and (axis or self.signature.rows == "none") and not spec.tokenizer
        ]
        told: set[Axis] = set()
        for one in free:
            if one in told:
                continue
            size = part.rows[one[0]].shape[one[1]]
            tied = tuple(axis for axis in free if part.rows[axis[0]].shape[axis[1]] == size)
            taken = next((axes for axes in ((one,), tied) if self._takes(part, axes)), None)
            if taken is None:
                expected = f'any size along axis {one[1]} of "{one[0]}", as the signature says'
                raise InvalidInput("the model itself", expected=expected, got=f"errors at all but {size}")
            told.update(taken)
            yield taken

    def _takes(self, part: Pool, axes: tuple[Axis, ...]) -> bool:
        return any(not self._refused(rows) for rows in _resized(part.rows, axes))

    def _refused(self, rows: Arrays) -> bool:
        try:
            self.answer(rows)
        except Exception:  # noqa: BLE001 - whatever its operators raise
            return True
        return False


def _ended(compared: Comparison, where: str, rows: Arrays) -> None:
    try:
        compared.end(where)
    except CorruptData as error:
        raise Differs(error, rows) from error


def _arrangements(part: Pool, other: Pool, seed: int) -> Iterator[tuple[Arrays, NDArray[np.int64]]]:
    """Other orders of a batch: rows to run, and which row of the batch each is, -1 being none of them."""
    count = len(part)
    order = np.random.default_rng(seed).permutation(count)
    if (order == np.arange(count)).all():
        order = order[::-1]
    yield part.take(order).rows, order
    kept = np.arange((count + 1) // 2)
    rows = {key: np.concatenate([other.rows[key][len(kept) :], array[kept]]) for key, array in part.rows.items()}
    yield rows, np.concatenate([np.full(count - len(kept), -1), kept])


def _resized(rows: Arrays, axes: tuple[Axis, ...]) -> Iterator[Arrays]:
    """The same rows, repeated or cut along axes, at each size that is tried."""
    size = rows[axes[0][0]].shape[axes[0][1]]
    for tried in sorted({*SIZES, size + 1, 2 * size} - {size}):
        made = dict(rows)
        for key, axis in axes:
            made[key] = np.take(made[key], np.arange(tried) % made[key].shape[axis], axis=axis)
        yield made

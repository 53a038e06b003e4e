"""Trial: one artefact, run beside its module on rows of a pool; in batches, in other orders and company, along axes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from export.axes import resized, together
from export.comparison import check_outputs
from export.distance import NOTHING_PUBLISHED
from export.pool import Pool, sha256_of
from staytrue.errors import CorruptData, InvalidInput, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from staytrue.bundle import Parity
    from staytrue.signature import Signature

    Arrays = dict[str, NDArray[Any]]

COMPANY = 7
"""Rows of a batch whose order and neighbours are changed."""
MOST_ARRANGED = 8
"""Batches of them."""
ALONG = 4
"""Rows whose axes are brought to other sizes: edge rows and real ones."""
MIXED = "in another order, and beside other rows"


class Comparison(Protocol):
    """What outputs are held to; see :mod:`export.comparison`."""

    @property
    def absolute(self) -> float:
        """The largest error so far."""

    @property
    def relative(self) -> float:
        """The same as a share."""

    @property
    def share(self) -> float | None:
        """The largest error as a share of what was allowed of that number; None where means are held to a bound."""

    @property
    def allowed(self) -> tuple[float, float]:
        """For the record: the absolute and the relative tolerance."""

    def uncompared(self) -> list[str]:
        """Outputs of which nothing was there to be compared."""

    def add(self, expected: Arrays, got: Arrays, real: NDArray[np.bool_], where: str) -> None:
        """Compare one batch."""

    def end(self, where: str) -> None:
        """Judge all of them."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What some batches have shown."""

    batch: int
    rows: int
    edge_rows: int
    rows_sha256: str
    comparison: Comparison


class Rows(Protocol):
    """What batches are taken of; see :class:`export.pool.Pool`."""

    def batches(self, batch: int, most: int = ..., /) -> list[Pool]:
        """Batches of a size, at most so many."""


class Nothing(InvalidInput):
    """The model itself gives nothing that an artefact could be held to: a proof of nothing proves nothing."""


class Differs(CorruptData):
    """The artefact's answers are not the module's, or it has none, or those of either hang on the rows beside them."""

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
        runtime: what runs it.
        comparison: makes one, for some batches; ``own`` one for the module beside itself.
        record: makes a proof of what was found.
        unfit: whether rows of another size along an axis prove nothing, though the module takes them.
    """

    answer: Callable[[Arrays], Arrays]
    run: Callable[[Arrays], Arrays]
    runtime: str
    signature: Signature
    comparison: Callable[[], Comparison]
    own: Callable[[], Comparison]
    record: Callable[..., Parity]
    unfit: Callable[[Arrays], bool] = lambda _: False

    def batch(self, pool: Rows, batch: int, name: str) -> Parity:
        """Batches of one size.

        Raises:
            Differs: the outputs do, or the artefact fails.
            InvalidInput: the module's own are not those of the signature, or it fails.
            Nothing: an output is empty, or of an artefact of fewer bits no number, on all of them.
        """
        return self.record(self._compared(pool.batches(batch), f"{name} at batch {batch}"))

    def arranged(self, pool: Rows, batch: int, name: str) -> list[Parity]:
        """Each row in another place, and beside other rows: answers stay with their rows. Nothing where rows depend.

        Raises:
            Differs: they do not; first the module's own are looked at.
        """
        if batch < 2 or not self.signature.merges:
            return []
        parts, mixed, compared = pool.batches(batch, MOST_ARRANGED), [], self.comparison()
        for place, part in enumerate(parts):
            other = parts[(place + 1) % len(parts)]
            expected = self._answered(part, f"a batch of {batch}")
            for made, which in _arrangements(part, other, place):
                asked = which >= 0
                want = {key: array[which[asked]] for key, array in expected.items()}
                real, how = part.real[which[asked]], f"in a permuted batch of {batch}"
                for whose, judge in (("the model itself", self.own()), (name, compared)):
                    where = f"{whose} {how}"
                    own = judge is not compared
                    answers = self._answered(made, how) if own else self.ran(made, where)
                    got = {key: array[asked] for key, array in answers.items()}
                    self._judged(judge, want, got, real, where, part.rows, depends=own)
                mixed.append(made)
        _ended(compared, f"{name} in permuted batches of {batch}", parts[0].rows)
        found = _found(mixed, compared)
        return [self.record(found, arrangement=MIXED)]

    def along_axes(self, pool: Rows, batch: int, name: str) -> list[Parity]:
        """Other sizes along each free axis beside that of the rows; those tied to each other together.

        Raises:
            InvalidInput: the module takes no other size than that of real rows.
            Differs: the artefact answers otherwise at one.
        """
        parts = pool.batches(batch, max(1, ALONG // batch))
        proofs: list[Parity] = []
        for axes, taken in together(self.signature, parts[0], self._refused):
            if not taken:
                (input_name, axis), *_ = axes
                size = parts[0].rows[input_name].shape[axis]
                expected = f'any size along axis {axis} of "{input_name}", as the signature says'
                raise InvalidInput("the model itself", expected=expected, got=f"errors at all but {size}")
            named = {key: [axis for name, axis in axes if name == key] for key, _ in axes}
            for made in zip(*(resized(part, axes) for part in parts), strict=True):
                if any(self._refused(part.rows) or self.unfit(part.rows) for part in made):
                    continue  # too small for the module itself, perhaps
                shapes = {key: list(made[0].rows[key].shape) for key in named}
                said = ", ".join(f'"{key}" {shape}' for key, shape in shapes.items())
                try:
                    found = self._compared(made, f"{name} with {said}")
                except Nothing:  # of that size
                    continue
                proofs.append(self.record(found, shapes=shapes, axes=named))
        return proofs

    def ran(self, part: Pool, where: str) -> Arrays:
        """The artefact's answers.

        Raises:
            Differs: it has none.
        """
        try:
            return self.run(part.rows)
        except Exception as error:  # what runs it raises its own
            said = " ".join(str(error).split())[:300]
            shapes = ", ".join(f'"{key}" {list(array.shape)}' for key, array in part.rows.items())
            got = f"{type(error).__name__}: {said}"
            hint = f"the rows were {shapes}, SHA-256 {sha256_of([part.rows])[:16]}{self._alone(part)}; "
            expected = f"answers by {self.runtime} to rows that the model itself answers"
            failed = CorruptData(where, expected=expected, got=got, hint=hint + NOTHING_PUBLISHED)
            raise Differs(failed, part.rows) from error

    def _alone(self, part: Pool) -> str:
        """The first row on which an artefact that failed fails by itself too, in words."""
        row = self._first_alone(part, self.run)
        if row is None:
            return ""
        return f"; row {row} of them, {'a real' if part.real[row] else 'an edge'} row, fails alone too"

    def _first_alone(self, part: Pool, run: Callable[[Arrays], Arrays]) -> int | None:
        """The first row that fails by itself too, where rows may be run by themselves."""
        rows = range(len(part)) if self.signature.merges and len(part) > 1 else ()
        return next((row for row in rows if _fails(run, part.take(np.array([row])).rows)), None)

    def _answered(self, part: Pool, how: str) -> Arrays:
        try:
            return self.answer(part.rows)
        except StaytrueError:
            raise
        except Exception as error:  # whatever its operators raise
            said = " ".join(str(error).split())[:300]
            hint = f"callers may send such rows: have its forward take them{self._refusing(part)}"
            got = f"{type(error).__name__}: {said}"
            raise InvalidInput(f"the model itself, {how}", expected="answers", got=got, hint=hint) from error

    def _refusing(self, part: Pool) -> str:
        row = self._first_alone(part, self.answer)
        return "" if row is None else f"; row {row} of them, {'real' if part.real[row] else 'at an edge'}, alone too"

    def _compared(self, parts: Sequence[Pool], where: str) -> Found:
        compared, batch = self.comparison(), len(parts[0])
        for part in parts:
            expected = self._answered(part, f"rows for {where}")
            check_outputs(self.signature, expected, batch)
            self._judged(compared, expected, self.ran(part, where), part.real, where, part.rows)
        most = max(parts, key=lambda part: np.count_nonzero(part.real))  # what is judged in the end is of real rows
        _ended(compared, where, most.rows)
        return _found(parts, compared)

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

    def _refused(self, rows: Arrays) -> bool:
        return _fails(self.answer, rows)


def _fails(run: Callable[[Arrays], Arrays], rows: Arrays) -> bool:
    try:
        run(rows)
    except Exception:  # noqa: BLE001 - whatever its operators raise
        return True
    return False


def _ended(compared: Comparison, where: str, rows: Arrays) -> None:
    if silent := compared.uncompared():
        named = ", ".join(f'"{name}"' for name in silent)
        what = f"the model itself gives nothing in output {named} that could be compared, on no row"
        hint = f"give rows that it has an answer to, of an import by --reference; {NOTHING_PUBLISHED}"
        raise Nothing(where, what, hint=hint)
    try:
        compared.end(where)
    except CorruptData as error:
        raise Differs(error, rows) from error


def _found(parts: Sequence[Pool], compared: Comparison) -> Found:
    batch = len(parts[0])
    edges = sum(int(np.count_nonzero(~part.real)) for part in parts)
    return Found(batch, batch * len(parts), edges, sha256_of(part.rows for part in parts), compared)


def _arrangements(part: Pool, other: Pool, seed: int) -> Iterator[tuple[Pool, NDArray[np.int64]]]:
    """Other orders of a batch: rows to run, and which row of the batch each is, -1 being none of them."""
    count = len(part)
    order = np.random.default_rng(seed).permutation(count)
    if (order == np.arange(count)).all():
        order = order[::-1]
    yield part.take(order), order
    kept = np.arange((count + 1) // 2)
    rows = {key: np.concatenate([other.rows[key][len(kept) :], array[kept]]) for key, array in part.rows.items()}
    real = np.concatenate([other.real[len(kept) :], part.real[kept]])
    yield Pool(rows, real), np.concatenate([np.full(count - len(kept), -1), kept])

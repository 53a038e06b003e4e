"""What a version takes and gives: each form of request is checked once, and known from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.tensors import ALL_BINARY, Asked, accepted, wanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.signature import Signature
    from staytrue.tensors import Given, Parsed

MOST_FORMS = 1024
"""Forms that are remembered; others are checked each time."""


class Contract:
    """A signature, with the forms of requests that it has accepted: the names, datatypes and shapes of their inputs.

    Whether a request is accepted hangs on its form alone, and callers have few.

    Args:
        signature: of the version.
        max_batch: rows that it was proven for.
    """

    def __init__(self, signature: Signature, max_batch: int) -> None:
        self._signature, self._max_batch = signature, max_batch
        self._forms: dict[tuple[tuple[str, str, tuple[int, ...]], ...], int] = {}
        self._all = [Asked(spec) for spec in signature.outputs]
        self._all_binary = [Asked(spec, binary=True) for spec in signature.outputs]

    def accepted(self, given: list[Given]) -> tuple[dict[str, NDArray[Any]], int]:
        """Inputs by name, and their rows.

        Raises:
            StaytrueError: they are not what the signature wants; see :func:`staytrue.tensors.accepted`.
        """
        form = tuple([(one.name, one.datatype, one.array.shape) for one in given])
        rows = self._forms.get(form)
        if rows is not None:
            return {one.name: one.array for one in given}, rows
        arrays = accepted(self._signature, self._max_batch, given)
        rows = self._signature.rows_in(arrays)
        if len(self._forms) < MOST_FORMS:
            self._forms[form] = rows
        return arrays, rows

    def wanted(self, parsed: Parsed) -> list[Asked]:
        """The outputs asked for, or all; not to be changed.

        Raises:
            InvalidInput: no such output, or one that cannot be told so; see :func:`staytrue.tensors.wanted`.
        """
        if parsed.outputs is not None:
            return wanted(self._signature, parsed)
        return self._all_binary if parsed.parameters.get(ALL_BINARY) is True else self._all

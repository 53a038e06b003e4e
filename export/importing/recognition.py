"""What running a foreign model tells beyond its file: a shape that it takes, and what its first axis counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from export.axes import together
from export.importing.rows import SIZES, alike, gathered, generated, grown, joined, shared, sized
from export.importing.scale import Scales
from export.pool import Pool
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from export.importing.amendment import Amending, TensorAmendment
    from export.importing.foreign import Foreign
    from export.importing.rows import Arrays
    from staytrue.sections import ExportSection
    from staytrue.signature import RowsName, Signature

PROBED = 7
"""Rows whose answers beside each other are compared with those of each beside its own copies.

As many in both: ONNX Runtime rounds otherwise where there are more or fewer."""


def with_typical(foreign: Foreign, signature: Signature, reference: Sequence[Arrays]) -> Signature:
    """The signature with shapes of one row that the model takes: those told, the reference's, or the first that do.

    Raises:
        InvalidConfig: it takes none of those tried; says what it said of the last one.
    """
    if reference:
        return replace(
            signature,
            inputs=[replace(spec, typical=list(reference[0][spec.name].shape)) for spec in signature.inputs],
        )
    fault: Exception | None = None
    for size in SIZES:
        tried = sized(signature, size)
        try:
            foreign.run(generated(tried)[0])
        except Exception as error:  # noqa: BLE001 - it takes another shape: whatever runs it has its own classes
            fault = fault or error
        else:
            return tried
        if tried == sized(signature, size + 1):  # nothing is free
            break
    said = " ".join(str(fault).split())[:300]
    hint = (
        "tell a shape that it takes, as `typical` of its inputs, and `range` or `categories` of values; or --reference"
    )
    raise InvalidConfig(str(foreign.path), f"runs on no row that was made up for it: {said}", hint=hint) from fault


def usable(foreign: Foreign, signature: Signature) -> list[Arrays]:
    """Generated rows that the model takes, some of twice the size along free axes; the first one always does."""
    rows = generated(signature)
    larger = generated(grown(signature))[2:4] if grown(signature) != signature else []
    return [rows[0], *(row for row in [*rows[1:], *larger] if _runs(foreign, row))]


def rows_of_first_axis(
    foreign: Foreign, signature: Signature, rows: Sequence[Arrays], amending: Amending, settings: ExportSection
) -> RowsName:
    """What a first axis of any size counts, as told, or as answers to rows beside each other and beside copies show it.

    Raises:
        InvalidConfig: it is told that rows are independent, and they are not.
    """
    told = amending.said.rows
    if not signature.counts_rows or told == "none":
        return "none"
    found: RowsName = "dependent"
    pool = alike(rows)[::-1]  # those at random stand behind
    if len(pool) == 1:  # of one row alone nothing can be seen
        return told or found
    count = min(PROBED, max(2, amending.said.max_batch or PROBED))
    taken = shared(signature, [pool[place % len(pool)] for place in range(count)])
    try:
        together = foreign.run(joined(signature, taken))
    except Exception as error:
        if told is not None:
            what = f"{count} rows together are refused: {' '.join(str(error).split())[:200]}"
            raise amending.fault(["rows"], what, hint="rows: none, or say which axis of a state counts rows") from error
        return "none"
    places = sorted({0, count // 2, count - 1})
    copies = {place: foreign.run(joined(signature, [taken[place]] * count)) for place in places}
    sides = gathered(foreign.run(taken[0]), copies, together, merged=signature.merges)
    if sides is not None:
        try:
            Scales(signature, [together]).compare(*sides, settings, "rows beside others")
            found = "independent"
        except CorruptData as error:
            if told == "independent":
                hint = "rows: dependent serves them unmerged"
                raise amending.fault(["rows"], f"rows answer otherwise beside others: {error}", hint=hint) from error
    return told or found


def with_sizes(foreign: Foreign, signature: Signature, rows: Sequence[Arrays], amending: Amending) -> Signature:
    """The signature with those axes of inputs fixed that the file says are of any size, and of which it takes one.

    Raises:
        InvalidConfig: it is told that such an axis is free.
    """
    part = Pool(joined(signature, alike(rows)[:1]), np.array([True]))
    groups = together(signature, part, lambda made: not _runs(foreign, made))
    fixed = {axis for axes, taken in groups if not taken for axis in axes}
    inputs = []
    for spec in signature.inputs:
        sizes, old = list(spec.shape), _old(spec.name, amending.said.inputs)
        for axis in (axis for name, axis in fixed if name == spec.name):
            sizes[axis] = part.rows[spec.name].shape[axis]
            if old in amending.said.inputs and amending.said.inputs[old].shape:
                got = f"a model that refuses every size but {sizes[axis]}"
                raise amending.fault(["inputs", old, "shape"], expected=f"axis {axis} of any size", got=got)
        inputs.append(replace(spec, shape=sizes))
    return replace(signature, inputs=inputs)


def _old(name: str, said: Mapping[str, TensorAmendment]) -> str:
    """What the file calls a tensor."""
    return next((old for old, one in said.items() if name in (old, one.name)), name)


def with_outputs(foreign: Foreign, signature: Signature, rows: Sequence[Arrays], amending: Amending) -> Signature:
    """The signature with those sizes of outputs free that come otherwise than the file says, as files do say.

    Raises:
        InvalidConfig: another datatype or number of axes, or other sizes than an amendment tells.
    """
    answers = [foreign.run(row) for row in (*rows[:2], rows[-1])]
    outputs = []
    for spec in signature.outputs:
        arrays = [answer[spec.name] for answer in answers]
        first = arrays[0]
        old = _old(spec.name, amending.said.outputs)
        told = bool(old in amending.said.outputs and amending.said.outputs[old].shape)
        sizes = [{array.shape[place] for array in arrays} for place in range(first.ndim)]
        if first.dtype != NUMPY[spec.datatype] or len(sizes) != len(spec.shape):
            got = f"{first.dtype} {list(first.shape)}"
            raise amending.fault(["outputs", old], "comes otherwise", expected=spec.label(), got=got)
        wrong = [size >= 0 and come != {size} for size, come in zip(spec.shape, sizes, strict=True)]
        if told and any(wrong):
            got = ", ".join(str(list(array.shape)) for array in arrays[:3])
            raise amending.fault(["outputs", old, "shape"], "comes otherwise", expected=spec.label(), got=got)
        shape = [-1 if free else size for size, free in zip(spec.shape, wrong, strict=True)]
        outputs.append(replace(spec, shape=shape))
    return replace(signature, outputs=outputs)


def _runs(foreign: Foreign, row: Arrays) -> bool:
    try:
        foreign.run(row)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True

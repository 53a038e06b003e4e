"""The proof of an import: the file as it was given, beside the server's own runtime on the file of the bundle.

It shows that serving changes no answer; whether the answers are right only whoever made the model can know.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from export.answers import Answers
from export.comparison import Exact
from export.importing.edges import Drawn, steady, usable_edges
from export.importing.scale import Scales
from export.parity import record, running
from export.trial import COMPANY, Differs, Trial
from staytrue.bundle import proven_batches
from staytrue.errors import CorruptData, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from export.importing.foreign import Foreign
    from export.importing.rows import Arrays
    from staytrue.bundle import Format, Parity
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

SCALED = 4
"""Rows whose answers tell how large its outputs are: the last ones, at random where they are made up."""


def prove(
    foreign: Foreign,
    kind: Format,
    path: Path,
    signature: Signature,
    rows: Sequence[Arrays],
    max_batch: int,
    settings: ExportSection,
    what: str,
    *,
    made_up: bool,
    made: str = "",
) -> list[Parity]:
    """Compare the answers of an artefact, in what will run it, with the file's own, as every export is compared.

    Args:
        rows: each as a request of one row; single ones may differ in shape, larger batches take those alike.
        what: the rows are, for the record.
        made_up: whether the rows are: such rows are left out where the model has no answer that two ways of computing
            it would agree on (:func:`export.importing.edges.steady`), as edge rows are.
        made: how the artefact was.

    Raises:
        CorruptData: the outputs differ by more than the tolerances allow, or what runs it fails on rows that the file
            itself takes. Nothing may be published then.
        InvalidConfig: the file itself takes no batch of a size that callers might send, or no row that was made up for
            it proves anything.
        InvalidInput: outputs have other sizes than the signature tells callers.
    """
    with running(kind, path, signature) as (run, runtime):
        scales = Scales(signature, [foreign.run(row) for row in rows[-SCALED:]])
        answer = Answers(partial(_answer, foreign, signature))
        fit = partial(_fit, foreign, answer, run, scales, settings)
        pool = _drawn(foreign, signature, rows, fit, made_up=made_up)
        compared, name = partial(Exact, signature, scales.by_name, settings), foreign.path.name
        against = f"{foreign.said}, run by {foreign.ran_by} on {what}"
        written = partial(record, kind, path, runtime, against=against, made=made)
        trial = Trial(
            answer=answer,
            run=run,
            runtime=runtime,
            signature=signature,
            comparison=compared,
            own=compared,
            record=partial(written, edge_rows_left_out=pool.left_out),
            unfit=lambda rows: not fit(rows),
        )
        try:
            proofs = [trial.batch(pool, batch, name) for batch in proven_batches(max_batch)]
            proofs += trial.arranged(pool, min(COMPANY, max_batch), name)
            return proofs + trial.along_axes(pool, min(2, max_batch), name)
        except Differs as error:
            found = foreign.begins(kind, path, signature, error.rows, settings)
            if not steady(foreign.run, error.rows, scales, settings):
                found = f"{found}; {_UNSTEADY}" if found else _UNSTEADY
            raise error.told(found) from error


_UNSTEADY = (
    "the model's own answers to these rows move by more than the tolerances where the last digits of its inputs do, so "
    "no two ways to compute it agree: give --reference rows that it was made for, or allow more"
)
_NONE_STEADY = "its own answers to every row that was made up for it hang on the last digits of its inputs"


def _drawn(
    foreign: Foreign, signature: Signature, rows: Sequence[Arrays], fit: Callable[[Arrays], bool], *, made_up: bool
) -> Drawn:
    """Rows to prove it on, edge rows with them."""
    kept = [row for row in rows if fit(row)] if made_up else list(rows)
    if not kept:
        raise InvalidConfig(str(foreign.path), _NONE_STEADY, hint="give --reference, or tell `range` of its inputs")
    edges, left_out = usable_edges(signature, kept, foreign.run, fit)
    return Drawn(signature, kept, edges, left_out + len(rows) - len(kept))


def _fit(
    foreign: Foreign,
    answer: Callable[[Arrays], Arrays],
    run: Callable[[Arrays], Arrays],
    scales: Scales,
    settings: ExportSection,
    row: Arrays,
) -> bool:
    """Whether a row has an answer that an artefact can be held to."""
    if foreign.native and _agrees(scales, answer(row), run, row, settings):
        return True
    return _numbers(answer(row)) and steady(foreign.run, row, scales, settings)


def _answer(foreign: Foreign, signature: Signature, rows: Arrays) -> Arrays:
    """Of the file as given."""
    try:
        return foreign.run(rows)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        hint = "tell a smaller max_batch, or rows: none, with --amend"
        where = f"{foreign.path} at batch {signature.rows_in(rows)}"
        raise InvalidConfig(where, f"the model refuses it: {said}", hint=hint) from error


def _numbers(answers: Arrays) -> bool:
    """Whether all are finite: what comes of NaN where a model has no way with it is up to who multiplies."""
    return all(bool(np.isfinite(array).all()) for array in answers.values() if array.dtype.kind == "f")


def _agrees(
    scales: Scales, expected: Arrays, run: Callable[[Arrays], Arrays], row: Arrays, settings: ExportSection
) -> bool:
    try:
        got: dict[str, Any] = run(row)
    except Exception:  # noqa: BLE001 - the proof tells it
        return False
    try:
        scales.compare(expected, got, settings, "")
    except CorruptData:
        return False
    return True

"""The proof of an import: the file as it was given, beside the server's own runtime on the file of the bundle.

It shows that serving changes no answer; whether the answers are right only whoever made the model can know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.importing.rows import alike, joined
from export.importing.scale import Scales
from export.parity import running
from staytrue.bundle import Parity, digest, proven_batches
from staytrue.errors import CorruptData, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from export.importing.foreign import Foreign
    from export.importing.rows import Arrays
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

MOST_RUNS = 64
"""Of single rows."""
SCALED = 4
"""Rows whose answers tell how large its outputs are: the last ones, at random where they are made up."""
MOST_BATCHES = 4
"""Of one size above: each holds other rows as long as there are any."""


def prove(
    foreign: Foreign,
    kind: Format,
    path: Path,
    signature: Signature,
    rows: Sequence[Arrays],
    max_batch: int,
    settings: ExportSection,
    what: str,
) -> list[Parity]:
    """Compare the answers of an artefact, in what will run it, with the file's own; one record a batch size.

    Args:
        rows: each as a request of one row; single ones may differ in shape, larger batches take those alike.
        what: the rows are, for the record.

    Raises:
        CorruptData: the outputs differ by more than the tolerances allow, or what runs it fails on rows that the file
            itself takes. Nothing may be published then.
        InvalidConfig: the file itself takes no batch of a size that callers might send.
        InvalidInput: outputs have other sizes than the signature tells callers.
    """
    proofs = []
    with running(kind, path, signature) as (run, runtime):
        scales = Scales(signature, [foreign.run(row) for row in rows[-SCALED:]])
        for batch in proven_batches(max_batch):
            worst_abs = worst_rel = 0.0
            parts = _batches(signature, rows, batch)
            for part in parts:
                expected, got = _answers(foreign, run, part, batch)
                for spec in signature.outputs:
                    spec.check(got[spec.name], spec.datatype, "output")
                where = f"{foreign.path.name} at batch {batch}"
                absolute, relative = scales.compare(expected, got, settings, where)
                worst_abs, worst_rel = max(worst_abs, absolute), max(worst_rel, relative)
            proofs.append(
                Parity(
                    format=kind,
                    runtime=runtime,
                    artefact_sha256=digest(path).sha256,
                    batch=batch,
                    rows=batch * len(parts),
                    max_abs_error=worst_abs,
                    max_rel_error=worst_rel,
                    absolute_tolerance=settings.absolute_tolerance * scales.smallest,
                    relative_tolerance=settings.relative_tolerance,
                    passed=True,
                    against=f"{foreign.said}, run by {foreign.ran_by} on {what}",
                )
            )
    return proofs


def _answers(foreign: Foreign, run: Callable[[Arrays], Arrays], part: Arrays, batch: int) -> tuple[Arrays, Arrays]:
    """Of the file as given, and of the server."""
    try:
        expected = foreign.run(part)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        hint = "tell a smaller max_batch, or rows: none, with --amend"
        raise InvalidConfig(f"{foreign.path} at batch {batch}", f"the model refuses it: {said}", hint=hint) from error
    try:
        return expected, run(part)
    except Exception as error:  # each of what may run it raises its own
        said = " ".join(str(error).split())[:300]
        raise CorruptData(f"{foreign.path} at batch {batch}", f"fails as the server runs it: {said}") from error


def _batches(signature: Signature, rows: Sequence[Arrays], batch: int) -> list[Arrays]:
    if batch == 1:
        return [joined(signature, [row]) for row in rows[:MOST_RUNS]]
    pool = alike(rows)
    count = max(1, min(MOST_BATCHES, len(pool) // batch))
    taken = [pool[place % len(pool)] for place in range(count * batch)]
    return [joined(signature, taken[at : at + batch]) for at in range(0, len(taken), batch)]

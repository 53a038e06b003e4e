"""What there is to know of a version, in lines for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from staytrue.costs import arranged, changed
from staytrue.evaluation import headline, interval
from staytrue.openings import opened, perhaps_others
from staytrue.records import utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from staytrue.bundle import Bundle, Fidelity
    from staytrue.lineage import Lineage
    from staytrue.signature import TensorSpec

MOST_CATEGORIES = 8


def described(bundle: Bundle, role: str = "") -> str:
    """All of a version but its proofs by batch; ``role`` stands behind its name."""
    parts = [
        _head(bundle, role),
        *_table("inputs", map(_tensor, bundle.signature.inputs)),
        *_table("outputs", map(_tensor, bundle.signature.outputs)),
        *_table("files", ([name, f"{one.bytes:,} bytes", one.sha256[:16]] for name, one in bundle.files.items())),
        *_table("proofs", _proofs(bundle)),
        *_table("artefacts on validation rows", map(_cost, bundle.fidelity)),
        *_table("evaluation", _evaluation(bundle)),
    ]
    return "\n".join(parts)


def _head(bundle: Bundle, role: str) -> str:
    lineage = bundle.lineage
    after = f", to follow version {lineage.parent}" if lineage.parent else ""
    whose = "" if "test" in bundle.evaluation or not lineage.test_openings else ", not for it"
    lines = [
        f"{bundle.name} {bundle.version}{role}: {bundle.task} of {bundle.target}, made {bundle.created[:19]}",
        f"  why       {lineage.reason}{after}",
        *(_of_another(lineage) if lineage.imported else _of_a_run(lineage)),
        *([] if lineage.imported else [f"  test part {opened(lineage) or 'not opened'}{whose}"]),
        *([f"            {perhaps_others(lineage)}"] if lineage.test_opened_by_time else []),
        *(f"  let through: {sentence}" for sentence in lineage.let_through),
        f"  batches   of at most {bundle.max_batch} rows",
    ]
    if bundle.classes:
        lines.append(f"  classes   {', '.join(bundle.classes)}")
    return "\n".join(lines)


def _of_a_run(lineage: Lineage) -> list[str]:
    newest = f", the newest of {utc(lineage.trained_until)[:19]}" if lineage.trained_until else ""
    return [
        f"  run       {lineage.run}",
        f"  data      {lineage.trained_rows:,} rows{newest}; fingerprint {lineage.data_fingerprint[:16]}",
        f"  settings  fingerprint {lineage.project_fingerprint}",
    ]


def _of_another(lineage: Lineage) -> list[str]:
    rows = f"fingerprint {lineage.data_fingerprint[:16]}" if lineage.data_fingerprint else "none: no drift is seen"
    return [f"  file      {lineage.imported}", f"  reference {rows}"]


def quoted(text: str) -> str:
    """A text as callers send it, told apart from the comma behind it.

    >>> quoted("Ost, Mitte")
    '"Ost, Mitte"'
    """
    return json.dumps(text, ensure_ascii=False)


def categories(spec: TensorSpec, most: int) -> str:
    """The first of them, and how many there are beside these; those that are texts in quotes."""
    shown = spec.categories[:most]
    known = ", ".join(map(quoted, shown) if spec.datatype == "BYTES" else shown)
    more = len(spec.categories) - most
    return f"{known} and {more} more" if more > 0 else known


def _tensor(spec: TensorSpec) -> list[str]:
    return [spec.name, f"{spec.datatype} {spec.shape}", spec.unit, categories(spec, MOST_CATEGORIES)]


def _proofs(bundle: Bundle) -> Iterator[list[str]]:
    """Of each artefact the largest error of all its batches."""
    for kind, file in bundle.artefacts.items():
        proofs = [one for one in bundle.parity if one.format == kind]
        batches = ", ".join(str(size) for size in dict.fromkeys(one.batch for one in proofs))
        more = [said for one in proofs if (said := arranged(one))]
        batches += f"; {'; '.join(more)}" if more else ""
        error = max((one.max_abs_error for one in proofs), default=0.0)
        yield [file, proofs[0].runtime if proofs else "", f"batches {batches}", f"largest error {error:.2g}"]


def _cost(one: Fidelity) -> list[str]:
    decided = "" if one.differing is None else f"{one.differing:.2%} other decisions"
    return [
        one.format,
        f"{one.bytes:,} bytes",
        f"{one.apart:.2g} apart",
        f"95% within {one.far:.2g}",
        decided,
        changed(one),
        one.made,
    ]


def _evaluation(bundle: Bundle) -> Iterator[list[str]]:
    for part, metrics in bundle.evaluation.items():
        for name, one in headline(metrics).items():
            yield [part, name, f"{one.value:.4g}", interval(one), one.note]


def _table(title: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns of equal width below a title; nothing without rows."""
    found = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in found]
    return ["", title, *(line.rstrip() for line in lines)] if found else []

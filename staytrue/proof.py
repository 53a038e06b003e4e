"""What an artefact has to be proven in before it is served: batch sizes, company, free axes, edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.bundle import Fidelity, Parity
    from staytrue.lineage import Lineage
    from staytrue.signature import Signature

BOUNDS = {"apart", "far", "differing", "lost"}
"""What an artefact of fewer bits is held to; each as in :class:`staytrue.reduction.ReductionSection`."""


def unproven(signature: Signature, batches: Sequence[int], proofs: Sequence[Parity]) -> list[str]:
    """What none of the passed proofs of an artefact shows, each in words that follow "no proof".

    Each counts for one thing alone: a permuted batch of 7 or one of another size along an axis is no batch of 7.

    Args:
        batches: sizes at which it has to be proven, smallest first, the largest request last.
    """
    plain = [one for one in proofs if not one.arrangement and not one.shapes]
    tried = {one.batch for one in plain if one.rows >= one.batch > 0}
    missing = [str(size) for size in batches if size not in tried]
    found = [f"at batch {', '.join(missing)}"] if missing else []
    if signature.merges and batches[-1] > 1 and not any(one.arrangement and one.batch > 1 for one in proofs):
        found.append("in another order and company of rows")
    along = {(name, axis) for one in proofs if one.shapes for name, axes in one.axes.items() for axis in axes}
    free = [one for one in signature.free_axes() if one not in along]
    found += [f'at another size along axis {axis} of "{name}"' for name, axis in free]
    if not any(one.edge_rows or one.edge_rows_left_out for one in plain):
        found.append("on edge rows")
    return found


def unmeasured(measured: Sequence[Fidelity]) -> str:
    """What is missing in the records of what an artefact of fewer bits costs, in words that follow its name.

    Versions from before there was a bound were never held to it.
    """
    passed = [one for one in measured if one.passed]
    if not passed:
        return "has no record of what it costs"
    lacking = min((BOUNDS - one.bounds.keys() for one in passed), key=len)
    return f"was never held to {', '.join(sorted(lacking))}, as those of fewer bits are by now" if lacking else ""


def again(lineage: Lineage) -> str:
    """What makes a version anew.

    >>> from staytrue.lineage import Lineage
    >>> again(Lineage(run="", data_fingerprint="", project_fingerprint="", imported="model.onnx, SHA-256 0f1e"))
    'import it again'
    """
    return "import it again" if lineage.imported else "export it again"

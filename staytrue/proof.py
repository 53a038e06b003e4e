"""What an artefact has to be proven in before it is served: batch sizes, company, free axes, edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.bundle import Parity
    from staytrue.signature import Signature


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

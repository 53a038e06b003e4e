"""Returns: items to send back to annotators, the least sure first, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.consensus import Consensus


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """One item to look at again. Units: ``entropy`` of its labels in bits."""

    item: str
    label: str
    """What it is taken for now; nothing where nobody labelled it."""
    posterior: float
    entropy: float
    labels: dict[str, int]
    """How often each class was given."""
    reason: str


def returns(made: Annotations, agreed: Consensus, *, sure: float, at_least: int = 0) -> list[Return]:
    """Items without label or with fewer than ``at_least``, tied, below ``sure``, or on which annotators disagree.

    They are ranked in this order of reasons that matter most: no label, then the lowest posterior, then the largest
    entropy.
    """
    counts = made.counts()
    entropy, posterior = _entropy(counts), agreed.sure()
    total = counts.sum(axis=1)
    wanted = (total < max(at_least, 1)) | agreed.tied | (posterior < sure) | (entropy > 0)
    order = np.lexsort((-entropy, posterior, total > 0))
    found = []
    for item in order[wanted[order]].tolist():
        label = agreed.label[item]
        given = {made.classes[kind]: int(counts[item, kind]) for kind in np.flatnonzero(counts[item])}
        found.append(
            Return(
                item=made.items[item],
                label=made.classes[label] if label >= 0 else "",
                posterior=float(posterior[item]),
                entropy=float(entropy[item]),
                labels=given,
                reason=_reason(given, agreed.tied[item], posterior[item], sure, at_least),
            )
        )
    return found


def _entropy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each item's labels, in bits; 0 where all agree. Shapes: [N,K] → [N]."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = np.log2(np.where(share > 0, share, 1.0))
    return np.asarray(np.abs((share * logs).sum(axis=1)), dtype=np.float64)


def _reason(given: dict[str, int], tied: bool, posterior: float, sure: float, at_least: int) -> str:
    total = sum(given.values())
    if not total:
        return "nobody labelled it"
    said = [f"{total} of {at_least} labels"] if total < at_least else []
    even = list(given.values()).count(max(given.values())) > 1
    said += ["several classes were given as often"] if even else []
    said += ["several classes are as likely"] if tied and not even else []
    said += [f"posterior below {sure:g}"] if posterior < sure and not tied else []
    said += ["annotators disagree"] if len(given) > 1 else []
    return ", ".join(said)

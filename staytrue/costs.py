"""What artefacts cost and how they were proven, in words; for card, commands and ``show``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staytrue.bundle import Fidelity, Parity


def changed(one: Fidelity) -> str:
    """The headline metric of a model, and how an artefact changes it.

    >>> from staytrue.bundle import Fidelity, Metric
    >>> change = Metric(value=-0.004, low=-0.007, high=0.0)
    >>> what = {"format": "fp16", "artefact_sha256": "", "bytes": 1, "rows": 9, "rows_sha256": "", "apart": 0.0}
    >>> changed(Fidelity(**what, metric="accuracy", own=0.9857, change=change, passed=True))
    'accuracy 0.9857, changed by -0.004 [-0.007, +0]'
    """
    if one.change is None:
        return "no truth of the rows is kept"
    ends = "" if one.change.bare else f" [{one.change.low:+.3g}, {one.change.high:+.3g}]"
    value = f"{one.change.value:+.3g}{ends}"
    flatters = " (in-sample)" if one.in_sample else ""
    return f"{one.metric} {one.own:.4g}{flatters}, changed by {value}" + (
        f" ({one.change.note})" if one.change.note else ""
    )


def error_of(proof: Parity) -> str:
    """How far off an artefact was at most: of large numbers large errors are allowed, so by that as well."""
    largest = f"largest error {proof.max_abs_error:.3g}"
    return largest if proof.share is None else f"{largest}, each within {percent(proof.share)} of what is allowed"


def percent(share: float) -> str:
    """As whole ones, upwards.

    >>> percent(0.0), percent(1e-9), percent(0.291), percent(1.0)
    ('0%', '1%', '30%', '100%')
    """
    return f"{math.ceil(100 * share)}%"


def arranged(proof: Parity) -> str:
    """What was special about the rows of a proof; nothing of an ordinary batch."""
    sizes = ", ".join(f'"{name}" {shape}' for name, shape in proof.shapes.items())
    return proof.arrangement or (f"with {sizes}" if sizes else "")


def costs(one: Fidelity) -> str:
    """An artefact in a line."""
    decided = "" if one.differing is None else f", {one.differing:.2%} other decisions"
    made = f" ({one.made})" if one.made else ""
    apart = f"{one.apart:.3g} apart, 95% within {one.far:.3g}"
    return f"{one.bytes:,} bytes, {apart}{decided}, {changed(one)} on {one.rows} validation rows{made}"

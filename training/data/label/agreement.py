"""Agreement: how far annotators say the same, overall, by class and by annotator."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np

from training.data.label.alpha import Scale, alpha_by_class, alpha_without, alphas
from training.data.label.figures import Figure, bootstrap, figure, ratio
from training.data.label.kappa import Cohen, Fleiss, cohen, fleiss
from training.progress import unwatched

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data.label.annotations import Annotations
    from training.data.label.figures import Resampling
    from training.progress import Advance, Watch

Found = TypeVar("Found")


class AnnotatorAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """One annotator beside the others."""

    labels: int
    with_majority: Figure
    """Share of their labels that the majority of the others gave too; of a tie each side counts its part."""
    kappa: Figure
    """Mean of Cohen's kappa with each other annotator."""
    alpha_without: Figure
    """Krippendorff's alpha of the others; larger than that of all where this one is unlike them."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """All coefficients of a set of annotations."""

    scale: Scale
    fleiss: Fleiss
    cohen: Cohen
    alpha: dict[Scale, Figure]
    """Krippendorff's alpha: nominal, and on the scales up to ``scale``."""
    alpha_by_class: dict[str, Figure]
    by_annotator: dict[str, AnnotatorAgreement]


def agree(made: Annotations, scale: Scale, resampling: Resampling, watch: Watch = unwatched) -> Agreement:
    """Every coefficient, each with its interval, or without a value and with the reason.

    Raises:
        InvalidInput: an interval scale of classes that are no numbers.
    """
    with watch("agreement", 5 + len(made.annotators)) as advance:
        return _agree(made, scale, resampling, advance)


def _agree(made: Annotations, scale: Scale, resampling: Resampling, advance: Advance) -> Agreement:
    def told(found: Found) -> Found:
        advance(1)
        return found

    pairwise = told(cohen(made, resampling))
    without = told(alpha_without(made, scale, resampling))
    counts = made.counts()
    by_annotator = {}
    for number, name in enumerate(made.annotators):
        item, label = made.of(number)
        with_majority = told(_with_majority(counts[item], label, resampling))
        by_annotator[name] = AnnotatorAgreement(
            labels=len(item),
            with_majority=with_majority,
            kappa=msgspec.structs.replace(pairwise.by_annotator[name], items=with_majority.items),
            alpha_without=without[name],
        )
    return Agreement(
        scale=scale,
        fleiss=told(fleiss(counts, made.classes, resampling)),
        cohen=pairwise,
        alpha=told(alphas(made, scale, resampling)),
        alpha_by_class=told(alpha_by_class(made, resampling)),
        by_annotator=by_annotator,
    )


def _with_majority(counts: NDArray[np.int64], label: NDArray[np.int64], resampling: Resampling) -> Figure:
    """Shapes: counts [L,K] of the items that one annotator labelled, label [L]."""
    others = counts.copy()
    others[np.arange(len(label)), label] -= 1
    most = others.max(axis=1, initial=0)
    credit = np.where(others[np.arange(len(label)), label] == most, 1 / (others == most[:, None]).sum(axis=1), 0.0)
    values, often = np.unique(credit[most > 0], return_counts=True)
    note = "nobody else labelled these items"
    if not len(values):
        return Figure(value=None, note=note)
    features = np.stack([values, np.ones_like(values)], axis=1)
    point, drawn = bootstrap(features, often, _share, resampling)
    return figure(point[0], drawn[:, 0], items=int(often.sum()), note=note)


def _share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return ratio(sums[:, 0], sums[:, 1])[:, None]

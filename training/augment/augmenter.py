"""The augmenter: what training sees of its rows in each epoch, by seed, epoch and row alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from training.augment import synonyms
from training.augment.check import check
from training.augment.draws import Draws
from training.augment.mixing import Mixing, View
from training.augment.pictures import Pictures
from training.augment.sequences import Sequences
from training.augment.texts import Texts
from training.augment.tokens import Tokens
from training.augment.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from staytrue.augmentation import AugmentationSection, TextVariation
    from staytrue.feature import Feature
    from staytrue.sections import TrainingSection
    from training.augment.tokens import Tokenized

    Vary = Callable[[Tensor, NDArray[np.int64], int], Tensor]

_MIXING = 0
"""The stream of draws that says who is mixed; the columns that are varied have the next ones."""


class Encodable(Protocol):
    """Training rows: raw columns, in the order of the features, and what encodes them."""

    @property
    def sources(self) -> Sequence[Tensor]:
        """Shapes: each [N,…]."""

    @property
    def encode(self) -> Callable[..., Tensor]:
        """Some rows of each source to a matrix."""


@dataclasses.dataclass(frozen=True)
class Augmenter:
    """What varies rows. It keeps nothing between calls: a run taken up again sees what it would have seen."""

    columns: Mapping[int, Vary]
    """Places of features whose columns are varied."""
    mixing: Mixing | None

    def __call__(self, sources: Sequence[Tensor], places: Tensor, epoch: int) -> list[Tensor]:
        """Raw columns of some rows, varied as callers could send them. Shapes: each [N,…] → the same.

        ``places`` are those of the rows in the training split, [N], ``epoch`` counts from 1, as in ``metrics.jsonl``.
        """
        rows = places.cpu().numpy()
        return [
            self.columns[index](source, rows, epoch) if index in self.columns else source
            for index, source in enumerate(sources)
        ]

    def mix(self, places: Tensor, epoch: int) -> tuple[Tensor, Tensor] | None:
        """Place of the row that each is mixed with, and the share of its own; None where rows are not mixed.

        Shapes: [N] → [N], [N,1].
        """
        return None if self.mixing is None else self.mixing(places.cpu().numpy(), epoch)


def augmentation(
    settings: TrainingSection,
    features: Mapping[str, Feature],
    rows: int,
    tokenized: Callable[[str], Tokenized] | None = None,
) -> Augmenter | None:
    """The augmenter of so many training rows; None where nothing is to be varied.

    ``tokenized`` gives, of a column with a tokenizer, the texts of these rows and what makes ids of them.

    Raises:
        InvalidConfig: settings of columns that are not there, or that do not suit them; a broken file of synonyms.
    """
    wanted = settings.augmentation
    if not wanted.varies:
        return None
    check(settings, features)
    columns: dict[int, Vary] = {}
    for index, (name, feature) in enumerate(features.items()):
        made = _column(wanted, feature, Draws(settings.seed, _MIXING + 1 + len(columns)))
        if isinstance(made, Words):
            if tokenized is None:
                raise TypeError(f"{name} has a tokenizer, and nothing says what its texts are")
            made = Tokens(made, *tokenized(name))
        columns |= {} if made is None else {index: made}
    return Augmenter(columns, Mixing(wanted.mixup, rows, Draws(settings.seed, _MIXING)) if wanted.mixup else None)


def words(settings: TextVariation, draws: Draws) -> Words:
    """What varies texts by these settings, of a column of bytes or of anything else.

    Raises:
        InvalidConfig: a broken file of synonyms.
    """
    return Words(settings, {} if settings.synonyms is None else synonyms.read(settings.synonyms), draws)


def seen(augmenter: Augmenter | None, rows: Encodable, places: Tensor, epoch: int) -> View:
    """What a step sees of the rows at these places: varied, encoded and mixed."""

    def encoded(which: Tensor) -> Tensor:
        raw = [source[which] for source in rows.sources]
        return rows.encode(*(raw if augmenter is None else augmenter(raw, which, epoch)))

    mixed = None if augmenter is None else augmenter.mix(places, epoch)
    if mixed is None:
        return View(encoded(places), [(places, 1.0)])
    partner, share = mixed
    return View.mixed(encoded(places), places, encoded(partner), partner, share)


def _column(wanted: AugmentationSection, feature: Feature, draws: Draws) -> Vary | Words | None:
    if feature.kind == "image" and wanted.image.varies:
        return Pictures(wanted.image, feature, draws)
    if feature.kind == "sequence" and wanted.sequence.varies:
        return Sequences(wanted.sequence, draws)
    if feature.kind == "text" and wanted.text.varies:
        varied = words(wanted.text, draws)
        return varied if feature.tokenizer else Texts(varied)
    return None

"""The chapter on augmentation: what is done to which column of the rows that train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.data.chapters import Cell, Chapter, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.augmentation import Variation
    from staytrue.feature import Feature
    from staytrue.sections import TrainingSection


def chapter(settings: TrainingSection, features: Mapping[str, Feature]) -> Chapter:
    """What the settings do, column by column."""
    wanted = settings.augmentation
    parts: dict[str, Variation] = {"image": wanted.image, "text": wanted.text, "sequence": wanted.sequence}
    varied = {name: parts[feature.kind] for name, feature in features.items() if feature.kind in parts}
    done = [
        [name, operation.replace("_", " "), _said(getattr(part, operation)), _told(part, operation)]
        for name, part in varied.items()
        for operation in part.operations()
        if part.varies and getattr(part, operation)
    ]
    mixed = f" Rows are mixed in pairs, by a Beta distribution of alpha {wanted.mixup:g}." if wanted.mixup else ""
    columns = len({line[0] for line in done})
    return Chapter(
        title="Augmentation",
        summary=f"{columns} columns of the training rows are varied, anew in each epoch; no others are.{mixed}",
        tables=[Table(title="Operations", columns=["column", "operation", "amount", "meaning"], rows=done)]
        if done
        else [],
    )


def _said(amount: object) -> Cell:
    return " to ".join(f"{end:g}" for end in amount) if isinstance(amount, list) else str(amount)


def _told(part: Variation, operation: str) -> str:
    return type(part).model_fields[operation].description or ""

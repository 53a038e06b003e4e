"""Assembly: encoder, body and head become a whole model with fresh weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training.data.encode.encoder import Encoder, is_embedded
from training.models.architectures import build
from training.models.classifier import Classifier
from training.models.embeddings import Embedded, embedded_width
from training.models.regressor import Head, Regressor

if TYPE_CHECKING:
    from torch import nn

    from training.data.encode.encoder import ColumnState
    from training.models.regressor import Scale

Model = Regressor | Classifier


def assemble(
    states: Sequence[ColumnState], architecture: str, arguments: dict[str, Any], kind: Scale | Sequence[str]
) -> Model:
    """A regressor of a scale, or a classifier of classes."""
    encoder = Encoder(states)
    if isinstance(kind, Sequence):
        return Classifier(encoder, _body(states, architecture, arguments, len(kind)), kind)
    return Regressor(encoder, Head(_body(states, architecture, arguments, 1), kind))


def _body(states: Sequence[ColumnState], architecture: str, arguments: dict[str, Any], outputs: int) -> nn.Module:
    """The architecture, behind the embeddings where there are any."""
    body = build(architecture, embedded_width(states), arguments, outputs)
    return Embedded(states, body) if any(map(is_embedded, states)) else body

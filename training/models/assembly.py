"""Assembly: encoder, body and head become a whole model with fresh weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training.data.encode.encoder import Encoder, is_embedded
from training.models.architectures import build
from training.models.embeddings import Embedded
from training.models.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.data.encode.encoder import ColumnState
    from training.models.model import Model
    from training.tasks.task import Task


def assemble(states: Sequence[ColumnState], architecture: str, arguments: dict[str, Any], task: Task) -> Model:
    """The architecture, behind the embeddings where there are any, and in front what the task makes of its numbers."""
    body = build(architecture, Layout.of(states), arguments, task.outputs)
    return task.model(Encoder(states), Embedded(states, body) if any(map(is_embedded, states)) else body)

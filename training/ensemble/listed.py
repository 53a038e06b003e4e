"""Listed: a member as the checkpoint of its ensemble tells it, enough to build its module again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from staytrue.checkpoint import Checkpoint

Method = Literal["mean", "weighted", "vote"]
ENSEMBLE = "ensemble"
"""The architecture of a checkpoint that has members."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One member. Its weights are the ensemble's that begin with its place: ``0.…``."""

    run: str
    weight: float
    architecture: str
    model: dict[str, Any]
    preprocessing: dict[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, weight: float) -> Listed:
        """Of a run."""
        return cls(
            run=checkpoint.run,
            weight=weight,
            architecture=checkpoint.architecture,
            model=checkpoint.model,
            preprocessing=checkpoint.preprocessing,
        )

    def within(self, checkpoint: Checkpoint) -> Checkpoint:
        """The ensemble's checkpoint as if it were this member's alone."""
        own = {"architecture": self.architecture, "model": self.model, "preprocessing": self.preprocessing}
        return msgspec.structs.replace(checkpoint, **own)


def fitted_on_validation(checkpoint: Checkpoint) -> bool:
    """Whether something in a run was fitted on the validation rows, so that its own answers to them flatter it."""
    return checkpoint.architecture == ENSEMBLE and checkpoint.model.get("method") == "weighted"

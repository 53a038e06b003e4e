"""Task: what a model learns from, how it is judged, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from staytrue.profile import ReferenceColumn
    from staytrue.sections import TrainingSection
    from staytrue.signature import TensorSpec
    from training.data.encode.encoder import Encoder
    from training.data.rows import Rows
    from training.evaluate.judge import Judge
    from training.models.model import Model
    from training.objectives import Objective


class Task(Protocol):
    """One of the tasks. It is learnt from training rows, kept in the checkpoint and made again from it."""

    @property
    def measure(self) -> str:
        """Name of what an epoch is judged by on validation rows; smaller is better."""

    @property
    def outputs(self) -> int:
        """Numbers of a row that the body gives."""

    def model(self, encoder: Encoder, body: nn.Module) -> Model:
        """The whole model: what its answers are made of is the body's numbers."""

    def truth(self, rows: Rows) -> Tensor:
        """What is to be learnt. Shapes: [N,…]."""

    def loss(self, settings: TrainingSection) -> Objective:
        """What is minimised. Shapes: what the head gives [N,…], truth [N,…] → [N,1].

        Raises:
            InvalidConfig: a loss that is not for this task.
        """

    def miss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Of each row its part of the measure. Shapes: what the head gives [N,…], truth [N,…] → [N,1]."""

    def specs(self) -> list[TensorSpec]:
        """Outputs of the model, as its signature names them."""

    def judge(self, model: Model, rows: Rows, *, seed: int) -> Judge:
        """The answers to some rows beside their truths."""

    def told(self, rows: Rows) -> list[float | str]:
        """Of each row the truth, as a label tells it."""

    def predictions(self, model: Model, rows: Rows) -> tuple[list[float | str], list[ReferenceColumn]]:
        """Of each row the answer that a label will be compared with, and what else is watched of the answers."""

    def described(self) -> dict[str, Any]:
        """JSON values that :func:`training.tasks.tasks.restored` makes it again from, beside target and classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names that it may answer; none where it answers numbers."""

"""The seam between the dataplane and whatever runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Runtime(Protocol):
    """A loaded model. ``run`` may be called from several threads at once."""

    description: str
    """Name, version and device, for metadata and proofs: ``onnxruntime 1.32.0 CPU``."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model on tensors that its signature has accepted; outputs by the signature's names.

        Raises:
            InvalidInput: the model refused these values. Any other exception is a fault of ours.
            Unavailable: after ``close``.
        """

    def close(self) -> None:
        """Free the model; once more does nothing."""

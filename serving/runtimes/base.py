"""The seam between the dataplane and whatever runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.bundle import Format
    from staytrue.signature import Signature


class RunError(Exception):
    """The model itself failed in a run: for its inputs or by a fault of ours, as :class:`serving.judge.Judge` tells."""


class Runtime(Protocol):
    """A loaded model. ``run`` may be called from several threads at once."""

    description: str
    """Name, version and device, for metadata and proofs: ``onnxruntime 1.32.0 CPU``."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model on tensors that its signature has accepted; outputs by the signature's names.

        Raises:
            RunError: the model failed in this run. Any other exception that is no StaytrueError is a fault of ours.
            InvalidInput: the model refused these values, beyond doubt.
            DeadlineExceeded: it took longer than is allowed.
            Overloaded: whatever runs it has too much to do.
            Unavailable: after ``close``, and while what runs it is gone and comes back.
        """

    def ready(self) -> bool:
        """Whether it can run now: false while what runs it is gone, for those that run elsewhere; does not wait."""

    def break_off(self) -> None:
        """End what runs now, if that can be done: it does not come back. Does not wait."""

    def close(self) -> None:
        """Free the model; once more does nothing."""


class RuntimeMaker(Protocol):
    """Turns artefacts into runtimes, and owns what they share: a server that runs them all, for example."""

    format: Format
    """Which artefact of a bundle it takes."""
    platform: str
    """For the metadata of the Open Inference Protocol: ``onnx_onnxv1``."""
    provider: str
    """Where models run, as the settings name it: ``cpu``, ``cuda``, ``tensorrt``."""
    description: str
    """For people, told at start: ``onnxruntime 1.32.0 CPU``."""

    def __call__(self, path: Path, signature: Signature) -> Runtime:
        """Load an artefact.

        Raises:
            CorruptData: it cannot be loaded, or is not the signature's.
            Unavailable: what would run it is not there.
        """

    def close(self) -> None:
        """End what the runtimes share; once more does nothing."""

    def __enter__(self) -> Self:
        """The maker, closed at the end of the block."""

    def __exit__(self, *_: object) -> None:
        """Close."""

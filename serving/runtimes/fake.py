"""A runtime without a model, for tests of all that stands around one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from staytrue.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.runtimes.base import Runtime
    from staytrue.bundle import Format
    from staytrue.signature import Signature


class FakeRuntime:
    """Answers by a function of the inputs."""

    description = "fake"

    def __init__(self, answer: Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> None:
        self._answer = answer
        self.runs = 0
        self.closed = False
        self.well = True

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Answer, and count.

        Raises:
            Unavailable: after ``close``.
        """
        if self.closed:
            raise Unavailable("fake runtime", "was closed")
        self.runs += 1
        return self._answer(inputs)

    def ready(self) -> bool:
        """As ``well`` says."""
        return self.well and not self.closed

    def break_off(self) -> None:
        """A function cannot be broken off."""

    def close(self) -> None:
        """Refuse from now on."""
        self.closed = True


class FakeMaker:
    """Makes runtimes by a function of path and signature."""

    platform, provider, description = "fake", "cpu", "fake"

    def __init__(self, make: Callable[[Path, Signature], Runtime], kind: Format = "onnx") -> None:
        self._make, self.format = make, kind
        self.closed = False

    def __call__(self, path: Path, signature: Signature) -> Runtime:
        """Call the function."""
        return self._make(path, signature)

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""A runtime without a model, for tests of all that stands around one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


class FakeRuntime:
    """Answers by a function of the inputs."""

    description = "fake"

    def __init__(self, answer: Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]) -> None:
        self._answer = answer
        self.runs = 0
        self.closed = False

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Answer, and count.

        Raises:
            Unavailable: after ``close``.
        """
        if self.closed:
            raise Unavailable("fake runtime", "was closed")
        self.runs += 1
        return self._answer(inputs)

    def close(self) -> None:
        """Refuse from now on."""
        self.closed = True

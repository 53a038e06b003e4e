"""Progress of steps that take a while: a line that moves on a terminal, one line a finished step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watch(Protocol):
    """Watches a step for as long as a block lasts."""

    def __call__(self, name: str, /) -> contextlib.AbstractContextManager[None]:
        """Begin the step."""


@contextlib.contextmanager
def unwatched(_: str) -> Iterator[None]:
    """Nobody looks."""
    yield


@contextlib.contextmanager
def watched(steps: int, say: Callable[[str], None]) -> Iterator[Watch]:
    """Show how far ``steps`` steps have come; ``say`` is told of each that has ended, with its seconds."""
    console = Console(file=sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=steps)

        @contextlib.contextmanager
        def watch(name: str) -> Iterator[None]:
            progress.update(task, description=name)
            began = time.monotonic()
            yield
            progress.advance(task)
            say(f"{name}: {time.monotonic() - began:.1f} s")

        yield watch

"""Progress of steps that take a while: lines that move on a terminal, one line a finished step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_SECONDS = 2.0
"""What takes longer is told of, also where it is a part of a step."""
Advance = Callable[[int], None]
"""Says that so many more of a step's units are done."""


class Watch(Protocol):
    """Watches a step, or a part of the step that is going on, for as long as a block lasts."""

    def __call__(self, name: str, units: int | None = None, /) -> contextlib.AbstractContextManager[Advance]:
        """Begin it; ``units`` if it can say how far it has come."""


@contextlib.contextmanager
def unwatched(_: str, units: int | None = None, /) -> Iterator[Advance]:  # noqa: ARG001 - as a Watch takes it
    """Nobody looks."""
    yield lambda _: None


@contextlib.contextmanager
def watched(
    steps: int,
    say: Callable[[str], None],
    *,
    least_seconds: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
    console: Console | None = None,
) -> Iterator[Watch]:
    """Show how far ``steps`` steps have come, and what goes on within one.

    ``say`` is told, with its seconds, of each step that took at least ``least_seconds``, and of each part of a step
    that took :data:`LONG_SECONDS`.
    """
    console = console or Console(file=sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole = progress.add_task("", total=steps)
        going: list[str] = []

        @contextlib.contextmanager
        def watch(name: str, units: int | None = None, /) -> Iterator[Advance]:
            least = LONG_SECONDS if going else least_seconds
            if not going:
                progress.update(whole, description=name)
            part = progress.add_task(f"  {name}", total=units) if going or units else None
            going.append(name)
            began = clock()
            try:
                yield lambda count: None if part is None else progress.advance(part, count)
            finally:
                going.pop()
                if part is not None:
                    progress.remove_task(part)
            if not going:
                progress.advance(whole)
            if clock() - began >= least:
                say(f"{': '.join([*going, name])}: {clock() - began:.1f} s")

        yield watch

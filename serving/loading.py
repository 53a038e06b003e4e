"""From a bundle on disk to a version in memory, warmed up; and back, beside those who answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from serving import allocator
from serving.contract import Contract
from staytrue.asking import example
from staytrue.errors import CorruptData, NotFound, StaytrueError, within
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.runtimes.base import Runtime, RuntimeMaker
    from staytrue.bundle import Bundle
    from staytrue.store import Store

log = logging.getLogger(__name__)
WARM_ROWS = 8
"""Rows of the first warm-up run: what is allocated for a batch is there before the first one comes."""
WARM_RUNS, SLOW_SECONDS = 3, 0.05
"""Runs of one row: the first ones still allocate. A slow model has one, which tells enough."""


class Lane(Protocol):
    """What stands before a version's runtime: a queue that makes batches, for example."""

    def ready(self) -> bool:
        """Whether it takes requests now; does not wait."""

    def close(self) -> None:
        """End it; the runtime is closed after it."""


@dataclass(slots=True, eq=False)
class Loaded:
    """A version in memory, proven and warmed up. Freed when it was replaced and its last call has ended."""

    bundle: Bundle
    runtime: Runtime
    lane: Lane | None = None
    calls: int = 0
    retired: bool = False
    used: int = 0
    """When callers last named it, as a count of such calls: the one named longest ago goes first."""
    contract: Contract = field(init=False, repr=False)
    forms: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What protocols have made of its signature, by what made it."""

    def __post_init__(self) -> None:
        self.contract = Contract(self.bundle.signature, self.bundle.max_batch)

    def ready(self) -> bool:
        """Whether what runs it is still there."""
        return self.runtime.ready() and (self.lane is None or self.lane.ready())


Attach = Callable[["Bundle", "Runtime", float], Lane]
"""Puts what stands before a runtime there; it is told how many seconds one row took."""


class Loader:
    """Loads versions of a store with one maker of runtimes."""

    def __init__(self, store: Store, make: RuntimeMaker, attach: Attach | None) -> None:
        self._store, self._make, self._attach = store, make, attach

    def load(self, name: str, version: str) -> Loaded:
        """Check every byte and proof, load the artefact, run it, and attach its lane.

        Raises:
            NotFound: no such version.
            CorruptData: it is not whole, has no artefact for this runtime, or fails its first runs.
            StaytrueError: what would run it is not there.
        """
        where, folder = f"{name} version {version}", self._store.path(name, version)
        log.info("%s is being loaded", where)
        try:
            bundle = self._store.load(name, version)
            path = folder / self._artefact(bundle, where)
            runtime = self._make(path, bundle.signature)
        except StaytrueError:
            raise
        except Exception as error:
            raise CorruptData(where, f"does not load: {error!r}"[:500]) from error
        try:
            seconds = warm_up(bundle, runtime)
            allocator.trim()  # a load takes for a moment what the model does, and more
            return Loaded(bundle, runtime, self._attach(bundle, runtime, seconds) if self._attach else None)
        except Exception as error:
            runtime.close()
            if isinstance(error, StaytrueError):
                raise
            raise CorruptData(where, f"fails its first run: {error!r}"[:500]) from error

    def load_named(self, name: str, version: str) -> Loaded:
        """Load a version for callers, who are not told where the store lies; the log is.

        Raises:
            StaytrueError: as :meth:`load`.
        """
        try:
            return self.load(name, version)
        except StaytrueError as error:
            if not isinstance(error, NotFound):
                log.error("%s version %s, which a caller named: %s", name, version, error)  # noqa: TRY400 - it says all
            raise within(within(error, str(self._store.root)), self._store.where) from error

    def _artefact(self, bundle: Bundle, where: str) -> str:
        artefact = bundle.artefacts.get(self._make.format)
        if artefact is None:
            there = sorted(bundle.artefacts)
            raise CorruptData(
                where,
                f"has no artefact {self._make.format}, which {self._make.description} runs, but {', '.join(there)}",
                hint=f"export it again with export.formats: [{', '.join([*there, self._make.format])}]",
            )
        return artefact


class Closer:
    """Frees versions in a thread of its own: it may take long, and whoever ends the last call answers requests."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="closing")

    def close_soon(self, loaded: Loaded, then: Callable[[Loaded], None]) -> None:
        """Free a version, then tell that it is done."""
        self._thread.submit(self._close, loaded, then)

    def end(self) -> None:
        """Wait until all is freed."""
        self._thread.shutdown(wait=True)

    @staticmethod
    def _close(loaded: Loaded, then: Callable[[Loaded], None]) -> None:
        try:
            free(loaded)
        finally:
            then(loaded)
        allocator.trim()


def free(loaded: Loaded) -> None:
    """Close a version's lane, then its runtime; what fails is logged, as nobody waits for it."""
    for part in (loaded.lane, loaded.runtime):
        try:
            if part is not None:
                part.close()
        except Exception:
            log.exception("%s version %s could not be freed whole", loaded.bundle.name, loaded.bundle.version)


def warm_up(bundle: Bundle, runtime: Runtime) -> float:
    """Run a few rows at once where the model takes several, then one row until it takes as long as it will.

    Returns:
        Seconds of the last run.

    Raises:
        CorruptData: outputs are not the signature's.
    """
    signature, seconds = bundle.signature, 0.0
    counted = signature.rows != "none" and all(spec.shape[:1] == [-1] for spec in signature.inputs)
    several = min(bundle.max_batch, WARM_ROWS) if counted else 1
    if several > 1:
        _check_outputs(bundle, runtime.run(example(signature, several)))
    row = example(signature)
    for _ in range(WARM_RUNS):
        began = time.monotonic()
        outputs = runtime.run(row)
        seconds = time.monotonic() - began
        _check_outputs(bundle, outputs)
        if seconds > SLOW_SECONDS:
            break
    return seconds


def _check_outputs(bundle: Bundle, outputs: dict[str, NDArray[Any]]) -> None:
    for spec in bundle.signature.outputs:
        array = outputs[spec.name]
        if array.dtype != NUMPY[spec.datatype] or array.ndim != len(spec.shape):
            got = f"{array.dtype} {list(array.shape)}"
            raise CorruptData(f'{bundle.name} output "{spec.name}"', expected=spec.label(), got=got)

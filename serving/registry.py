"""Which versions are loaded and who answers: follows the store's aliases without dropping a call."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.runtimes.onnx import OnnxMaker
from staytrue.errors import CorruptData, NotFound, Overloaded, StaytrueError, Unavailable
from staytrue.signature import NUMPY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from serving.runtimes.base import Runtime, RuntimeMaker
    from staytrue.bundle import Bundle
    from staytrue.signature import Signature
    from staytrue.store import Store

log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
PINNED_KEPT = 3
"""Older versions that callers name are loaded on demand; this many stay loaded a model."""


@dataclass
class Loaded:
    """A version in memory, proven and warmed up. Closed when it was replaced and its last call has ended."""

    bundle: Bundle
    runtime: Runtime
    calls: int = 0
    retired: bool = False


@dataclass
class Model:
    """One model: its champion, pinned versions, and why the newest champion is not answering, if it is not."""

    name: str
    champion: Loaded | None = None
    pinned: OrderedDict[str, Loaded] = field(default_factory=OrderedDict)
    refused: dict[str, str] = field(default_factory=dict)
    """Version → why it did not load."""
    revision: int = -1
    failed: float = 0.0
    """When the champion last failed to load, by a clock that never runs backwards."""

    @property
    def answering(self) -> str | None:
        """The champion's version, once one has loaded."""
        return self.champion.bundle.version if self.champion else None

    def holds(self, version: str | None) -> bool:
        """Whether a version, or the champion where none is named, is in memory."""
        return version in (None, self.answering) or version in self.pinned


class Registry:
    """The models that this process serves.

    Args:
        store: where versions come from.
        names: models to serve; empty for all of the store.
        make: turns artefacts into runtimes, and says which of a bundle's it takes; ONNX Runtime where none is given.
            Whoever made it closes it.
    """

    def __init__(
        self,
        store: Store,
        names: list[str],
        make: RuntimeMaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._names, self._clock = store, names, clock
        self.make = make or OnnxMaker()
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()
        self._pinning = threading.Lock()

    def refresh(self) -> None:
        """Look at the aliases; load and warm up beside the old version, then swap. Never raises for a bad version."""
        for name in self._names or self._store.models():
            model = self._models.setdefault(name, Model(name))
            try:
                aliases = self._store.aliases(name)
            except StaytrueError as error:
                if str(error) != model.refused.get("aliases"):
                    log.warning("%s: %s", name, error)
                model.refused["aliases"] = str(error)
                continue
            model.refused.pop("aliases", None)
            if aliases.revision != model.revision or (model.answering != aliases.champion and self._due(model)):
                model.revision = aliases.revision
                self._swap(model, aliases.champion)

    def _due(self, model: Model) -> bool:
        """Whether to try a champion that did not load once more: somebody may have repaired it."""
        return self._clock() - model.failed >= RETRY_SECONDS

    def names(self) -> list[str]:
        """Models known, loaded or not."""
        return sorted(self._models)

    def model(self, name: str) -> Model:
        """A model that has a version answering.

        Raises:
            NotFound: no such model here.
            Unavailable: it is known, but no version of it has loaded.
        """
        model = self._models.get(name)
        if model is None:
            there = ", ".join(self.names()) or "none"
            raise NotFound(f'model "{name[:200]}"', "is not served here", hint=f"models: {there}")
        if model.champion is None:
            raise Unavailable(f'model "{name}"', "has no version that loads", hint="; ".join(model.refused.values()))
        return model

    @contextlib.contextmanager
    def version(self, name: str, version: str | None) -> Iterator[Loaded]:
        """Hold a version for a call: the champion, or the one that was named.

        Raises:
            NotFound: no such model or version.
            CorruptData: the version named does not load.
            Overloaded: another version that was named is being loaded.
        """
        self._pin(name, version)
        with self._lock:
            loaded = self._find(name, version)
            loaded.calls += 1
        try:
            yield loaded
        finally:
            with self._lock:
                loaded.calls -= 1
                self._close_if_done(loaded)

    def ready(self) -> bool:
        """Whether a real inference of each model succeeded in this process, and what runs it is still there."""
        models = list(self._models.values())
        return bool(models) and all(model.champion and model.champion.runtime.ready() for model in models)

    def versions(self) -> dict[str, list[str]]:
        """Loaded versions by model."""
        return {
            name: sorted({*filter(None, [model.answering]), *list(model.pinned)}, key=int)
            for name, model in list(self._models.items())  # another thread may add one meanwhile
        }

    def close(self) -> None:
        """Free everything."""
        for model in self._models.values():
            for loaded in (model.champion, *model.pinned.values()):
                if loaded:
                    loaded.runtime.close()
        self._models.clear()

    def _pin(self, name: str, version: str | None) -> None:
        """Load a version that was named, one at a time and beside the lock: calls of others must not wait for it.

        Nor may they wait for a thread: who names a version while one is being loaded is told to come again, so that
        many such requests hold one of the threads that answer, not all of them.
        """
        model = self.model(name)
        if model.holds(version):
            return
        wanted = version or ""
        if not self._pinning.acquire(blocking=False):
            raise Overloaded(f'model "{name}"', "another version that was named is being loaded", hint="try again")
        try:
            if model.holds(version):
                return
            fresh = self._load(name, wanted)
            with self._lock:
                model.pinned[wanted] = fresh
                while len(model.pinned) > PINNED_KEPT:
                    _, oldest = model.pinned.popitem(last=False)
                    self._retire(oldest)
        finally:
            self._pinning.release()

    def _find(self, name: str, version: str | None) -> Loaded:
        model = self.model(name)
        champion = model.champion
        if champion is not None and version in (None, champion.bundle.version):
            return champion
        wanted = version or ""
        if wanted not in model.pinned:  # others were named meanwhile, and it had to go
            raise Overloaded(f'model "{name}"', f"version {wanted} was put out by others", hint="try again")
        model.pinned.move_to_end(wanted)
        return model.pinned[wanted]

    def _swap(self, model: Model, version: str) -> None:
        try:
            fresh = self._load(model.name, version)
        except StaytrueError as error:
            model.refused = {version: str(error)}
            still = model.answering or "nothing"
            log.error("%s version %s does not load, %s keeps serving: %s", model.name, version, still, error)  # noqa: TRY400 - the text says it all
            model.failed = self._clock()
            return
        with self._lock:
            old, model.champion, model.refused = model.champion, fresh, {}
            if old:
                self._retire(old)
        log.info("%s version %s answers (%s)", model.name, version, fresh.runtime.description)

    def _load(self, name: str, version: str) -> Loaded:
        bundle = self._store.load(name, version)
        artefact = bundle.artefacts.get(self.make.format)
        if artefact is None:
            there = sorted(bundle.artefacts)
            raise CorruptData(
                f"{name} version {version}",
                f"has no artefact {self.make.format}, which {self.make.description} runs, but {', '.join(there)}",
                hint=f"export it again with export.formats: [{', '.join([*there, self.make.format])}]",
            )
        runtime = self.make(self._store.path(name, version) / artefact, bundle.signature)
        try:
            _check_outputs(bundle, runtime.run(example(bundle.signature)))
        except Exception as error:
            runtime.close()
            if isinstance(error, StaytrueError):
                raise
            raise CorruptData(f"{name} version {version}", f"fails its first run: {error!r}"[:500]) from error
        return Loaded(bundle, runtime)

    def _retire(self, loaded: Loaded) -> None:
        loaded.retired = True
        self._close_if_done(loaded)

    @staticmethod
    def _close_if_done(loaded: Loaded) -> None:
        if loaded.retired and loaded.calls == 0:
            loaded.runtime.close()


def example(signature: Signature) -> dict[str, NDArray[Any]]:
    """One row of zeros, or of the first category: what warms a model up."""
    values: dict[str, NDArray[Any]] = {}
    for spec in signature.inputs:
        shape = [1 if size < 0 else size for size in spec.shape]
        fill: Any = (spec.categories[0] if spec.categories else "") if spec.datatype == "BYTES" else 0
        values[spec.name] = np.full(shape, fill, dtype=NUMPY[spec.datatype])
    return values


def _check_outputs(bundle: Bundle, outputs: dict[str, NDArray[Any]]) -> None:
    for spec in bundle.signature.outputs:
        array = outputs[spec.name]
        if array.dtype != NUMPY[spec.datatype] or array.ndim != len(spec.shape):
            got = f"{array.dtype} {list(array.shape)}"
            raise CorruptData(f'{bundle.name} output "{spec.name}"', expected=spec.label(), got=got)

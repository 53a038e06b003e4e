"""What is in memory and who holds it: calls are counted, and a version is freed when its last one ends."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from serving.loading import Closer, free
from serving.model import Lease, Model
from staytrue.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serving.loading import Loaded

_WHY = "POST /v2/repository/index tells which, and why"


class Holdings:
    """The models in memory. All of it may be called from any thread, and none of it waits for a load."""

    def __init__(self) -> None:
        self._models: dict[str, Model] = {}
        self._leaving: set[Loaded] = set()
        """Retired and not yet freed."""
        self._loading: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        """For moments: to read or replace a model's state, to count a call."""
        self._loads = threading.Condition(self._lock)
        """Told whenever a load ends."""
        self._closer = Closer()
        self._named = 0
        self._closed = False
        self._newcomers: set[str] = set()
        """Models that came after the start and have not answered yet."""

    def names(self) -> list[str]:
        """Models known, loaded or not."""
        return sorted(self._models)

    def knows(self, name: str) -> bool:
        """Whether a model is known, loaded or not: what :meth:`names` holds, without the list."""
        return name in self._models

    def model(self, name: str) -> Model:
        """A model that has a version answering.

        Raises:
            NotFound: no such model here.
            Unavailable: it is known, but was unloaded, or no version of it has loaded.
        """
        model = self._models.get(name)
        if model is None:
            there = ", ".join(self.names()) or "none"
            raise NotFound(f'model "{name[:200]}"', "is not served here", hint=f"models: {there}")
        if model.champion is None:
            if model.unloaded:
                raise Unavailable(f'model "{name}"', "was unloaded", hint="have it loaded through the repository API")
            raise Unavailable(f'model "{name}"', "has no version that loads", hint="; ".join(model.refused.values()))
        return model

    def lease(self, name: str, version: str | None, sticky: str = "") -> Lease | None:
        """Hold a version for a call, without waiting: the one that was named, or who answers this caller.

        Args:
            name: of the model.
            version: that was named; None for the champion or a challenger.
            sticky: the caller's key, see :meth:`serving.routing.Route.choose`.

        Returns:
            What is to be given to :meth:`release`; None where the version named is not in memory and has to be loaded
            first.

        Raises:
            NotFound: no such model.
            Unavailable: it was unloaded, or no version of it has loaded.
        """
        with self._lock:
            model = self._models.get(name)
            if model is None or model.champion is None:
                model = self.model(name)  # which says what is wrong
            if version is not None:
                return self._lease_named(model, version)
            lease = model.chosen(sticky)
            lease.loaded.calls += 1
            if lease.shadow is not None:
                lease.shadow.calls += 1
            return lease

    def lease_alone(self, name: str) -> Lease | None:
        """Hold the champion, where it alone answers and nobody is asked beside it; None where it is not so."""
        with self._lock:
            model = self._models.get(name)
            if model is None or model.champion is None or model.challengers or model.shadow is not None:
                return None
            model.champion.calls += 1
            return model.usual

    def release(self, leases: Sequence[Lease]) -> None:
        """End calls: once for each lease."""
        with self._lock:
            for lease in leases:
                self._let_go(lease.loaded)
                if lease.shadow is not None:
                    self._let_go(lease.shadow)

    def hold(self, loaded: Loaded) -> None:
        """Hold a version once more while a lease of it lasts: for what outlives its request."""
        with self._lock:
            loaded.calls += 1

    def release_one(self, loaded: Loaded) -> None:
        """End what :meth:`hold` began."""
        with self._lock:
            self._let_go(loaded)

    def ready(self) -> bool:
        """Whether a real inference of each model succeeded in this process, and what runs it is still there.

        A model that somebody unloaded is as it should be. One that came after the start is waited for once it has
        answered: before, nobody relies on it, and the others' callers must not suffer for it.
        """
        return not self.unready()

    def unready(self) -> str:
        """Why it is not :meth:`ready`; empty where it is."""
        models = [model for model in list(self._models.values()) if model.name not in self._newcomers]
        if not models:
            return "no model has been loaded"
        waiting = sum(not (model.unloaded or model.ready()) for model in models)
        return f"{waiting} of {len(models)} models cannot answer: {_WHY}" if waiting else ""

    def versions(self) -> dict[str, list[str]]:
        """Loaded versions by model."""
        return {
            name: sorted({loaded.bundle.version for loaded in model.everything()}, key=int)
            for name, model in list(self._models.items())  # another thread may add one meanwhile
        }

    def loading(self) -> bool:
        """Whether a version is being loaded: after :meth:`close`, one that was given up."""
        return bool(self._loading)

    def close(self) -> None:
        """Free everything, also what is still held."""
        with self._lock:
            self._closed = True
        self._closer.end()
        with self._lock:
            left = self._leaving.union(*(model.everything() for model in self._models.values()))
            self._leaving.clear()
            self._models.clear()
        for loaded in left:
            loaded.retired = True
            free(loaded)

    def _lease_named(self, model: Model, version: str) -> Lease | None:
        loaded = model.held(version)
        if loaded is None:
            return None
        self._named += 1
        loaded.used = self._named
        loaded.calls += 1
        return Lease(loaded, "pinned")

    def _lease_champion(self, name: str) -> Lease:
        with self._lock:
            loaded = self.model(name).champion
            assert loaded is not None  # noqa: S101 - model() says so
            loaded.calls += 1
            return Lease(loaded, "champion")

    def _change(self, name: str, **what: Any) -> Model:
        """Replace some of a model's state; whatever has no place in the new one is retired. Under the lock."""
        return self._put(replace(self._models[name], **what))

    def _put(self, model: Model) -> Model:
        old = self._models.get(model.name)
        self._models[model.name] = model
        if model.unloaded or model.champion is not None:
            self._newcomers.discard(model.name)
        for loaded in old.everything() - model.everything() if old else ():
            self._retire(loaded)
        return model

    def _forget(self, name: str) -> None:
        """A model is no longer known; what is held of it is freed when its calls have ended."""
        with self._lock:
            model = self._models.pop(name)
            self._newcomers.discard(name)
            for loaded in model.everything():
                self._retire(loaded)

    def _retire(self, loaded: Loaded) -> None:
        loaded.retired = True
        self._leaving.add(loaded)
        self._free_if_done(loaded)

    def _let_go(self, loaded: Loaded) -> None:
        loaded.calls -= 1
        if loaded.retired:
            self._free_if_done(loaded)

    def _free_if_done(self, loaded: Loaded) -> None:
        if loaded.calls == 0 and not self._closed:
            self._closer.close_soon(loaded, self._freed)

    def _freed(self, loaded: Loaded) -> None:
        with self._lock:
            self._leaving.discard(loaded)

    @contextlib.contextmanager
    def _being_loaded(self, name: str, version: str) -> Iterator[None]:
        """Load a version alone: who wants the same one waits, and finds it in memory then."""
        with self._loads:
            self._loads.wait_for(lambda: self._closed or (name, version) not in self._loading)
            if self._closed:
                raise Unavailable(f'model "{name}"', "is not loaded any more: the server ends")
            self._loading.add((name, version))
        try:
            yield
        finally:
            with self._loads:
                self._loading.discard((name, version))
                self._loads.notify_all()

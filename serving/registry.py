"""Which versions are loaded and who answers: follows the store's aliases without dropping a call."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Literal

from serving.holdings import Holdings
from serving.index import Entry, Index
from serving.loading import Attach, Lane, Loaded, Loader, free
from serving.model import ALIASES, Lease, Model
from serving.routing import Route
from serving.runtimes.onnx import OnnxMaker
from staytrue.asking import example
from staytrue.errors import NotFound, Overloaded, StaytrueError, Unavailable
from staytrue.outage import Outages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.runtimes.base import RuntimeMaker
    from staytrue.aliases import Aliases
    from staytrue.store import Store

__all__ = ["Entry", "Lane", "Lease", "Loaded", "Model", "Registry", "example"]

log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
LAST_SECONDS = 1.0
"""For what is being loaded at the end: it is given up then, and freed should it ever come."""
PINNED_KEPT = 3
"""Older versions that callers name are loaded on demand; this many stay loaded a model."""


class Registry(Holdings):
    """The models that this process serves.

    Args:
        store: where versions come from.
        names: models to serve; empty for all of the store.
        make: turns artefacts into runtimes, and says which of a bundle's it takes; ONNX Runtime where none is given.
            Whoever made it closes it.
        clock: seconds that never run backwards.
        attach: gives a version that was warmed up what stands before its runtime.
    """

    def __init__(
        self,
        store: Store,
        names: list[str],
        make: RuntimeMaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        attach: Attach | None = None,
    ) -> None:
        super().__init__()
        self._store, self._names, self._clock = store, names, clock
        self.make = make or OnnxMaker()
        self._loader = Loader(store, self.make, attach)
        self._changing = threading.Lock()
        """Held through a whole look at the aliases."""
        self._pinning = threading.Lock()
        self._started = False
        """Whether the aliases have been looked at once."""
        self._outages = Outages("reading who answers", clock)
        self._gone: set[str] = set()
        """Models whose folders were not there at the last look."""

    def refresh(self) -> None:
        """Look at the aliases; load and warm up beside the old version, then swap. Never raises for a bad version."""
        with self._changing:
            ours = [] if self._closed else self._ours()
            for name in ours:
                if not self._closed and not self._known(name).unloaded:
                    self._follow(name)
            if not self._closed:
                self._forget_gone(set(ours))
                self._started = True

    def load(self, name: str) -> None:
        """Load what a model's aliases name, anew where it is in memory; also undoes :meth:`unload`.

        Raises:
            NotFound: no such model.
            StaytrueError: why its champion does not load; what answered before goes on.
        """
        with self._changing:
            self._must_be_ours(name)
            self._known(name)
            if error := self._follow(name, anew=True):
                raise error

    def unload(self, name: str) -> None:
        """Free a model once its calls have ended; from now on requests for it are refused, until :meth:`load`.

        Raises:
            NotFound: no such model.
        """
        with self._changing:
            self._must_be_ours(name)
            with self._lock:
                self._put(Model(name, unloaded=True))
        log.info("%s was unloaded", name)

    def index(self) -> list[Entry]:
        """Every version of the models served here, its state, and why; see :meth:`Index.entries`."""
        with self._lock:
            leaving = {(loaded.bundle.name, loaded.bundle.version) for loaded in self._leaving}
            index = Index(self._store, dict(self._models), set(self._loading), leaving)
        return index.entries(self._names)

    @contextlib.contextmanager
    def version(self, name: str, version: str | None) -> Iterator[Loaded]:
        """Hold a version for a block: the champion, or the one that was named, which may have to be loaded first.

        Raises:
            NotFound: no such model or version.
            CorruptData: the version named does not load.
            Overloaded: another version that was named is being loaded.
        """
        if version is None:
            lease: Lease | None = self._lease_champion(name)
        elif (lease := self.lease(name, version)) is None:
            self.pin(name, version)
            lease = self.lease(name, version)
        if lease is None:  # others were named meanwhile, and it had to go
            raise Overloaded(f'model "{name}"', f"version {version} was put out by others", hint="try again")
        try:
            yield lease.loaded
        finally:
            self.release([lease])

    def pin(self, name: str, version: str) -> None:
        """Load a version that was named, one at a time; blocks while it loads.

        Calls of others do not wait for it, nor may they wait for a thread: who names a version while one is being
        loaded is told to come again, so that many such requests hold one of the threads that answer, not all of them.

        Raises:
            NotFound: no such model or version.
            CorruptData: it does not load.
            Overloaded: another version that was named is being loaded.
            Unavailable: the model was unloaded, or no version of it has loaded.
        """
        if self.model(name).held(version):
            return
        if not self._pinning.acquire(blocking=False):
            raise Overloaded(f'model "{name}"', "another version that was named is being loaded", hint="try again")
        try:
            with self._being_loaded(name, version):
                if self.model(name).held(version) is None:
                    self._keep(name, version, self._loader.load_named(name, version), "pinned")
        finally:
            self._pinning.release()

    def close(self) -> None:
        """Free everything, also what is still held, and take up nothing more; a load that does not end is given up."""
        with self._loads:
            self._closed = True
            self._loads.notify_all()
            if not self._loads.wait_for(lambda: not self._loading, LAST_SECONDS):
                log.warning("given up at the end while it was loaded: %s", sorted(self._loading))
            given_up = bool(self._loading)
        looked = self._changing.acquire(timeout=0.0 if given_up else LAST_SECONDS)
        try:
            super().close()
        finally:
            if looked:
                self._changing.release()

    def _ours(self) -> list[str]:
        return self._names or self._store.models()

    def _must_be_ours(self, name: str) -> None:
        if self._closed or (name not in self._models and name not in self._ours()):
            there = ", ".join(sorted({*self._ours(), *self._models})) or "none"
            raise NotFound(f'model "{name[:200]}"', "is not served here", hint=f"models: {there}")

    def _known(self, name: str) -> Model:
        with self._lock:
            if name not in self._models and self._started and not self._names:
                self._newcomers.add(name)
            return self._models.setdefault(name, Model(name))

    def _forget_gone(self, there: set[str]) -> None:
        """Forget models whose folders have left the store.

        They must be missing twice, so that a folder may be replaced, and others must be there: a store that is empty
        all at once is one that cannot be reached.
        """
        absent = set() if self._names or not there else self._models.keys() - there
        gone = {name for name in absent if not self._store.present(name)}
        for name in gone & self._gone:
            self._forget(name)
            log.info("%s is not in the store any more and is forgotten", name)
        self._gone = gone

    def _follow(self, name: str, *, anew: bool = False) -> StaytrueError | None:
        """Bring what the aliases name into its place; why the champion is not in its, if it is not."""
        model = self._models[name]
        try:
            aliases = self._store.aliases(name)
            route = Route.of(name, aliases)
        except StaytrueError as error:
            self._outages.failed(name, error)
            self._refuse_aliases(name, str(error))
            return error
        self._outages.over(name)
        if not anew and aliases == model.aliases and (model.complete() or not self._due(model)):
            if ALIASES in model.refused:
                self._refuse_aliases(name, None)
            return None
        failed: dict[str, StaytrueError] = {}
        for version in route.wanted:
            try:
                self._fetch(name, version, anew=anew)
            except StaytrueError as error:
                failed[version] = error
        self._swap(name, aliases, route, failed)
        return failed.get(route.champion)

    def _refuse_aliases(self, name: str, why: str | None) -> None:
        with self._lock:
            refused = {key: said for key, said in self._models[name].refused.items() if key != ALIASES}
            self._change(name, refused=refused if why is None else refused | {ALIASES: why})

    def _due(self, model: Model) -> bool:
        """Whether to try a version that did not load once more: somebody may have repaired it."""
        return self._clock() - model.failed >= RETRY_SECONDS

    def _fetch(self, name: str, version: str, *, anew: bool) -> None:
        """Have a version in memory, whatever place it is to have."""
        with self._being_loaded(name, version):
            if anew or self._models[name].held(version) is None:
                self._keep(name, version, self._loader.load(name, version), "coming")

    def _keep(self, name: str, version: str, fresh: Loaded, where: Literal["pinned", "coming"]) -> None:
        with self._lock:
            model, ended = self._models.get(name), self._closed
            late = ended or model is None or (where == "pinned" and model.unloaded)
            if late and not ended:
                self._retire(fresh)
            elif model is not None and not late:
                self._give_place(model, version, fresh, where)
        if ended:  # nobody else would
            free(fresh)
        if late:
            raise Unavailable(f'model "{name}"', "was unloaded")

    def _give_place(self, model: Model, version: str, fresh: Loaded, where: Literal["pinned", "coming"]) -> None:
        if where == "coming":
            self._change(model.name, coming=model.coming | {version: fresh})
            return
        self._named += 1
        fresh.used = self._named
        others = sorted(model.pinned.items(), key=lambda item: -item[1].used)[: PINNED_KEPT - 1]
        self._change(model.name, pinned=dict(others) | {version: fresh})

    def _swap(self, name: str, aliases: Aliases, route: Route, failed: dict[str, StaytrueError]) -> None:
        """Give each version its place in one step; whatever has none any more is retired."""
        refused = {version: str(error) for version, error in failed.items()}
        with self._lock:
            if self._closed:
                return
            old = self._models[name]
            champion = old.newest(route.champion) or old.champion
            if champion is None and old.unloaded:  # it stays what somebody wanted it to be
                self._put(Model(name, unloaded=True, refused=refused))
                return
            challengers = {version: found for version in route.challengers if (found := old.newest(version))}
            shadow = old.newest(route.shadow)
            placed = {loaded.bundle.version for loaded in (champion, shadow, *challengers.values()) if loaded}
            new = Model(
                name,
                champion=champion,
                challengers=challengers,
                shadow=shadow,
                pinned={version: loaded for version, loaded in old.pinned.items() if version not in placed},
                refused=refused,
                aliases=aliases,
                route=route,
                failed=self._clock() if failed else old.failed,
            )
            self._put(new)
        _tell(old, new)


def _tell(old: Model, new: Model) -> None:
    """Log what changed for callers, and what is new of what does not load."""
    still = new.answering or "nothing"
    for version, why in new.refused.items():
        if old.refused.get(version) != why:
            log.error("%s version %s does not load, %s keeps serving: %s", new.name, version, still, why)
    if new.champion is not None and new.champion is not old.champion:
        log.info("%s version %s answers (%s)", new.name, new.answering, new.champion.runtime.description)
    if new.route and (old.route is None or (old.route.spans, old.route.shadow) != (new.route.spans, new.route.shadow)):
        shares = ", ".join(f"{end - start:.4g} to version {version}" for start, end, version in new.route.spans)
        log.info("%s shares its traffic: %s; shadow: %s", new.name, shares or "no", new.route.shadow or "none")

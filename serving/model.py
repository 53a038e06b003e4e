"""What is in memory of one model, and in which role: a state that is replaced whole, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.loading import Loaded
    from serving.routing import Route
    from staytrue.aliases import Aliases
    from staytrue.events import Role

ALIASES = "aliases"
"""Stands for a version where the aliases themselves cannot be followed."""


@dataclass(slots=True)
class Lease:
    """A version held for a call, with the shadow that is asked the same; give it back to the registry.

    Calls of the same model may be given the same lease; each gives it back for itself.
    """

    loaded: Loaded
    role: Role
    shadow: Loaded | None = None


@dataclass(slots=True)
class Model:
    """A model as the registry follows it; a version with several roles stands in each as the same object.

    Whoever reads one sees one moment. It is not frozen for the sake of tests alone.
    """

    name: str
    champion: Loaded | None = None
    challengers: dict[str, Loaded] = field(default_factory=dict)
    """By version; those that share the traffic and have loaded."""
    shadow: Loaded | None = None
    pinned: dict[str, Loaded] = field(default_factory=dict)
    """Older versions that callers named."""
    coming: dict[str, Loaded] = field(default_factory=dict)
    """Loaded for a role that they do not have yet."""
    refused: dict[str, str] = field(default_factory=dict)
    """Version → why it did not load."""
    aliases: Aliases | None = None
    """As they were followed last."""
    route: Route | None = None
    failed: float = 0.0
    """When a version that is wanted last failed to load, by a clock that never runs backwards."""
    unloaded: bool = False
    """Somebody asked for none of it to be in memory."""
    usual: Lease | None = field(init=False, repr=False, compare=False)
    """What most callers are given."""

    def __post_init__(self) -> None:
        self.usual = None if self.champion is None else self._leased(self.champion, "champion")

    @property
    def answering(self) -> str | None:
        """The champion's version, once one has loaded."""
        return self.champion.bundle.version if self.champion else None

    def held(self, version: str) -> Loaded | None:
        """A version, if it is in memory in any role."""
        for loaded in (self.champion, self.shadow):
            if loaded is not None and loaded.bundle.version == version:
                return loaded
        return self.challengers.get(version) or self.pinned.get(version) or self.coming.get(version)

    def newest(self, version: str) -> Loaded | None:
        """A version, as it was loaded last."""
        return self.coming.get(version) or self.held(version)

    def everything(self) -> set[Loaded]:
        """All that is in memory."""
        several = (self.challengers, self.pinned, self.coming)
        alone = (loaded for loaded in (self.champion, self.shadow) if loaded is not None)
        return {*alone, *(loaded for group in several for loaded in group.values())}

    def chosen(self, sticky: str) -> Lease:
        """Who answers a caller, once there is a champion: it does also where the challenger drawn did not load."""
        if self.challengers and self.route is not None:
            version, role = self.route.choose(sticky)
            if role == "challenger" and (loaded := self.challengers.get(version)) is not None:
                return self._leased(loaded, role)
        usual = self.usual
        assert usual is not None  # noqa: S101 - the registry has looked
        return usual

    def _leased(self, loaded: Loaded, role: Role) -> Lease:
        return Lease(loaded, role, None if self.shadow is loaded else self.shadow)

    def complete(self) -> bool:
        """Whether each version that the route names is in its place."""
        route = self.route
        return route is not None and (
            self.answering == route.champion
            and self.challengers.keys() == set(route.challengers)
            and (self.shadow.bundle.version if self.shadow else "") == route.shadow
        )

    def ready(self) -> bool:
        """Whether all whose answers callers get can answer. A shadow that cannot costs nobody an answer."""
        champion = self.champion
        return champion is not None and champion.ready() and all(each.ready() for each in self.challengers.values())

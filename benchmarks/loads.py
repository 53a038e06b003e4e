"""The loads that servers are put under: form, connections, and what the heads of the requests hold."""

from __future__ import annotations

from typing import NamedTuple

ONCE = frozenset({"floor", "keyed"})
"""Servers of which one load tells enough: that which keeps its answers, and that which wants a key."""


class Load(NamedTuple):
    """One of them: it has a table of its own."""

    form: str
    """json, binary or grpc."""
    connections: int
    ids: bool = False
    """Whether each request has ids of its own: no two heads are the same then."""
    fully: bool = False
    """Whether those of :data:`ONCE` are measured too."""

    @property
    def name(self) -> str:
        """In the record."""
        return f"{self.form} {self.connections}{' ids' if self.ids else ''}"

    @property
    def title(self) -> str:
        """In tables."""
        more = ", each request with ids of its own" if self.ids else ""
        return f"{self.form}, {self.connections} connection{'s' if self.connections != 1 else ''}{more}"

    def concerns(self, server: str) -> bool:
        """Whether a server is measured under it."""
        if server in ONCE:
            return self.fully
        return not self.ids or server not in {"unbatched", "unlogged"}


LOADS = {
    "T": (Load("json", 1), Load("json", 32, fully=True), Load("json", 32, ids=True), Load("grpc", 1), Load("grpc", 32)),
    "R": (Load("json", 32), Load("binary", 32)),
}
"""By model."""

"""Which version answers a caller: a share of them is drawn by a stable hash, so that each stays with its version."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from staytrue.errors import CorruptData

if TYPE_CHECKING:
    from staytrue.aliases import Aliases

Answering = Literal["champion", "challenger"]
"""The roles of those whose answers callers get without naming a version."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a model's callers go.

    A caller's key has a fixed place in [0, 1). The challenger takes the places from 0 upwards, whoever takes a share
    beside it those from 1 downwards: while shares stay the same each caller stays with its version, and a share that
    grows takes callers from the champion alone.
    """

    name: str
    champion: str
    shadow: str = ""
    spans: tuple[tuple[float, float, str], ...] = ()
    """First place, end and version of each challenger."""
    _alone: tuple[str, Answering] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_alone", (self.champion, "champion"))

    @classmethod
    def of(cls, name: str, aliases: Aliases) -> Route:
        """The route that a model's aliases describe.

        Raises:
            CorruptData: a share is no share, or together they leave the champion nothing.
        """
        shares = {version: share for version, share in aliases.traffic.items() if version != aliases.champion}
        for version, share in shares.items():
            if not 0 <= share < 1:
                where = f'model "{name}" aliases: traffic of version {version}'
                raise CorruptData(where, expected="a share from 0 to below 1", got=f"{share:.4g}")
        if (taken := math.fsum(shares.values())) >= 1:
            where = f'model "{name}" aliases: traffic beside the champion'
            raise CorruptData(where, expected="a sum below 1", got=f"{taken:.4g}")
        first = shares.get(aliases.challenger, 0.0)
        spans, top = [(0.0, first, aliases.challenger)] if first else [], 1.0
        for version, share in shares.items():
            if share and version != aliases.challenger:
                spans.append((top - share, top, version))
                top -= share
        shadow = "" if aliases.shadow == aliases.champion else aliases.shadow
        return cls(name, aliases.champion, shadow, tuple(spans))

    @property
    def challengers(self) -> tuple[str, ...]:
        """Versions that take a share of the traffic."""
        return tuple(version for _, _, version in self.spans)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Versions that have to be in memory, the champion first, each once."""
        return tuple(dict.fromkeys([self.champion, *self.challengers, *filter(None, [self.shadow])]))

    def choose(self, sticky: str = "") -> tuple[str, Answering]:
        """The version that answers, and its role.

        Args:
            sticky: the caller's key, the same for all that belongs together (a user, a session); an empty one is drawn
                anew each time.
        """
        if not self.spans:
            return self._alone
        where = place(self.name, sticky) if sticky else random.random()  # noqa: S311 - no secret hangs on it
        for start, end, version in self.spans:
            if start <= where < end:
                return version, "challenger"
        return self._alone


def place(name: str, sticky: str) -> float:
    """Where a caller's key lies in [0, 1); in each model elsewhere, so that nobody meets every new version first.

    >>> place("rentals", "user-17") == place("rentals", "user-17")
    True
    """
    digest = blake2b(f"{name}\0{sticky}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53  # 53 bits: what a float holds without rounding up to 1

"""What a server's processes hold in memory, looked at again and again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from examples.bikeshare.demo.processes import Service

LOOK_SECONDS = 0.05


def resident_bytes(server: Service) -> int:
    """Of the process and all that it has started, now."""
    process = psutil.Process(server.process.pid)
    return sum(int(one.memory_info().rss) for one in (process, *process.children(recursive=True)))


@contextlib.asynccontextmanager
async def watched(server: Service) -> AsyncIterator[list[int]]:
    """Looks at it while a block lasts, at equal distances."""
    seen: list[int] = [resident_bytes(server)]

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            seen.append(resident_bytes(server))

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        seen.append(resident_bytes(server))

"""The C library keeps little for itself, and one without glibc's functions is left as it is."""

from __future__ import annotations

import asyncio
import ctypes
import platform
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from serving import allocator, app
from tests.unit.serving.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.store import Store

GLIBC = platform.libc_ver()[0] == "glibc"
THREADS = """
import ctypes, sys, threading
from serving import allocator
assert sys.argv[1] == "free" or allocator.restrain()
libc, together = ctypes.CDLL(None), threading.Barrier(12)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
def take():
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()
some = [threading.Thread(target=take) for _ in range(12)]
[one.start() for one in some], [one.join() for one in some]
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file), libc.fclose(file)
"""


@pytest.mark.skipif(not GLIBC, reason="asks glibc how many pools it has")
def test_threads_share_two_pools_where_each_would_have_its_own(tmp_path: object) -> None:
    pools = {}
    for how in ("free", "restrained"):
        subprocess.run([sys.executable, "-c", THREADS, how, f"{tmp_path}/{how}"], check=True)
        with open(f"{tmp_path}/{how}", encoding="utf-8") as told:  # noqa: PTH123 - a name made above
            pools[how] = told.read().count("<heap nr=")
    assert pools["free"] > 2
    assert pools["restrained"] == 2


@pytest.mark.skipif(not GLIBC, reason="asks glibc")
def test_what_is_free_is_given_back() -> None:
    assert allocator.trim()


def test_a_library_without_such_functions_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert (allocator.restrain(), allocator.trim()) == (False, False)


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When memory was given back."""
    made: list[float] = []
    monkeypatch.setattr(allocator, "trim", lambda: made.append(time.monotonic()))
    return made


def test_what_a_load_took_for_a_moment_is_given_back(store: Store, tmp_path: Path, trims: list[float]) -> None:
    house = House(store, tmp_path)
    try:
        assert len(trims) == 1
    finally:
        house.close()


def test_what_is_free_is_given_back_every_few_beats(monkeypatch: pytest.MonkeyPatch, trims: list[float]) -> None:
    monkeypatch.setattr(app, "HEARTBEAT_SECONDS", 0.001)
    monkeypatch.setattr(app, "TRIM_BEATS", 3)
    beats: list[object] = []
    drained = asyncio.Event()
    parts: Any = SimpleNamespace(beat=beats.append, tell=lambda: drained.set() if len(beats) == 6 else None)
    pulse: Any = SimpleNamespace(beat=lambda: None)
    asyncio.run(app._beat(parts, pulse, parts, drained))
    assert len(beats) in {7, 8}
    assert len(trims) == 2

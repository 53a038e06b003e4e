"""The C library keeps little for itself, and one without glibc's functions is left as it is."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from serving import allocator

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

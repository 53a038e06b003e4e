"""What other threads leave for the loop's is taken there: in its order, together, and whatever one of it does."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from serving.rest.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LOOPS: list[Callable[[Coroutine[Any, Any, None]], None]] = [asyncio.run, uvloop.run]


def beside(work: Callable[[], None]) -> None:
    """Have another thread do it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("run", LOOPS)
def test_what_is_left_is_taken_in_order_in_the_loops_thread(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    told: list[tuple[int, bool]] = []

    async def main() -> None:
        here, bell = threading.get_ident(), Bell(asyncio.get_running_loop())
        done = asyncio.Event()

        def tell(number: int) -> None:
            told.append((number, threading.get_ident() == here))
            if number == 9:
                done.set()

        def work() -> None:
            for number in range(10):
                bell.leave(tell, number)
            bell.ring()

        beside(work)
        assert not told
        await asyncio.wait_for(done.wait(), 10)

    run(main())
    assert told == [(number, True) for number in range(10)]


@pytest.mark.parametrize("run", LOOPS)
def test_it_rings_again_after_it_was_heard(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    told: list[int] = []

    async def main() -> None:
        bell = Bell(asyncio.get_running_loop())
        for number in range(3):
            done = asyncio.Event()

            def tell(what: int, done: asyncio.Event = done) -> None:
                told.append(what)
                done.set()

            bell.leave(tell, number)
            beside(bell.ring)
            await asyncio.wait_for(done.wait(), 10)

    run(main())
    assert told == [0, 1, 2]


def test_one_that_fails_keeps_no_other_from_being_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def broken(_: str) -> None:
        raise RuntimeError("secret")

    async def main() -> None:
        bell = Bell(asyncio.get_running_loop())
        bell.leave(broken, "a")
        bell.leave(told.append, "b")
        bell.ring()
        await asyncio.sleep(0.1)

    uvloop.run(main())
    assert told == ["b"]
    assert "an answer could not be sent" in caplog.text


def test_without_anything_left_nobody_is_woken_and_after_the_end_nobody_is_harmed() -> None:
    bells: list[Bell] = []

    async def main() -> None:
        bells.append(Bell(asyncio.get_running_loop()))
        bells[0].ring()
        with pytest.raises(BlockingIOError):
            os.read(bells[0]._hears, 1)

    uvloop.run(main())
    bells[0].leave(print, "nobody")
    bells[0].ring()


def test_its_pipe_is_closed_with_it() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def main() -> None:
        for _ in range(20):
            Bell(asyncio.get_running_loop())

    uvloop.run(main())
    assert len(os.listdir("/proc/self/fd")) < before + 20  # noqa: PTH208

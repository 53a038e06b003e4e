"""The end of a server whose versions are still being loaded: nobody waits for them, and nothing is left of them."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from examples.bikeshare.demo.processes import Service, staytrue
from serving.dataplane import Dataplane
from serving.registry import Registry
from serving.runtimes.fake import FakeMaker, FakeRuntime
from staytrue.errors import Unavailable
from staytrue.eventlog import Writer
from staytrue.server import ServingSection
from staytrue.store import Store
from tests.load import loops
from tests.unit.serving.test_dataplane import Asked, request
from tests.unit.serving.test_lane import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.loading import Lane
    from serving.runtimes.base import Runtime
    from staytrue.bundle import Bundle

PROJECT = """\
name: loops
store: store
data: {source: none.csv, time: t, target: done, features: {turns: {kind: numeric}}}
serving: {log: events, reload_seconds: 0.02, drain_seconds: 2, stall_seconds: 100}
"""
MOST_SECONDS = 15.0
"""From SIGTERM to the end, with a drain of two seconds on a machine that is busy; without an end it takes for ever."""


class Rig:
    """A registry of the tiny model, whose versions load once they are let."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.free, self.begun = threading.Event(), threading.Event()
        self.free.set()
        self.made: list[FakeRuntime] = []
        self.writer = Writer(folder / "events")
        self.registry = Registry(store, [], FakeMaker(self._make), attach=self._attach)
        self.dataplane = Dataplane(self.registry, self.writer, ServingSection())
        self.registry.refresh()
        self.begun.clear()

    def _make(self, *_: object) -> FakeRuntime:
        self.begun.set()
        assert self.free.wait(20)
        self.made.append(FakeRuntime(lambda inputs: {"total": 2 * inputs["number"]}))
        return self.made[-1]

    def _attach(self, bundle: Bundle, runtime: Runtime, row_seconds: float) -> Lane:
        return self.dataplane.attach(bundle, runtime, row_seconds)

    def close(self) -> float:
        """End it; the seconds that it took."""
        began = time.monotonic()
        self.dataplane.close()
        self.registry.close()
        self.writer.close()
        return time.monotonic() - began


@pytest.fixture
def rig(store: Store, tmp_path: Path) -> Iterator[Rig]:
    """Version 1 answers, the next one waits."""
    made = Rig(store, tmp_path)
    made.free.clear()
    yield made
    made.free.set()
    until(lambda: not made.registry.loading())


def test_a_look_that_loads_is_not_waited_for_and_what_it_loads_is_freed(
    rig: Rig, store: Store, publishing: Callable[..., str]
) -> None:
    for factor in (3.0, 4.0):
        store.set_shadow("tiny", publishing(factor), reason="test")
    store.promote("tiny", "2", reason="test")
    look = threading.Thread(target=rig.registry.refresh)
    look.start()
    assert rig.begun.wait(10)
    assert rig.close() < 5.0
    assert rig.registry.loading()
    assert rig.made[0].closed
    rig.free.set()
    look.join(10)
    assert not look.is_alive()
    until(lambda: not rig.registry.loading())
    assert [runtime.closed for runtime in rig.made] == [True, True]  # of the shadow's version there is none
    assert rig.registry.names() == []


def test_a_caller_that_waits_for_a_version_to_load_is_told_and_has_its_event(
    rig: Rig, publishing: Callable[..., str]
) -> None:
    asked = Asked(rig.dataplane, request(1.0, 1, version=publishing(3.0)))
    assert rig.begun.wait(10)
    assert rig.close() < 5.0
    told = asked.told()
    assert isinstance(told, Unavailable)
    assert str(told) == "server: ends; try again"
    assert rig.dataplane.in_flight == 0
    rig.free.set()
    until(lambda: len(rig.made) == 2 and rig.made[1].closed)
    assert asked.told() is told  # once


def test_nothing_is_loaded_after_the_end(rig: Rig, publishing: Callable[..., str]) -> None:
    version = publishing(3.0)
    rig.free.set()
    rig.close()
    rig.registry.refresh()
    with pytest.raises(Unavailable), rig.registry._being_loaded("tiny", version):
        pass
    assert len(rig.made) == 1


def end(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, and look that it ends well and soon."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert time.monotonic() - began < MOST_SECONDS


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_during_the_first_load_ends_it_well(tmp_path: Path, workers: int) -> None:
    loops.make_store(tmp_path / "store", loops.FOREVER)
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    flags = ("--port", "0", "--grpc-port", "0", "--workers", str(workers))
    log = tmp_path / "out.log"
    with log.open("wb") as output:
        command = staytrue("serve", "--project", tmp_path / "staytrue.yaml", *flags)
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            until(lambda: log.read_text().count("loops version 1 is being loaded") == workers)
            end(process)
        finally:
            process.kill()
            process.wait()
    said = log.read_text()
    assert "Traceback" not in said
    assert said.count("given up at the end while it was loaded: [('loops', '1')]") == workers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Service]:
    """A server with a version that answers and another that never ends its first run."""
    store = loops.make_store(tmp_path / "store", 0)
    loops.publish_next(store, loops.FOREVER)
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    made = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "out.log", "--port", "0", "--grpc-port", "0")
    yield made
    if made.process.poll() is None:
        made.kill()
    made.close()


def test_sigterm_while_a_new_champion_is_loaded_ends_it_well(server: Service, tmp_path: Path) -> None:
    Store(tmp_path / "store").promote(loops.NAME, "2", reason="test")
    until(lambda: state(server, "2") == "LOADING")
    assert httpx.post(server.address + loops.INFER, json=loops.rest(3)).status_code == 200
    end(server.process)
    assert "Traceback" not in server.log.read_text()


def test_sigterm_while_a_caller_waits_for_a_version_that_it_named_ends_it_well(server: Service) -> None:
    url = f"{server.address}/v2/models/{loops.NAME}/versions/2/infer"
    told: list[object] = []

    def ask() -> None:
        try:
            told.append(httpx.post(url, json=loops.rest(3), timeout=60).status_code)
        except httpx.HTTPError as error:
            told.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    until(lambda: state(server, "2") == "LOADING")
    end(server.process)
    caller.join(10)
    assert len(told) == 1
    assert isinstance(told[0], httpx.HTTPError) or told[0] == 503
    assert "Traceback" not in server.log.read_text()


def state(server: Service, version: str) -> str:
    """Of a version, as the repository's index says."""
    told = httpx.post(f"{server.address}/v2/repository/index", json={}).json()
    return next((str(one["state"]) for one in told if one["version"] == version), "")

"""Who answers is who should; a version is loaded once whatever its roles, and freed once, after its last call."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from serving.registry import Loaded, Registry
from serving.runtimes.fake import FakeMaker, FakeRuntime
from staytrue.errors import CorruptData, NotFound, Unavailable
from staytrue.records import to_json
from staytrue.store import Aliases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.registry import Lease
    from serving.runtimes.base import Runtime
    from staytrue.bundle import Bundle
    from staytrue.signature import Signature
    from staytrue.store import Store


class Rig:
    """A store with three versions and a registry whose runtimes answer with their version's number."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.made: list[tuple[str, FakeRuntime]] = []
        self.broken: set[str] = set()
        self.order: list[str] = []
        """What was closed, in order."""
        self.registry = Registry(store, [], FakeMaker(self._make), attach=self._attach)
        self.revision = 10

    def _make(self, path: Path, signature: Signature) -> Runtime:
        del signature
        version = path.parent.name
        if version in self.broken:
            raise CorruptData(f"version {version}", "is broken")
        made = ClosingRuntime(self.order, version)
        self.made.append((version, made))
        return made

    def _attach(self, bundle: Bundle, runtime: Runtime, _: float) -> ClosingLane:
        assert runtime.ready()
        return ClosingLane(self.order, bundle.version)

    def follow(self, **aliases: Any) -> None:
        """Have the registry follow aliases, written without the store's checks and its care for power cuts."""
        self.revision += 1
        whole = Aliases(revision=self.revision, **aliases)
        (self.store.root / "tiny" / "aliases.json").write_bytes(to_json(whole))
        self.registry.refresh()

    def lease(self, version: str | None = None, sticky: str = "") -> Lease:
        """A lease that is there."""
        lease = self.registry.lease("tiny", version, sticky)
        assert lease is not None
        return lease

    def answers(self, count: int = 200) -> set[tuple[str, str, str | None]]:
        """Version, role and shadow that many callers get."""
        seen = set[tuple[str, str, str | None]]()
        for number in range(count):
            lease = self.lease(sticky=f"user-{number}")
            shadow = lease.shadow.bundle.version if lease.shadow else None
            seen.add((lease.loaded.bundle.version, lease.role, shadow))
            self.registry.release([lease])
        return seen

    def loads(self, version: str) -> int:
        """How often a version was loaded."""
        return sum(made == version for made, _ in self.made)


class ClosingRuntime(FakeRuntime):
    """Tells when it is closed."""

    def __init__(self, order: list[str], version: str) -> None:
        super().__init__(lambda inputs: {"total": np.full(inputs["number"].shape, float(version), dtype=np.float32)})
        self._order, self._version, self.closings = order, version, 0
        self.rows: list[int] = []

    def run(self, inputs: Any) -> dict[str, Any]:
        """Answer, and remember how many rows there were."""
        self.rows.append(len(inputs["number"]))
        return super().run(inputs)

    def close(self) -> None:
        """Tell it."""
        self.closings += 1
        self._order.append(f"runtime {self._version}")
        super().close()


class ClosingLane:
    """A lane that tells when it is closed."""

    def __init__(self, order: list[str], version: str) -> None:
        self._order, self._version, self.well = order, version, True

    def ready(self) -> bool:
        """As ``well`` says."""
        return self.well

    def close(self) -> None:
        """Tell it."""
        self._order.append(f"lane {self._version}")


@pytest.fixture
def rig(store: Store, publishing: Callable[..., str]) -> Iterator[Rig]:
    """Version 1 answers; 2 and 3 are there."""
    for factor in (3.0, 4.0):
        publishing(factor)
    made = Rig(store)
    made.registry.refresh()
    yield made
    made.registry.close()


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.001)


def test_a_canary_answers_its_share_of_the_callers_and_each_the_same(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.3})
    assert rig.answers() == {("1", "champion", None), ("2", "challenger", None)}
    versions = {rig.lease(sticky="user-1").loaded.bundle.version for _ in range(20)}
    assert len(versions) == 1


def test_a_shadow_is_held_with_each_call_that_names_no_version(rig: Rig) -> None:
    rig.follow(champion="1", shadow="3")
    assert rig.answers() == {("1", "champion", "3")}
    lease = rig.lease()
    assert lease.shadow is not None
    assert lease.shadow.calls == 1
    assert rig.lease("1").shadow is None
    rig.follow(champion="1")
    assert not lease.shadow.runtime.closed  # type: ignore[attr-defined]
    rig.registry.hold(lease.shadow)
    rig.registry.release([lease])
    assert not rig.order  # its request has ended, its own answer has not
    rig.registry.release_one(lease.shadow)
    until(lambda: rig.order == ["lane 3", "runtime 3"])


def test_a_version_with_several_roles_is_loaded_once_and_not_asked_twice(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.3}, shadow="2")
    assert rig.loads("2") == 1
    assert rig.answers() == {("1", "champion", "2"), ("2", "challenger", None)}
    model = rig.registry.model("tiny")
    assert model.challengers["2"] is model.shadow
    rig.follow(champion="2")
    assert rig.loads("2") == 1
    assert not model.shadow.retired if model.shadow else True


def test_a_version_named_before_it_was_promoted_is_not_loaded_again(rig: Rig) -> None:
    with rig.registry.version("tiny", "2") as named:
        pass
    rig.follow(champion="2")
    assert rig.registry.model("tiny").champion is named
    assert rig.registry.versions() == {"tiny": ["2"]}
    assert rig.loads("2") == 1


def test_the_champion_answers_for_a_canary_that_does_not_load(rig: Rig) -> None:
    rig.broken = {"2", "3"}
    rig.follow(champion="1", challenger="2", traffic={"2": 0.5}, shadow="3")
    assert rig.answers() == {("1", "champion", None)}
    assert rig.registry.model("tiny").refused == {"2": "version 2: is broken", "3": "version 3: is broken"}
    assert rig.registry.ready()


def test_a_canary_that_fails_leaves_the_callers_of_the_other_where_they_were(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.3, "3": 0.3})
    before = [rig.lease(sticky=f"user-{number}").loaded.bundle.version for number in range(100)]
    rig.broken = {"2"}
    rig.follow(champion="1", challenger="3", traffic={"3": 0.3})
    rig.follow(champion="1", challenger="2", traffic={"2": 0.3, "3": 0.3})
    after = [rig.lease(sticky=f"user-{number}").loaded.bundle.version for number in range(100)]
    assert [("1" if version == "2" else version) for version in before] == after


def test_a_changed_share_is_followed_without_loading_anything(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.01})
    made = len(rig.made)
    rig.follow(champion="1", challenger="2", traffic={"2": 0.99})
    assert len(rig.made) == made
    assert ("2", "challenger", None) in rig.answers(20)


def test_shares_that_are_none_leave_the_old_ones(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 1.5})
    assert rig.answers() == {("1", "champion", None)}
    assert "a share from 0 to below 1" in rig.registry.model("tiny").refused["aliases"]
    rig.follow(champion="1")
    assert rig.registry.model("tiny").refused == {}


def test_a_block_without_a_version_gets_the_champion_whatever_the_shares(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.99})
    for _ in range(20):
        with rig.registry.version("tiny", None) as loaded:
            assert loaded.bundle.version == "1"


def test_a_named_version_that_is_not_in_memory_is_asked_for_again_once_it_was_loaded(rig: Rig) -> None:
    assert rig.registry.lease("tiny", "3") is None
    rig.registry.pin("tiny", "3")
    assert rig.lease("3").role == "pinned"
    assert rig.lease("1").role == "pinned"
    with pytest.raises(NotFound, match="models: tiny"):
        rig.registry.lease("other", None)
    with pytest.raises(NotFound, match="versions: 1, 2, 3"):
        rig.registry.pin("tiny", "9")


def test_the_version_named_longest_ago_goes_first(rig: Rig, publishing: Callable[..., str]) -> None:
    for factor in (5.0, 6.0):
        publishing(factor)
    for version in ("2", "3", "4"):
        rig.registry.pin("tiny", version)
    rig.registry.release([rig.lease("2")])
    rig.registry.pin("tiny", "5")
    assert sorted(rig.registry.model("tiny").pinned) == ["2", "4", "5"]
    until(lambda: rig.order == ["lane 3", "runtime 3"])


def test_a_version_is_warmed_up_with_one_row_and_with_several_before_its_lane_is_attached(rig: Rig) -> None:
    (_, runtime) = rig.made[0]
    assert isinstance(runtime, ClosingRuntime)
    assert runtime.rows == [8, 1, 1, 1]


def test_a_lane_that_cannot_be_attached_leaves_the_old_version_serving(store: Store) -> None:
    fake = FakeRuntime(lambda inputs: {"total": inputs["number"]})

    def fail(*_: Any) -> Any:
        raise RuntimeError("no thread left")

    registry = Registry(store, [], FakeMaker(lambda *_: fake), attach=fail)
    registry.refresh()
    assert fake.closed
    with pytest.raises(Unavailable, match="no thread left"):
        registry.lease("tiny", None)
    registry.close()


def test_ready_asks_the_lanes_of_all_whose_answers_callers_get(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.1}, shadow="3")
    model = rig.registry.model("tiny")
    lanes = {held.bundle.version: held.lane for held in model.everything()}
    for version, matters in (("1", True), ("2", True), ("3", False)):
        lane = lanes[version]
        assert isinstance(lane, ClosingLane)
        lane.well = False
        assert rig.registry.ready() is not matters
        lane.well = True


def test_freeing_happens_beside_the_thread_that_ends_the_last_call(rig: Rig) -> None:
    go_on, where = threading.Event(), list[str]()
    lease = rig.lease()
    runtime: Any = lease.loaded.runtime
    close = runtime.close

    def slowly() -> None:
        where.append(threading.current_thread().name)
        assert go_on.wait(10)
        close()

    runtime.close = slowly
    rig.follow(champion="2")
    rig.registry.release([lease])  # returns at once
    until(lambda: bool(where))
    assert where[0].startswith("closing")
    assert not runtime.closed
    assert rig.answers() == {("2", "champion", None)}
    go_on.set()
    until(lambda: runtime.closed)


def test_what_cannot_be_freed_is_told_and_stops_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    lane: Any = rig.registry.model("tiny").everything().pop().lane

    def fail() -> None:
        raise RuntimeError("stuck")

    lane.close = fail
    rig.follow(champion="2")
    until(lambda: rig.order == ["runtime 1"])
    rig.follow(champion="3")
    until(lambda: rig.order == ["runtime 1", "lane 2", "runtime 2"])
    assert "tiny version 1 could not be freed whole" in caplog.text


def test_the_end_frees_everything_once_also_what_is_held(rig: Rig) -> None:
    rig.follow(champion="1", challenger="2", traffic={"2": 0.5}, shadow="3")
    lease = rig.lease()
    rig.follow(champion="2")
    rig.registry.close()
    rig.registry.release([lease])
    assert sorted(rig.order) == sorted(f"{part} {version}" for version in "123" for part in ("lane", "runtime"))
    rig.registry.refresh()  # a look that comes too late
    assert rig.registry.names() == []
    assert not rig.registry.ready()


class Caller(threading.Thread):
    """Asks again and again, of seven times once for version 3 by name."""

    row: ClassVar = {"number": np.zeros((1, 1), dtype=np.float32)}

    def __init__(self, registry: Registry, stop: threading.Event) -> None:
        super().__init__()
        self._registry, self._stopped = registry, stop
        self.answered, self.fault = 0, ""

    def run(self) -> None:
        """Until it is told to stop, or something fails."""
        try:
            while not self._stopped.is_set():
                self._call("3" if self.answered % 7 == 0 else None)
        except Exception as error:  # noqa: BLE001 - the test tells it
            self.fault = repr(error)

    def _call(self, version: str | None) -> None:
        lease = self._registry.lease("tiny", version, str(self.answered))
        assert lease is not None
        for loaded in filter(None, (lease.loaded, lease.shadow)):
            assert loaded.runtime.run(self.row)["total"][0, 0] == float(loaded.bundle.version)
        self._registry.release([lease])
        self.answered += 1


def test_two_hundred_reloads_under_load_fail_no_call_and_free_every_old_version(rig: Rig) -> None:
    stop = threading.Event()
    callers = [Caller(rig.registry, stop) for _ in range(3)]
    rig.registry.pin("tiny", "3")
    for caller in callers:
        caller.start()
    states: list[dict[str, Any]] = [
        {"champion": "2", "shadow": "1"},
        {"champion": "1", "challenger": "2", "traffic": {"2": 0.3}},
        {"champion": "2"},
        {"champion": "1"},
    ]
    for number in range(200):
        rig.follow(**states[number % len(states)])
        if number % 2:
            rig.registry.load("tiny")
    stop.set()
    for caller in callers:
        caller.join()
    assert [caller.fault for caller in callers] == ["", "", ""]
    assert min(caller.answered for caller in callers) > 100
    until(lambda: len(rig.order) == 2 * (len(rig.made) - 2))  # the champion and the version that was named stay
    runtimes = [runtime for _, runtime in rig.made if isinstance(runtime, ClosingRuntime)]
    assert len(runtimes) > 200
    assert all(runtime.closings == int(runtime.closed) for runtime in runtimes)
    assert sorted(version for version, runtime in rig.made if not runtime.closed) == ["1", "3"]
    until(lambda: not rig.registry._leaving)
    gc.collect()
    ours = rig.registry.model("tiny").everything()
    assert len([each for each in gc.get_objects() if type(each) is Loaded and each.runtime in runtimes]) == len(ours)

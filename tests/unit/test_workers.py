"""How workers share the tests: by group, and some tests run alone."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from tests.workers import FIRST, LAST, TOGETHER, TRAINED, Turns, group_of

ROOT = Path(__file__).parents[2]


def test_what_is_named_is_there() -> None:
    files = {f"tests/e2e/test_{name}.py" for name in TRAINED} | {name for name in FIRST + LAST if name.endswith(".py")}
    assert [name for name in files | TOGETHER.keys() if not (ROOT / name).exists()] == []
    assert {name for name in FIRST if not name.endswith(".py")} <= {"trained", *TOGETHER.values()}


def test_tests_of_the_trained_model_are_one_group() -> None:
    asks = re.compile(r"^def \w+\([^)]*\b(?:project|trained): Path", re.MULTILINE)
    found = {path for path in (ROOT / "tests/e2e").glob("test_*.py") if asks.search(path.read_text(encoding="utf-8"))}
    assert {group_of(path.relative_to(ROOT).as_posix() + "::test_it") for path in found} == {"trained"}


def test_who_runs_alone_comes_last() -> None:
    marks = "pytest.mark." + "alone"
    files = (
        path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py") if marks in path.read_text()
    )
    assert set(files) == set(LAST)


def test_a_file_is_one_group_and_some_folders_are() -> None:
    assert group_of("tests/unit/test_house.py::test_a[x::y]") == "tests/unit/test_house.py"
    assert group_of("tests/unit/export/test_card.py::test_a") == group_of("tests/unit/export/test_gate.py::test_b")


def test_who_runs_alone_waits_for_the_others_and_they_for_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()  # no turns of this test's own worker
    with contextlib.ExitStack() as held:
        first, second, lonely, late = (
            held.enter_context(contextlib.closing(Turns(tmp_path / "lock"))) for _ in range(4)
        )
        pool = held.enter_context(ThreadPoolExecutor(2))
        with first.taken(alone=False), second.taken(alone=False):
            waiting = Stay(lonely, alone=True)
            alone = pool.submit(waiting.run)
            assert not waiting.inside.wait(0.2)
            after = Stay(late, alone=False)
            shared = pool.submit(after.run)
            assert not after.inside.wait(0.2)  # does not overtake who waits to be alone
        assert waiting.inside.wait(20)
        assert not after.inside.wait(0.2)
        waiting.leave.set()
        assert after.inside.wait(20)
        after.leave.set()
        alone.result()
        shared.result()


class Stay:
    """A turn that lasts until it is told to leave."""

    def __init__(self, turns: Turns, *, alone: bool) -> None:
        self.inside, self.leave = Event(), Event()
        self._turns, self._alone = turns, alone

    def run(self) -> None:
        """Come, stay, leave."""
        with self._turns.taken(alone=self._alone):
            self.inside.set()
            assert self.leave.wait(20)

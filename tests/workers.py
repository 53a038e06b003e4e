"""How workers (``pytest -n 2``) share the tests: which belong together, which come first, which run alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TOGETHER = {"tests/contract": "contract", "tests/unit/export": "export"}
"""Folder → the group that one worker runs: its tests share what takes long to make. Elsewhere each file is one."""
TRAINED = {"alertmanager", "bad_input", "chart", "chart_access", "cloudevents", "dashboards", "kill", "page"}
"""End-to-end tests of the model that ``trained`` makes once; they are one group too."""
FIRST = (
    "tests/e2e/test_year.py",  # beside it those that wait more than they work
    "export",
    "tests/unit/serving/test_torchserve.py",
    "trained",
    "contract",
    "tests/unit/training/models/test_contract.py",
    "tests/e2e/test_pictures.py",
    "tests/unit/training/encode/test_agreement.py",
    "tests/unit/training/test_retrain.py",
    "tests/unit/training/test_classification.py",
    "tests/e2e/test_images_page.py",
    "tests/unit/monitoring/display/test_rules.py",
    "tests/unit/test_images.py",
    "tests/unit/monitoring/analysis/test_evidently.py",
    "tests/unit/training/test_examples.py",
    "tests/unit/training/clean/test_steps.py",
    "tests/e2e/test_readme.py",
    "tests/unit/training/encode/test_embeddings.py",
    "tests/unit/training/collect/test_joins.py",
    "tests/unit/training/encode/test_whole.py",
    "tests/unit/training/test_run.py",
)
"""Groups that take longest come first, so that no worker is left with one when the other has nothing to do."""
LAST = (
    "tests/load/test_overload.py",
    "tests/load/test_ended.py",
    "tests/unit/serving/test_http_drain.py",
)
"""Groups with tests that run alone: the other worker waits for them, which costs least when it has nothing to do."""


def group_of(nodeid: str) -> str:
    """The group that one worker runs, of a test by its id."""
    path = PurePosixPath(nodeid.split("::", 1)[0])
    if path.parent.name == "e2e" and path.stem.removeprefix("test_") in TRAINED:
        return "trained"
    return next((group for folder, group in TOGETHER.items() if path.is_relative_to(folder)), str(path))


def rank(item: pytest.Item) -> int:
    """Where a test's group comes: earlier is less."""
    order = (*FIRST, "", *LAST)
    group = group_of(item.nodeid)
    return order.index(group if group in order else "")


class Turns:
    """Held by each worker for as long as a test runs: shared by most, exclusive for those marked ``alone``."""

    def __init__(self, file: Path = Path(__file__)) -> None:
        # Locks need a file and its folder that all workers find, and nothing in them.
        self._door, self._room = (os.open(path, os.O_RDONLY) for path in (file.parent, file))

    def close(self) -> None:
        """Let go of the locks' files."""
        os.close(self._door)
        os.close(self._room)

    @contextlib.contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Run within one's turn."""
        fcntl.flock(self._door, fcntl.LOCK_EX)  # behind whoever waits to be alone, else it would wait for ever
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Outermost, so that waiting for one's turn is no part of a test's time."""
        with self.taken(alone=item.get_closest_marker("alone") is not None):
            return (yield)

    def pytest_unconfigure(self) -> None:
        """At the end of a worker."""
        self.close()

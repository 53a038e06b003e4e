"""For any run of promotions, roll-backs and kills: aliases and journal tell the same story."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from staytrue.errors import Conflict, NotFound
from staytrue.store import Store

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), st.sampled_from(["1", "2", "3"])),
        st.tuples(st.just("killed while promoting"), st.sampled_from(["1", "2", "3"])),
        st.tuples(st.just("torn while promoting"), st.sampled_from(["1", "2", "3"])),
        st.tuples(st.just("roll back"), st.just("")),
    ),
    max_size=12,
)


class Killed(BaseException):
    """Ends a change where a kill would."""


def kill(*_: Any) -> None:
    """Stand in for the write that never happened."""
    raise Killed


def tear(path: Path, value: object) -> None:
    """Write half a line of the journal, as a kill may."""
    with path.open("a") as file:
        file.write(str(value)[:20])
    raise Killed


def change(store: Store, step: str, version: str) -> None:
    """Take a step, with its kill."""
    with contextlib.suppress(Conflict, NotFound, Killed), contextlib.ExitStack() as stack:
        if step == "killed while promoting":
            stack.enter_context(mock.patch("staytrue.folder.write_atomically", kill))
        if step == "torn while promoting":
            stack.enter_context(mock.patch("staytrue.folder.append_line", tear))
        if step == "roll back":
            store.roll_back("m", reason="back")
        else:
            store.promote("m", version, reason="on")


@given(STEPS)
@settings(max_examples=60)
def test_aliases_and_journal_tell_the_same_story(steps: list[tuple[str, str]]) -> None:
    line: list[str] = []  # of succession, kept by the simplest means
    effective = 0
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Store, "load"):
        store = Store(Path(folder))
        for version in ("1", "2", "3"):
            (store.root / "m" / version).mkdir(parents=True)
        for step, version in steps:
            change(store, step, version)
            if step == "promote" and (not line or line[-1] != version):
                line.append(version)
                effective += 1
            if step == "roll back" and len(line) > 1:
                line.pop()
                effective += 1
        if not line:
            assert store.models() == []
            return
        assert store.aliases("m").champion == line[-1]
        journal = store.journal("m")
        assert [entry.revision for entry in journal] == list(range(1, effective + 1))
        assert journal[-1].champion == line[-1]
        assert [entry.before for entry in journal[1:]] == [entry.champion for entry in journal[:-1]]

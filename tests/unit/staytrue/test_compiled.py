"""What is compiled is taken whole or not at all."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import staytrue
from staytrue import compiled

if TYPE_CHECKING:
    import pytest

OLDER = ("Express", "Reader", "answer", "checksum", "fill", "floats", "frames", "weave")
"""What a build had whose ``fill`` took an event apart."""


def test_an_older_build_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    older = ModuleType("staytrue.native")
    for part in OLDER:
        setattr(older, part, print)
    before = compiled.native
    monkeypatch.setitem(sys.modules, "staytrue.native", older)
    monkeypatch.setattr(staytrue, "native", older, raising=False)
    try:
        assert importlib.reload(compiled).native is None
    finally:
        monkeypatch.undo()
        importlib.reload(compiled)
    assert compiled.native is before

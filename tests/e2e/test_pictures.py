"""Pictures for real: digits trained, exported, served and watched; three ways to go wrong, and clean days between."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from examples.gallery.alter import ALTERATIONS, clean
from examples.gallery.stream import phases
from staytrue.store import Store

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_altered_digits_alarm_and_clean_ones_do_not(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "examples.digits.demo", "--output", str(tmp_path / "out")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    row = r"^(\w+) +\S+ +(\d+) +([\d.]+) by (\S+) +(\d+)%  (.*)$"
    found = [match.groups() for match in re.finditer(row, done.stdout, flags=re.MULTILINE)]
    assert [kind for kind, *_ in found] == [phase.kind for phase in phases(0.0)]
    for kind, looks, evidence, feature, right, alarm in found:
        if kind == "clean":
            assert int(looks) >= 6
            assert float(evidence) < 1
            assert (int(right) >= 95, alarm) == (True, "none")
        else:
            assert float(evidence) >= 1
            assert re.fullmatch(r"2025-\d\d-\d\dT\d\d:\d\d", alarm)
            assert feature.startswith("image.")
    assert "clean    pictures are called" in done.stdout
    bundle = Store(tmp_path / "out" / "store").load("digits", "1")
    assert bundle.classes == [str(digit) for digit in range(10)]
    assert bundle.evaluation["validation"]["accuracy"].value > 0.95


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    line = [sys.executable, "-m", "examples.digits.demo", "--output", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds other things than an earlier run" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_an_alteration_keeps_the_form_and_changes_the_picture(kind: str) -> None:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    altered = ALTERATIONS[kind](pictures, draw)
    assert altered.shape == pictures.shape
    assert altered.dtype == np.uint8
    assert (altered != pictures).any()
    assert clean(pictures, draw) is pictures

"""The learning curve: what it shows, and that it is whole at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tests.trainings import FACTS, LINES, Told
from training import curve
from training.watch.drawing import Drawing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.trainings import Clock
    from training.watch.facts import Course

PNG = b"\x89PNG\r\n\x1a\n"


def test_it_shows_loss_measures_and_learning_rate_and_which_epoch_was_kept() -> None:
    lines = [line | {"validation_accuracy": line["epoch"] / 4} for line in LINES]
    loss, accuracy, rate, mae = curve.figure_of(Told(epochs=lines), "bikers").axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("training loss (scaled)", "accuracy")
    assert (rate.get_ylabel(), rate.get_xlabel()) == ("learning\nrate", "epoch")
    assert mae.get_ylabel() == "mean absolute error of bikers, validation"
    assert np.asarray(mae.lines[0].get_xydata()).tolist() == [[1, 4], [2, 2], [3, 1], [4, 3]]
    assert [np.asarray(axes.lines[-1].get_xdata())[0] for axes in (loss, accuracy, rate)] == [3, 3, 3]


@pytest.mark.parametrize(
    ("last", "scale"), [(1e-2, "linear"), (1e-3, "log"), (0.0, "linear"), (float("nan"), "linear")]
)
def test_a_scale_is_logarithmic_from_two_decades_on(last: float, scale: str) -> None:
    """Zero has no place on one."""
    lines = [line | {"loss": loss} for line, loss in zip(LINES, [0.5, 0.1, 0.02, last], strict=True)]
    assert curve.figure_of(Told(epochs=lines), "y").axes[0].get_yscale() == scale


def test_one_epoch_and_none_are_drawn_too(tmp_path: Path) -> None:
    """A point of the one; a training that is cut off in its first epoch has nothing to show."""
    curve.draw(Told(epochs=LINES[:1], best_epoch=1), "y", tmp_path / "one.png")
    curve.draw(Told(epochs=[], best_epoch=0), "y", tmp_path / "none.png")
    assert [(tmp_path / name).read_bytes()[:8] for name in ("one.png", "none.png")] == [PNG, PNG]


def test_a_long_training_is_drawn_while_it_goes_on(
    tmp_path: Path, clock: Clock, go: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs of five seconds, a picture every eight: after the second epoch and the fourth; a resumed one shows all."""
    drawn: list[tuple[list[float], int]] = []

    def noted(course: Course, target: str, path: Path) -> None:
        drawn.append(([line["epoch"] for line in course.epochs], course.best_epoch))
        assert (target, path) == ("y", tmp_path / "curve.png")

    monkeypatch.setattr("training.watch.drawing.draw", noted)
    drawing = Drawing(tmp_path / "curve.png", clock, every=8)
    drawing.began(FACTS)
    go(drawing)
    drawing.began(msgspec.structs.replace(FACTS, before=LINES[:2], best_epoch=2))
    go(drawing, done=2)
    assert drawn == [([1, 2], 2), ([1, 2, 3, 4], 3), ([1, 2, 3, 4], 3)]

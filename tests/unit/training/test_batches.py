"""Batches: what a step is given does not depend on how many of them are made at a time, or by which thread."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from staytrue.feature import Feature
from staytrue.sections import TrainingSection
from training import batches
from training.augment.augmenter import augmentation
from training.batches import Batch, Taken
from training.data.encode.encoder import learn
from training.data.rows import TrainingRows
from training.models.assembly import assemble
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 50
NUMBERS = {name: Feature(kind="numeric") for name in ("x", "z")}
PICTURES = {"p": Feature(kind="image", shape=[1, 8, 8])}


def batch(features: dict[str, Feature], weight: NDArray[np.float64] | None = None, most: int = sys.maxsize) -> Batch:
    """Rows by chance, of two classes; what takes more bytes lies in a file."""
    draw = np.random.default_rng(0)
    columns: dict[str, NDArray[Any]] = {
        name: draw.integers(0, 256, (ROWS, *feature.shape)).astype(np.uint8)
        if feature.kind == "image"
        else draw.normal(size=ROWS).astype(np.float32)
        for name, feature in features.items()
    }
    target = np.array(["a", "b"], dtype=object)[draw.integers(0, 2, ROWS)]
    rows, task = TrainingRows(np.arange(float(ROWS)), columns, target, {}, most), Classification("y", ("a", "b"))
    model = assemble(learn(rows, features), "mlp", {}, task)
    return Batch.of(model, task, rows, np.ones(ROWS) if weight is None else weight)


def own(made: Batch, which: torch.Tensor) -> Taken:
    """Rows of a table, by the plainest way."""
    return Taken(made.sources[0][which], [(made.truth[which], made.weight[which])])


def dealt() -> list[torch.Tensor]:
    """An epoch's places, in steps of odd sizes."""
    return list(torch.tensor_split(torch.randperm(ROWS, generator=torch.Generator().manual_seed(1)), 7))


@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_steps_of_a_table_hold_their_rows_however_many_are_taken_together(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "HANDED_BYTES", most)
    made = batch(NUMBERS, np.arange(1.0, ROWS + 1))
    steps = list(made.stream(dealt(), None, 1))
    assert len(steps) == 7
    for taken, which in zip(steps, dealt(), strict=True):
        expected = own(made, which)
        assert torch.equal(taken.matrix, expected.matrix)
        ((truth, weight),) = taken.truths
        assert torch.equal(truth, expected.truths[0][0])
        assert weight is not None
        assert weight.flatten().tolist() == [place + 1.0 for place in which.tolist()]


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_steps_of_varied_pictures_hold_the_same_alone_and_among_others(mixup: float) -> None:
    """So a run that goes on in the midst of an epoch sees what it would have seen."""
    made = batch(PICTURES)
    settings = TrainingSection.model_validate(
        {"augmentation": {"image": {"rotate": 20, "flip_vertically": 0.5}, "mixup": mixup}}
    )
    augmenter = augmentation(settings, PICTURES, ROWS)
    for taken, which in zip(made.stream(dealt(), augmenter, 3), dealt(), strict=True):
        (alone,) = made.stream([which], augmenter, 3)
        assert torch.equal(taken.matrix, alone.matrix)
        assert len(taken.truths) == (2 if mixup else 1)
        for (truth, weight), (same, as_much) in zip(taken.truths, alone.truths, strict=True):
            assert torch.equal(truth, same)
            assert (weight is None and as_much is None) or torch.equal(weight, as_much)  # type: ignore[arg-type]


def test_rows_that_count_alike_give_the_sum_that_weights_of_one_give() -> None:
    """To the bit, without a product for each row."""
    made = batch(NUMBERS)

    def judged(truth: torch.Tensor) -> torch.Tensor:
        return torch.linspace(-1, 3, len(truth)).unsqueeze(1) + truth

    for taken in (made.taken(slice(3, 40)), next(iter(made.stream([torch.arange(3, 40)], None, 1)))):
        ((truth, weight),) = taken.truths
        assert weight is None
        ones = Taken(taken.matrix, [(truth, torch.ones(len(truth), 1))])
        assert taken.total(judged).item() == ones.total(judged).item()
    uneven = batch(NUMBERS, np.linspace(0, 2, ROWS)).taken(slice(3, 40))
    by_hand = (judged(uneven.truths[0][0]).squeeze(1).numpy() * np.linspace(0, 2, ROWS)[3:40]).sum()
    assert uneven.total(judged).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_table_that_lies_in_a_file_is_read_by_another_thread(on_disk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in memory is taken at once: there is nothing to wait for."""
    made = batch(NUMBERS, most=1 if on_disk else sys.maxsize)
    by: set[str] = set()
    rows = Batch._rows

    def noted(self: Batch, which: Any) -> list[Taken]:
        by.add(threading.current_thread().name.partition("_")[0])
        return rows(self, which)

    monkeypatch.setattr(Batch, "_rows", noted)
    for taken, which in zip(made.stream(dealt(), None, 1), dealt(), strict=True):
        assert torch.equal(taken.matrix, own(made, which).matrix)
    assert by == {"loading" if on_disk else threading.main_thread().name}


@pytest.mark.parametrize(
    ("side", "varied", "by"), [(8, False, "MainThread"), (8, True, "loading"), (64, False, "loading")]
)
def test_pictures_are_made_by_another_thread_where_that_takes_longer_than_to_ask_it(
    side: int, varied: bool, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps hold the same either way."""
    features = {"p": Feature(kind="image", shape=[1, side, side])}
    settings = TrainingSection.model_validate({"augmentation": {"image": {"flip_vertically": 0.5}}} if varied else {})
    augmenter = augmentation(settings, features, ROWS)
    made, seen, encoded = batch(features), set[str](), Batch._varied
    there = [encoded(made, which, augmenter, 1) for which in dealt()]

    def noted(self: Batch, *given: Any) -> Taken:
        seen.add(threading.current_thread().name.partition("_")[0])
        return encoded(self, *given)

    monkeypatch.setattr(Batch, "_varied", noted)
    for taken, expected in zip(made.stream(dealt(), augmenter, 1), there, strict=True):
        assert torch.equal(taken.matrix, expected.matrix)
    assert seen == {by}

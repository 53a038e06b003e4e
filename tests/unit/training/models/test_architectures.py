"""Every architecture learns each kind of feature that it takes; with which tasks is told by ``test_contract.py``.

An architecture comes in by standing in the registry.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from staytrue.feature import Feature
from staytrue.sections import TrainingSection
from training.data.encode.encoder import learn, tensors
from training.data.rows import Rows, TrainingRows
from training.models.architectures import ARCHITECTURES
from training.models.assembly import assemble
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.models.model import Model

PREDICTING = [name for name, body in ARCHITECTURES.items() if not getattr(body, "GENERATES", False)]
"""How those that make pictures learn is told by ``test_generation.py``."""
ROWS = 24
SMALL = {"width": 4, "depth": 1, "heads": 2, "patch": 4, "dropout": 0.0}
FEATURES = {
    "numeric": Feature(kind="numeric"),
    "category": Feature(kind="category"),
    "image": Feature(kind="image", shape=[1, 6, 5]),
    "text": Feature(kind="text", shape=[10]),
    "sequence": Feature(kind="sequence", shape=[4, 2]),
}


def column(kind: str, second: NDArray[Any], draw: np.random.Generator) -> Any:
    """Values of a kind, which tell the classes apart; texts and sequences of any length, from none on."""
    if kind == "numeric":
        return (draw.normal(size=ROWS) + 2 * second).astype(np.float32)
    if kind == "category":
        return np.array(["a", "b", "c"], dtype=object)[draw.integers(0, 2, ROWS) + second]
    shape = FEATURES[kind].shape
    raised = second.reshape(-1, *[1] * len(shape))
    if kind == "image":
        return (draw.integers(0, 128, (ROWS, *shape)) + 100 * raised).astype(np.uint8)
    there = np.arange(shape[0]) < draw.integers(0, shape[0] + 1, (ROWS, 1))
    if kind == "text":
        return ((draw.integers(97, 105, (ROWS, *shape)) + 10 * raised) * there).astype(np.uint8)
    return np.where(there[:, :, None], draw.normal(size=(ROWS, *shape)) + 2 * raised, np.nan).astype(np.float32)


def rows_of(kinds: tuple[str, ...]) -> TrainingRows:
    """Rows of two classes in turn."""
    draw, second = np.random.default_rng(0), np.arange(ROWS) % 2
    target = np.array(["no", "yes"], dtype=object)[second]
    columns = {kind: column(kind, second, draw) for kind in kinds}
    return TrainingRows.of(Rows(np.arange(float(ROWS)), columns, target))


def made(name: str, kinds: tuple[str, ...]) -> tuple[Model, Classification, TrainingRows]:
    """A model of an architecture, as small as can be."""
    torch.manual_seed(0)
    rows = rows_of(kinds)
    taken = inspect.signature(ARCHITECTURES[name]).parameters
    task = Classification("kind", ("no", "yes"))
    states = learn(rows, {kind: FEATURES[kind] for kind in kinds})
    settings = {key: SMALL[key] for key in SMALL if key in taken}
    return assemble(states, name, settings, task), task, rows


def kinds_of(name: str) -> list[tuple[str, ...]]:
    """Combinations of kinds to try: each alone, and all together unless the architecture takes one alone."""
    only = getattr(ARCHITECTURES[name], "KINDS", ())
    return [(kind,) for kind in only or FEATURES] + [tuple(FEATURES)] * (not only)


@pytest.mark.parametrize(("name", "kinds"), [(name, kinds) for name in PREDICTING for kinds in kinds_of(name)])
def test_it_learns_each_kind_that_it_takes(name: str, kinds: tuple[str, ...]) -> None:
    model, task, rows = made(name, kinds)
    matrix, truth = model.encoder(*tensors(rows.columns, model.encoder.states)), task.truth(rows)
    adam, loss_of = torch.optim.Adam(model.head.parameters(), lr=0.01), task.loss(TrainingSection())
    losses = []
    for _ in range(4):
        adam.zero_grad()
        loss = loss_of(model.head.train()(matrix), truth).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(loss.item())
    assert losses[3] < losses[0]
    assert all(torch.isfinite(parameter).all() for parameter in model.head.parameters())

"""Cases of pictures: Fashion-MNIST by ResNet and Inception, whole and in part, and handwritten digits."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.training.case import Case, Reached
from examples.fashion.prepare import FILES, FOLDER, NAMES, read
from staytrue.project import Project
from training.data.rows import Rows, TrainingRows
from training.devices import devices
from training.run import Parts, fit_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST = tuple(name.replace("train", "t10k") for name in FILES)
SUBSET = 12_000
VALIDATION = 0.1
"""Share of the pictures to train on that is held out of it, to stop by and to choose the epoch."""


def fashion(pictures: int, model: dict[str, Any], training: dict[str, Any]) -> Reached:
    """Accuracy on the 10,000 test pictures, after a training on some of the 60,000 others."""
    learn, test = (_album(*(read(FOLDER / name) for name in names)) for names in (FILES, TEST))
    some = np.random.default_rng(0).permutation(len(learn))[:pictures]
    return reached(learn.take(np.sort(some)), test, model, training)


def digits(model: dict[str, Any], training: dict[str, Any]) -> Reached:
    """Accuracy on every third of scikit-learn's digits, after a training on the others."""
    found = load_digits()
    every, third = _album((found.images * 15).astype(np.uint8), found.target), np.arange(len(found.target)) % 3 == 2
    return reached(every.take(~third), every.take(third), model, training)


def reached(rows: Rows, test: Rows, model: dict[str, Any], training: dict[str, Any]) -> Reached:
    """Train as ``staytrue train`` does; the time is that of the training, its validation in it, without the test."""
    features = {"image": {"kind": "image", "shape": list(rows.columns["image"].shape[1:])}}
    project = Project.model_validate(
        {
            "name": "bench",
            "data": {"source": "none", "time": "time", "target": "name", "features": features},
            "model": {"task": "classification", **model},
            "training": {"threads": 2, **training},
        }
    )
    held = np.random.default_rng(1).random(len(rows)) < VALIDATION
    classes = tuple(sorted(set(rows.target.tolist())))
    parts = Parts(TrainingRows.of(rows.take(~held)), rows.take(held), classes=classes)
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        trained = fit_parts(project, parts, Path(folder), "bench", devices(project.training))
        seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
    likely = trained.model.answers(test.columns)[1]
    right = np.array(classes, dtype=object)[likely.argmax(axis=1)] == test.target
    return Reached(float(right.mean()), seconds, processor_seconds)


def _album(pictures: NDArray[np.uint8], labels: NDArray[Any]) -> Rows:
    names = np.array(NAMES, dtype=object)[labels]
    return Rows(np.arange(float(len(labels))), {"image": pictures[:, None]}, names)  # [N,1,H,W]


RESNET = {"architecture": "resnet", "width": 16, "depth": 2, "memory_format": "channels_last"}
INCEPTION = {"architecture": "inception", "width": 12, "depth": 1}
BRISK = {"batch_size": 64, "learning_rate": 0.005, "averaging": 0.98}

CASES = {
    "fashion-resnet": Case(
        "Fashion-MNIST, ResNet: accuracy", 0.91, 600, functools.partial(fashion, 60_000, RESNET, BRISK | {"epochs": 12})
    ),
    "fashion-inception": Case(
        "Fashion-MNIST, Inception: accuracy",
        *(0.91, 600),
        functools.partial(fashion, 60_000, INCEPTION, BRISK | {"epochs": 8}),
    ),
    "fashion-resnet-12k": Case(
        "Fashion-MNIST, 12,000 pictures, ResNet: accuracy",
        *(0.88, 60),
        functools.partial(fashion, SUBSET, RESNET, BRISK | {"epochs": 6}),
    ),
    "fashion-inception-12k": Case(
        "Fashion-MNIST, 12,000 pictures, Inception: accuracy",
        *(0.88, 60),
        functools.partial(fashion, SUBSET, INCEPTION, BRISK | {"epochs": 6}),
    ),
    "digits": Case("digits, ResNet: accuracy", 0.98, None, functools.partial(digits, RESNET, BRISK | {"epochs": 20})),
}

"""What the loop of ``training/fit.py`` costs beside a bare PyTorch loop of the same model, batches and optimiser.

The bare one is measured twice: with the optimiser as PyTorch makes it by default, and with the kernel that takes a
whole step at once (``fused=True``), which the loop takes. The first ratio tells what somebody gains or loses who
leaves a loop as tutorials write it; the second what the loop itself adds, and is what may not exceed ``MOST``.

All run in turn, in one process on one thread, and are told by the processor time of a step, the least of the rounds. A
ratio is the median of those of each round, whose runs are neighbours in time: what else the machine does weighs on both
sides. Run it by ``python -m benchmarks.training.loop``.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from staytrue.project import Project
from training.batches import Batch
from training.data.encode.encoder import learn
from training.data.rows import TrainingRows
from training.devices import Processor
from training.environment import environment
from training.fit import fit
from training.models.assembly import assemble
from training.sampling import order
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from training.models.model import Model

ROUNDS = 9
MOST = 1.05
"""What the loop may cost, as a multiple of the bare one with the same kernel."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and how much of it is trained a round."""

    name: str
    feature: dict[str, object]
    model: dict[str, object]
    rows: int
    batch: int
    epochs: int

    def project(self) -> Project:
        """As ``staytrue.yaml`` would tell it; without averaging, which a bare loop has not."""
        features = {f"x{place}": self.feature for place in range(1 if "shape" in self.feature else 30)}
        training = {
            "epochs": self.epochs,
            "patience": 99,
            "batch_size": self.batch,
            "averaging": 0,
            "learning_rate": 1e-3,
        }
        return Project.model_validate(
            {
                "name": "loop",
                "data": {"source": "none", "time": "t", "target": "y", "features": features},
                "model": {"task": "classification", **self.model},
                "training": training,
            }
        )

    def drawn(self) -> TrainingRows:
        """Rows by chance: nothing is to be learnt but the time it takes."""
        draw, features = np.random.default_rng(0), self.project().data.features
        columns = {
            name: draw.integers(0, 256, (self.rows, *feature.shape)).astype(np.uint8)
            if feature.kind == "image"
            else draw.normal(size=self.rows).astype(np.float32)
            for name, feature in features.items()
        }
        target = np.array(["a", "b"], dtype=object)[draw.integers(0, 2, self.rows)]
        return TrainingRows(np.arange(float(self.rows)), columns, target)


PICTURE: dict[str, object] = {"kind": "image", "shape": [1, 28, 28]}
DIGIT: dict[str, object] = {"kind": "image", "shape": [1, 8, 8]}
CASES = (
    Case("resnet 28x28, batch 64", PICTURE, {"architecture": "resnet", "width": 16, "depth": 1}, 1280, 64, 1),
    Case("mlp 30-32-32-2, batch 64", {"kind": "numeric"}, {"width": 32}, 12_800, 64, 4),
    Case("mlp 30-128-128-2, batch 256", {"kind": "numeric"}, {"width": 128}, 25_600, 256, 4),
    Case("mlp 30-512-512-2, batch 256", {"kind": "numeric"}, {"width": 512}, 25_600, 256, 2),
    Case("mlp, 8x8, batch 64", DIGIT, {"width": 64}, 12_800, 64, 4),
)


def bare(model: Model, train: Batch, held: Batch, case: Case, *, fused: bool) -> None:
    """As a tutorial writes it, or with the optimiser's one kernel for a step."""
    head, steps = model.head, -(-len(train) // case.batch)
    settings = case.project().training
    kernel = True if fused else None  # PyTorch's default
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.decay, fused=kernel)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps * case.epochs)
    for epoch in range(case.epochs):
        head.train()
        total = 0.0
        for which in torch.tensor_split(order(len(train), epoch, settings.seed), steps):
            with torch.no_grad():
                matrix = train.encode(*(source[which] for source in train.sources))
            loss = nn.functional.cross_entropy(head(matrix), train.truth[which, 0])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item() * len(which)
        head.eval()
        with torch.no_grad():
            for begin in range(0, len(held), held.chunk):
                which = torch.arange(begin, min(begin + held.chunk, len(held)))
                matrix = held.encode(*(source[which] for source in held.sources))
                total += nn.functional.cross_entropy(head(matrix), held.truth[which, 0]).item()


def measured(case: Case) -> NDArray[np.float64]:
    """Processor seconds of a step, bare, bare with the fused kernel, and by the loop. Shapes: [ROUNDS,3]."""
    project, rows = case.project(), case.drawn()
    task = Classification("y", ("a", "b"))
    torch.manual_seed(0)
    arguments = {key: value for key, value in case.model.items() if key != "architecture"}
    model = assemble(learn(rows, project.data.features), project.model.architecture, arguments, task)
    train = Batch.of(model, task, rows, np.ones(len(rows)))
    held = Batch.of(model, task, rows.take(np.arange(64)), np.ones(64))
    steps = -(-case.rows // case.batch) * case.epochs

    surroundings = environment(Path(), project.training.seed)

    def looped(fresh: Model) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit(fresh, task, (train, held), project, Processor(), None, Path(folder), {}, surroundings, lambda _: None)

    def took(run: Callable[[Model], None]) -> float:
        fresh = copy.deepcopy(model)
        began = time.process_time()
        run(fresh)
        return (time.process_time() - began) / steps

    looped(copy.deepcopy(model))  # what is imported and allocated once counts for neither
    runs = (
        lambda fresh: bare(fresh, train, held, case, fused=False),
        lambda fresh: bare(fresh, train, held, case, fused=True),
        looped,
    )
    return np.array([[took(run) for run in runs] for _ in range(ROUNDS)])


def main() -> int:
    """Print a line a case; 1 where the loop costs more than it may."""
    torch.set_num_threads(1)
    missed = 0
    print(f"{'case':30} {'bare ms':>8} {'fused ms':>8} {'loop ms':>8} {'to bare':>8} {'to fused':>8}")
    for case in CASES:
        seconds = measured(case)
        plain, fused, ours = seconds.min(axis=0) * 1e3
        to_plain, to_fused, _ = np.median(seconds[:, 2:] / seconds, axis=0)
        missed += int(to_fused > MOST)
        told = f"{plain:8.3f} {fused:8.3f} {ours:8.3f} {to_plain:8.3f} {to_fused:8.3f}"
        print(f"{case.name:30} {told}{'  MISSED' if to_fused > MOST else ''}")
        sys.stdout.flush()
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

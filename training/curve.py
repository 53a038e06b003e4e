"""The learning curve as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from training.tasks.classification import Classification
from training.tasks.regression import Regression

if TYPE_CHECKING:
    from pathlib import Path

    from training.history import History


NAMES = {
    Classification.measure: "log loss of {target}, validation",
    Regression.measure: "mean absolute error of {target}, validation",
}
"""What an epoch is judged by → how the axis is called."""


def draw(history: History, target: str, path: Path) -> None:
    """Loss of the training rows and error of the validation rows by epoch, and which epoch was kept."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [line["epoch"] for line in history.epochs]
    loss = axes.plot(epochs, [line["loss"] for line in history.epochs], color="tab:blue", label="training loss")
    axes.set(xlabel="epoch", ylabel="training loss (scaled)")
    right = axes.twinx()
    errors = [line[history.measure] for line in history.epochs]
    held = right.plot(epochs, errors, color="tab:orange", label="validation error")
    right.set_ylabel(NAMES.get(history.measure, history.measure.replace("_", " ")).format(target=target))
    kept = axes.axvline(history.best_epoch, color="grey", linestyle=":", label=f"kept: epoch {history.best_epoch}")
    axes.legend(handles=[*loss, *held, kept])
    figure.savefig(path, dpi=100)

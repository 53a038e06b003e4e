"""The learning curve as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from training.history import History

MEASURES = {
    "validation_log_loss": "log loss",
    "validation_mae": "mean absolute error",
    "validation_scaled_mae": "scaled mean absolute error",
    "validation_pinball": "pinball loss",
}
"""What a task's measure is called, by its name."""


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
    error = MEASURES[history.measure]
    right.set_ylabel(f"{error} of {target}, validation")
    kept = axes.axvline(history.best_epoch, color="grey", linestyle=":", label=f"kept: epoch {history.best_epoch}")
    axes.legend(handles=[*loss, *held, kept])
    figure.savefig(path, dpi=100)

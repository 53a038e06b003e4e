"""What a range test found, as a chapter, a table on disk and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.data.chapters import Chapter, Table

if TYPE_CHECKING:
    from pathlib import Path

    from training.rates.sweep import Sweep

SHOWN = 12
"""Rows of the chapter's table; the file has all."""
TABLE, PICTURE = "rates.csv", "rates.png"


def chapter(found: Sweep) -> Chapter:
    """The rate that is proposed, why, and the losses at some of the rates."""
    some = np.unique(np.linspace(0, len(found.rates) - 1, SHOWN).astype(int)).tolist()
    rows: list[list[str | int | float | None]] = [
        [f"{found.rates[place]:.3g}", round(found.losses[place], 4), round(found.smoothed[place], 4)] for place in some
    ]
    table = Table(title="Losses", columns=["learning rate", "loss", "smoothed"], rows=rows)
    blow_up = "does not blow up" if found.blow_up is None else f"is back above its first level at {found.blow_up:.2g}"
    if found.proposed is None:
        summary = f"The loss never fell and {blow_up}."
        why = "no learning rate lowered the loss: look at the data, the loss and the size of the model"
        return Chapter(title="Learning rate", summary=summary, tables=[table], warnings=[why])
    summary = (
        f"With {found.optimiser} the loss falls fastest at {found.steepest:.2g} and {blow_up}: "
        f"a learning rate of {found.proposed:g} is proposed."
    )
    return Chapter(title="Learning rate", summary=summary, tables=[table], warnings=_warnings(found))


def _warnings(found: Sweep) -> list[str]:
    """Where the answer may lie beyond what was tried."""
    edges = {found.rates[0]: "the lowest rate that was tried: try lower ones"}
    edges |= {found.rates[-1]: "the highest rate that was tried: try higher ones"} if found.blow_up is None else {}
    return [f"the loss falls fastest at {edges[found.steepest]}"] if found.steepest in edges else []


def write(found: Sweep, folder: Path) -> list[Path]:
    """Write table and picture; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = zip(found.rates, found.losses, found.smoothed, strict=True)
    text = "learning_rate,loss,smoothed\n" + "".join(f"{rate!r},{loss!r},{smooth!r}\n" for rate, loss, smooth in lines)
    (folder / TABLE).write_text(text, encoding="utf-8")
    draw(found, folder / PICTURE)
    return [folder / TABLE, folder / PICTURE]


def draw(found: Sweep, path: Path) -> None:
    """Loss by rate, and the rates that were read from it."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - it takes long to import

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="tab:blue", alpha=0.3, label="loss of a step")
    axes.plot(found.rates, found.smoothed, color="tab:blue", label="smoothed")
    for rate, name, colour in (
        (found.steepest, "falls fastest", "tab:green"),
        (found.blow_up, "blows up", "tab:red"),
        (found.proposed, "proposed", "black"),
    ):
        if rate is not None:
            axes.axvline(rate, color=colour, linestyle=":", label=f"{name}: {rate:.2g}")
    top, bottom = max(found.smoothed), min(found.smoothed)
    room = 0.15 * (top - bottom) or 1.0
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(bottom - room, top + room))
    axes.legend()
    figure.savefig(path, dpi=100)

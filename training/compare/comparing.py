"""Comparing: runs of the same rows become the record of what they differ in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.comparison import AgainstFirst, Comparison
from training.compare import paired
from training.compare.runs import judge_of, settings_told
from training.evaluate import slices
from training.evaluate.blocks import blocks_of
from training.evaluate.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.comparison import Differences
    from training.evaluate.blocks import Blocks
    from training.evaluate.judge import Judge
    from training.judgement.restored import Restored

SHOWN = ("validation", "train")
"""Parts whose figures stand side by side; of the sealed one nothing does."""
PART = "validation"


def compared(runs: Sequence[Restored], seed: int) -> Comparison:
    """The first run and what the others differ in from it, its slices among them."""
    first, *others = runs
    blocks = blocks_of(first.validation, first.project.split, seed)
    judge = judge_of(first)
    settings = [settings_told(run) for run in runs]
    names = list(dict.fromkeys(name for some in settings for name in some))
    told = {name: [some.get(name, "-") for some in settings] for name in names}
    return Comparison(
        name=first.project.name,
        runs=[run.run for run in runs],
        part=PART,
        rows=int(judge.known.sum()),
        blocks=blocks.take(judge.known).count,
        blocked_by=blocks.what,
        settings={name: values for name, values in told.items() if len(set(values)) > 1},
        figures={
            part: [run.evaluation[part].metrics for run in runs]
            for part in SHOWN
            if all(part in run.evaluation for run in runs)
        },
        notes=[f"run {run.run}: {run.heard[1]}" for run in runs if run.heard[1]],
        against=[
            AgainstFirst(run=run.run, differences=_differences(first, judge, run, blocks, seed)) for run in others
        ],
    )


def _differences(first: Restored, judge: Judge, other: Restored, blocks: Blocks, seed: int) -> list[Differences]:
    another, settings = judge_of(other), first.project.evaluation
    made = [paired.whole(judge, another, blocks, seed)]
    if settings.slices:
        table = columns(first.validation, first.project)
        some = [one for division in slices.learn(first.project, first.training) for one in division.of(table)]
        made += [paired.sliced(judge, another, one, blocks, settings.minimum_rows, seed) for one in some]
    return made

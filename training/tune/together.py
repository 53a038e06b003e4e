"""Together: the best settings of a study, each trained to a run, and these combined to one that answers as a model.

Source: Caruana, Niculescu-Mizil, Crew and Ksikes, 2004, "Ensemble selection from libraries of models": those that a
search tried are there anyway, differ, and together do better than the one that chance put first. Here they count alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.checkpoint import CHECKPOINT
from staytrue.errors import Conflict
from staytrue.records import Record, read, to_json, write_atomically
from training.ensemble.combine import combine
from training.run import train
from training.tune.report import finished
from training.tune.space import applied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from staytrue.project import Project
    from training.ensemble.comparison import Comparison
    from training.tune.report import Line

FILE = "members.json"
LEAST = 2


class Members(Record, frozen=True, kw_only=True):
    """Which run was trained with the settings of which trial, so that the same command does not train them again."""

    schema: int = 1
    runs: dict[int, str]


def best_of(found: Sequence[Line], count: int) -> list[Line]:
    """So many that came to their end, the best first, none with the settings of another.

    Raises:
        Conflict: there are no two.
    """
    distinct: list[Line] = []
    for line in finished(found):
        if all(line.settings != other.settings for other in distinct):
            distinct.append(line)
    if len(distinct) < LEAST:
        hint = "allow more trials or minutes, or leave tuning.ensemble at 1"
        raise Conflict(
            "tuning.ensemble", expected="two trials of different settings at least", got=str(len(distinct)), hint=hint
        )
    return distinct[:count]


def together(
    project: Project, study: Path, lines: Sequence[Line], *, say: Callable[[str], None] = lambda _: None
) -> tuple[Path, Comparison]:
    """The run that is made of a run of each of these trials; how it compares with them on the validation rows.

    ``study`` is the study's folder, where it is kept which runs there are. The sealed rows stay sealed.
    """
    path, runs = study / FILE, project.retraining.runs
    known = dict(read(Members, path).runs) if path.is_file() else {}
    told = False
    for place, line in enumerate(lines, 1):
        if line.trial not in known or not (runs / known[line.trial] / CHECKPOINT).is_file():
            say(f"{place} of {len(lines)}: trains with the settings of trial {line.trial}")
            tried = applied(project, line.settings)
            run = train(tried) if told else train(tried, say=say)  # what is to be told of the data is the same of all
            known[line.trial], told = run.name, True
            write_atomically(path, to_json(Members(runs=known)))
    return combine(project, [runs / known[line.trial] for line in lines], "mean", say=say)

"""Search: a study from its first trial to its last, or to the end of the time it has."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from training.tune.material import keep
from training.tune.workers import study_of, work, work_apart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.project import Project
    from training.tune.material import Material
    from training.tune.study import Study


def search(
    project: Project,
    file: Path,
    material: Material,
    folder: Path,
    *,
    until: float = math.inf,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Study, bool]:
    """Begin a study in a folder or go on with it; the study, and whether Ctrl-C ended it.

    Units: ``until`` in Unix seconds; what trains then is stopped at the end of its epoch.

    Raises:
        Conflict: the folder holds a study of other settings or data.
    """
    study = study_of(project, material, folder)
    try:
        if project.tuning.executor == "ray":
            from training.tune.cluster import work_on_ray  # noqa: PLC0415 - it takes long to import, and few have it

            if work_on_ray(study, project, material, until, say=say):
                return study, True
        elif project.tuning.workers == 1:
            work(study, project, material, until, say=say)
        else:
            keep(material, folder)
            work_apart(study, project, file, until, say=say)
    except KeyboardInterrupt:
        return study, True
    if not study.done and time.time() > until:
        say("time is up; the same command goes on with the study")
    return study, False

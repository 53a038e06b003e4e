"""MLflow: a run of an experiment in a tracking store, for those who have it installed."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from staytrue.errors import InvalidConfig
from training.watch.facts import flat
from training.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from training.watch.facts import Course, Facts

RUN = "mlflow_run"
"""File that holds the run's id, so that a resumed training goes on with it."""
PARAMETERS, CHARACTERS = 100, 6000
"""The most that a store takes at once, and of one value."""
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
RETRIES, TIMEOUT_SECONDS = 2, 10
"""Of one request: MLflow's own would let a training wait for four minutes, and again with the next line."""


class Mlflow(Watcher):
    """Settings as parameters, an epoch's line as metrics with the epoch as their step.

    It tells nobody else: MLflow's reports about its own use are switched off.
    """

    def __init__(self, tracking: str, experiment: str, folder: Path) -> None:
        _tame()
        from mlflow import MlflowClient  # noqa: PLC0415 - an extra brings it, and it takes seconds

        self._client, self._experiment, self._file = MlflowClient(tracking_uri=tracking), experiment, folder / RUN
        self._run = ""

    def began(self, facts: Facts) -> None:
        """Begin a run, or go on with the one that was begun."""
        with self._once():
            if self._file.is_file():
                self._run = self._file.read_text(encoding="ascii").strip()
                self._client.update_run(self._run, status="RUNNING")
            else:
                self._create(facts)

    def epoch_ended(self, line: Mapping[str, float]) -> None:
        """Write all that the journal holds; a store takes no number that is none."""
        from mlflow.entities import Metric  # noqa: PLC0415 - as above

        now, epoch = int(time.time() * 1000), int(line["epoch"])
        known = {name: value for name, value in line.items() if name != "epoch" and math.isfinite(value)}
        with self._once():
            self._client.log_batch(self._run, [Metric(name, value, now, epoch) for name, value in known.items()])

    def ended(self, history: Course) -> None:
        """Say which epoch was kept."""
        with self._once():
            self._client.set_tag(self._run, "staytrue.best_epoch", str(history.best_epoch))

    def closed(self, error: BaseException | None) -> None:
        """End the run; it failed with the training, and a person's Ctrl-C killed it."""
        if self._run:
            killed = error is not None and not isinstance(error, Exception)
            run, self._run = self._run, ""
            self._client.set_terminated(run, "KILLED" if killed else "FAILED" if error else "FINISHED")

    def _create(self, facts: Facts) -> None:
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self._experiment)
        tags = {"staytrue.model": facts.model, "staytrue.run": facts.run, "staytrue.target": facts.target}
        self._run = self._client.create_run(experiment, run_name=f"{facts.model} {facts.run}", tags=tags).info.run_id
        self._file.write_text(self._run + "\n", encoding="ascii")
        settings = [(name, str(value)[:CHARACTERS]) for name, value in flat(facts.settings).items()]
        for begin in range(0, len(settings), PARAMETERS):
            self._client.log_batch(self._run, params=_parameters(settings[begin : begin + PARAMETERS]))

    @contextlib.contextmanager
    def _once(self) -> Iterator[None]:
        """After a failure the store is left alone: to end the run there too would only wait once more."""
        try:
            yield
        except Exception:
            self._run = ""
            raise


def place(tracking: str | None, base: Path) -> str:
    """Address of the tracking store: as set, as MLflow's own variable says, or the folder ``mlruns`` of the project.

    Raises:
        InvalidConfig: a database, which the small distribution of MLflow cannot write.
    """
    from mlflow import get_tracking_uri, is_tracking_uri_set  # noqa: PLC0415 - as above

    if tracking is None and is_tracking_uri_set():
        tracking = get_tracking_uri()
    tracking = tracking or "mlruns"
    scheme = urllib.parse.urlsplit(tracking).scheme
    if scheme.split("+")[0] in DATABASES and importlib.util.find_spec("sqlalchemy") is None:
        hint = "pip install mlflow, or the address of a server, or a folder"
        raise InvalidConfig("training.watching.mlflow_tracking", f"{scheme} needs the whole of MLflow", hint=hint)
    return tracking if scheme else (base / tracking).resolve().as_uri()


def _parameters(settings: list[tuple[str, str]]) -> list[Any]:
    from mlflow.entities import Param  # noqa: PLC0415 - as above

    return [Param(name, value) for name, value in settings]


def _tame() -> None:
    """Bound its retries where nobody set them, let it write to folders, and keep it from reporting home."""
    from mlflow import environment_variables as variables  # noqa: PLC0415 - as above
    from mlflow.telemetry import set_telemetry_client  # noqa: PLC0415

    bounds = {
        variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES: RETRIES,
        variables.MLFLOW_HTTP_REQUEST_TIMEOUT: TIMEOUT_SECONDS,
    }
    for variable, value in {**bounds, variables.MLFLOW_ALLOW_FILE_STORE: True}.items():
        if not variable.is_set():
            variable.set(value)
    variables.MLFLOW_DISABLE_TELEMETRY.set(True)
    set_telemetry_client()

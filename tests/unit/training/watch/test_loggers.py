"""TensorBoard and MLflow: what their own readers find of a training, also of a resumed one."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.trainings import FACTS, LINES, Told
from training.watch.tensorboard import TensorBoard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.trainings import Clock
    from training.watch.watcher import Watcher

RESUMED = msgspec.structs.replace(FACTS, before=LINES[:2], best_epoch=2)


def killed_and_resumed(watcher: Watcher, again: Watcher, go: Callable[..., None]) -> None:
    """Three epochs, then from the second on to the end."""
    watcher.began(FACTS)
    go(watcher, last=3)
    watcher.closed(KeyboardInterrupt())
    again.began(RESUMED)
    go(again, done=2)
    again.ended(Told())
    again.closed(None)


def test_tensorboard_reads_the_scalars_of_each_epoch_and_step(
    tmp_path: Path, clock: Clock, go: Callable[..., None]
) -> None:
    """Those told twice are there once, by TensorBoard's own rule for crashes; five steps of a second are an epoch."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed_and_resumed(TensorBoard(tmp_path, clock), TensorBoard(tmp_path, clock), go)
    found = EventAccumulator(str(tmp_path)).Reload()
    assert sorted(found.Tags()["scalars"]) == [
        *("epoch/learning_rate", "epoch/loss", "epoch/seconds", "epoch/validation_mae"),
        *("step/learning_rate", "step/loss"),
    ]
    epochs = [(event.step, event.value) for event in found.Scalars("epoch/validation_mae")]
    assert epochs == [(5, 4.0), (10, 2.0), (15, 1.0), (20, 3.0)]
    assert [event.step for event in found.Scalars("step/loss")] == list(range(1, 21))
    text = found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]
    assert b"training.learning_rate: 0.25" in text


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MLflow's, over a folder."""
    from training.watch.mlflow import Mlflow, place

    folder = tmp_path_factory.mktemp("mlflow")
    return Mlflow(place("runs", folder), "e", folder)._client


def test_mlflow_reads_a_run_with_its_metrics_and_parameters(
    client: Any, tmp_path: Path, go: Callable[..., None]
) -> None:
    """One run, although the training was resumed."""
    from training.watch.mlflow import RUN, Mlflow

    killed_and_resumed(Mlflow(client.tracking_uri, "toys", tmp_path), Mlflow(client.tracking_uri, "toys", tmp_path), go)
    (run,) = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
    assert (run.info.status, run.info.run_name, run.info.run_id) == (
        *("FINISHED", "toy r1"),
        (tmp_path / RUN).read_text().strip(),
    )
    assert run.data.params == {"training.epochs": "4", "training.learning_rate": "0.25"}
    assert run.data.tags["staytrue.best_epoch"] == "3"
    found = {(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "validation_mae")}
    assert found == {(1, 4.0), (2, 2.0), (3, 1.0), (4, 3.0)}
    assert set(run.data.metrics) == {"loss", "validation_mae", "learning_rate", "seconds"}


def test_a_training_that_failed_is_a_failed_run(client: Any, tmp_path: Path) -> None:
    from training.watch.mlflow import Mlflow

    watcher = Mlflow(client.tracking_uri, "broken", tmp_path)
    watcher.began(FACTS)
    watcher.closed(ValueError("nan"))
    (run,) = client.search_runs([client.get_experiment_by_name("broken").experiment_id])
    assert run.info.status == "FAILED"


def test_mlflow_reports_nothing_about_its_use(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing else keeps it from it."""
    from mlflow.telemetry import client as telemetry
    from mlflow.telemetry import utils

    from training.watch.mlflow import _tame

    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    assert (client is not None, utils.is_telemetry_disabled()) == (True, False)
    _tame()
    assert telemetry.get_telemetry_client() is None


def test_a_server_that_is_away_is_told_in_seconds_and_left_alone(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing asks it no more."""
    from training.watch.mlflow import Mlflow

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        watcher = Mlflow(f"http://127.0.0.1:{nobody.getsockname()[1]}", "toys", tmp_path)
        assert client.tracking_uri.startswith("file:")
        began = time.monotonic()
        with pytest.raises(Exception, match="refused"):
            watcher.began(FACTS)
        watcher.closed(None)
        assert time.monotonic() - began < 10

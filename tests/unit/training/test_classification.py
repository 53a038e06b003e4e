"""Classification: names of classes from pictures and from tables, from the file to the verdict of a retraining."""

from __future__ import annotations

import datetime
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.runtimes.onnx import OnnxRuntime
from staytrue.bundle import load_profile
from staytrue.errors import CorruptData, InvalidConfig
from staytrue.pictures import SUMMARIES, summarise
from staytrue.project import load
from staytrue.store import Store
from staytrue.verdicts import RetrainJob
from training import checkpoint as checkpoints
from training.checkpoint import METRICS
from training.data.labelled import labelled
from training.models.classifier import Classifier
from training.prepare import prepare
from training.retrain import gather, publish_run, retrain
from training.run import train
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

YAML = """
name: sides
data:
  source: sides.parquet
  time: at
  target: side
  features:
    view: {kind: image, shape: [2, 6, 5]}
split: {block_days: 1}
model: {task: classification, architecture: resnet, width: 4, depth: 1}
training: {learning_rate: 0.02, epochs: 10, patience: 10, batch_size: 64, averaging: 0.8}
export: {max_batch: 8}
retraining: {recency_half_life_days: 5, gate: {minimum_rows: 12, minimum_days: 3}}
"""
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
DAYS = 20
SIDES = ("both", "left", "right")


def pictures(days: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """A picture each hour, bright on one side or on both, and what it shows."""
    draw = np.random.default_rng(seed)
    place = draw.integers(0, 3, 24 * days)
    views = draw.integers(0, 120, (24 * days, 2, 6, 5)).astype(np.uint8)
    views[place != 2, :, :, :2] += 100
    views[place != 1, :, :, 3:] += 100
    return views, [SIDES[i] for i in place]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project with a finished run, which is version 1 and champion: to be read alone."""
    made = written(tmp_path_factory.mktemp("trained"))
    folder = train(made, opening="once")
    store = Store(made.store)
    store.promote("sides", publish_run(store, folder, made).version, reason="first")
    return made, folder


@pytest.fixture
def project(trained: tuple[Project, Path], tmp_path: Path) -> Project:
    """The same project, its run and its store, to be changed."""
    shutil.copytree(trained[0].folder, tmp_path, dirs_exist_ok=True)
    return load(tmp_path / "staytrue.yaml")


def written(tmp_path: Path) -> Project:
    """Twenty days of pictures, on disk."""
    views, sides = pictures(DAYS, seed=1)
    at = [START + datetime.timedelta(hours=i) for i in range(len(sides))]
    table = {"at": pa.array(at, pa.timestamp("us", "UTC")), "view": list(views.reshape(len(sides), -1)), "side": sides}
    pq.write_table(pa.table(table), tmp_path / "sides.parquet")
    (tmp_path / "staytrue.yaml").write_text(YAML, encoding="utf-8")
    return load(tmp_path / "staytrue.yaml")


def serve(project: Project, days: int, names: dict[str, Any], views: list[Any] | None = None) -> float:
    """Pictures served and labelled after the project's own, each side by another name; event time at their end."""
    shown, sides = pictures(days, seed=2)
    lists = views or [view.ravel().tolist() for view in shown]
    for day in range(days):
        start, which = START + datetime.timedelta(days=DAYS + day), range(24 * day, 24 * (day + 1))
        times = [start.timestamp() + 3600.0 * i for i in range(24)]
        ids, known = [f"e{i}" for i in which], [time + 60 for time in times]
        truths = [names[sides[i]] for i in which]
        text = [truth if isinstance(truth, str) else None for truth in truths]
        number = [None if isinstance(truth, str) else float(truth) for truth in truths]
        shared = {"event_id": ids, "row": [0] * 24}
        events = {"time": times, "status": ["ok"] * 24, "role": ["champion"] * 24, "input_view": lists[24 * day :][:24]}
        labels = {"truth": pa.array(number, pa.float64()), "truth_text": pa.array(text, pa.string())}
        for kind, columns in (
            ("events/model=sides", shared | events),
            ("labels", shared | labels | {"known": known, "received": known}),
        ):
            folder = project.monitoring.data / "lake" / kind / f"day={start:%Y-%m-%d}"
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / "part.parquet")
    return (START + datetime.timedelta(days=DAYS + days)).timestamp()


def test_a_classifier_of_pictures_is_trained_proven_and_answers_by_name(trained: tuple[Project, Path]) -> None:
    """As a server's runtime would answer raw bytes, and with what its profile needs beside it."""
    project, folder = trained
    checkpoint, reference, model = checkpoints.load(folder)
    assert checkpoint.classes == list(SIDES)
    assert {"accuracy", "error_rate", "log_loss", "macro_f1", "auc"} <= set(checkpoint.evaluation["test"])
    assert checkpoint.evaluation["test"]["accuracy"].value > 0.95
    assert Classification.measure in (folder / METRICS).read_text().splitlines()[0]
    store = Store(project.store)
    bundle = store.load("sides", "1")
    assert (bundle.task, bundle.classes) == ("classification", list(SIDES))
    assert [spec.label() for spec in bundle.signature.inputs] == ["UINT8 [-1,2,6,5]"]
    assert [spec.label() for spec in bundle.signature.outputs] == ["BYTES [-1,1]", "FP32 [-1,3]"]
    assert bundle.signature.outputs[0].categories == list(SIDES)
    assert {proof.format for proof in bundle.parity} == {"onnx", "torchscript"}
    path = store.path("sides", bundle.version)
    assert '"both", "left", "right"' in (path / "MODEL_CARD.md").read_text(encoding="utf-8")
    views, sides = pictures(1, seed=3)
    answer = OnnxRuntime(path / "model.onnx", bundle.signature).run({"view": views})
    assert np.mean(answer["side"].ravel() == np.array(sides)) > 0.9
    assert isinstance(model, Classifier)
    np.testing.assert_allclose(answer["probabilities"], model.probabilities({"view": views}), atol=1e-5)
    assert reference == load_profile(path)


def test_the_profile_holds_names_summaries_and_the_confidence(trained: tuple[Project, Path]) -> None:
    project, folder = trained
    reference = checkpoints.load(folder)[1]
    columns = {column.name: column.values for column in reference.columns}
    assert list(columns) == [*(f"view.{what}" for what in SUMMARIES), "confidence"]
    assert {type(name) for name in (*reference.prediction, *reference.truth)} == {str}
    assert 1 / 3 <= min(columns["confidence"]) <= max(columns["confidence"]) <= 1  # type: ignore[type-var, operator]
    views = prepare(project).rows
    first = int(np.flatnonzero(views.time == reference.time[5])[0])
    expected = summarise(views.columns["view"][first : first + 1])
    assert [columns[f"view.{what}"][5] for what in SUMMARIES] == [expected[what][0] for what in SUMMARIES]


def test_the_proof_runs_on_pictures_of_the_run(project: Project) -> None:
    """They are kept beside the weights, and a file that is none is said to be so."""
    folder = checkpoints.newest_run(project.retraining.runs, "sides")
    kept = checkpoints.pictures(folder)["view"]
    assert kept.shape == (checkpoints.load(folder)[1].rows, 2, 6, 5)
    (folder / checkpoints.PICTURES).write_bytes(b"no pictures")
    with pytest.raises(CorruptData, match=r"pictures\.safetensors: cannot be read"):
        publish_run(Store(project.store), folder, project)


def test_two_runs_of_one_seed_have_the_same_weights(project: Project, trained: tuple[Project, Path]) -> None:
    digests = {checkpoints.load(folder)[0].weights_sha256 for folder in (train(project), trained[1])}
    assert len(digests) == 1


def test_a_retraining_learns_new_labels_and_is_judged_by_its_error_rate(project: Project) -> None:
    """Left and right changed their names: the champion is wrong on both, the challenger is not."""
    store = Store(project.store)
    until = serve(project, 14, {"left": "right", "right": "left", "both": "both"})
    job = RetrainJob(id="j", model="sides", trigger="test", champion="1", event_time=until, created=0)
    verdict = retrain(project, job)
    assert verdict.metric == "error_rate"
    assert verdict.promote
    assert verdict.champion_error == pytest.approx(2 / 3, abs=0.1)
    assert verdict.challenger_error < 0.3
    assert store.load("sides", "2").classes == list(SIDES)


def test_labels_of_unknown_classes_and_unfit_pictures_are_left_out_and_counted(project: Project) -> None:
    """A number is the name it is written as; of a class that the model does not know nothing can be learnt."""
    _, sides = pictures(14, seed=2)
    views = [view.ravel().tolist() for view in pictures(14, seed=2)[0]]
    views[0], views[1] = [1, 2, 3], [300, *views[1][1:]]
    until = serve(project, 14, {"left": "left", "right": "up", "both": 3.0}, views)
    prepared = prepare(project)
    found = labelled(project, since=float(prepared.rows.time[-1]), until=until)
    assert found.unfit == 2
    assert set(found.rows.target) == {"left", "up", "3"}
    said: list[str] = []
    parts, gate = gather(project, prepared, float(prepared.rows.time[-1]), until, say=said.append)
    known, others = sides[2:].count("left"), len(sides[2:]) - sides[2:].count("left")
    assert said == [
        f"of {14 * 24} served and labelled rows: 2 rows with unfit pictures, {others} rows of unknown classes"
    ]
    taken = len(parts.train) + len(parts.held) + len(gate)
    assert taken == known + len(prepared.training) + len(prepared.validation)


def test_a_table_of_numbers_is_classified_too(tmp_path: Path) -> None:
    """A target of whole numbers becomes their names; a row without one is dropped."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=480)
    lines = [f"{START + datetime.timedelta(hours=i)},{x[i]:.5f},{int(x[i] > 0) + int(x[i] > 1)}" for i in range(480)]
    lines[7] = lines[7].rsplit(",", 1)[0] + ","
    (tmp_path / "d.csv").write_text("at,x,level\n" + "\n".join(lines) + "\n", encoding="utf-8")
    text = YAML.replace("sides.parquet", "d.csv").replace("side\n", "level\n").replace("resnet", "mlp")
    text = text.replace("view: {kind: image, shape: [2, 6, 5]}", "x: {kind: numeric}")
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    project = load(tmp_path / "staytrue.yaml")
    project = project.model_copy(update={"training": project.training.model_copy(update={"epochs": 40})})
    folder = train(project)
    checkpoint, reference, _ = checkpoints.load(folder)
    assert checkpoint.classes == ["0", "1", "2"]
    assert prepare(project).cleaning.missing_target == 1
    assert checkpoint.evaluation["validation"]["accuracy"].value > 0.9
    assert [column.name for column in reference.columns] == ["x", "confidence"]
    bundle = publish_run(Store(project.store), folder, project)
    path = Store(project.store).path("sides", bundle.version) / "model.onnx"
    low_high = np.array([[-2.0], [2.0]], dtype=np.float32)
    assert OnnxRuntime(path, bundle.signature).run({"x": low_high})["level"].ravel().tolist() == ["0", "2"]


def test_a_picture_may_give_a_number(project: Project) -> None:
    """A residual network for regression: how bright the left side is. Its test rows were opened for the sides."""
    query = "SELECT \"at\", view, CASE side WHEN 'right' THEN 0 ELSE 5 END AS side FROM source"
    data = project.data.model_copy(update={"query": query})
    model = project.model.model_copy(update={"task": "regression"})
    folder = train(project.model_copy(update={"data": data, "model": model}), opening="force")
    assert checkpoints.load(folder)[0].lineage.test_openings == 2
    assert checkpoints.load(folder)[0].evaluation["test"]["r2"].value > 0.5
    assert publish_run(Store(project.store), folder, project).signature.outputs[0].label() == "FP32 [-1,1]"


def test_names_are_refused_before_anything_is_read(project: Project) -> None:
    data = project.data.model_copy(update={"target": "probabilities"})
    with pytest.raises(InvalidConfig, match="second output of the model"):
        train(project.model_copy(update={"data": data}))


def test_a_changed_list_of_classes_does_not_load(project: Project) -> None:
    """The weights are of as many classes as were trained."""
    folder = checkpoints.newest_run(project.retraining.runs, "sides")
    record = msgspec.json.decode((folder / "checkpoint.json").read_bytes())
    record["classes"].append("up")
    (folder / "checkpoint.json").write_bytes(msgspec.json.encode(record))
    with pytest.raises(CorruptData, match="does not describe a module"):
        checkpoints.load(folder)

"""``staytrue ensemble``: runs become a run that is loaded, exported, proven, served and judged like any other."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from export.gate import judge
from export.intervals import interval
from serving.runtimes.onnx import OnnxRuntime
from staytrue.checkpoint import CHECKPOINT
from staytrue.command import main
from staytrue.comparison import COMPARISON, Comparison
from staytrue.errors import Conflict, InvalidConfig, Unsupported
from staytrue.evaluation import Evaluation
from staytrue.modelling import ModelSection
from staytrue.openings import LEDGER
from staytrue.project import Project, load
from staytrue.records import read
from staytrue.sections import ExportSection, GateSection
from staytrue.store import Store
from staytrue.verdicts import RetrainJob
from tests.unit.training.conftest import write_project
from training import checkpoint as checkpoints
from training.compare import comparing
from training.compare.report import PAGE
from training.data.split.plan import day_of
from training.diagnose.case import case
from training.ensemble import combine as combining
from training.ensemble import hearing
from training.ensemble.combine import combine
from training.evaluate.blocks import Blocks
from training.evaluate.bootstrap import has_interval
from training.judgement import parts
from training.prepare import prepare
from training.reference import held
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.ensemble.listed import Method

SECOND = (
    "hour: {kind: category, datatype: INT64, encoding: embedding, width: 4}\n    sky: {kind: category, rare_below: 190}"
)
"""Another encoder: one of three skies is rare."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with two runs, of other architectures, encoders and seeds."""
    folder = tmp_path_factory.mktemp("ensemble")
    write_project(folder)
    path = folder / "staytrue.yaml"
    text = path.read_text(encoding="utf-8").replace("epochs: 30, patience: 10", "epochs: 4, patience: 4")
    text = text.replace("formats: [onnx]", "formats: [onnx, torchscript]")
    path.write_text(text, encoding="utf-8")
    other = text.replace("hour: {kind: category, datatype: INT64}\n    sky: {kind: category}", SECOND)
    assert other != text
    (folder / "other.yaml").write_text(other.replace("width: 16, depth: 1", "width: 6, depth: 2"), encoding="utf-8")
    for file in ("staytrue.yaml", "other.yaml"):
        train(load(folder / file), opening="skip")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the test's own."""
    shutil.copytree(made, tmp_path / "own")
    return tmp_path / "own"


def runs_of(folder: Path) -> list[Path]:
    """The finished ones, oldest first."""
    return sorted(path.parent for path in (folder / "runs").glob(f"*/{CHECKPOINT}"))


def answers(run: Path, columns: dict[str, Any]) -> np.ndarray:
    """The first output of a run's model."""
    made: np.ndarray = checkpoints.load(run)[2].answers(columns)[0].squeeze(1)
    return made


def test_the_mean_of_two_runs_is_a_run_that_answers_their_mean(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With lineage, figures beside the members', an interval of whole days, and no opened test split."""
    project, members = load(folder / "staytrue.yaml"), runs_of(folder)
    assert main(["ensemble", members[0].name, str(members[1]), "--project", str(folder / "staytrue.yaml")]) == 0
    told = capsys.readouterr().out
    run = runs_of(folder)[-1]
    assert f"run: {run}" in told
    checkpoint, profile, model = checkpoints.load(run)
    prepared = prepare(project)
    held = prepared.validation
    each = [answers(member, held.columns) for member in members]
    assert answers(run, held.columns) == pytest.approx(np.mean(each, axis=0), abs=1e-4)
    assert profile.prediction[: len(held)] != []
    assert (checkpoint.name, checkpoint.architecture) == ("toy", "ensemble")
    assert checkpoint.lineage.members == [member.name for member in members]
    assert checkpoint.lineage.reason.startswith(f"ensemble by mean of {members[0].name} (mlp, weight 0.5)")
    assert (checkpoint.lineage.test_openings, (folder / "runs" / LEDGER).exists()) == (0, False)
    assert set(checkpoint.evaluation) == {"train", "validation"}
    errors = [np.abs(one - held.target) for one in (*each, np.mean(each, axis=0))]
    assert checkpoint.evaluation["validation"]["mae"].value == pytest.approx(errors[2].mean(), abs=1e-4)
    listed = json.loads((run / "ensemble.json").read_text(encoding="utf-8"))
    assert [line["measures"]["mae"] for line in listed["members"]] == pytest.approx([e.mean() for e in errors[:2]])
    best = int(np.argmin([error.mean() for error in errors[:2]]))
    low, high = interval(errors[2] - errors[best], day_of(held.time), 0.95, project.training.seed)
    against = listed["against_best"]["mae"]
    assert against["best"] == members[best].name
    assert [against["low"], against["high"]] == pytest.approx([low, high], abs=1e-4)
    assert f"against {members[best].name}, the best member; 95% interval [{low:+.4g}, {high:+.4g}]" in told
    assert [spec.name for spec in model.inputs()] == ["x", "hour", "sky"]


def test_it_is_exported_as_one_graph_proven_and_judged_by_the_gate(folder: Path) -> None:
    """Under a name of its own; rows that a member alone knows reach it in the served graph too."""
    path = folder / "staytrue.yaml"
    project, members = load(path), runs_of(folder)
    assert main(["ensemble", *map(str, members), "--method", "weighted", "--name", "both", "--project", str(path)]) == 0
    run = runs_of(folder)[-1]
    assert main(["export", "--project", str(path), "--run", str(run)]) == 0
    store = Store(project.store)
    assert store.aliases("both").champion == "1"
    bundle = store.load("both", "1")
    assert {(proof.format, proof.passed) for proof in bundle.parity} == {
        ("onnx", True),
        ("torchscript", True),
    }
    rows = prepare(project).validation.only(project.data.features)
    runtime = OnnxRuntime(store.path("both", "1") / bundle.artefacts["onnx"], bundle.signature)
    few = {name: column[:8] for name, column in rows.inputs().items()}
    few["sky"][0, 0], few["sky"][1, 0] = "hail", ""
    got = runtime.run(few)["y"][:, 0]
    runtime.close()
    assert got == pytest.approx(answers(run, {name: column[:, 0] for name, column in few.items()}), abs=1e-4)
    card = (store.path("both", "1") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "ensemble by weighted of" in card
    assert "cross-fitted" in card
    project = project.model_copy(update={"export": ExportSection(formats=["onnx"], max_batch=2)})
    alone = publish_run(store, members[1], project)
    both = publish_run(store, _renamed(run, folder / "runs/renamed"), project)
    job = RetrainJob(id="retrain-toy-1", model="toy", trigger="t", champion=alone.version, event_time=0.0, created=0.0)
    verdict = judge(store, job, both.version, rows.inputs(), rows.target, rows.time, GateSection())
    expected = np.abs(answers(run, rows.columns) - rows.target).mean()
    assert verdict.challenger_error == pytest.approx(expected, abs=1e-4)


def _renamed(run: Path, copy: Path) -> Path:
    """A copy of a run under the project's name."""
    shutil.copytree(run, copy)
    told = json.loads((copy / CHECKPOINT).read_text(encoding="utf-8"))
    (copy / CHECKPOINT).write_text(json.dumps(told | {"name": "toy"}), encoding="utf-8")
    return copy


def test_fitted_weights_are_told_by_figures_of_days_that_did_not_choose_them(folder: Path) -> None:
    """The weights themselves are those of all validation rows."""
    project, members = load(folder / "staytrue.yaml"), runs_of(folder)
    run, told = combine(project, members, "weighted")
    held = prepare(project).validation
    first, second = (answers(member, held.columns).astype(np.float64) for member in members)
    best = ((held.target - second) * (first - second)).sum() / ((first - second) ** 2).sum()
    weights = [line.weight or 0.0 for line in told.members]
    assert weights == pytest.approx([np.clip(best, 0, 1), 1 - np.clip(best, 0, 1)], abs=1e-4)
    assert answers(run, held.columns) == pytest.approx(first * weights[0] + second * weights[1], abs=1e-4)
    checkpoint = checkpoints.load(run)[0]
    metric = checkpoint.evaluation["validation"]["mse"]
    assert "cross-fitted" in metric.note
    assert checkpoint.evaluation["train"]["mse"].note == ""
    own = ((answers(run, held.columns) - held.target) ** 2).mean()
    assert metric.value == pytest.approx(told.ensemble.measures["mse"], rel=1e-4)
    assert own <= metric.value + 1e-9  # of its own rows the fit looks at least as good


def test_a_weighted_ensemble_is_judged_anew_and_compared_by_weights_that_the_rows_did_not_choose(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As its own evaluation has it, and each of text, page and records says so."""
    path, members = folder / "staytrue.yaml", runs_of(folder)
    run, told = combine(load(path), members, "weighted")
    assert main(["evaluate", str(run), "--json", "--project", str(path)]) == 0
    found = msgspec.json.decode(capsys.readouterr().out, type=Evaluation).parts["validation"].metrics
    kept = checkpoints.load(run)[0].evaluation["validation"]
    assert {name: metric.note for name, metric in found.items()} == {name: one.note for name, one in kept.items()}
    for name, metric in found.items():
        assert (metric.value, metric.low) == pytest.approx((kept[name].value, kept[name].low), rel=1e-4), name
    assert main(["evaluate", str(run), "--project", str(path)]) == 0
    assert (
        "(weights fitted on other days of validation than each figure is of (cross-fitted))" in capsys.readouterr().out
    )
    out = str(folder / "out")
    assert main(["compare", str(members[0]), str(run), "--project", str(path), "--output", out]) == 0
    assert f"run {run.name}: weights fitted on other days" in capsys.readouterr().out
    made = read(Comparison, folder / "out" / COMPARISON)
    mse = made.against[0].differences[0].metrics["mse"].value
    assert mse == pytest.approx(told.ensemble.measures["mse"] - told.members[0].measures["mse"], rel=1e-3)
    assert made.notes == [f"run {run.name}: {told.note}"]
    assert told.note in (folder / "out" / PAGE).read_text(encoding="utf-8")


def test_a_weighted_ensemble_of_rows_of_one_day_is_marked_wherever_it_is_judged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No other days could have fitted the weights: the figures are in-sample, and nothing is shown by them."""
    one = [lambda rows, *_: Blocks(np.zeros(len(rows), dtype=np.int64), "days")] * 4
    for module, blocks in zip((combining, hearing, parts, comparing), one, strict=True):
        monkeypatch.setattr(module, "blocks_of", blocks)
    path, members = folder / "staytrue.yaml", runs_of(folder)
    run, told = combine(load(path), members, "weighted")
    assert told.note.startswith("in-sample: weights fitted on these very rows")
    metric = checkpoints.load(run)[0].evaluation["validation"]["mae"]
    assert metric.note.endswith("the figures flatter the ensemble")
    assert not has_interval(metric)
    assert main(["evaluate", str(run), "--project", str(path)]) == 0
    assert "in-sample: weights fitted on these very rows" in capsys.readouterr().out
    assert main(["compare", str(members[0]), str(run), "--project", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"run {run.name}: in-sample: weights" in said
    assert "better" not in said


def test_what_an_artefact_of_a_weighted_ensemble_costs_is_marked_in_sample(folder: Path) -> None:
    """The module's own metric on these rows flatters it; that of a mean does not."""
    project, members = load(folder / "staytrue.yaml"), runs_of(folder)
    ways: list[tuple[Method, bool]] = [("weighted", True), ("mean", False)]
    for method, marked in ways:
        checkpoint, reference, _ = checkpoints.load(combine(project, members, method)[0])
        assert held(reference, checkpoint, 8).in_sample == marked


def changed(folder: Path, run: Path, file: str, change: dict[str, Any]) -> None:
    """Write another value into one of a run's files."""
    del folder
    told = msgspec.json.decode((run / file).read_bytes())
    for path, value in change.items():
        *inner, last = path.split(".")
        part = told
        for key in inner:
            part = part[key]
        part[last] = value
    (run / file).write_bytes(msgspec.json.encode(told))


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("checkpoint.json", {"lineage.data_fingerprint": "ab" * 32}, "expected the data fingerprint of the project"),
        ("checkpoint.json", {"target": "z"}, "expected the target of run .*, y, got z"),
        ("checkpoint.json", {"lineage.parent": "3"}, "is a retraining, whose rows came from the lake"),
        ("split.json", {"parts.test": [0, 1, 2]}, "split in another way than the project: other test rows"),
        ("split.json", {"parts.validation": [0, 1, 2]}, "split in another way than the project: other validation rows"),
    ],
)
def test_members_of_other_rows_or_questions_are_refused(
    folder: Path, file: str, change: dict[str, Any], said: str
) -> None:
    """And say in what they differ."""
    members = runs_of(folder)
    changed(folder, members[1], file, change)
    with pytest.raises(Conflict, match=f"run {members[1].name}.*{said}"):
        combine(load(folder / "staytrue.yaml"), members, "mean")
    assert runs_of(folder) == members


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["{0}"], "RUN: expected two runs or more, each once, got {0} alone"),
        (["{0}", "{1}", "{0}"], "RUN: expected two runs or more, each once, got {0} and {0}"),
        (["{0}", "gone"], "gone: is no finished run; "),
        (["{0}", "{1}", "--method", "vote"], "--method: expected classes or labels to vote on, got regression"),
        (["{0}", "{1}", "--name", "a/b"], 'model name "a/b"'),
    ],
)
def test_what_cannot_be_combined_is_said(
    folder: Path, given: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do."""
    names = [run.name for run in runs_of(folder)]
    flags = [one.format(*names) for one in given]
    assert main(["ensemble", *flags, "--project", str(folder / "staytrue.yaml")]) in (1, 2)
    assert said.format(*names) in capsys.readouterr().err


def test_a_vote_on_numbers_is_refused_before_rows_are_read(folder: Path) -> None:
    members = runs_of(folder)
    project = load(folder / "staytrue.yaml")
    gone = project.data.model_copy(update={"source": folder / "gone.csv", "sources": {}})
    said = rf"--method: expected classes or labels to vote on, got regression of run {members[0].name}; take mean"
    with pytest.raises(InvalidConfig, match=said):
        combine(project.model_copy(update={"data": gone}), members, "vote")


def test_an_ensemble_has_no_epochs_to_diagnose(folder: Path) -> None:
    members = runs_of(folder)
    run, _ = combine(load(folder / "staytrue.yaml"), members, "mean")
    with pytest.raises(Unsupported, match=rf"no epochs of its own to diagnose; .*{members[0].name}"):
        case(load(folder / "staytrue.yaml"), run)


def test_an_ensemble_is_no_member(folder: Path) -> None:
    """Its own members are named instead."""
    project, members = load(folder / "staytrue.yaml"), runs_of(folder)
    run, _ = combine(project, members, "mean")
    with pytest.raises(Conflict, match="is an ensemble itself; name its members"):
        combine(project, [run, members[0]], "mean")


CLASSES = """
name: sky
data:
  source: toy.csv
  time: at
  target: sky
  features: {x: {kind: numeric}, y: {kind: numeric}}
split: {block_days: 2}
model: {task: classification, width: 8, depth: 1}
training: {epochs: 3, patience: 3, batch_size: 64, learning_rate: 0.02}
export: {formats: [onnx, torchscript], max_batch: 4}
"""


def trained(folder: Path, project: Project, *widths: int) -> list[Path]:
    """A run of each width."""
    for width in widths:
        model = ModelSection.model_validate(project.model.model_dump(exclude_unset=True) | {"width": width})
        train(project.model_copy(update={"model": model}), opening="skip")
    return runs_of(folder)


@pytest.mark.parametrize("method", ["vote", "weighted"])
def test_classes_are_voted_on_or_weighed_and_proven(tmp_path: Path, method: str) -> None:
    """Figures of the run are those of what its graph answers."""
    write_project(tmp_path)
    (tmp_path / "staytrue.yaml").write_text(CLASSES, encoding="utf-8")
    project = load(tmp_path / "staytrue.yaml")
    members = trained(tmp_path, project, 3, 6, 9)
    run, told = combine(project, members, method)  # type: ignore[arg-type]
    held = prepare(project).validation
    likely = np.array([checkpoints.load(member)[2].answers(held.columns)[1] for member in members])
    made = checkpoints.load(run)[2].answers(held.columns)[1]
    if method == "vote":
        votes = (likely.argmax(axis=2)[..., None] == np.arange(3)).sum(axis=0)
        assert made == pytest.approx((votes + likely.mean(axis=0) / 2) / 3.5, abs=1e-5)
        right = np.array(checkpoints.load(run)[0].classes)[made.argmax(axis=1)] == held.target
        assert told.ensemble.measures["error_rate"] == pytest.approx(1 - right.mean())
        assert checkpoints.load(run)[0].evaluation["validation"]["error_rate"].value == pytest.approx(1 - right.mean())
    else:
        weights = [line.weight or 0.0 for line in told.members]
        assert made == pytest.approx(np.tensordot(weights, likely, 1), abs=1e-5)
        assert sum(weights) == pytest.approx(1.0)
    bundle = publish_run(Store(project.store), run, project)
    assert {proof.format for proof in bundle.parity if proof.passed} == {"onnx", "torchscript"}


@pytest.mark.parametrize(
    ("change", "outputs"),
    [
        ("model: {quantiles: [0.1, 0.5, 0.9], width: 4, depth: 1}", ["y", "quantiles"]),
        ("model: {width: 4, depth: 1}\ndata.target: [y, x]", ["y", "x"]),
    ],
)
def test_quantiles_and_several_targets_are_combined_and_proven(tmp_path: Path, change: str, outputs: list[str]) -> None:
    """Each by its own loss."""
    write_project(tmp_path)
    text = CLASSES.replace("features: {x: {kind: numeric}, y: {kind: numeric}}", "features: {hour: {kind: numeric}}")
    text = text.replace("target: sky", "target: [y, x]" if "data.target" in change else "target: y")
    text = text.replace("model: {task: classification, width: 8, depth: 1}", change.splitlines()[0])
    (tmp_path / "staytrue.yaml").write_text(text, encoding="utf-8")
    project = load(tmp_path / "staytrue.yaml")
    members = trained(tmp_path, project, 3, 5)
    run, told = combine(project, members, "weighted")
    assert sum(line.weight or 0 for line in told.members) == pytest.approx(1.0)
    bundle = publish_run(Store(project.store), run, project)
    assert [spec.name for spec in bundle.signature.outputs] == outputs
    assert all(proof.passed for proof in bundle.parity)
    if "quantiles" in outputs:
        made = checkpoints.load(run)[2].answers(prepare(project).validation.columns)[1]
        assert (np.diff(made, axis=1) >= 0).all()

"""Multi-label classification: loss, metrics and a project from the file to a version that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from export import torchscript
from export.gate import check_task
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import Conflict, InvalidConfig, InvalidInput
from staytrue.project import load
from staytrue.sections import TrainingSection
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.data.split.dealing import strata_of
from training.models.regressor import Scale
from training.prepare import prepare
from training.retrain import publish_run
from training.run import train
from training.tasks.multilabel import Multilabel
from training.tasks.targets import Targets

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

YAML = """
name: signs
data:
  source: signs.csv
  time: at
  target: {target}
  features: {{x: {{kind: numeric}}, z: {{kind: numeric}}}}
split: {{block_days: 2}}
model: {{task: {task}, width: 16, depth: 1}}
training: {{learning_rate: 0.03, epochs: 25, patience: 25, batch_size: 64, averaging: 0.9}}
export: {{max_batch: 8, formats: [{form}]}}
"""


def written(folder: Path, target: str, task: str, odd: str = "", form: str = "onnx") -> Project:
    """Labels that tell the signs of x and z, and two numbers of unlike units that are sums of them."""
    draw = np.random.default_rng(3)
    x, z = draw.normal(size=(2, 600))
    lines = ["at,x,z,right,up,big,small"]
    for i in range(600):
        up = odd if odd and i == 7 else str(int(z[i] > 0))
        at = f"2024-01-{1 + i // 24:02}T{i % 24:02}:00:00Z"
        lines.append(f"{at},{x[i]:.5f},{z[i]:.5f},{x[i] > 0},{up},{1000 * x[i] + 500},{0.01 * (x[i] - z[i]):.6f}")
    (folder / "signs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "staytrue.yaml").write_text(YAML.format(target=target, task=task, form=form), encoding="utf-8")
    return load(folder / "staytrue.yaml")


def test_labels_are_learnt_decided_and_told_with_their_probabilities(tmp_path: Path) -> None:
    project = written(tmp_path, "[right, up]", "multilabel")
    folder = train(project, opening="once")
    checkpoint, reference, model = checkpoints.load(folder)
    metrics = checkpoint.evaluation["test"]
    assert {"log_loss", "subset_accuracy", "micro_f1", "macro_f1", "auc"} <= set(metrics)
    assert min(metrics["subset_accuracy"].value, metrics["micro_f1"].value) > 0.93
    assert (checkpoint.classes, checkpoint.targets) == (["right", "up"], ["right", "up"])
    store = Store(project.store)
    bundle = store.load("signs", publish_run(store, folder, project).version)
    assert [spec.label() for spec in bundle.signature.outputs] == ["BOOL [-1,2]", "FP32 [-1,2]"]
    rows = {"x": np.array([[2.0], [-2.0]], np.float32), "z": np.array([[2.0], [-2.0]], np.float32)}
    answer = OnnxRuntime(store.path("signs", bundle.version) / "model.onnx", bundle.signature).run(rows)
    assert answer["decisions"].tolist() == [[True, True], [False, False]]
    np.testing.assert_allclose(
        answer["probabilities"], model.answers({n: v[:, 0] for n, v in rows.items()})[1], atol=1e-5
    )
    assert set(reference.truth) == {0.0, 1.0, 2.0}


def test_several_numbers_are_learnt_each_in_its_own_unit(tmp_path: Path) -> None:
    project = written(tmp_path, "[big, small]", "regression", form="torchscript")
    folder = train(project, opening="once")
    checkpoint, reference, _ = checkpoints.load(folder)
    metrics = checkpoint.evaluation["test"]
    assert min(metrics["big.r2"].value, metrics["small.r2"].value) > 0.95
    store = Store(project.store)
    bundle = store.load("signs", publish_run(store, folder, project).version)
    assert [(spec.name, spec.label()) for spec in bundle.signature.outputs] == [
        ("big", "FP32 [-1,1]"),
        ("small", "FP32 [-1,1]"),
    ]
    script = torchscript.load(store.path("signs", bundle.version) / "model.ts")
    big, small = script(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    assert big.item() == pytest.approx(1500, abs=250)
    assert small.item() == pytest.approx(0.01, abs=0.003)
    assert max(map(abs, reference.truth)) > 500  # type: ignore[arg-type]


def test_the_loss_is_the_log_loss_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    truth, made = draw.integers(0, 2, (40, 3)), draw.normal(size=(40, 3))
    task = Multilabel(("a", "b", "c"))
    rows = task.loss(TrainingSection())(torch.from_numpy(made), torch.from_numpy(truth).double())
    expected = np.mean([log_loss(truth[:, k], 1 / (1 + np.exp(-made[:, k]))) for k in range(3)])
    assert float(rows.mean()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "task", "said"),
    [("right", "multilabel", "a list of columns"), ("[right, up]", "classification", "multilabel takes")],
)
def test_a_task_is_refused_as_many_targets_as_it_does_not_take(
    tmp_path: Path, target: str, task: str, said: str
) -> None:
    with pytest.raises(InvalidConfig, match=said):
        prepare(written(tmp_path, target, task))


def test_a_label_that_neither_holds_nor_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r'column "up" of signs.csv.*got 0\.5'):
        prepare(written(tmp_path, "[right, up]", "multilabel", odd="0.5"))


def test_the_gate_says_that_it_cannot_judge_several_truths_a_row() -> None:
    for task, targets in (("multilabel", ["a", "b"]), ("regression", ["a", "b"])):
        with pytest.raises(Conflict, match="promote it by hand"):
            check_task(task, targets)
    check_task("regression", [])


def test_a_stratified_split_goes_by_the_combination_of_labels() -> None:
    strata = strata_of(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), bins=5)
    assert strata.tolist() == [0, 1, 2, 1]


def test_errors_of_several_targets_are_measured_in_deviations() -> None:
    scales = (Scale(link="linear", location=0.0, spread=10.0), Scale(link="linear", location=0.0, spread=0.1))
    task = Targets(("a", "b"), scales)
    made, truth = torch.tensor([[10.0, 0.3]]), torch.zeros(1, 2)
    assert task.miss(made, truth).item() == pytest.approx((1 + 3) / 2)
    assert task.loss(TrainingSection(loss="mae"))(made, truth).item() == pytest.approx(1 + 3)

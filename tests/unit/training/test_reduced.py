"""Fewer bits on real data: what int8 and fp16 cost digits and bike rentals, told with the version and served."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from examples.digits import prepare as digits
from export.card import card
from serving.runtimes.onnx import OnnxMaker
from staytrue.errors import CorruptData
from staytrue.project import Project, load
from staytrue.reduction import ReductionSection
from staytrue.showing import described
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.reference import held
from training.retrain import publish_run
from training.run import train

if TYPE_CHECKING:
    from staytrue.bundle import Bundle, Fidelity

EXAMPLES = Path(__file__).parents[3] / "examples"
FORMATS = ["onnx", "int8_dynamic", "int8_static", "fp16"]


def trained(name: str, folder: Path, epochs: int, **model: Any) -> tuple[Project, Path]:
    """An example, trained briefly, and its run."""
    shutil.copy(EXAMPLES / name / "staytrue.yaml", folder)
    if name == "digits":
        digits.prepare(folder)
    else:
        shutil.copy(EXAMPLES / name / "hourly.csv", folder)
    made = load(folder / "staytrue.yaml")
    made = made.model_copy(
        update={
            "training": made.training.model_copy(update={"epochs": epochs}),
            "model": made.model.model_copy(update=model),
            "export": made.export.model_copy(update={"formats": FORMATS, "max_batch": 64}),
            "retraining": made.retraining.model_copy(update={"runs": folder / "runs"}),
            "store": folder / "store",
        }
    )
    return made, train(made)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path, Bundle]:
    """Digits: the project, its run, and a version in all forms."""
    project, run = trained("digits", tmp_path_factory.mktemp("digits"), 8, width=8)
    return project, run, publish_run(Store(project.store), run, project)


@pytest.fixture(scope="module")
def rentals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path, Bundle]:
    """Bike rentals likewise."""
    project, run = trained("bikeshare", tmp_path_factory.mktemp("bikes"), 10)
    return project, run, publish_run(Store(project.store), run, project)


def by_format(bundle: Bundle) -> dict[str, Fidelity]:
    return {one.format: one for one in bundle.fidelity}


def test_digits_keep_their_accuracy_in_fewer_bytes(pictures: tuple[Project, Path, Bundle]) -> None:
    found = by_format(pictures[2])
    assert list(found) == FORMATS
    whole = found["onnx"]
    assert (whole.metric, whole.differing, whole.change.value if whole.change else None) == ("accuracy", 0.0, 0.0)
    assert whole.own > 0.85
    for kind in FORMATS[1:]:
        one = found[kind]
        assert one.bytes < 0.85 * whole.bytes
        assert one.change is not None
        assert one.change.value >= -0.01
        assert one.differing is not None
        assert one.differing <= 0.02
        assert 1e-7 < one.apart < 0.05


def test_figures_are_those_of_the_served_runtime_on_the_validation_rows(pictures: tuple[Project, Path, Bundle]) -> None:
    """Counted again, by the file of the bundle in the maker that serves it."""
    project, run, bundle = pictures
    checkpoint, reference, model = checkpoints.load(run)
    judged = held(reference, checkpoint, 256, checkpoints.pictures(run))
    assert judged.truth is not None
    classes = np.array(checkpoint.classes, dtype=object)
    own = classes[model.answers({"image": judged.rows["image"]})[1].argmax(axis=1)]
    one = by_format(bundle)["int8_static"]
    path = Store(project.store).path("digits", bundle.version) / bundle.artefacts["int8_static"]
    with OnnxMaker(artefact="int8_static") as make:
        runtime = make(path, bundle.signature)
        parts = [dict(runtime.run({"image": judged.rows["image"][at : at + 64]})) for at in range(0, one.rows, 64)]
    got = np.concatenate([part["digit"].ravel() for part in parts])
    assert one.rows == len(judged.truth) == len(got)
    assert one.own == pytest.approx((own == judged.truth).mean())
    assert one.differing == pytest.approx((own != got).mean())
    assert one.change is not None
    assert one.change.value == pytest.approx((got == judged.truth).mean() - (own == judged.truth).mean())


def test_rows_to_judge_by_are_held_out_and_those_to_calibrate_by_are_trained_on(
    pictures: tuple[Project, Path, Bundle],
) -> None:
    _, run, _ = pictures
    checkpoint, reference, _ = checkpoints.load(run)
    judged = held(reference, checkpoint, 50, checkpoints.pictures(run))
    assert len(judged.calibration["image"]) == 50
    when = dict(zip(reference.time, reference.split, strict=True))
    assert {when[time] for time in judged.times} == {"validation"}
    known = dict(zip(reference.time, reference.truth, strict=True))
    assert [known[time] for time in judged.times] == list(judged.truth if judged.truth is not None else [])
    kept = {picture.tobytes() for picture in judged.rows["image"]}
    assert not kept & {picture.tobytes() for picture in judged.calibration["image"]}


def test_bike_rentals_are_predicted_as_well(rentals: tuple[Project, Path, Bundle]) -> None:
    _, run, bundle = rentals
    found = by_format(bundle)
    checkpoint, reference, _ = checkpoints.load(run)
    kept = [place for place, split in enumerate(reference.split) if split == "validation"]
    mae = np.mean([abs(float(reference.prediction[i]) - float(reference.truth[i])) for i in kept])
    for kind in FORMATS:
        one = found[kind]
        assert (one.metric, one.differing, one.rows) == ("mae", None, len(kept))
        assert one.own == pytest.approx(mae, rel=1e-4)
        assert one.change is not None
        assert one.change.value < 0.01 * one.own
        assert one.change.low <= one.change.value <= one.change.high
    assert found["int8_dynamic"].bytes < 0.6 * found["onnx"].bytes
    assert found["fp16"].bytes < 0.6 * found["onnx"].bytes
    assert checkpoint.evaluation["validation"]["mae"].value == pytest.approx(mae, rel=1e-4)


def test_card_and_show_tell_it(rentals: tuple[Project, Path, Bundle]) -> None:
    bundle = rentals[2]
    for text in (card(bundle), described(bundle)):
        assert "2 Gemm in 8 bits, minmax ranges of 256 training rows" in text
        assert "weights of 2 nodes in 16 bits" in text
        assert text.count("changed by") == 4


def test_a_bound_that_is_exceeded_says_by_how_much(pictures: tuple[Project, Path, Bundle], tmp_path: Path) -> None:
    project, run, _ = pictures
    strict = project.export.model_copy(
        update={"formats": ["int8_static"], "reduction": ReductionSection(calibration_rows=1, apart=1e-5)}
    )
    store = Store(tmp_path / "store")
    said = r"model\.int8_static\.onnx at batch 1: expected real rows within 1e-05 of the model itself .*, got 0\.\d+"
    with pytest.raises(CorruptData, match=said):
        publish_run(store, run, project.model_copy(update={"export": strict}))
    assert store.versions("digits") == []


def test_a_transformer_of_a_table_is_reduced_too(tmp_path: Path) -> None:
    project, run = trained("bikeshare", tmp_path, 1, architecture="transformer", width=16, depth=1)
    loose = project.export.model_copy(update={"reduction": ReductionSection(lost=0.1)})
    found = by_format(publish_run(Store(project.store), run, project.model_copy(update={"export": loose})))
    assert "MatMul" in found["int8_dynamic"].made
    assert "left in 32" not in found["fp16"].made
    assert all(one.apart < 0.05 * 90 for one in found.values())

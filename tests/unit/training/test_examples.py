"""The examples of pictures: prepared, trained, exported, and right about pictures that came later."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from examples.album import LATER
from examples.digits import prepare as digits
from examples.fashion import prepare as fashion
from serving.runtimes.onnx import OnnxRuntime
from staytrue.errors import CorruptData, InvalidInput, NotFound
from staytrue.project import Project, load
from staytrue.store import Store
from tests.needs import missing
from training import checkpoint as checkpoints
from training.retrain import publish_run
from training.run import train

EXAMPLES = Path(__file__).parents[3] / "examples"


def project(name: str, folder: Path) -> Project:
    """The example's project, with its data in another folder."""
    shutil.copy(EXAMPLES / name / "staytrue.yaml", folder)
    return load(folder / "staytrue.yaml")


def later_accuracy(made: Project, run: Path) -> float:
    """How often the exported version names the later pictures right, as a server would run it."""
    store = Store(made.store)
    bundle = publish_run(store, run, made)
    assert made.data.source is not None
    table = pq.read_table(made.data.source.with_name(LATER))
    views = np.array(table.column("image").to_pylist(), dtype=np.uint8).reshape(
        -1, *bundle.signature.inputs[0].shape[1:]
    )
    runtime = OnnxRuntime(store.path(made.name, bundle.version) / "model.onnx", bundle.signature)
    answers = runtime.run({"image": views})[made.data.goal].ravel()
    return float(np.mean(answers == np.array(table.column(made.data.goal).to_pylist(), dtype=object)))


def test_digits_come_in_two_files_of_which_one_is_later(tmp_path: Path) -> None:
    """Nothing is downloaded, and no picture to serve is trained on; what is learnt is seen where they are served."""
    digits.prepare(tmp_path)
    train_on, later = (pq.read_table(tmp_path / name) for name in ("digits.parquet", LATER))
    assert (len(train_on), len(later)) == (1197, 600)
    assert train_on.column("time").to_pylist()[-1] < later.column("time").to_pylist()[0]


def test_fashion_is_learnt_from_a_small_part_already(tmp_path: Path) -> None:
    """Names of articles as the data set's authors give them; the whole example does better, in half a minute."""
    if not fashion.FOLDER.is_dir():
        missing(f"Fashion-MNIST is not installed: apt-get install {fashion.PACKAGE}")
    fashion.prepare(tmp_path, pictures=4700, later=300)
    made = project("fashion", tmp_path)
    made = made.model_copy(
        update={
            "training": made.training.model_copy(update={"epochs": 5, "averaging": 0.8}),
            "model": made.model.model_copy(update={"width": 8, "depth": 1}),
            "export": made.export.model_copy(update={"formats": ["onnx"], "max_batch": 300}),
        }
    )
    run = train(made)
    record = checkpoints.load(run)[0]
    assert record.classes == sorted(fashion.NAMES)
    assert record.evaluation["validation"]["accuracy"].value > 0.6
    assert later_accuracy(made, run) > 0.6


def test_without_the_package_it_says_which_to_install(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no file; apt-get install dataset-fashion-mnist, or name the folder"):
        fashion.prepare(tmp_path, source=tmp_path)


def test_files_that_are_something_else_and_impossible_counts_are_refused(tmp_path: Path) -> None:
    for name, shape in zip(fashion.FILES, ([4, 2, 2], [4]), strict=True):
        head = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">i4").tobytes()
        (tmp_path / name).write_bytes(gzip.compress(head + bytes(int(np.prod(shape)))))
    for pictures, later in ((5, 1), (2, 2)):
        with pytest.raises(InvalidInput, match=f"expected more than {later} and at most 4, got {pictures}"):
            fashion.prepare(tmp_path, tmp_path, pictures, later)
    fashion.prepare(tmp_path, tmp_path, 4, 1)
    assert len(pq.read_table(tmp_path / LATER)) == 1
    (tmp_path / fashion.FILES[0]).write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\x05two"))
    with pytest.raises(CorruptData, match="expected bytes in the IDX form, got 11 others"):
        fashion.prepare(tmp_path, tmp_path, 4, 1)

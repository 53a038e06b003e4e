"""Environment: what a run says it was trained on, and that this much is enough to get the same weights again."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import staytrue
from staytrue.environment import Environment, said
from staytrue.project import load
from training.checkpoint import load as load_checkpoint
from training.devices import Processor
from training.environment import environment
from training.run import train

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_checkout_of_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither one that tests are run from by a hook, nor one that temporary files lie in."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def git(folder: Path, *arguments: str) -> str:
    """Run git there, as somebody."""
    somebody = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *somebody, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_says_seed_versions_and_machine(tmp_path: Path) -> None:
    found = environment(tmp_path, 5)
    assert (found.seed, found.threads, found.platform) == (5, torch.get_num_threads(), platform.platform())
    assert found.versions["python"] == platform.python_version()
    packages = {"torch": torch.__version__, "numpy": np.__version__, "staytrue": staytrue.__version__}
    assert packages.items() < found.versions.items()
    assert found.processor.startswith(platform.machine() + " ")


def test_it_names_the_gpu_that_a_training_ran_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the processor beside it, and with the version of its library."""

    class Placed(Processor):
        device = "cuda:1"

    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"GPU at {device}")
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(total_memory=1 << 30))
    monkeypatch.setattr("torch.version.cuda", "13.0")
    monkeypatch.setattr("training.run.devices", lambda _: Placed())
    write(tmp_path)
    told = load_checkpoint(train(load(tmp_path / "table" / "staytrue.yaml"), opening="skip"))[0].environment
    assert told is not None
    assert (told.processor, told.versions["cuda"]) == ("GPU at cuda:1", "13.0")


def test_the_commit_is_that_of_the_checkout_around_the_project(tmp_path: Path) -> None:
    """Data and runs beside it, which are not tracked, are no change of the code."""
    project = tmp_path / "models" / "bikes"
    project.mkdir(parents=True)
    assert (environment(project, 0).commit, environment(project, 0).changed) == (None, None), "no checkout"
    git(tmp_path, "init", "--quiet")
    (project / "staytrue.yaml").write_text("name: a\n")
    assert (environment(project, 0).commit, environment(project, 0).changed) == (None, None), "no commit"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    (project / "data.csv").write_text("1\n")
    clean = environment(project, 0)
    assert (clean.commit, clean.changed) == (git(tmp_path, "rev-parse", "HEAD"), False)
    (project / "staytrue.yaml").write_text("name: b\n")
    assert environment(project, 0).changed


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    assert environment(tmp_path, 0).commit
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment(tmp_path, 0).commit is None


def test_the_card_tells_it_in_a_sentence() -> None:
    """And warns of code that no commit holds."""
    made = Environment(
        seed=3, threads=2, processor="x86_64 AVX2", platform="Linux-6", versions={"torch": "2.13.0"}, commit="abc"
    )
    sentence = "Trained with seed 3 by torch 2.13.0, 2 threads of x86_64 AVX2, Linux-6; code at commit `abc`."
    assert said(made) == sentence
    spoilt = Environment(seed=3, threads=1, processor="arm64", platform="L", versions={}, commit="abc", changed=True)
    assert said(spoilt).endswith("1 thread of arm64, L; code at commit `abc`, **with changes that it lacks**.")


TRAIN = "import sys, test_environment; print(*test_environment.digests(sys.argv[1]))"
PICTURES = """
name: dots
data: {source: dots.parquet, time: at, target: kind, features: {dot: {kind: image, shape: [1, 8, 8]}}}
split: {block_days: 1}
model: {task: classification, architecture: resnet, width: 4, depth: 1, dropout: 0.2}
training: {epochs: 2, batch_size: 16}
"""
TABLE = """
name: sums
data: {source: sums.csv, time: at, target: y, features: {x: {kind: numeric}, sky: {kind: category}}}
split: {block_days: 1}
model: {width: 8, depth: 1, dropout: 0.2}
training: {epochs: 2, batch_size: 32}
"""


def test_two_processes_with_one_seed_make_the_same_weights_of_a_table_and_of_pictures(tmp_path: Path) -> None:
    """This one, whatever it did before, and a fresh one in which sets and hashes of texts have another order."""
    write(tmp_path)
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    told = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "1"}  # noqa: TID251 - no settings of Staytrue's
    command = [sys.executable, "-c", TRAIN, str(tmp_path)]
    with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True) as other:
        torch.rand(7)
        mine = digests(str(tmp_path))
        assert other.communicate(timeout=200)[0].split() == mine
    assert len(set(mine)) == 2


def digests(folder: str) -> list[str]:
    """Of the weights of a table's model and of one of pictures, trained here and now."""
    from training import checkpoint

    projects = [load(Path(folder) / name / "staytrue.yaml") for name in ("table", "pictures")]
    return [checkpoint.load(train(project))[0].weights_sha256 for project in projects]


def write(folder: Path) -> None:
    """Twenty days of twelve rows: a law of two columns, and dots on the left or on the right."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    at = [f"2024-01-{1 + i // 12:02d} {i % 12:02d}:00:00" for i in range(240)]
    for name, text in (("table", TABLE), ("pictures", PICTURES)):
        (folder / name).mkdir()
        (folder / name / "staytrue.yaml").write_text(text)
    x, sky = draw.normal(size=240), draw.choice(["sun", "rain", "fog"], 240)
    lines = [f"{time},{value:.4f},{name},{2 * value:.4f}" for time, value, name in zip(at, x, sky, strict=True)]
    (folder / "table" / "sums.csv").write_text("\n".join(["at,x,sky,y", *lines]) + "\n")
    views, right = draw.integers(0, 99, (240, 64)), draw.integers(0, 2, 240)
    views[np.arange(240), 4 * right] = 255
    columns = {"at": at, "dot": list(views.astype(np.uint8)), "kind": np.where(right, "right", "left")}
    pq.write_table(pa.table(columns), folder / "pictures" / "dots.parquet")

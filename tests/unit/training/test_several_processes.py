"""Several processes: what each draws, what they agree on, and that a run of them goes on as if it had not been cut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import safetensors
import safetensors.torch
import torch

from staytrue.errors import Conflict
from staytrue.sections import TrainingSection
from tests.killing import cut
from tests.unit.training.conftest import write_project
from training import checkpoint as checkpoints
from training.checkpoint import METRICS
from training.devices import Accelerated
from training.resume import STATE
from training.run import train

if TYPE_CHECKING:
    from staytrue.project import Project

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from pathlib import Path
from tests.unit.training import test_several_processes
from training.ending import end_after
end_after(lambda: test_several_processes.both(Path(sys.argv[1])))
"""


def project_in(folder: Path) -> Project:
    """Dropout and batch norms, on steps of odd sizes that are dealt unevenly; the state is kept after every step."""
    project = write_project(folder)
    training = {"epochs": 3, "batch_size": 62, "checkpoint_seconds": 0, "processes": 2, "averaging": 0.0}
    return project.model_copy(
        update={
            "training": project.training.model_copy(update=training),
            "model": project.model.model_copy(update={"dropout": 0.5, "normalisation": "batch"}),
        }
    )


def both(folder: Path) -> int:
    """What each process does: a whole run, and one that is cut and goes on. Says what dropout first draws from."""
    sources: list[list[int]] = []

    def note(module: torch.nn.Module, _: Any) -> None:
        if isinstance(module, torch.nn.Dropout) and module.training and not sources:
            sources.append(torch.get_rng_state().tolist())

    project = project_in(folder)
    with pytest.MonkeyPatch.context() as patch, torch.nn.modules.module.register_module_forward_pre_hook(note):
        patch.setattr("training.run.draw", lambda *_: None)
        patch.setattr("training.batches.ROWS", 48)  # several parts of the rows held out, which are dealt too
        train(project, opening="skip")
        cut(project, 9)
        torch.distributed.barrier()
        killed = checkpoints.unfinished(project.retraining.runs, project.name)
        if torch.distributed.get_rank() == 0:
            (folder / "killed").symlink_to(killed)
        torch.distributed.barrier()
        train(project, opening="skip", resume=killed)
    rank = torch.distributed.get_rank()
    (folder / f"source{rank}.json").write_text(json.dumps(sources[0]), encoding="utf-8")
    heard = Accelerated(project.training).told(f"process {rank} found rows{' — 17, 21' * rank}")
    (folder / f"heard{rank}.json").write_text(json.dumps(heard), encoding="utf-8")
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes were here: a whole run, and one that was cut after nine steps and went on."""
    made = tmp_path_factory.mktemp("several")
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1", "--nproc-per-node=2"]
    (made / "script.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, str(made / "script.py"), str(made)]
    told = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 - no settings of Staytrue's
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def runs(folder: Path) -> tuple[Path, Path]:
    """The whole run, and the one that was cut."""
    killed = (folder / "killed").resolve()
    (whole,) = [path for path in (folder / "runs").iterdir() if path.is_dir() and path.resolve() != killed]
    return whole, killed


def test_dropout_draws_differ_between_processes(folder: Path) -> None:
    first, second = ((folder / f"source{rank}.json").read_text(encoding="utf-8") for rank in range(2))
    assert first != second


def test_each_process_hears_what_the_others_have_found(folder: Path) -> None:
    """Whatever its length, in the order of the processes."""
    for rank in range(2):
        heard = json.loads((folder / f"heard{rank}.json").read_text(encoding="utf-8"))
        assert heard == ["process 0 found rows", "process 1 found rows — 17, 21"]


def test_a_run_of_two_processes_goes_on_to_the_same_weights(folder: Path) -> None:
    """To the bit, with dropout, whose draws are those of the step and the process."""
    whole, killed = runs(folder)
    assert checkpoints.load(whole)[0].weights_sha256 == checkpoints.load(killed)[0].weights_sha256


def test_a_run_of_two_processes_does_not_go_on_in_one(tmp_path: Path) -> None:
    """It would deal rows and draw otherwise, and end with other weights."""
    project = project_in(tmp_path)
    whole = cut(project.model_copy(update={"training": project.training.model_copy(update={"processes": 1})}), 2)
    standing = safetensors.torch.load_file(whole / STATE)
    with safetensors.safe_open(whole / STATE, framework="pt") as file:
        told = json.loads(file.metadata()["standing"])
    assert told["processes"] == 1
    written = safetensors.torch.save(standing, {"standing": json.dumps({**told, "processes": 2})})
    (whole / STATE).write_bytes(written)
    with pytest.raises(Conflict, match=r"was made by 2 processes, and 1 would go on; start 2 \(training.processes, or"):
        train(project, opening="skip", resume=whole)


def test_all_processes_judge_the_model_that_is_saved(folder: Path) -> None:
    """Statistics of batch norms are each process's own until an epoch is judged."""
    whole, _ = runs(folder)
    saved = checkpoints.load(whole)[0]
    lines = [json.loads(line) for line in (whole / METRICS).read_text(encoding="utf-8").splitlines()]
    told = lines[saved.best_epoch - 1]["validation_mae"]
    assert told == pytest.approx(saved.evaluation["validation"]["mae"].value, rel=1e-5)


def test_what_a_step_draws_depends_on_seed_step_and_process() -> None:
    machine = Accelerated(TrainingSection(device="cpu"))
    machine.processes = 2
    drawn = {}
    for seed, step, rank in ((0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 1, 0)):
        machine._at = rank
        machine.draws(seed, step)
        drawn[seed, step, rank] = torch.rand(1).item()
    assert len(set(drawn.values())) == 4
    machine._at = 1
    machine.draws(0, 1)
    assert torch.rand(1).item() == drawn[0, 1, 1]


@pytest.mark.parametrize(("device", "same"), [("cpu", False), ("cuda:0", True)])
def test_one_process_on_a_gpu_draws_from_its_steps_seed_and_on_the_processor_from_what_it_keeps(
    device: str, same: bool
) -> None:
    """A state holds no generator of a GPU, so a run that was cut there would drop other units."""
    machine = Accelerated(TrainingSection(device="cpu"))
    machine.device = device
    drawn = []
    for _ in range(2):
        machine.draws(3, 7)
        drawn.append(torch.rand(1).item())
    assert (drawn[0] == drawn[1]) == same


def test_processes_end_with_the_command_that_started_them(tmp_path: Path) -> None:
    """Also where it is killed, and cannot end them itself."""
    write_project(tmp_path)
    path = tmp_path / "staytrue.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "epochs: 30, patience: 10", "epochs: 9999, patience: 9999, processes: 2"
    )
    path.write_text(text, encoding="utf-8")
    told = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 - no settings of Staytrue's
    command = [sys.executable, "-m", "staytrue", "train", "--project", str(path)]
    with subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(f"runs/*/{METRICS}")) and time.monotonic() < deadline:
            time.sleep(0.1)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 3
        process.kill()
    gone, left = psutil.wait_procs(started, timeout=30)
    for one in left:
        one.kill()
    assert (len(gone), left) == (len(started), [])

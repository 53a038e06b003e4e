"""Memory: what the machine cannot hold is told, before it is made where that can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

from staytrue.command import main
from staytrue.errors import InvalidConfig
from staytrue.project import Project
from tests.unit.training.conftest import write_project
from training import memory
from training.data.encode.encoder import learn
from training.data.rows import TrainingRows
from training.models.architectures import build
from training.models.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {name: np.arange(4, dtype=np.float32) for name in "abc"}
ROWS = TrainingRows(np.arange(4.0), COLUMNS, np.arange(4.0))


def checked(**model: Any) -> None:
    """Look at a network of three numbers."""
    features = {name: {"kind": "numeric"} for name in COLUMNS}
    data = {"source": "none.csv", "time": "t", "target": "y", "features": features}
    project = Project.model_validate({"name": "p", "data": data, "model": model})
    memory.check(project, learn(ROWS, project.data.features), 1, "cpu")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"width": 100_000, "depth": 2},
            r"model\.width: expected weights that 0\.01 GB of memory can hold, got more than 1e\+10 .* 2\.4e\+02 GB",
        ),
        (
            {"width": 4, "depth": 700},
            r"model\.depth: expected .*; lower the sizes of the model: width is 4, depth is 700",
        ),
        ({"width": 4, "depth": 10**12}, r"model\.depth: expected weights .*, got more than 1e\+12 of them"),
        ({"architecture": "transformer", "width": 10**6, "heads": 1}, r"model\.width: expected weights"),
    ],
)
def test_sizes_that_the_machine_cannot_hold_are_refused_before_anything_is_made(
    model: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_bytes_of", lambda _: 10_000_000)
    with pytest.raises(InvalidConfig, match=told):
        checked(**model)


def test_a_network_that_fits_is_let_through_and_nothing_is_drawn() -> None:
    """Weights are those of the seed, whether it was looked at or not."""
    before = torch.get_rng_state()
    checked(width=64, depth=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_all_numbers_of_a_network_are_counted_and_nobody_is_counted_afterwards() -> None:
    """3 x 8 + 8 and 8 + 1."""
    seen: list[tuple[int, int]] = []
    with memory._counted(lambda taken, numbers: seen.append((taken, numbers))):
        build("mlp", Layout.numbers(3), {"width": 8, "depth": 1})
    assert seen[-1] == (4 * 41 + 4 * memory.TENSOR, 41)
    torch.nn.Linear(2, 2)
    assert len(seen) == 4


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")])
def test_a_step_that_memory_cannot_hold_says_what_to_lower(error: Exception) -> None:
    with (
        pytest.raises(InvalidConfig, match=r"training\.batch_size: .* cannot allocate memory: .*; lower it"),
        memory.told(),
    ):
        raise error


def test_what_the_processor_cannot_allocate_is_told_alike() -> None:
    """Four million gigabytes, which no address reaches."""
    with pytest.raises(InvalidConfig, match=r"cannot allocate memory: .*DefaultCPUAllocator"), memory.told():
        torch.empty(10**15)
    with pytest.raises(RuntimeError, match="another"), memory.told():
        raise RuntimeError("another")


def test_an_absurd_width_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_project(tmp_path)
    file = tmp_path / "staytrue.yaml"
    values = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(values | {"model": {"depth": 2, "width": 10**8}}))
    assert main(["train", "--project", str(file), "--test", "skip"]) == 2
    line = file.read_text().splitlines().index("  width: 100000000") + 1
    assert f"staytrue.yaml:{line} model.width: expected weights that" in capsys.readouterr().err

"""Keeper: how often a training keeps where it stands, and what of whatever it is trained on."""

from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from torch import nn

from staytrue.sections import TrainingSection
from training import resume
from training.devices import Processor
from training.environment import environment
from training.guard import Guard
from training.history import History
from training.optim import Optimiser
from training.resume import STATE, Keeper, Place

if TYPE_CHECKING:
    from collections.abc import Callable


def keeper(folder: Path, module: Any, seconds: float = 0.0) -> Keeper:
    """Of a training that has not taken a step."""
    settings = TrainingSection(optimiser="sgd", averaging=0)
    optimiser = Optimiser(module if isinstance(module, nn.Module) else nn.Linear(1, 1), settings, 9)
    surroundings = environment(Path(), 0)
    return Keeper(folder, seconds, {}, surroundings, module, optimiser, History("x"), Guard(settings), Processor())


@pytest.mark.parametrize(
    ("seconds", "takes", "kept"),
    [
        (60, 0.0, [60, 120, 180, 240, 300, 360]),
        (60, 3.0, [60, 213, 366]),  # 50 times 3 seconds behind the end of each
        (0, 3.0, [*range(1, 400, 4)]),
    ],
    ids=["seldom", "long", "always"],
)
def test_keeping_takes_a_fiftieth_of_the_time_at_most(
    seconds: float, takes: float, kept: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a second. Asked for after each step, a state is kept after each, however long that takes."""
    now, written = [0.0], list[float]()
    monkeypatch.setattr(resume, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    asked = keeper(tmp_path, nn.Linear(1, 1), seconds)

    def write(_: Place) -> None:
        written.append(now[0])
        now[0] += takes

    monkeypatch.setattr(asked, "_write", write)
    while now[0] < 400:
        now[0] += 1
        asked.keep(Place())
    assert [round(time) for time in written][: len(kept)] == kept


class Far(torch.Tensor):
    """On a device that NumPy does not reach, as a GPU's memory is."""

    numpy: Callable[..., Any]

    def cpu(self) -> torch.Tensor:  # type: ignore[override]
        """The same beside the processor."""
        return self.as_subclass(torch.Tensor)


def _unreached(*_: Any) -> Any:
    raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")


def test_weights_on_a_device_are_kept_beside_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their digest is taken there."""
    monkeypatch.setattr(Far, "numpy", _unreached, raising=False)
    weight = torch.arange(6.0).reshape(2, 3)
    module = types.SimpleNamespace(state_dict=lambda: {"weight": weight.as_subclass(Far)})
    keeper(tmp_path, module).keep(Place(epoch=2))
    assert torch.equal(safetensors.torch.load_file(tmp_path / STATE)["module/weight"], weight)


def test_weights_that_are_tied_or_lie_otherwise_in_memory_are_kept_each(tmp_path: Path) -> None:
    """And come back; none is moved by that."""
    first, tied, otherwise = nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3)
    tied.weight = first.weight
    otherwise.weight.data = otherwise.weight.data.contiguous(memory_format=torch.channels_last)
    module = nn.Sequential(first, tied, otherwise)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    keeper(tmp_path, module).keep(Place(epoch=1, step=4))
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert keeper(tmp_path, module).restore() == Place(epoch=1, step=4)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert tied.weight is first.weight
    assert [path.name for path in tmp_path.iterdir()] == [STATE]

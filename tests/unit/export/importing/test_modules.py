"""TorchScript files, and weights with what makes their module: exported for the server, never run there as they are."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from staytrue.errors import CorruptData, InvalidConfig, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from tests.unit.export.importing.conftest import Served

HERE = "tests.unit.export.importing.test_modules"
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Doubler(nn.Module):
    """Gives twice the sum of two numbers, and their difference where that is above zero."""

    def __init__(self, factor: float = 2.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([factor]))
        self.linear = nn.Linear(2, 1, bias=False)

    def forward(self, pair: torch.Tensor) -> dict[str, torch.Tensor]:
        """Shapes: [N,2] → [N,1] each."""
        apart = pair[:, :1] - pair[:, 1:]
        return {"twice": self.factor * self.linear(pair), "above": torch.relu(apart)}


class Steps(nn.Module):
    """Means over any number of steps; a loop, which a trace would unroll."""

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,3] → [N,3]."""
        total = torch.zeros_like(steps[:, 0])
        for step in range(steps.shape[1]):
            total = total + steps[:, step]
        return total / steps.shape[1]


class Along(nn.Module):
    """One number for each of any number of steps."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False)

    def forward(self, steps: torch.Tensor) -> list[torch.Tensor]:
        """Shapes: [N,T,2] → [N,T,1], [N,1]."""
        every = self.linear(steps)
        return [every, every.mean(dim=1)]


def made() -> Doubler:
    """A doubler with weights of its own."""
    module = Doubler()
    with torch.no_grad():
        module.linear.weight.fill_(1.0)
    return module


PAIR = {"inputs": {"pair": {"shape": [-1, 2]}}}


def test_scripted_loops_are_exported_with_any_number_of_steps(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    path = tmp_path / "steps.pt"
    _scripted(path, Steps())
    bundle = take(path, {"inputs": {"steps": {"shape": [-1, -1, 3], "typical": [1, 4, 3]}}})
    assert bundle.signature.outputs[0].shape == [-1, 3]
    assert "TorchScript" in bundle.parity[0].against
    assert list(bundle.artefacts) == ["onnx"]
    served = serve()
    for steps in (4, 9):
        asked = np.arange(2 * steps * 3, dtype=np.float32).reshape(2, steps, 3)
        assert np.allclose(served.ask(steps=asked)["output"], asked.mean(axis=1))


def test_a_module_with_steps_of_any_number_is_exported_with_them(
    take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    torch.save({"linear.weight": torch.ones(1, 2)}, tmp_path / "along.pth")
    amend = {
        "inputs": {"steps": {"shape": [-1, -1, 2], "typical": [1, 4, 2]}},
        "outputs": {"output_1": {"name": "mean"}},
    }
    bundle = take(tmp_path / "along.pth", amend, factory=f"{HERE}:Along")
    assert {spec.name: spec.shape for spec in bundle.signature.outputs} == {"output_0": [-1, -1, 1], "mean": [-1, 1]}
    got = serve().ask(steps=np.ones((3, 11, 2), np.float32))
    assert (got["output_0"].shape, got["mean"].ravel().tolist()) == ((3, 11, 1), [2.0, 2.0, 2.0])


@pytest.mark.parametrize("form", ["pth", "nested", "safetensors"])
def test_weights_are_served_through_their_factory(
    form: str, take: Callable[..., Bundle], serve: Callable[[], Served], tmp_path: Path
) -> None:
    """Outputs of a dict bear its names; weights may lie beside an optimiser's."""
    state, path = made().state_dict(), tmp_path / "weights.pth"
    if form == "safetensors":
        path = path.with_suffix(".safetensors")
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state if form == "pth" else {"model": state, "optimizer": {"state": {}, "lr": 0.1}}, path)
    bundle = take(path, PAIR, factory=f"{HERE}:Doubler")
    assert [(spec.name, spec.shape) for spec in bundle.signature.outputs] == [("twice", [-1, 1]), ("above", [-1, 1])]
    got = serve().ask(pair=np.array([[1, 2], [5, 3]], np.float32))
    assert got["twice"].ravel().tolist() == [6.0, 16.0]
    assert got["above"].ravel().tolist() == [0.0, 2.0]


def _scripted(path: Path, module: nn.Module) -> Path:
    torch.jit.script(module).save(str(path))  # type: ignore[no-untyped-call]
    return path


class Rated(nn.Module):
    """Takes a number that is no tensor."""

    def forward(self, x: torch.Tensor, rate: int) -> torch.Tensor:
        """Shapes: any."""
        return x * rate


class Reading(nn.Module):
    """Would read a file of the server's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: any."""
        return x + torch.from_file("/etc/passwd", size=4)


class Evil:
    """Is no tensor: loading it would run what it names."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What a pickle of it does."""
        return (print, ("ran",))


def test_torchscript_that_reads_files_is_refused(take: Callable[..., Bundle], tmp_path: Path) -> None:
    path = _scripted(tmp_path / "m.pt", Reading())
    with pytest.raises(Unsupported, match="its code reads or writes files"):
        take(path, {"inputs": {"x": {"shape": [-1, 4]}}})


def test_torchscript_with_inputs_that_are_no_tensors_is_refused(take: Callable[..., Bundle], tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="takes what is no tensor: rate; wrap it"):
        take(_scripted(tmp_path / "m.pt", Rated()), PAIR)


def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(
    take: Callable[..., Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.pth"
    torch.save({"weights": Evil()}, path)
    with pytest.raises(Unsupported, match="holds more than tensors"):
        take(path, PAIR, factory=f"{HERE}:Doubler")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("", "holds weights alone.*--factory package.module:function"),
        ("nowhere:made", "nowhere:made cannot be imported"),
        (f"{HERE}:Evil", "expected a torch.nn.Module, got Evil"),
        (f"{HERE}:Steps", "does not fit"),
    ],
)
def test_a_factory_that_will_not_do_is_named(
    factory: str, message: str, take: Callable[..., Bundle], tmp_path: Path
) -> None:
    path = tmp_path / "m.pth"
    torch.save(made().state_dict(), path)
    with pytest.raises(InvalidConfig, match=message):
        take(path, PAIR, factory=factory)


def test_shapes_that_no_file_tells_are_asked_for(take: Callable[..., Bundle], tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"does not tell the shape of its input; write inputs: \{steps: "):
        take(_scripted(tmp_path / "m.pt", Steps()))


def test_a_damaged_archive_is_refused(take: Callable[..., Bundle], tmp_path: Path) -> None:
    path = _scripted(tmp_path / "m.pt", Steps())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptData, match="is a damaged archive"):
        take(path, PAIR)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/code/__torch__.py", "no code")
    with pytest.raises(CorruptData, match="cannot load it as TorchScript"):
        take(path, PAIR)

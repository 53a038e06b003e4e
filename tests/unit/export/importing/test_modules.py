"""TorchScript files, and weights with what makes their module: exported for the server, never run there as they are."""

from __future__ import annotations

import contextlib
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from export.importing import archives
from staytrue.errors import CorruptData, InvalidConfig, StaytrueError, TooLarge, Unsupported
from staytrue.sections import ExportSection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from staytrue.store import Store
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


def rewritten(path: Path, code: str, *, named: str = "code/__torch__.py", keep: bool = False) -> Path:
    """A script's archive with another forward in it; ``keep``: its own stands behind."""
    with zipfile.ZipFile(_scripted(path, Halved())) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in held.items():
            own = name.endswith(("code/__torch__.py", "test_modules.py"))
            if own:
                assert b"torch.mul" in data
                archive.writestr(name.replace("code/", named), data.replace(b"torch.mul(x, 0.5)", code.encode()))
            if not own or keep:
                archive.writestr(name, data)
    return path


class Halved(nn.Module):
    """The smallest model."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: any."""
        return x * 0.5


READS = 'torch.from_file("/etc/passwd", False, 4)'


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("code", "how", "said"),
    [
        ('torch . from_file("/etc/passwd", False, 4)', {}, "reads or writes files.*torch.from_file"),
        ('(torch. # no\n  from_file)("/etc/passwd", False, 4)', {}, "reads or writes files"),
        ('ops . aten .\\\n  from_file("/etc/passwd", False, 4)', {}, "reads or writes files"),
        ("ops.prim.rpc_sync(x)", {}, "asks other machines"),
        ("ops . evil . run(x)", {}, "operators of a library that is not PyTorch's: evil"),
        ("ops.inductor._reinterpret_tensor(x, [9], [1], 0)", {}, "not PyTorch's: inductor"),
        ("__torch__.torch.classes.evil.Spy(x)", {}, "classes of a library that is not PyTorch's: evil"),
        (READS, {"named": "CODE/"}, "reads or writes files"),
        (READS, {"named": "code/", "keep": True}, "reads or writes files|has a file twice"),
        ("torch.mul(x, 0.5)", {"named": "code/", "keep": True}, "has a file twice"),
    ],
)
def test_code_is_looked_at_as_pytorch_reads_it(
    code: str, how: dict[str, Any], said: str, take: Callable[..., Bundle], tmp_path: Path, store: Store
) -> None:
    path = rewritten(tmp_path / "m.pt", code, **({"named": "code/"} | how))
    with pytest.raises((Unsupported, CorruptData), match=said):
        take(path, {"inputs": {"x": {"shape": [-1, 4]}}})
    assert store.versions("foreign") == []


def test_more_lines_of_code_or_packed_bytes_than_allowed_are_refused(
    take: Callable[..., Bundle], tmp_path: Path
) -> None:
    settings = ExportSection.model_validate({"importing": {"max_nodes": 2, "max_bytes": 50_000}})
    with pytest.raises(TooLarge, match=r"expected at most 2 lines of code, got \d+; raise export.importing.max_nodes"):
        take(_scripted(tmp_path / "m.pt", Halved()), {"inputs": {"x": {"shape": [-1, 4]}}}, settings=settings)
    torch.save({"w": torch.zeros(100_000)}, tmp_path / "large.pth")
    with zipfile.ZipFile(tmp_path / "large.pth") as large, zipfile.ZipFile(tmp_path / "m.pth", "w", 8) as small:
        for name in large.namelist():
            small.writestr(name, large.read(name))
    assert (tmp_path / "m.pth").stat().st_size < 50_000
    with pytest.raises(TooLarge, match="expected at most 50000 bytes, got 40"):
        take(tmp_path / "m.pth", PAIR, factory=f"{HERE}:Doubler", settings=settings)


@pytest.mark.parametrize("kind", ["script", "weights"])
def test_an_archive_with_changed_bytes_is_taken_or_refused_with_a_message(
    kind: str, take: Callable[..., Bundle], tmp_path: Path, store: Store
) -> None:
    """Of its tables, where names and sizes stand; what is refused leaves nothing behind."""
    path, draw = tmp_path / "m.pt", np.random.default_rng(0)
    if kind == "script":
        _scripted(path, Halved())
    else:
        torch.save(made().state_dict(), path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        broken = whole.copy()
        broken[draw.integers(len(whole) // 2, len(whole), 3)] ^= draw.integers(1, 256, 3).astype(np.uint8)
        path.write_bytes(broken.tobytes())
        with contextlib.suppress(StaytrueError):
            archives.inspect(path, ExportSection().importing) if archives.kind_of(path) == "torchscript" else None
    path.write_bytes(whole.tobytes()[:-30])
    with pytest.raises(CorruptData, match="is a damaged archive of PyTorch's"):
        take(path, PAIR, factory="" if kind == "script" else f"{HERE}:Doubler")
    assert store.versions("foreign") == []


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

"""What a trace freezes is scripted, and told; what a captured graph cannot follow is refused, with the way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from export import torchscript
from export.example import eager_inputs
from export.onnx import to_onnx
from export.parity import examine, own, prove
from export.torchscript import TRACED, to_torchscript
from staytrue.errors import CorruptData, Unsupported
from staytrue.feature import Feature
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from tests.unit.training.models.test_architectures import rows_of
from training.data.encode.encoder import learn
from training.models.assembly import assemble
from training.signature import signature_of
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

    from training.models.layout import Layout

SETTINGS = ExportSection(max_batch=8)
OUT = [TensorSpec(name="y", datatype="FP32", shape=[-1, 4])]


class Cautious(nn.Module):
    """Another way where any number is large, which no example of zeros shows."""

    def __init__(self, wide: int = 4, outputs: int = 4) -> None:
        super().__init__()
        self.linear = nn.Linear(wide, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,wide] → [N,outputs]."""
        if bool((x.abs() > 2).any()):
            x = torch.tanh(x / 2) * 2 * (x.abs() > 2) + x * (x.abs() <= 2)
        return self.linear(x)  # type: ignore[no-any-return]


class Steps(nn.Module):
    """As many turns as there are steps."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,T,3] → [N,4]."""
        state = torch.zeros(x.shape[0], 4)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step].nan_to_num().clamp(-3, 3), state)
        return state


class Spread(nn.Module):
    """Takes any inputs, as our models do: PyTorch scripts no such forward, but the part that decides."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,4] → [N,4]."""
        return self.body(inputs[0].nan_to_num().clamp(-9, 9))  # type: ignore[no-any-return]


class Unscriptable(nn.Module):
    """Decides in a way that no compiler of PyTorch's follows."""

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,4] → [N,4]."""
        return x[0] * {True: 2.0, False: 1.0}[bool((x[0].nan_to_num().abs() > 2).any())]


def factory(layout: Layout, outputs: int) -> nn.Module:
    """A body of a project's own, as ``package.module:factory`` names it."""
    return Cautious(layout.width, outputs)


def signature(*shape: int) -> Signature:
    """From x to y."""
    return Signature(inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, *shape])], outputs=OUT)


def numbers(*shape: int) -> dict[str, Any]:
    """Rows, of which some are large."""
    return {"x": np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)}


MODULES: dict[str, tuple[nn.Module, Signature, dict[str, Any], str]] = {
    "plain": (nn.Sequential(nn.Hardtanh(), nn.Linear(4, 4)), signature(4), numbers(16, 4), TRACED),
    "decides": (Spread(Cautious()), signature(4), numbers(16, 4), "scripted body: its trace answers other inputs"),
    "loops": (Steps(), signature(-1, 3), numbers(16, 5, 3), "scripted whole: its trace"),
}


@pytest.mark.parametrize("name", MODULES)
def test_what_decides_by_values_or_lengths_is_scripted_and_the_rest_traced(name: str, tmp_path: Path) -> None:
    module, of, rows, said = MODULES[name]
    torch.manual_seed(0)
    others = [eager_inputs(of, {"x": rows["x"][:count]}) for count in (1, 7)]
    made = to_torchscript(module.eval(), of, tmp_path / "model.ts", others=others)
    assert made.startswith(said)
    assert not any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()), (
        "the module is left as it was"
    )
    proofs = prove("torchscript", tmp_path / "model.ts", module, of, rows, 1.0, SETTINGS)
    assert sum(bool(proof.shapes) for proof in proofs) == (5 if name == "loops" else 0), "lengths of 1, 2, 6, 7, 10"
    loaded = torchscript.load(tmp_path / "model.ts")
    far = torch.full((2, 4), 5.0) if name != "loops" else torch.ones(2, 11, 3)
    assert torch.allclose(loaded(far), module(far), atol=1e-5)


def test_what_can_neither_be_traced_nor_scripted_is_refused_with_what_to_do(tmp_path: Path) -> None:
    others = [(torch.full((2, 4), 5.0),)]
    module, of, path = Unscriptable(), signature(4), tmp_path / "model.ts"
    made = to_torchscript(module, of, path, others=others)
    said = (
        r"traced, though its trace answers other inputs otherwise \(5 where the model gives 10\), and no part .*\.where"
    )
    assert re.match(said, made)
    asked = own(module, of, dict)
    with pytest.raises(CorruptData, match=said + ".*nothing was published"):
        examine("torchscript", path, module, of, numbers(16, 4), 1.0, SETTINGS, asked, made=made)


def test_what_cannot_even_be_traced_is_refused(tmp_path: Path) -> None:
    class Failing(nn.Module):
        """Asks for the number itself."""

        def forward(self, *x: torch.Tensor) -> torch.Tensor:
            """Shapes: [N,4] → [N,4]."""
            if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
                raise RuntimeError("not this way")
            return x[0]

    with pytest.raises(
        Unsupported, match=r"TorchScript: tracing it fails: RuntimeError: not this way.*torch\.jit\.script"
    ):
        to_torchscript(Failing(), signature(4), tmp_path / "model.ts")
    assert not list(tmp_path.iterdir())


def test_a_body_of_a_projects_own_that_decides_by_values_is_scripted(tmp_path: Path) -> None:
    rows, task = rows_of(("numeric",)), Classification("kind", ("no", "yes"))
    states = learn(rows, {"numeric": Feature(kind="numeric")})
    torch.manual_seed(0)
    model = assemble(states, f"{__name__}:factory", {}, task).eval()
    of, asked = signature_of(model, task), rows.inputs()
    far = asked | {"numeric": asked["numeric"] * 100}
    made = to_torchscript(model, of, tmp_path / "model.ts", others=[eager_inputs(of, far)])
    assert made.startswith("scripted head: its trace answers other inputs otherwise")
    assert prove("torchscript", tmp_path / "model.ts", model, of, asked, 1.0, SETTINGS)


def test_onnx_of_a_decision_by_values_is_refused_with_the_line_and_the_way_out(tmp_path: Path) -> None:
    said = r"its forward decides by values of its inputs \(test_control_flow\.py, line \d+, in forward\), and .*"
    with pytest.raises(Unsupported, match=said + r"torch\.cond or torch\.where.*export\.formats: \[torchscript\]"):
        to_onnx(Cautious().eval(), signature(4), tmp_path / "model.onnx", 8)
    with pytest.raises(Unsupported, match="loops of Python over an axis, are captured for one length"):
        to_onnx(Steps().eval(), signature(-1, 3), tmp_path / "model.onnx", 8)


class Conditional(nn.Module):
    """The same decision as a captured graph can hold it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes: [N,4] → [N,4]."""
        made: torch.Tensor = torch.cond((x.nan_to_num().abs() > 2).any(), torch.tanh, torch.sin, (x.nan_to_num(),))
        return made


def test_torch_cond_is_exported(tmp_path: Path) -> None:
    of = Signature(inputs=signature(4).inputs, outputs=OUT, rows="dependent")
    to_onnx(Conditional().eval(), of, tmp_path / "model.onnx", 8)
    assert prove("onnx", tmp_path / "model.onnx", Conditional().eval(), of, numbers(16, 4), 1.0, SETTINGS)

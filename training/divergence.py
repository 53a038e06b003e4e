"""Divergence: where in a network, and in which rows, a loss went wrong, and what may help against it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

SHOWN = 5
"""Rows that are named."""
FAR = 100.0
"""Times the median of its batch: a row's loss that is called huge."""
OUTLYING = 50.0
"""Times the median reach of a row, or 1: an input that is called an outlier. Scaled ones lie within some deviations."""
ORDINARY = 1e4
"""Numbers up to here are none that ran away: what fails on them has no value there, as the logarithm below zero."""
LARGEST_RATE = 0.01
"""The largest learning rate that is advised; a tenth of one far too large is too large still."""
SMALL = (torch.float16, torch.bfloat16)


@dataclasses.dataclass(frozen=True)
class Scene:
    """What a step was about to do, or what is judged of rows held out. Shapes: rows [n]; each input [n,…].

    ``losses`` runs the same batch through ``module`` once more and gives each row's loss, [n] or [n,1]; the module must
    be the plain one, not a compiled one. ``inputs`` are what the module takes, by the name of the column: missing
    numbers are filled by then.
    """

    module: nn.Module
    losses: Callable[[], Tensor]
    rows: Sequence[int]
    inputs: Mapping[str, Tensor]
    learning_rate: float
    clipped: bool = False
    """Whether gradients are clipped already."""
    part: str = "training"
    """Whose rows they are."""


@dataclasses.dataclass(frozen=True)
class Divergence:
    """What was found, each as words for people; what was not found is empty."""

    scene: Scene
    inputs: str = ""
    """Rows and columns that are no numbers."""
    outlying: str = ""
    """Rows and columns far from all others."""
    weights: str = ""
    """Parameters that are no numbers."""
    gradient: str = ""
    """Parameters whose gradient, of the step before or of this one, is no number, or by far the largest."""
    layer: str = ""
    """First module whose output is not finite, and what it was given."""
    overflow: str = ""
    """The narrow type in which that happened."""
    loss: str = ""
    """What is wrong behind the last module."""
    rows: str = ""
    """Rows whose loss is no number, or huge."""
    ordinary: bool = False
    """Whether the numbers were of ordinary size until then."""
    columns: tuple[str, ...] = ()
    """Those of ``inputs`` or ``outlying``."""

    def told(self) -> list[str]:
        """The evidence in a sentence; empty without any."""
        parts = (self.inputs, self.weights, self.gradient, self.layer, self.loss, self.outlying, self.rows)
        said = ", ".join(part for part in parts if part)
        return [said] if said else []

    @property
    def knows(self) -> int:
        """How near the evidence comes to the cause: the larger the nearer. A process whose rows are fine has least."""
        marks = (self.inputs, self.layer or self.loss, self.rows, self.outlying)
        return sum(2**place for place, mark in enumerate(reversed(marks)) if mark)


def examine(scene: Scene) -> Divergence:
    """Look for the place at which numbers went wrong, in the order in which they flow. Weights stay as they are."""
    found: dict[str, Any] = {"scene": scene, **_inputs(scene)}
    if broken := [name for name, value in _state(scene.module) if not value.isfinite().all()]:
        found["weights"] = f"the weights {_few(broken)} are not finite"
    spoilt = [name for name, value in _gradients(scene.module) if not value.isfinite().all()]
    seen = _Seen()
    try:
        with torch.enable_grad(), _watched(scene.module, seen):
            losses = scene.losses()
    except (RuntimeError, ValueError, ArithmeticError) as error:  # what broke is told in any case
        found["loss"] = f"running the batch again failed ({error})"
        return Divergence(**found)
    found |= {"layer": seen.layer, "overflow": seen.overflow, "ordinary": seen.ordinary}
    found["rows"] = _rows(scene, losses.detach())
    finite = bool(losses.detach().isfinite().all())
    if not finite and not seen.layer:
        found["loss"] = f"the model's outputs are finite ({seen.last}) and the loss of them is not"
    if spoilt:
        found["gradient"] = f"the gradient of {_few(spoilt)} was not finite"
    elif finite and losses.requires_grad:
        found["gradient"] = _steepest(scene.module, losses)
    return Divergence(**found)


def advise(found: Divergence | None, *, exploded: bool) -> list[str]:
    """What to try, likeliest first."""
    if found is None:
        return ["lower training.learning_rate"]
    if found.inputs:
        return [f"repair or leave out {_quoted(found.columns)} (docs/cleaning.md)"]
    advice = [f"look for outliers in {_quoted(found.columns)} (cleaning.outliers)"] if found.outlying else []
    if found.overflow:
        advice.append(f"train in float32: {found.overflow} overflowed")
    if found.ordinary and not found.weights:
        if found.layer:
            advice.append("keep what that layer is given where it has a value")
        elif found.loss:
            advice.append("choose a training.loss that has a value there, or model.output: positive")
    advice.append(_lower(found.scene.learning_rate))
    if not found.scene.clipped and (found.gradient or found.weights or exploded):
        advice.append("clip the gradient (training.regularisation.clip_norm)")
    return advice


def by_column(names: Sequence[str], widths: Sequence[int], matrix: Tensor) -> dict[str, Tensor]:
    """The columns of an encoded matrix by the features that they come from. Shapes: [n,sum of widths] → [n,width]."""
    return dict(zip(names, torch.split(matrix, list(widths), dim=1), strict=True))


def _lower(rate: float) -> str:
    return f"lower training.learning_rate from {rate:.3g} to {min(rate / 10, LARGEST_RATE):.2g}"


def _quoted(columns: Sequence[str]) -> str:
    return _few([f'"{name}"' for name in columns])


def _few(names: Sequence[object]) -> str:
    """Some of the names.

    >>> _few(["a"]), _few(range(9))
    ('a', '0, 1, 2, 3, 4 and 4 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


def _state(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of numbers."""
    for name, value in module.state_dict(keep_vars=True).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            yield name, value.detach()


def _gradients(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            yield name, parameter.grad


def _inputs(scene: Scene) -> dict[str, Any]:
    """Which rows of which columns are no numbers, or else far from all others."""
    wrong: dict[str, Tensor] = {}
    far: dict[str, Tensor] = {}
    for name, value in scene.inputs.items():
        if not value.is_floating_point() or not value.numel():
            continue
        flat = value.detach().flatten(1) if value.dim() > 1 else value.detach().unsqueeze(1)
        wrong[name] = ~flat.isfinite().all(1)
        reach = flat.abs().amax(1)
        far[name] = reach > OUTLYING * reach.median().clamp(min=1)
    for key, marks, what in (("inputs", wrong, "no finite numbers"), ("outlying", far, "numbers far from the others")):
        columns = [name for name, mark in marks.items() if mark.any()]
        if columns:
            rows = torch.stack([marks[name] for name in columns]).any(0)
            said = f"{_quoted(columns)} of {_places(scene, rows)} hold {what}"
            return {key: said, "columns": tuple(columns)}
    return {}


def _places(scene: Scene, mark: Tensor) -> str:
    places = [int(scene.rows[i]) for i in mark.nonzero().flatten().tolist()]
    return f"{scene.part} row{'s' if len(places) > 1 else ''} {_few(places)}"


def _rows(scene: Scene, losses: Tensor) -> str:
    """Rows that made the loss, if not all did."""
    flat = losses.reshape(-1).float()
    if len(flat) != len(scene.rows):
        return ""
    for mark, what in (
        (~flat.isfinite(), "no finite loss"),
        (flat > FAR * flat.median().clamp(min=1e-12), "a loss far above the others'"),
    ):
        if mark.any() and not mark.all():
            return f"{_places(scene, mark)} with {what}"
    return ""


def _steepest(module: nn.Module, losses: Tensor) -> str:
    """The parameter with the largest gradient of the batch, or the first whose gradient is no number."""
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(losses.mean(), [parameter for _, parameter in named], allow_unused=True)
    norms = {name: float(grad.norm()) for (name, _), grad in zip(named, gradients, strict=True) if grad is not None}
    if spoilt := [name for name, norm in norms.items() if not math.isfinite(norm)]:
        return f"the gradient of {_few(spoilt)} is not finite"
    if not norms:
        return ""
    name = max(norms, key=norms.__getitem__)
    return f"the steepest gradient is that of {name} (norm {norms[name]:.3g})"


@dataclasses.dataclass
class _Seen:
    """What the hooks saw of one run through a module."""

    layer: str = ""
    overflow: str = ""
    last: str = ""
    ordinary: bool = False

    def note(self, name: str, module: nn.Module, given: Any, made: Any) -> None:
        """Look at what a module made of what it was given; children come before their parents."""
        made, given = list(_numbers(made)), list(_numbers(given))
        if self.layer or not made:
            return
        self.last, self.ordinary = _range(made), _reach(made) <= ORDINARY
        wrong = [value for value in made if not value.isfinite().all()]
        if not wrong:
            return
        what = "nan" if wrong[0].isnan().any() else "infinity"
        fine = all(value.isfinite().all() for value in given)
        of = f"finite inputs ({_range(given)})" if given and fine else "inputs that were not finite already"
        self.layer = f'layer "{name or "the whole module"}" ({type(module).__name__}) made {what} of {of}'
        self.ordinary = fine and _reach([*given, *(value.detach() for value in module.parameters())]) <= ORDINARY
        if fine and wrong[0].dtype in SMALL and not wrong[0].isnan().all():
            self.overflow, self.ordinary = str(wrong[0].dtype).removeprefix("torch."), False


@contextlib.contextmanager
def _watched(module: nn.Module, seen: _Seen) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda part, given, made: seen.note(name, part, given, made)

    handles = [part.register_forward_hook(hook(name)) for name, part in module.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _numbers(value: Any) -> Iterator[Tensor]:
    """The tensors of numbers in whatever a module takes or gives: tuples of a recurrent one, packed sequences."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() and value.numel():
            yield value.detach()
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _numbers(part)


def _reach(values: Sequence[Tensor]) -> float:
    """The largest size of a number; infinity if one is none."""
    sizes = [float(value.abs().max()) for value in values if value.numel()]
    return max((size if math.isfinite(size) else math.inf for size in sizes), default=0.0)


def _range(values: Sequence[Tensor]) -> str:
    low, high = min(float(value.min()) for value in values), max(float(value.max()) for value in values)
    return f"{low:.3g} to {high:.3g}"

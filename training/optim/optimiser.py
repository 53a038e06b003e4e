"""The optimiser: one step at a time, and all that it must remember between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from staytrue.errors import CorruptData
from training.optim.average import Average
from training.optim.gradients import decay, regularise
from training.optim.methods import STATE, method
from training.optim.plateau import Plateau
from training.optim.schedule import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from staytrue.sections import TrainingSection

    LayerGroups = Sequence[tuple[Iterable[nn.Parameter], float]]

MATRIX = 2
"""Biases, and the scales and shifts of norms, have fewer axes."""


class Gradients(Protocol):
    """Who computes them: in which precision, with how many processes."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss."""

    def ready(self, optimiser: torch.optim.Optimizer) -> bool:
        """Whether it may be stepped by; asked once after each ``backward``."""


class Optimiser:
    """One step at a time: gradient, penalties, learning rate, average.

    ``groups`` are parameters whose learning rate is the schedule's times a factor; all others have the factor 1.
    ``rates`` stand in for the schedule: one for each step, and one for any beyond. Shapes: [steps + 1].
    """

    def __init__(
        self,
        module: nn.Module,
        settings: TrainingSection,
        steps: int,
        *,
        groups: LayerGroups | None = None,
        rates: NDArray[np.float64] | None = None,
    ) -> None:
        self._module, self._settings = module, settings
        self._method = method(settings, list(_groups(module, groups or [], settings.regularisation.decayed)))
        self._weights = [weight for group in self._method.param_groups for weight in group["params"]]
        self._regularises = self.clips or bool(settings.regularisation.l1 or settings.regularisation.l2)
        self._rates: list[float] = (table(settings, steps) if rates is None else rates).tolist()
        self._plateau = Plateau(settings.optimisation) if settings.schedule == "plateau" and rates is None else None
        self._average = Average(module, settings.averaging) if settings.averaging else None
        self._decay = 0.0 if settings.optimiser == "adamw" else settings.decay
        self._kind = {"optimiser": settings.optimiser, "schedule": settings.schedule}
        self._done = self._taken = 0
        self._set_rate()

    @property
    def learning_rate(self) -> float:
        """Of the next step, before the factors of groups."""
        return self._rate

    @property
    def clips(self) -> bool:
        """Whether it keeps gradients from growing beyond a limit."""
        limits = self._settings.regularisation
        return limits.clip_norm is not None or limits.clip_value is not None

    @property
    def kept(self) -> nn.Module:
        """The module whose weights are judged and kept."""
        return self._average.module if self._average is not None else self._module

    def step(self, loss: Tensor, machine: Gradients | None = None) -> None:
        """Go one step down the gradient of a loss, which a ``machine`` computes where it is given.

        Where that says that it cannot be stepped by, the weights stay, and the schedule goes on.
        """
        for weight in self._weights:  # as zero_grad does, which asks much before
            weight.grad = None
        if machine is None:
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            machine.backward(loss)
        if machine is None or machine.ready(self._method):
            self._take()
        self._done += 1
        self._set_rate()

    def _take(self) -> None:
        if self._regularises:
            regularise(self._method, self._settings.regularisation)
        if self._decay:
            decay(self._method, self._decay)
        self._method.step()
        if self._average is not None:
            self._average.update(first=self._taken == 0)
        self._taken += 1

    def epoch_ended(self, measure: float) -> None:
        """Tell what the epoch was judged by, less being better: the schedule ``plateau`` waits for it."""
        if self._plateau is not None:
            self._plateau.ended(measure)
            self._set_rate()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on beside the module: tensors by name, and values that JSON holds."""
        tensors = {
            f"optimiser.{key}.{name}": value.detach().clone()
            for name, weight in self._module.named_parameters()
            for key, value in self._method.state.get(weight, {}).items()
            if value is not None
        }
        if self._average is not None:
            tensors |= self._average.state()
        plateau = None if self._plateau is None else self._plateau.state()
        return tensors, {**self._kind, "steps": self._done, "taken": self._taken, "plateau": plateau}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Go on from a state; the module's own weights are restored by whoever holds them.

        Raises:
            CorruptData: it is another optimiser's, another schedule's, or another module's.
        """
        for key, name in self._kind.items():
            if values[key] != name:
                raise CorruptData(f"the {key}'s state", expected=name, got=values[key])
        weights = dict(self._module.named_parameters())
        self._method.state.clear()
        for full, value in tensors.items():
            part, _, rest = full.partition(".")
            if part == "optimiser":
                key, _, of = rest.partition(".")
                weight = _fitting(weights, of, key, value)
                counts = key == "step" and not self._method.defaults.get(
                    "fused"
                )  # which PyTorch keeps on the processor
                self._method.state[weight][key] = value.to("cpu" if counts else weight.device, copy=True)
        if self._average is not None:
            self._average.restore({full: value for full, value in tensors.items() if full.startswith("average.")})
        self._done, self._taken = int(values["steps"]), int(values["taken"])
        if self._plateau is not None:
            self._plateau.restore(values["plateau"])
        self._set_rate()

    def _set_rate(self) -> None:
        rate = self._rates[min(self._done, len(self._rates) - 1)]
        if self._plateau is not None:
            rate *= self._plateau.factor
        self._rate = rate
        for group in self._method.param_groups:
            group["lr"] = rate * group["factor"]


def _groups(module: nn.Module, layers: LayerGroups, decayed: Literal["all", "weights"]) -> Iterator[dict[str, Any]]:
    """Parameters of one factor and one decay, as PyTorch's optimisers take them."""
    given = [(list(parameters), factor) for parameters, factor in layers]
    taken = {id(weight) for weights, _ in given for weight in weights}
    rest = [weight for weight in module.parameters() if id(weight) not in taken]
    for weights, factor in [(rest, 1.0), *given]:
        thin = [] if decayed == "all" else [weight for weight in weights if weight.ndim < MATRIX]
        wide = weights if decayed == "all" else [weight for weight in weights if weight.ndim >= MATRIX]
        for some, shrinks in ((wide, True), (thin, False)):
            if some:
                yield {"params": some, "factor": factor, "decayed": shrinks}


def _fitting(weights: Mapping[str, nn.Parameter], name: str, key: str, value: Tensor) -> nn.Parameter:
    """The parameter that a remembered tensor is of.

    Raises:
        CorruptData: there is none, or it has another shape.
    """
    weight = weights.get(name)
    shape = [] if weight is None or key == "step" else list(weight.shape)
    if weight is None or key not in STATE or list(value.shape) != shape:
        got = "no such parameter" if weight is None else f"{list(value.shape)}, where {shape} fits"
        raise CorruptData("the optimiser's state", expected=f"{key} of {name}", got=got)
    return weight

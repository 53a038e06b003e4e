"""Methods: PyTorch's optimiser of each name, with what the settings give it.

Where PyTorch has one kernel for a whole step it is taken: without, a small network steps as long as it differentiates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from staytrue.optimisation import OptimisationSection
    from staytrue.sections import TrainingSection

    Groups = Sequence[dict[str, Any]]

STATE = {"momentum_buffer", "sum", "square_avg", "acc_delta", "exp_avg", "exp_avg_sq", "step"}
"""What these optimisers remember of a parameter."""


def method(training: TrainingSection, groups: Groups) -> torch.optim.Optimizer:
    """The optimiser of the parameters; a group's own ``weight_decay`` is decoupled, and AdamW's alone."""
    made = METHODS[training.optimiser](groups, training.rate, training.optimisation)
    for group in made.param_groups:
        group["weight_decay"] = training.decay if training.optimiser == "adamw" and group["decayed"] else 0.0
    return made


def _sgd(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Robbins and Monro, 1951."""
    del settings
    return torch.optim.SGD(groups, lr=rate, fused=True)


def _momentum(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Polyak, 1964."""
    return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum or 0.9, fused=True)


def _nesterov(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Nesterov, 1983, in the form of Sutskever et al., 2013."""
    return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum or 0.9, nesterov=True, fused=True)


def _adagrad(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Duchi, Hazan and Singer, 2011."""
    return torch.optim.Adagrad(groups, lr=rate, eps=settings.epsilon or 1e-10)


def _adadelta(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Zeiler, 2012."""
    rho = 0.9 if settings.rho is None else settings.rho
    return torch.optim.Adadelta(groups, lr=rate, rho=rho, eps=settings.epsilon or 1e-6)


def _rmsprop(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Tieleman and Hinton, 2012; momentum as Graves, 2013, without centring."""
    alpha = 0.99 if settings.rho is None else settings.rho
    momentum = settings.momentum or 0.0
    return torch.optim.RMSprop(groups, lr=rate, alpha=alpha, eps=settings.epsilon or 1e-8, momentum=momentum)


def _adam(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Kingma and Ba, 2015."""
    return torch.optim.Adam(groups, lr=rate, betas=_betas(settings), eps=settings.epsilon or 1e-8, fused=True)


def _adamw(groups: Groups, rate: float, settings: OptimisationSection) -> torch.optim.Optimizer:
    """Loshchilov and Hutter, 2019."""
    return torch.optim.AdamW(groups, lr=rate, betas=_betas(settings), eps=settings.epsilon or 1e-8, fused=True)


def _betas(settings: OptimisationSection) -> tuple[float, float]:
    first = 0.9 if settings.beta1 is None else settings.beta1
    return first, 0.999 if settings.beta2 is None else settings.beta2


METHODS: dict[str, Callable[[Groups, float, OptimisationSection], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}
"""Name → PyTorch's optimiser."""

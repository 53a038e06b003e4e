"""Statistics: those of batch norms, which averaged weights do not bring with them, taken anew from rows that train.

The moving means that a norm keeps are of what the weights of single steps made of the rows; averaged weights make
something else of them. Source: Izmailov et al., 2018, "Averaging weights leads to wider optima and better
generalization", section 3.2, as ``torch.optim.swa_utils.update_bn`` does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from training.transfer.freezing import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn


def compared(module: nn.Module) -> list[_BatchNorm]:
    """Its batch norms that are trained: of frozen ones nothing changes."""
    frozen = held(module)
    return [part for name, part in module.named_modules() if isinstance(part, _BatchNorm) and name not in frozen]


@torch.no_grad()
def take(module: nn.Module, matrices: Callable[[], Iterable[Tensor]]) -> None:
    """Let its batch norms keep mean and variance of what the module makes of these rows, each matrix counting alike.

    All else is as in judging: nothing is dropped or drawn, so a run that is cut and goes on takes the same ones. A norm
    that no row gets to, as those of a critic, keeps what it has. Shapes: [n,width] each, at least two rows.
    """
    norms = [norm for norm in compared(module) if norm.running_mean is not None]
    if not norms:
        return
    before = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all matrices
        norm.training = True
    for matrix in matrices():
        module(matrix)
    for norm, momentum, kept in zip(norms, momenta, before, strict=True):
        norm.training, norm.momentum = False, momentum
        reached = bool(norm.num_batches_tracked)
        for name, value in norm.named_buffers():
            if not reached or name == "num_batches_tracked":
                value.copy_(kept[name])  # in place: an average knows its buffers

"""The step itself: weights of a file into a fresh model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import torch

from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.transferring import TransferSection
from training.transfer.freezing import freeze
from training.transfer.layers import factors, layers
from training.transfer.names import check_patterns, chosen, paired, renamed
from training.transfer.reading import read
from training.transfer.report import OtherShape, Rate, Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

NEAR = 3
"""Names that a message offers."""


def transferred(module: nn.Module, settings: TransferSection) -> Report | None:
    """Put weights of a file into a model in place, and freeze what is to stay; None where nothing is set.

    Raises:
        NotFound, CorruptData, Unsupported: the weights are not there, or cannot be read.
        InvalidConfig: too little of it fits, a pattern fits nothing, or what is frozen is not of the file.
        InvalidInput: a number that fits is NaN or infinite.
    """
    if settings == TransferSection():
        return None
    parameters, state = dict(module.named_parameters()), module.state_dict()
    check_patterns(list(state), settings.patterns())
    report = _loaded(state, parameters, layers(module)[-1], settings)
    frozen = freeze(module, settings.freeze) if settings.freeze else []
    if fresh := sorted(set(frozen) - set(report.matched)):
        hint = "leave it out of freeze, or rename what it is called in the file"
        raise InvalidConfig("training.transfer.freeze", f"names {fresh[0]}, which the file does not give", hint=hint)
    counted: dict[float, int] = {}
    for name, factor in factors(module, settings).items():
        if parameters[name].requires_grad:
            counted[factor] = counted.get(factor, 0) + parameters[name].numel()
    rates = [Rate(factor=factor, numbers=counted[factor]) for factor in sorted(counted)] if set(counted) != {1} else []
    frozen_numbers = sum(parameters[name].numel() for name in frozen)
    kept = {name: getattr(report, name) for name in report.__struct_fields__}
    return Report(**kept | {"frozen": frozen, "frozen_numbers": frozen_numbers, "rates": rates})


def _loaded(
    state: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], last: list[str], settings: TransferSection
) -> Report:
    numbers = sum(weight.numel() for weight in parameters.values())
    if settings.weights is None:
        return Report(weights="", sha256="", numbers=numbers)
    found = renamed(read(settings.weights, settings.key), settings.rename)
    fresh = chosen(state, settings.fresh)
    wanted = {name: value for name, value in state.items() if name not in fresh}
    pairs, (off, on) = paired(found, wanted)
    same = {ours: its for ours, its in pairs.items() if found[its].shape == wanted[ours].shape}
    _copy(wanted, found, same)
    tied = {state[name].data_ptr() for name in same if state[name].numel()}
    taken = [name for name in state if name in same or state[name].data_ptr() in tied]
    other = [
        OtherShape(name=ours, file=list(found[its].shape), model=list(state[ours].shape))
        for ours, its in pairs.items()
        if ours not in same
    ]
    missing = [name for name in state if name not in pairs and name not in taken]
    head = [name for name in last if name not in taken]
    report = Report(
        weights=settings.weights.name,
        sha256=settings.sha256(),
        numbers=numbers,
        taken=sum(weight.numel() for name, weight in parameters.items() if name in taken),
        matched=taken,
        head=head,
        other_shape=other,
        missing=missing,
        unused=sorted(set(found) - set(pairs.values())),
        prefix_file=off,
        prefix_model=on,
        warnings=_warnings(other, missing, head, fresh),
    )
    if report.share < settings.at_least:
        raise _too_little(report, found, state, settings)
    return report


@torch.no_grad()
def _copy(model: Mapping[str, Tensor], file: Mapping[str, Tensor], pairs: Mapping[str, str]) -> None:
    for ours, its in pairs.items():
        if file[its].is_floating_point() and not file[its].isfinite().all():
            raise InvalidInput(f"{its} of training.transfer.weights", expected="finite numbers", got="NaN or infinity")
        model[ours].copy_(file[its])


def _warnings(other: list[OtherShape], missing: list[str], head: list[str], fresh: set[str]) -> list[str]:
    said = [
        f"{one.name} is {one.file} in the file and {one.model} in the model, so it stays fresh"
        for one in other
        if one.name not in head
    ]
    lacking = [name for name in missing if name not in head and name not in fresh]
    if lacking:
        said.append(f"{len(lacking)} tensors below the last layer are not in the file, {lacking[0]} is one")
    return said


def _too_little(
    report: Report, file: Mapping[str, Tensor], model: Mapping[str, Tensor], settings: TransferSection
) -> InvalidConfig:
    expected = f"at least {100 * settings.at_least:.3g}% of the model's {report.numbers} parameters"
    if len(report.other_shape) > len(report.missing):
        shown = ", ".join(f"{one.name} {one.file} there and {one.model} here" for one in report.other_shape[:NEAR])
        more = f" and {len(report.other_shape) - NEAR} more" if len(report.other_shape) > NEAR else ""
        problem = f"names fit, and shapes do not: {shown}{more}"
        hint = "set the sizes of model (width, depth, ...) and data.features as the weights were made with, or"
        hint += " at_least if the rest is enough"
    else:
        lacking = [*report.missing, *(one.name for one in report.other_shape)]
        near = [f"{name} ({its})" for name in lacking if (its := _near(name, model[name], report.unused, file))][:NEAR]
        likely = f"near names, the file's in brackets: {', '.join(near)}; " if near else ""
        problem, hint = "", f"{likely}set training.transfer.rename, or at_least if that is all there is"
    got = f"{100 * report.share:.3g}% from {settings.weights}"
    return InvalidConfig("training.transfer.weights", problem, expected=expected, got=got, hint=hint)


def _near(name: str, tensor: Tensor, unused: list[str], file: Mapping[str, Tensor]) -> str:
    """The unused name that is most like one of the model's, of the same shape where there is any."""
    alike = [its for its in unused if file[its].shape == tensor.shape] or unused
    return next(iter(difflib.get_close_matches(name, alike, n=1, cutoff=0.3)), "")

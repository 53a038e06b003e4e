"""Architectures by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.errors import InvalidConfig, NotFound
from training.models.mlp import MLP
from training.models.resnet import ResNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from staytrue.project import Project

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {"mlp": MLP, "resnet": ResNet}
"""Name → module; called with the number of inputs and of outputs, and the arguments that a checkpoint keeps."""


def build(name: str, inputs: int, arguments: dict[str, Any], outputs: int = 1) -> nn.Module:
    """A fresh body of that architecture.

    Raises:
        NotFound: no such architecture; says which there are.
    """
    if name not in ARCHITECTURES:
        raise NotFound(f'architecture "{name}"', "is not known", hint=f"there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](inputs, outputs, **arguments)


def arguments_of(project: Project) -> dict[str, Any]:
    """What the project's architecture is built with, JSON values.

    Raises:
        InvalidConfig: a residual network for anything but one column of pictures.
    """
    model, features = project.model, list(project.data.features.values())
    arguments = {"width": model.width, "depth": model.depth, "dropout": model.dropout}
    if model.architecture != "resnet":
        return arguments
    if [feature.kind for feature in features] != ["image"]:
        got = ", ".join(f"{name} ({feature.kind})" for name, feature in project.data.features.items())
        hint = "leave the others out, or set model.architecture: mlp"
        raise InvalidConfig("data.features", expected="one image alone for a resnet", got=got[:200], hint=hint)
    return {"shape": features[0].encoded_shape, **arguments}

"""Architectures by name, and a project's own by ``package.module:factory``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from staytrue.errors import InvalidConfig, NotFound
from training.models import own, unmade
from training.models.gan import DCGAN, WassersteinGAN
from training.models.generative import Generative
from training.models.inception import Inception
from training.models.mlp import MLP
from training.models.recurrent import GRU, LSTM, RNN
from training.models.resnet import ResNet
from training.models.transformer import Transformer
from training.models.vae import VAE, ConvolutionalVAE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from staytrue.modelling import ModelSection
    from staytrue.project import Project
    from training.models.layout import Layout

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "resnet": ResNet,
    "inception": Inception,
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "transformer": Transformer,
    "vae": VAE,
    "vae_conv": ConvolutionalVAE,
    "dcgan": DCGAN,
    "wgan_gp": WassersteinGAN,
}
"""Name → module, called with layout and number of outputs; its keyword arguments are the settings that it takes.

``KINDS`` of a module names the kinds of features of which it takes one and nothing beside it; without, it takes any.
"""
NO_ARGUMENTS = {"task", "architecture", "options", "output", "quantiles"}
"""Settings of the model that no architecture is built with."""


def build(name: str, layout: Layout, arguments: dict[str, Any], outputs: int = 1) -> nn.Module:
    """A fresh body of that architecture.

    Raises:
        NotFound: no such architecture; says which there are.
        InvalidConfig: a factory of one's own is not there, or makes something else than a body.
    """
    if ":" in name:
        return own.built(name, layout, outputs, arguments)
    return _made_by(name)(layout, outputs, **arguments)


def arguments_of(project: Project) -> dict[str, Any]:
    """What the project's architecture is built with, JSON values: the settings that are set.

    Raises:
        NotFound: no such architecture.
        InvalidConfig: a setting that it does not take or that its features leave unread, settings that do not go
            together, features that it does not take, or a factory of one's own that cannot be called so.
    """
    model = project.model
    made = _made_by(model.architecture)
    given = {name for name in type(model).model_fields if name not in NO_ARGUMENTS and getattr(model, name) is not None}
    if model.architecture not in ARCHITECTURES:
        if given:
            hint = f"name it in model.options, which {model.architecture} is called with"
            raise InvalidConfig(f"model.{min(given)}", "is no setting of an architecture of your own", hint=hint)
        own.check_call(model.architecture, made, model.options)
        return dict(model.options)
    if getattr(made, "GENERATES", False) != (model.task == "generation"):
        named = [name for name, body in ARCHITECTURES.items() if getattr(body, "GENERATES", False)]
        expected = f"{', '.join(named)} for task generation, and for no other"
        raise InvalidConfig("model.architecture", expected=expected, got=f"{model.architecture} for {model.task}")
    check_processes(model, project.training.processes)
    _check_features(project, getattr(made, "KINDS", ()))
    _check_settings(model, given, made)
    _check_read(project, given, getattr(made, "READ_OF", {}))
    arguments = {name: getattr(model, name) for name in type(model).model_fields if name in given}
    unmade.check(made, project.data.features, arguments)
    return arguments


def check_processes(model: ModelSection, processes: int) -> None:
    """That so many processes, of the settings or of whoever started them, can share each step of a training.

    Raises:
        InvalidConfig: the architecture is trained by one.
    """
    if processes > 1 and getattr(_made_by(model.architecture), "TURNS", False):
        expected, hint = f"1 for {model.architecture}, which has turns", "start one, or take vae or vae_conv"
        raise InvalidConfig("training.processes", expected=expected, got=str(processes), hint=hint)


def measure_of(name: str) -> str:
    """What an epoch of a generator of that architecture is judged by."""
    measure: str = getattr(_made_by(name), "MEASURE", Generative.MEASURE)
    return measure


def normalisation_of(model: ModelSection) -> str | None:
    """Over what an architecture's numbers are scaled, by the settings; None where none tells."""
    taken = inspect.signature(_made_by(model.architecture)).parameters.get("normalisation")
    return None if taken is None else model.normalisation or taken.default


def _made_by(name: str) -> Callable[..., nn.Module]:
    if ":" not in name:
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            hint = f"there are {known}, and package.module:factory of your own"
            raise NotFound(f'architecture "{name}"', "is not known", hint=hint)
        return ARCHITECTURES[name]
    return own.found(name)


def _check_settings(model: ModelSection, given: set[str], made: Callable[..., nn.Module]) -> None:
    named = inspect.signature(made).parameters.values()
    taken = [parameter.name for parameter in named if parameter.kind is parameter.KEYWORD_ONLY]
    strange = sorted(given - set(taken)) + ["options"] * bool(model.options)
    if strange:
        hint = f"it takes {', '.join(taken)}"
        raise InvalidConfig(f"model.{strange[0]}", f"is no setting of {model.architecture}", hint=hint)


def _check_read(project: Project, given: set[str], kinds_of: dict[str, tuple[str, ...]]) -> None:
    there = {feature.kind for feature in project.data.features.values()}
    for name in sorted(given & kinds_of.keys()):
        if not there & set(kinds_of[name]):
            got, hint = f"features that are {', '.join(sorted(there))} alone", "remove it: nothing would read it"
            expected = f"a feature of kind {' or '.join(kinds_of[name])}"
            raise InvalidConfig(f"model.{name}", expected=expected, got=got, hint=hint)


def _check_features(project: Project, kinds: tuple[str, ...]) -> None:
    features = project.data.features
    if kinds and (len(features) != 1 or next(iter(features.values())).kind not in kinds):
        got = ", ".join(f"{name} ({feature.kind})" for name, feature in features.items())
        hint = "leave the others out, or set model.architecture: mlp"
        expected = f"one {' or '.join(kinds)} alone for architecture {project.model.architecture}"
        raise InvalidConfig("data.features", expected=expected, got=got[:200], hint=hint)

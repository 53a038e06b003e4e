"""A project's own factory of bodies: looked at, and tried on two rows, before anything is trained with it."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from staytrue.errors import InvalidConfig
from staytrue.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.models.layout import Layout

WHERE = "model.architecture"
_CALLED = "it is called with the layout of an encoded row, the number of outputs, and model.options by name"


def found(name: str) -> Callable[..., nn.Module]:
    """What ``package.module:function`` names.

    Raises:
        InvalidConfig: it cannot be imported, is not there, or cannot be called.
    """
    module, _, function = name.partition(":")
    try:
        held = importlib.import_module(module)
    except Exception as error:  # of code of somebody's own
        hint = "install it, or set PYTHONPATH to its folder" if isinstance(error, ImportError) else "mend it"
        raise InvalidConfig(WHERE, f"{module} cannot be imported: {_told(error)}", hint=hint) from error
    made = getattr(held, function, None)
    if made is None:
        near = meant(function, [each for each in vars(held) if not each.startswith("_")])
        raise InvalidConfig(WHERE, f"{module} has no {function}", hint=near or "write it there")
    if not callable(made):
        raise InvalidConfig(WHERE, expected=f"{name} to be a function", got=type(made).__name__, hint=_CALLED)
    function_of: Callable[..., nn.Module] = made
    return function_of


def check_call(name: str, made: Callable[..., nn.Module], options: Mapping[str, Any]) -> None:
    """See that a factory takes what it will be called with, which no data are needed for.

    Raises:
        InvalidConfig: it does not.
    """
    try:
        signature = inspect.signature(made)
    except (ValueError, TypeError):  # of some that are written in C
        return
    try:
        signature.bind(None, 1, **options)
    except TypeError as error:
        takes = f"{name} takes {signature}"
        raise InvalidConfig(WHERE, f"{name} fails: {_told(error)}", hint=f"{_CALLED}; {takes}") from error


def built(name: str, layout: Layout, outputs: int, options: Mapping[str, Any]) -> nn.Module:
    """The body that the factory makes.

    Shapes: the body has to take [N,width of the layout] and to give [N,outputs]; one that draws pictures instead
    (``draw``) is a generator's and judged by its task.

    Raises:
        InvalidConfig: it fails, or makes something else; says what, before anything is trained.
    """
    try:
        body = found(name)(layout, outputs, **options)
    except InvalidConfig:
        raise
    except Exception as error:
        raise InvalidConfig(WHERE, f"{name} fails: {_told(error)}", hint=_CALLED) from error
    if not isinstance(body, nn.Module):
        raise InvalidConfig(WHERE, expected=f"{name} to return a torch.nn.Module", got=type(body).__name__)
    if next(body.parameters(), None) is None:
        raise InvalidConfig(WHERE, expected=f"{name} to return a module with weights to learn", got="one without any")
    if not hasattr(body, "draw"):
        _try(name, body, layout.width, outputs)
    return body


def _try(name: str, body: nn.Module, width: int, outputs: int) -> None:
    """Two rows of zeros; nothing that training draws is touched."""
    body.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            made = body(torch.zeros(2, width))
    except Exception as error:
        what = f"the module of {name} fails on rows of {width} numbers, [2,{width}]: {_told(error)}"
        raise InvalidConfig(WHERE, what, hint="the layout's width says how many numbers a row has") from error
    finally:
        body.train()
    got = list(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
    if got != [2, outputs]:
        hint = "the second argument of the factory is the number of outputs"
        raise InvalidConfig(
            WHERE, expected=f"{name} to give [N,{outputs}], for 2 rows [2,{outputs}]", got=str(got), hint=hint
        )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]

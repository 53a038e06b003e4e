"""Settings that an architecture refuses are refused before data are read: a body is made without numbers for it."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
import torch

from staytrue.errors import InvalidConfig
from staytrue.project import Project
from training.models.architectures import ARCHITECTURES, arguments_of
from training.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

FEATURES: dict[str, dict[str, Any]] = {
    "number": {"kind": "numeric"},
    "name": {"kind": "category"},
    "embedded": {"kind": "category", "encoding": "embedding"},
    "day": {"kind": "date"},
    "image": {"kind": "image", "shape": [3, 32, 32]},
    "text": {"kind": "text", "shape": [64]},
    "sequence": {"kind": "sequence", "shape": [20, 3]},
}


def project(architecture: str, kinds: tuple[str, ...] = (), **model: Any) -> Project:
    """Of data that are not there."""
    taken = {name: one for name, one in FEATURES.items() if not kinds or one["kind"] in kinds}
    if kinds:
        taken = dict(list(taken.items())[:1])
    body = ARCHITECTURES.get(architecture)
    task = "generation" if getattr(body, "GENERATES", False) else "regression"
    data = {"source": "gone.csv", "time": "at", "target": "y", "features": taken}
    told = {"name": "x", "data": data, "model": {"task": task, "architecture": architecture, **model}}
    return Project.model_validate(told)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_is_made_without_numbers_and_draws_none(name: str) -> None:
    """Of all kinds of features that it takes."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    arguments_of(project(name, tuple(getattr(ARCHITECTURES[name], "KINDS", ()))))
    assert torch.equal(torch.get_rng_state(), before)


def test_no_memory_is_taken_for_it() -> None:
    """A tebibyte and more, or layers without end."""
    arguments_of(project("mlp", width=10**6, depth=10**9))
    arguments_of(project("resnet", ("image",), stages=[10**9, 10**9]))


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("transformer", {"heads": 5, "width": 32}, r"model\.heads: expected a divisor of width 32, got 5"),
        ("transformer", {"heads": 5}, r"model\.heads: expected a divisor of width 64, got 5"),
        ("transformer", {"pooling": "last"}, r"model\.pooling: "),
        ("lstm", {"pooling": "token"}, r"model\.pooling: "),
    ],
)
def test_what_an_architecture_refuses_is_refused_before_data_are_read(
    name: str, model: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidConfig, match=said):
        prepare(project(name, tuple(getattr(ARCHITECTURES[name], "KINDS", ())), **model))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda _: None, r"mine:made fails: TypeError: too many positional arguments; it is called with the layout"),
        (lambda *_: None, r"mine:made fails: TypeError: got an unexpected keyword argument 'size'; .*takes \(\*_\)"),
        (
            lambda layout, outputs, *, other, size: (layout, outputs, other, size),
            "missing a required .*argument: 'other'",
        ),
    ],
)
def test_a_factory_that_cannot_be_called_so_is_refused_before_data_are_read(
    monkeypatch: pytest.MonkeyPatch, made: Callable[..., Any], said: str
) -> None:
    monkeypatch.setitem(sys.modules, "mine", types.SimpleNamespace(made=made))
    with pytest.raises(InvalidConfig, match=said):
        prepare(project("mine:made", options={"size": 3}))

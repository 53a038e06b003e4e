"""Names: patterns over a model's parameters, and how the names of a file become those of a model."""

from __future__ import annotations

import fnmatch
import itertools
import re
from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig
from staytrue.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

BODY = "body."
"""What stands before a body's own names, where the model scales its answers or has embeddings in front of it."""
LEAST_SHARE = 0.1
"""Of all numbers, that a part of a file must hold for its prefix to be tried."""


def own(name: str) -> str:
    """A parameter's name as the body has it.

    >>> own("body.layers.0.weight")
    'layers.0.weight'
    """
    while name.startswith(BODY):
        name = name.removeprefix(BODY)
    return name


def fits(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter, by its whole name or as the body has it."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(own(name), pattern)


def chosen(names: Iterable[str], patterns: Sequence[str]) -> set[str]:
    """Those that patterns name; a later one overrules an earlier one.

    >>> sorted(chosen(["trunk.0.weight", "trunk.1.weight", "last.weight"], ["*", "!last.*"]))
    ['trunk.0.weight', 'trunk.1.weight']
    """
    taken: set[str] = set()
    for name in names:
        for pattern in patterns:
            if fits(name, pattern.removeprefix("!")):
                (taken.discard if pattern.startswith("!") else taken.add)(name)
    return taken


def check_patterns(names: Sequence[str], given: Iterable[tuple[str, str]]) -> None:
    """See that each pattern of each setting names something.

    Raises:
        InvalidConfig: one names nothing; says what it might have meant.
    """
    for setting, pattern in given:
        bare = pattern.removeprefix("!")
        if not any(fits(name, bare) for name in names):
            question = meant(bare, map(own, names))
            hint = question or f"names are like {own(names[0])}, {own(names[-1])}"
            raise InvalidConfig(
                f"training.transfer.{setting}", f"{pattern!r} fits no parameter of the model", hint=hint
            )


def renamed(tensors: Mapping[str, Tensor], rules: Mapping[str, str]) -> dict[str, Tensor]:
    """Tensors by their new names: each rule in turn takes each name.

    Raises:
        InvalidConfig: a rule fits no name, or two tensors get the same one.
    """
    used = dict.fromkeys(rules, 0)
    made: dict[str, Tensor] = {}
    came: dict[str, str] = {}
    for before, tensor in tensors.items():
        name = before
        for pattern, replacement in rules.items():
            name, times = re.subn(pattern, replacement, name)
            used[pattern] += times
        if name in made:
            raise InvalidConfig("training.transfer.rename", f"{came[name]} and {before} both become {name!r}")
        made[name], came[name] = tensor, before
    for pattern, times in used.items():
        if not times:
            hint = f"names are like {', '.join(itertools.islice(tensors, 3))}"
            raise InvalidConfig("training.transfer.rename", f"{pattern!r} fits no name of the file", hint=hint)
    return made


def paired(file: Mapping[str, Tensor], model: Mapping[str, Tensor]) -> tuple[dict[str, str], tuple[str, str]]:
    """Which of the file's names each of the model's takes, and the prefixes (file's, model's) that came off for it.

    Of all pairs of prefixes that which brings most numbers of equal name and shape together counts; the shortest of
    those that pair the same.

    Raises:
        InvalidConfig: two pair as much, and not the same.
    """
    best: list[tuple[dict[str, str], tuple[str, str]]] = []
    most = 0
    for ends in itertools.product(_prefixes(file, LEAST_SHARE), _prefixes(model, 0.5)):
        pairs = _joined(file, model, *ends)
        together = sum(model[ours].numel() for ours, its in pairs.items() if file[its].shape == model[ours].shape)
        if together > most:
            best, most = [(pairs, ends)], together
        elif together == most and best:
            best.append((pairs, ends))
    if not best:
        return _joined(file, model, "", ""), ("", "")
    return _only(best, lambda pairs: {ours: its for ours, its in pairs.items() if file[its].shape == model[ours].shape})


def _only(
    best: list[tuple[dict[str, str], tuple[str, str]]], matched: Callable[[dict[str, str]], dict[str, str]]
) -> tuple[dict[str, str], tuple[str, str]]:
    first = min(best, key=lambda one: (len(one[1][0]) + len(one[1][1]), one[1]))
    for other in best:
        if first[1] != ("", "") and matched(other[0]) != matched(first[0]):
            got = f"{first[1][0]!r} and {other[1][0]!r}"
            hint = "say which: rename: {'^" + re.escape(first[1][0]) + "': ''}"
            raise InvalidConfig("training.transfer.weights", "two parts of it fit the model alike", got=got, hint=hint)
    return first


def _prefixes(tensors: Mapping[str, Tensor], least: float) -> list[str]:
    """Beginnings of names, up to a dot, that so large a share of all numbers has; shortest first."""
    counts = {"": 0}
    for name, tensor in tensors.items():
        parts = name.split(".")[:-1]
        for end in range(len(parts) + 1):
            prefix = "".join(f"{part}." for part in parts[:end])
            counts[prefix] = counts.get(prefix, 0) + tensor.numel()
    return sorted((prefix for prefix, count in counts.items() if count >= least * counts[""]), key=len)


def _joined(file: Mapping[str, Tensor], model: Mapping[str, Tensor], off: str, on: str) -> dict[str, str]:
    pairs = ((ours, off + ours.removeprefix(on)) for ours in model if ours.startswith(on))
    return {ours: its for ours, its in pairs if its in file}

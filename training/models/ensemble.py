"""Several models as one: each is asked, and what they say is combined inside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import torch
from torch import nn

from staytrue.errors import Conflict
from training.data.encode.categories import CategoryState
from training.data.encode.encoder import Encoder
from training.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from training.data.encode.encoder import ColumnState

TIE = 0.5
"""What the mean probability counts beside the votes: less than one of them, so it settles ties alone."""


class Ensemble(Model):
    """Members of one task, whose inputs are among ``states``, in any order.

    Mean: each number is the members' own, by their weights, none of which is below 0: probabilities stay such, and
    quantiles do not cross. Vote: each class gets (votes + mean probability / 2) / (members + 1/2), which add up to 1;
    the class of most votes is answered, of several such the one that is likelier by the members' mean, of equal ones
    the first. Of labels each is voted on by itself.
    Shapes: one tensor a state → what a member gives.
    """

    def __init__(
        self, members: Sequence[Model], states: Sequence[ColumnState], weights: Sequence[float], *, vote: bool = False
    ) -> None:
        super().__init__(Encoder(states), nn.ModuleList([member.head for member in members]))
        self.inlets = nn.ModuleList([Inlet(member.encoder, states) for member in members])
        self.weights, self.vote = [float(weight) for weight in weights], vote
        one = members[0]  # what numbers mean is a matter of the task, and all are of one
        self.meant, self.unmeant, self.votes, self.told = one.meant, one.unmeant, one.votes, one.told  # type: ignore[method-assign]

    def numbers(self, *tensors: Tensor) -> Tensor:
        """What the members say, combined."""
        return self.combined(self.each(*tensors))

    def each(self, *tensors: Tensor) -> list[Tensor]:
        """What each member says. Shapes: → [N,M] each."""
        heads: nn.ModuleList = self.head  # type: ignore[assignment]
        return [self.meant(head(inlet(*tensors))) for head, inlet in zip(heads, self.inlets, strict=True)]

    def combined(self, each: Sequence[Tensor]) -> Tensor:
        """One answer of several. Shapes: [N,M] each → [N,M]."""
        mean = mixed(each, self.weights)
        if not self.vote:
            return mean
        counted = torch.stack([self.votes(one) for one in each]).sum(dim=0)
        return (counted + TIE * mean) / (len(each) + TIE)


def mixed(each: Sequence[Tensor], weights: Sequence[float | Tensor]) -> Tensor:
    """The weighted sum. Shapes: [N,M] each → [N,M]."""
    total = each[0] * weights[0]
    for one, weight in zip(each[1:], weights[1:], strict=True):
        total = total + one * weight
    return total


class Inlet(nn.Module):
    """A member's encoder behind the inputs of all: takes its own of them, texts by its own codes.

    Shapes: one tensor a state → [N,width of the member].
    """

    def __init__(self, encoder: Encoder, states: Sequence[ColumnState]) -> None:
        super().__init__()
        places = {state.name: place for place, state in enumerate(states)}
        self.encoder = encoder
        self.places = [places[state.name] for state in encoder.states]
        self.recoded: list[str] = []
        """Of each input of the member's the buffer that its codes are looked up in, or none."""
        for place, state in zip(self.places, encoder.states, strict=True):
            codes = _codes(states[place], state)
            self.recoded.append(f"codes_{place}" if codes else "")
            if codes:
                self.register_buffer(f"codes_{place}", torch.tensor(codes, dtype=torch.int64), persistent=False)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Encoded rows."""
        own = [
            getattr(self, name)[tensors[place]] if name else tensors[place]
            for place, name in zip(self.places, self.recoded, strict=True)
        ]
        matrix: Tensor = self.encoder(*own)
        return matrix


def _codes(united: ColumnState, own: ColumnState) -> list[int]:
    """Of each code of an input the member's own; nothing where they are the same."""
    theirs, ours = united.spec(), own.spec()
    if ours.datatype != "BYTES" or ours.tokenizer or theirs.categories == ours.categories:
        return []
    known = {text: code for code, text in enumerate(ours.categories, 1)}
    return [0, *(known.get(text, 0) for text in theirs.categories)]


def united(members: Sequence[Model]) -> list[ColumnState]:
    """The inputs of all, each once, in the order in which the members name them; a category knows what any knows.

    Raises:
        Conflict: two take an input of one name that is not the same.
    """
    found: dict[str, ColumnState] = {}
    for state in (state for member in members for state in member.encoder.states):
        found[state.name] = _both(found[state.name], state) if state.name in found else state
    return list(found.values())


def _both(one: ColumnState, other: ColumnState) -> ColumnState:
    first, second = (msgspec.structs.replace(state.spec(), categories=[], unit="") for state in (one, other))
    if first != second:
        hint = "an ensemble has one input of a name: give the members the same kind, shape, length and tokenizer"
        got = f"{first.label()} and {second.label()}" if first.label() != second.label() else "different tokenizers"
        raise Conflict(f'input "{one.name}"', expected="the same for all members", got=got, hint=hint)
    if isinstance(one, CategoryState) and isinstance(other, CategoryState) and one.sent != other.sent:
        values = list(dict.fromkeys([*one.sent, *other.sent]))
        return msgspec.structs.replace(one, values=values, frequencies=[1 / len(values)] * len(values), fill="")
    return one

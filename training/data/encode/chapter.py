"""The chapter of a preparation's report on what the model will see: each column's encoding, statistics and width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.data.chapters import Cell, Chapter, Table
from training.data.encode.categories import CategoryState
from training.data.encode.dates import DateState
from training.data.encode.encoder import seen_width
from training.data.encode.numbers import NumericState
from training.data.encode.pictures import ImageState
from training.data.encode.texts import TextState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from training.data.encode.encoder import ColumnState

MOST_VALUES = 12
MOST_CUT = 0.1
"""A larger share of texts that are cut is worth a word."""
_WORDS = {
    "robust": ("median", "distance of the quartiles"),
    "minmax": ("lowest", "span"),
    "symmetric": ("middle", "half span"),
}
"""What a scale subtracts and divides by, where that is not mean and deviation."""


def chapter(states: Sequence[ColumnState], warned: Collection[str] = ()) -> Chapter:
    """What an encoder learnt of the training rows, as tables; of ``warned`` another chapter says already why."""
    rows: list[list[Cell]] = []
    for state in states:
        spec, encoding = state.spec(), _encoding(state)
        kind = str(type(state).__struct_config__.tag)
        rows.append([state.name, kind, spec.label(), encoding, _statistics(state), seen_width(state)])
    width = sum(map(seen_width, states))
    columns = ["column", "kind", "sent as", "encoding", "learnt from the training rows", "width"]
    note = "width: numbers of a row that the model sees of it"
    few = [state.name for state in states if isinstance(state, CategoryState) and len(state.values) == 1]
    few = [name for name in few if name not in warned]
    return Chapter(
        title="Preprocess",
        summary=f"{len(states)} columns become {width} numbers a row, inside the exported graph.",
        tables=[Table(title="Encoding", columns=columns, rows=rows, note=note)],
        warnings=[f'column "{name}" has one value that counts: it tells a model nothing' for name in few]
        + _cut(states),
    )


def _cut(states: Sequence[ColumnState]) -> list[str]:
    """Texts many of which do not fit."""
    return [
        f'column "{state.name}": {state.cut_share:.0%} of the texts are cut after {state.length} tokens'
        for state in states
        if isinstance(state, TextState) and state.cut_share > MOST_CUT
    ]


def _encoding(state: ColumnState) -> str:
    """How it is encoded, in words."""
    if isinstance(state, NumericState):
        return f"scale {state.scale}, missing as {state.fill:.6g}"
    if isinstance(state, CategoryState):
        wide = f" of {state.width}" if state.encoding == "embedding" else ""
        return f"{state.encoding.replace('_', '-')}{wide}, unknown as {state.unknown}"
    if isinstance(state, DateState):
        return ", ".join(state.parts)
    if isinstance(state, ImageState):
        said = [f"normalise {state.normalise}"]
        said += [state.layout.replace("_", " ")] if state.layout == "channels_last" else []
        said += ["channels reversed"] if state.channel_order == "reversed" else []
        said += [f"{what} {high} x {wide}" for what, (high, wide) in _sizes(state)]
        return ", ".join(said)
    if isinstance(state, TextState):
        what = f"tokens of {state.vocabulary}" if state.tokenizer else "UTF-8 bytes"
        return f"{what}, at most {state.length}, and a mask"
    return f"at most {state.shape[0]} steps of {state.shape[1]}, and a mask"


def _sizes(state: ImageState) -> list[tuple[str, list[int]]]:
    return [(what, size) for what, size in (("resize", state.resize), ("crop", state.crop)) if size]


def _statistics(state: ColumnState) -> str:
    """What was learnt, in words."""
    if isinstance(state, NumericState):
        return _of_numbers(state)
    if isinstance(state, CategoryState):
        told = [f"{value} {share:.1%}" for value, share in zip(state.values, state.frequencies, strict=True)]
        more = len(told) - MOST_VALUES
        return ", ".join(told[:MOST_VALUES]) + (f" and {more} more" if more > 0 else "")
    if isinstance(state, TextState):
        tokens = (
            f", {state.mean_tokens:.6g} tokens of which {state.unknown_share:.1%} unknown" if state.tokenizer else ""
        )
        return f"{state.mean_bytes:.6g} bytes in the mean{tokens}"
    if isinstance(state, DateState):
        return f"year: mean {state.mean:.6g}, deviation {state.deviation:.6g}" if "year" in state.parts else "nothing"
    means, deviations = (", ".join(f"{value:.4g}" for value in part) for part in (state.mean, state.deviation))
    return f"mean {means}; deviation {deviations}"


def _of_numbers(state: NumericState) -> str:
    if state.knots is not None:
        values = state.knots.values
        return f"{len(values)} quantiles from {values[0]:.6g} to {values[-1]:.6g}"
    if state.scale == "none":
        return f"cut at {state.low:.6g} and {state.high:.6g}"
    first, second = _WORDS.get(state.scale, ("mean", "deviation"))
    of = " of the logarithms" if state.scale == "log" else ""
    return f"{first} {state.mean:.6g}, {second} {state.deviation:.6g}{of}"

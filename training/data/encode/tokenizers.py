"""Tokenizers of a run as files beside its checkpoint, whose states hold their digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from serving.runtimes.tokens import read
from staytrue.addresses import shown
from staytrue.errors import CorruptData
from staytrue.records import write_atomically
from training.data.encode.texts import TextState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.data.encode.encoder import ColumnState


def save(states: Iterable[ColumnState], folder: Path) -> None:
    """Write the file of each tokenizer."""
    for state in states:
        if isinstance(state, TextState) and state.tokenizer:
            write_atomically(folder / state.tokenizer, state.content.encode())


def without(state: ColumnState) -> ColumnState:
    """A state as it is written: without its tokenizer's file."""
    return msgspec.structs.replace(state, content="") if isinstance(state, TextState) else state


def found(states: Iterable[ColumnState], folder: Path) -> list[ColumnState]:
    """States as they were written, with the files of their tokenizers.

    Raises:
        CorruptData: one is missing or was changed.
    """
    return [_with(state, folder) if isinstance(state, TextState) and state.tokenizer else state for state in states]


def _with(state: TextState, folder: Path) -> TextState:
    path = folder / state.tokenizer
    content = read(path)
    have = hashlib.sha256(content.encode()).hexdigest()
    if have != state.sha256:
        raise CorruptData(
            shown(path), expected=f"SHA-256 {state.sha256[:16]}…", got=f"{have[:16]}…", hint="train again"
        )
    return msgspec.structs.replace(state, content=content)

"""Comparison: a page of texts beside what becomes of them, with what comes in and what goes marked."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jinja2

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = 120
"""Of each text on the page."""
_PIECE = re.compile(r"\s*\S+|\s+$")


class Part(NamedTuple):
    """A stretch of a text: what went, what came in its place, and what follows unchanged."""

    gone: str
    new: str
    same: str


class Row(NamedTuple):
    """A text, and each of its variants in parts."""

    name: str
    text: str
    variants: list[list[Part]]


def page(title: str, names: Sequence[str], texts: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """One HTML page that needs nothing else; of each row its name, its text and the variants that ``names`` call."""
    rows = [Row(name, _head(text), [parts(text, other) for other in variants]) for name, text, variants in texts]
    return _environment.get_template("texts.html").render(title=title, names=names, rows=rows, words=WORDS)


def parts(text: str, other: str) -> list[Part]:
    """How a text becomes another one, word by word.

    >>> parts("a big house", "a huge house")
    [Part(gone='', new='', same='a'), Part(gone=' big', new=' huge', same=' house')]
    """
    old, new = _PIECE.findall(text)[:WORDS], _PIECE.findall(other)[:WORDS]
    made, gone, come = [], "", ""
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            made.append(Part(gone, come, "".join(old[a:b])))
            gone = come = ""
        else:
            gone, come = "".join(old[a:b]), "".join(new[c:d])
    return [*made, Part(gone, come, "")] if gone or come else made


def _head(text: str) -> str:
    return "".join(_PIECE.findall(text)[:WORDS])


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)

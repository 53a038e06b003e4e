"""Words: those of a text replaced, swapped, added and removed; the white space between them stays.

Source: Wei and Zou, 2019, "EDA: easy data augmentation techniques for boosting performance on text classification
tasks"; here each word is drawn for by itself.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from staytrue.augmentation import TextVariation
    from training.augment.draws import Draws

_WORD = re.compile(r"\S+")
_CORE = re.compile(r"\w(?:.*\w)?")
"""A word without the punctuation around it."""


class Fate(NamedTuple):
    """What happens to a word of a text, in plain lists, which Python walks faster.

    ``happens``: to be replaced, deleted, come in once more, change places. ``choices``, from 0 to 1: which synonym,
    which to come in, and where, and with which to change places.
    """

    word: int
    happens: list[bool]
    choices: list[float]


@dataclasses.dataclass(frozen=True)
class Words:
    """What varies texts, of a column of bytes or of anything else.

    Of a row's draws the first block says whether it is varied, then each word has two: whether, and what.
    """

    settings: TextVariation
    synonyms: Mapping[str, Sequence[str]]
    draws: Draws

    def __call__(self, texts: Sequence[str], places: NDArray[np.int64], epoch: int) -> list[str]:
        """The texts of some rows, varied; one that nothing happens to is given back itself."""
        spans = [[match.span() for match in _WORD.finditer(text)] for text in texts]
        counts = np.array([len(words) for words in spans])
        chosen = self.draws.rows(places, epoch, 1)[:, 0] < self.settings.share
        every = np.arange(counts.max(initial=0))
        likely = [self.settings.replace, self.settings.delete, self.settings.insert, self.settings.swap]
        happens = self.draws.blocks(places[:, None], epoch, 1 + 2 * every) < likely  # [N,W,4]
        happens &= ((every < counts[:, None]) & chosen[:, None])[:, :, None]
        rows, words = np.nonzero(happens.any(axis=2))
        choices = self.draws.blocks(places[rows], epoch, 2 + 2 * words)
        listed = words.tolist(), happens[rows, words].tolist(), choices.tolist()
        fates = [Fate(*parts) for parts in zip(*listed, strict=True)]
        ends = np.searchsorted(rows, np.arange(len(texts) + 1))
        made = list(texts)
        for row in np.unique(rows):
            made[row] = varied(texts[row], spans[row], fates[ends[row] : ends[row + 1]], self.synonyms)
        return made


def varied(
    text: str, spans: Sequence[tuple[int, int]], fates: Sequence[Fate], synonyms: Mapping[str, Sequence[str]]
) -> str:
    """A text in which this happens to its words, which stand at ``spans``; one word stays in any case."""
    words, count = [text[begin:end] for begin, end in spans], len(spans)
    added: dict[int, list[str]] = {}
    swapped = []
    for word, (replaced, _, twice, moved), (which, other, where, partner) in fates:
        if twice:
            added.setdefault(int(where * count), []).append(synonym(words[word], synonyms, other) or words[word])
        if replaced:
            words[word] = synonym(words[word], synonyms, which) or words[word]
        if moved:
            swapped.append((word, int(partner * count)))
    for first, second in swapped:
        words[first], words[second] = words[second], words[first]
    gone = {fate.word for fate in fates if fate.happens[1]}
    if len(gone) == count:
        gone.remove(max(fates, key=lambda fate: fate.choices[0]).word)
    ends = [0, *(end for _, end in spans)]
    parts: list[str] = []
    for place, said in enumerate(words):
        if place not in gone:
            parts += text[ends[place] : spans[place][0]], said
        for one in added.get(place, ()):
            parts += " ", one
    return "".join([text[: spans[0][0]], *parts[1:], text[ends[-1] :]])


def synonym(word: str, synonyms: Mapping[str, Sequence[str]], number: float) -> str | None:
    """What may stand for a word, as it is capitalised, with the punctuation around it; None of an unknown one.

    >>> synonym("(Big)", {"big": ["large", "huge"]}, 0.7)
    '(Huge)'
    """
    core = _CORE.search(word)
    begin, end = core.span() if core and word.casefold() not in synonyms else (0, len(word))
    said = word[begin:end]
    found = synonyms.get(said.casefold())
    if not found:
        return None
    other = found[int(number * len(found))]
    if len(said) > 1 and said.isupper():
        other = other.upper()
    elif said[:1].isupper():
        other = other[:1].upper() + other[1:]
    return word[:begin] + other + word[end:]

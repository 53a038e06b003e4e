"""Tokenizers of columns of texts: read from a file, or learnt of the training rows."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from serving.runtimes.tokens import Tokenizer, library, read
from staytrue.addresses import shown
from staytrue.errors import CorruptData, InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from staytrue.feature import Feature
    from staytrue.tokenizer import TokenizerSection

_SAMPLE = 512
"""Texts whose tokens are counted for the report."""
_PADDING, _UNKNOWN = "[PAD]", "[UNK]"
_HEX = 12


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenizer and how it suits the training rows; see :class:`training.data.encode.texts.TextState`."""

    tokenizer: str
    sha256: str
    content: str
    vocabulary: int
    padding: int
    mean_tokens: float
    cut_share: float
    unknown_share: float


def check(features: Mapping[str, Feature]) -> None:
    """Refuse tokenizers that cannot be read, or need what is not installed, before anything long is begun.

    Raises:
        InvalidConfig: names the setting.
    """
    for name, feature in features.items():
        if feature.tokenizer:
            _given(name, feature)


def learn_tokenizer(name: str, present: NDArray[Any], feature: Feature) -> Made:
    """The tokenizer of a column from its texts that are there.

    Raises:
        InvalidConfig: its file is none.
    """
    tokenizer = _given(name, feature)
    if tokenizer is None:
        tokenizer = Tokenizer(_trained(present, feature.tokenizer), f'column "{name}"', feature.shape[0])
    content = tokenizer.written()
    digest = hashlib.sha256(content.encode()).hexdigest()
    places = np.unique(np.linspace(0, len(present) - 1, _SAMPLE).astype(np.int64))
    tokens = tokenizer.unbounded(present[places].tolist())
    counts = np.array([len(one) for one in tokens])
    unknown = sum(one.count(tokenizer.unknown) for one in tokens) if tokenizer.unknown else 0
    return Made(
        tokenizer=f"tokenizer-{digest[:_HEX]}.json",
        sha256=digest,
        content=content,
        vocabulary=tokenizer.vocabulary,
        padding=tokenizer.padding,
        mean_tokens=float(counts.mean()),
        cut_share=float((counts + tokenizer.added > feature.shape[0]).mean()),
        unknown_share=unknown / max(int(counts.sum()), 1),
    )


@functools.lru_cache(maxsize=16)
def tokenizer_of(content: str) -> Tokenizer:
    """The tokenizer that a state holds."""
    return Tokenizer(content, "tokenizer")


def _given(name: str, feature: Feature) -> Tokenizer | None:
    """The tokenizer of a file; nothing where it is to be learnt."""
    where, path = f"data.features.{name}.tokenizer", feature.tokenizer.file
    if path is None:
        library()
        return None
    try:
        return Tokenizer(read(path), shown(path), feature.shape[0])
    except CorruptData as error:
        hint = "name a tokenizer.json that `Tokenizer.save` wrote, or learn one: {train: bpe}"
        raise InvalidConfig(where, str(error), hint=hint) from error


def _trained(texts: NDArray[Any], section: TokenizerSection) -> str:
    """A tokenizer file, learnt of these texts."""
    here: Any = library()
    parts: dict[str, Any] = {"vocab_size": section.size, "show_progress": False}
    if section.train == "bpe":
        made = here.Tokenizer(here.models.BPE())
        made.pre_tokenizer = here.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = here.decoders.ByteLevel()
        alphabet = here.pre_tokenizers.ByteLevel.alphabet()
        trainer = here.trainers.BpeTrainer(special_tokens=[_PADDING], initial_alphabet=alphabet, **parts)
        made.train_from_iterator(texts.tolist(), trainer)
        return str(made.to_str())
    made = _of_words(here.models.WordLevel(unk_token=_UNKNOWN))
    if section.train == "words":
        trainer = here.trainers.WordLevelTrainer(special_tokens=[_PADDING, _UNKNOWN], **parts)
        made.train_from_iterator(texts.tolist(), trainer)
        return str(made.to_str())
    return _pieces(texts, made.normalizer, parts)


def _of_words(model: Any) -> Any:
    """A tokenizer of words in small letters, apart from punctuation."""
    here = library()
    made = here.Tokenizer(model)
    made.normalizer = here.normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = here.pre_tokenizers.BertPreTokenizer()
    return made


def _pieces(texts: NDArray[Any], normalizer: Any, parts: dict[str, Any]) -> str:
    """A tokenizer of words and their pieces.

    The library numbers the pieces of one letter as it comes upon them, in an order of chance that decides between pairs
    that are as frequent. Numbered beforehand they give one tokenizer of the same texts, each time.
    """
    here = library()
    letters: set[str] = set()
    for text in texts:
        letters.update(normalizer.normalize_str(text))
    first = [_PADDING, _UNKNOWN, *(f"##{letter}" for letter in sorted(letters) if not letter.isspace())]
    draft = _of_words(here.models.WordPiece(unk_token=_UNKNOWN))
    draft.train_from_iterator(texts.tolist(), here.trainers.WordPieceTrainer(special_tokens=first, **parts))
    made = _of_words(here.models.WordPiece(vocab=draft.get_vocab(), unk_token=_UNKNOWN))
    made.add_special_tokens([_PADDING, _UNKNOWN])
    made.decoder = here.decoders.WordPiece()
    return str(made.to_str())

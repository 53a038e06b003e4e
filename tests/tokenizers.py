"""Tokenizer files for tests, written by the library itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import Tokenizer, models, pre_tokenizers, processors

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = "[UNK]"
WORDS = ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "good", "bad", "day", "night", "##s", "a"]


def wordpiece() -> Tokenizer:
    """As those of BERT: pieces of words, a token before and behind each text; ids are places in :data:`WORDS`."""
    made = Tokenizer(models.WordPiece(vocab={word: place for place, word in enumerate(WORDS)}, unk_token=UNKNOWN))
    made.add_special_tokens(WORDS[:4])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(word, WORDS.index(word)) for word in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return made


def written(made: Tokenizer, path: Path) -> Path:
    """The file of a tokenizer."""
    made.save(str(path))
    return path

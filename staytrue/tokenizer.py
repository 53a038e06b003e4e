"""The section of ``staytrue.yaml`` on what makes token ids of a column of texts: a file, or one to be learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from staytrue.section import Section

_FEWEST_OF_BYTES = 258
"""All bytes and the padding, and one pair of them at least."""


def _or_text(schema: dict[str, Any]) -> None:
    """Let the JSON Schema know that a text alone is a path."""
    section = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, section]


class TokenizerSection(Section):
    """What makes token ids of a text. A text alone is the path of its file."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    file: Path | None = Field(
        default=None, description="`tokenizer.json` of Hugging Face's library tokenizers, relative to staytrue.yaml"
    )
    train: Literal["bpe", "wordpiece", "words"] | None = Field(
        default=None,
        description="instead of a file, learn it from the training rows: bpe joins bytes that often stand together; "
        "wordpiece has words and pieces of them; words has the most frequent ones, any other is unknown",
    )
    size: int = Field(default=8000, ge=3, le=1_000_000, description="of train: most tokens")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.file is not None and self.train is not None:
            raise ValueError("either a file or train, not both")
        if self.train is None and self.size != type(self).model_fields["size"].default:
            raise ValueError("size is a setting of train")
        if self.train == "bpe" and self.size < _FEWEST_OF_BYTES:
            raise ValueError(f"train: bpe takes a size of {_FEWEST_OF_BYTES} at least, for it has all bytes")
        return self

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.file is not None or self.train is not None

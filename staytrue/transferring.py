"""Section of ``staytrue.yaml`` on transfer: weights that a training begins with, and which of them it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from staytrue.section import Positive, Section
from staytrue.weights import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

PATTERNS = "`*` stands for any text, a leading `!` takes back what one before it named"


class TransferSection(Section):
    """Begin with weights that were learnt elsewhere."""

    weights: Path | None = Field(
        default=None,
        description="file (safetensors, their index, a PyTorch state_dict) or folder (transformers, or a run of ours); "
        "unset: all weights are fresh",
    )
    key: str = Field(
        default="", description="of a PyTorch file: under which key the weights are, `model.state`; unset: found"
    )
    rename: dict[str, str] = Field(
        default={},
        description="regular expressions and what takes their place in the file's names, one after the other",
    )
    fresh: list[str] = Field(default=[], description=f"names that stay fresh even if the file has them; {PATTERNS}")
    at_least: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="share of the model's parameters that the file must give, else the training fails"
    )
    freeze: list[str] = Field(default=[], description=f"names that are not trained; {PATTERNS}")
    rates: dict[str, Positive] = Field(
        default={}, description="factors on the learning rate of names; the last pattern that fits a name counts"
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="factor on the learning rate from each layer to the one below it; 1: all alike"
    )

    @field_validator("rename")
    @classmethod
    def _are_expressions(cls, value: dict[str, str]) -> dict[str, str]:
        for pattern, replacement in value.items():
            try:
                re.sub(pattern, replacement, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"{pattern!r} with {replacement!r} is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.weights is None:
            for name in ("key", "rename", "fresh", "freeze"):
                if getattr(self, name):
                    raise ValueError(f"{name} goes with weights, which are not set")
        return self

    def within(self, base: Path) -> TransferSection:
        """With an absolute path."""
        return self if self.weights is None else self.model_copy(update={"weights": base / self.weights})

    def identity(self) -> dict[str, Any]:
        """What decides how a training begins, under ``transfer``; nothing by default. Of the weights it is their bytes.

        Raises:
            NotFound: the weights are not there.
        """
        if self == TransferSection():
            return {}
        return {"transfer": self.model_dump(mode="json") | {"weights": self.sha256()}}

    def sha256(self) -> str:
        """Of the weights' bytes; empty without any.

        Raises:
            NotFound: they are not there.
        """
        return "" if self.weights is None else sha256(self.weights)

    def patterns(self) -> Iterable[tuple[str, str]]:
        """Each setting that names parameters, with each of its patterns."""
        for name in ("fresh", "freeze", "rates"):
            yield from ((name, pattern) for pattern in getattr(self, name))

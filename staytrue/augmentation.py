"""Section of ``staytrue.yaml`` on augmentation: how the rows that train are varied, anew in each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from staytrue.section import Positive, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

Probability = Annotated[float, Field(ge=0, le=1)]


class Variation(Section):
    """Base of what is done to one kind of column; the defaults do nothing."""

    share: Probability = Field(default=1, description="of the rows that are varied at all, drawn anew in each epoch")

    @property
    def varies(self) -> bool:
        """Whether anything is done."""
        return self.share > 0 and any(getattr(self, name) for name in self.operations())

    @classmethod
    def operations(cls) -> Sequence[str]:
        """Settings that do nothing where they are 0 or empty."""
        return []


class ImageVariation(Variation):
    """What is done to pictures."""

    flip_horizontally: Probability = Field(default=0, description="probability that left and right change places")
    flip_vertically: Probability = Field(default=0, description="probability that top and bottom change places")
    rotate: float = Field(default=0, ge=0, le=180, description="degrees, at most, to either side")
    scale: list[Positive] = Field(default=[], description="least and largest factor: [0.9, 1.1]; above 1 enlarges")
    crop_padding: int = Field(
        default=0, ge=0, description="pixels added at each edge before a part of the old size is cut out: a shift"
    )
    crop_area: list[Positive] = Field(
        default=[], description="least and largest share of the area that is cut out and brought to the old size"
    )
    crop_ratio: list[Positive] = Field(
        default=[0.75, 1.33], description="of crop_area: width over height, where 1 is the picture's own"
    )
    outside: Literal["border", "zeros", "reflection"] = Field(
        default="border", description="what comes in from outside the picture: its edge, zeros, or its mirror image"
    )
    brightness: Probability = Field(default=0, description="share of the range of values added or taken, at most")
    contrast: Probability = Field(default=0, description="share that the distance from the mean is changed by, at most")
    saturation: Probability = Field(
        default=0, description="of three channels: share that the distance from grey is changed by, at most"
    )
    hue: float = Field(
        default=0, ge=0, le=0.5, description="of three channels: share of the circle of colours turned by, at most"
    )
    range: list[float] = Field(
        default=[], description="of FP32: least and largest value that a pixel may have; colours need it"
    )
    erase: Probability = Field(default=0, description="probability that a rectangle takes the picture's mean colour")
    erase_area: list[Positive] = Field(default=[0.02, 0.2], description="least and largest share of the area erased")
    erase_ratio: list[Positive] = Field(default=[0.3, 3.3], description="height over width of it, where 1 is square")

    @classmethod
    def operations(cls) -> Sequence[str]:
        """Settings that do nothing where they are 0 or empty."""
        moves = ("flip_horizontally", "flip_vertically", "rotate", "scale", "crop_padding", "crop_area")
        return *moves, *cls.colours(), "erase"

    @classmethod
    def colours(cls) -> Sequence[str]:
        """Those that change values."""
        return "brightness", "contrast", "saturation", "hue"

    @model_validator(mode="after")
    def _intervals(self) -> Self:
        if self.crop_padding and self.crop_area:
            raise ValueError("crop_padding and crop_area are two ways to crop: choose one")
        shares = {"crop_area": self.crop_area, "erase_area": self.erase_area}
        ratios = {"crop_ratio": self.crop_ratio, "erase_ratio": self.erase_ratio, "scale": self.scale}
        for name, ends in {**shares, **ratios, "range": self.range}.items():
            needed = name in {"crop_ratio", "erase_ratio", "erase_area"}
            if len(ends) != 2 if ends or needed else False:
                raise ValueError(f"{name} takes [least, largest]")
            if ends and (ends[0] > ends[1] or (name == "range" and ends[0] == ends[1])):
                raise ValueError(f"{name} {ends} begins above its end")
            if ends and name in shares and ends[1] > 1:
                raise ValueError(f"{name} {ends} is more than the whole picture")
        return self


class TextVariation(Variation):
    """What is done to texts, word by word; words are parted by white space."""

    replace: Probability = Field(
        default=0, description="probability that a word which `synonyms` knows becomes one of its synonyms"
    )
    synonyms: Path | None = Field(
        default=None, description="YAML (`word: [synonym, …]`) or TSV (a word and its synonyms a line), UTF-8"
    )
    delete: Probability = Field(default=0, description="probability that a word goes; one stays in any case")
    insert: Probability = Field(
        default=0,
        description="probability that a synonym of a word, or it again without one, comes in at another place",
    )
    swap: Probability = Field(default=0, description="probability that a word changes places with another")

    @classmethod
    def operations(cls) -> Sequence[str]:
        """Settings that do nothing where they are 0 or empty."""
        return "replace", "delete", "insert", "swap"

    @model_validator(mode="after")
    def _synonyms_are_there(self) -> Self:
        if self.replace and self.synonyms is None:
            raise ValueError("replace needs synonyms, a file of words and what may stand for them")
        if self.synonyms is not None and not self.replace and not self.insert:
            raise ValueError("synonyms are for replace and insert, of which neither is set")
        return self


class SequenceVariation(Variation):
    """What is done to sequences."""

    noise: float = Field(
        default=0, ge=0, description="deviation of the noise added, as a share of the sequence's own, by channel"
    )
    mask: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0, description="share of the steps, at most, of a stretch that takes the sequence's mean"
    )

    @classmethod
    def operations(cls) -> Sequence[str]:
        """Settings that do nothing where they are 0 or empty."""
        return "noise", "mask"


class AugmentationSection(Section):
    """How training rows are varied, anew in each epoch; validation and test rows never are."""

    image: ImageVariation = ImageVariation()
    text: TextVariation = TextVariation()
    sequence: SequenceVariation = SequenceVariation()
    mixup: Annotated[float, Field(ge=0)] = Field(
        default=0, description="alpha of the Beta distribution by which a row is mixed with another; 0: not mixed"
    )

    @property
    def varies(self) -> bool:
        """Whether anything is done."""
        return bool(self.mixup) or any(part.varies for part in (self.image, self.text, self.sequence))

    def within(self, base: Path) -> AugmentationSection:
        """With absolute paths."""
        if self.text.synonyms is None:
            return self
        return self.model_copy(update={"text": self.text.model_copy(update={"synonyms": base / self.text.synonyms})})

    def identity(self) -> dict[str, Any]:
        """What decides how rows are varied: not where a file lies."""
        parts = self.model_dump(mode="json")
        if self.text.synonyms is not None:
            parts["text"]["synonyms"] = self.text.synonyms.name
        return parts

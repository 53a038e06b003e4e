"""The section of ``staytrue.yaml`` on one input column: what callers send, and how the graph encodes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from staytrue.section import Count, Section, Single, says
from staytrue.tokenizer import TokenizerSection

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["numeric", "category", "date", "image", "text", "sequence"]
Sent = Literal["FP32", "INT64", "UINT8", "BYTES"]

_SENT: dict[Kind, tuple[Sent, ...]] = {
    "numeric": ("FP32", "INT64"),
    "category": ("BYTES", "INT64"),
    "date": ("INT64",),
    "image": ("UINT8", "FP32"),
    "text": ("UINT8",),
    "sequence": ("FP32",),
}
"""Datatypes that each kind of feature may be sent as, the usual one first."""
_SHAPES: dict[Kind, list[str]] = {
    "image": ["channels", "height", "width"],
    "text": ["bytes"],
    "sequence": ["steps", "channels"],
}
"""What the shape of a kind says; others have none."""
_OWN: dict[str, Kind] = {
    "scale": "numeric",
    "fill": "numeric",
    "quantiles": "numeric",
    "encoding": "category",
    "unknown": "category",
    "order": "category",
    "rare_below": "category",
    "width": "category",
    "parts": "date",
    "layout": "image",
    "channel_order": "image",
    "resize": "image",
    "crop": "image",
    "normalise": "image",
    "tokenizer": "text",
    "mean": "image",
    "deviation": "image",
}
"""Settings that go with one kind alone."""


_ONLY_WITH = {"quantiles": ("scale", "quantile"), "order": ("encoding", "ordinal"), "width": ("encoding", "embedding")}
"""Settings that nothing reads but with one value of another."""


class Feature(Section):
    """One input column."""

    kind: Kind = Field(
        description="numeric is scaled, category is one-hot encoded, date becomes parts, image is normalised by "
        "channel, text becomes UTF-8 bytes or tokens, sequence is scaled by channel"
    )
    datatype: Sent | None = Field(
        default=None,
        description="what callers send: by default FP32 for numeric and sequence, BYTES for category, INT64 for date "
        "(Unix seconds), UINT8 for image and text, BYTES for text with a tokenizer",
    )
    shape: list[Count] = Field(
        default=[],
        description="of one image: channels, height, width; its values row by row. Of a text: its most bytes, or "
        "tokens. Of a sequence: its most steps, channels",
    )
    unit: str = Field(default="", description="unit, shown in the model's metadata")
    description: str = Field(default="", description="what it is, for people; in the model's metadata and card")
    scale: Literal["standard", "minmax", "symmetric", "robust", "log", "quantile", "none"] = Field(
        default="standard",
        description="of numeric: mean 0 and deviation 1; [0, 1]; [-1, 1]; median and quartiles; sign and logarithm of "
        "1 + size, then standard; even spread over [0, 1]; as it is",
    )
    fill: Literal["median", "mean", "mode"] | Single = Field(
        default="median", description="of numeric: what a missing one counts as, learnt or given"
    )
    quantiles: int = Field(default=100, ge=2, le=1000, description="of scale quantile: how many are kept")
    encoding: Literal["one_hot", "ordinal", "embedding"] = Field(
        default="one_hot",
        description="of category: a column for each value; its place in the order, up to 1; learnt numbers",
    )
    unknown: Literal["average", "bucket"] = Field(
        default="average",
        description="of category, what an unknown or missing one counts as: the average over the known ones as they "
        "were in training, or a value of its own",
    )
    order: list[str] = Field(
        default=[], description="of encoding ordinal: all values in their order; without it those of training, sorted"
    )
    rare_below: Count = Field(
        default=1, description="of category: values in fewer training rows than this count as unknown"
    )
    width: Count = Field(default=8, description="of encoding embedding: numbers that a value becomes")
    parts: list[Literal["year", "month", "day", "weekday", "hour"]] = Field(
        default=["year", "month", "day", "weekday", "hour"],
        min_length=1,
        description="of date, in UTC: the year with mean 0 and deviation 1, others as sine and cosine",
    )
    layout: Literal["channels_first", "channels_last"] = Field(
        default="channels_first", description="of image: where the channels stand in what callers send"
    )
    channel_order: Literal["as_sent", "reversed"] = Field(
        default="as_sent", description="of image: reversed makes RGB of BGR"
    )
    resize: list[Count] = Field(default=[], description="of image: height and width to scale it to, bilinear")
    crop: list[Count] = Field(default=[], description="of image: height and width of the middle part that is kept")
    normalise: Literal["channel", "picture", "half", "given", "none"] = Field(
        default="channel",
        description="of image: by each channel's mean and deviation in training; each picture by its own; 0 to 255 "
        "becomes -1 to 1; by `mean` and `deviation`; not at all (bytes: 0 to 1)",
    )
    mean: list[Single] = Field(default=[], description="of normalise given: of each channel; bytes count as 0 to 1")
    deviation: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default=[], description="of normalise given: of each channel; bytes count as 0 to 1"
    )
    tokenizer: TokenizerSection = TokenizerSection()

    @model_validator(mode="after")
    def _kind_fits_settings(self, info: ValidationInfo[object]) -> Self:
        if self.sent_as not in self._may_be_sent_as:
            how = ("with" if self.tokenizer else "without") + " a tokenizer " if self.kind == "text" else ""
            raise ValueError(f"kind {self.kind} {how}cannot be sent as {self.datatype}")
        wanted = _SHAPES.get(self.kind, [])
        if len(self.shape) != len(wanted):
            if not wanted:
                raise ValueError(f"kind {self.kind} has no shape")
            article = "an" if self.kind == "image" else "a"
            raise ValueError(f"{article} {self.kind} needs shape: [{', '.join(wanted)}]")
        for name, kind in _OWN.items():
            if kind != self.kind and says(self, name, info):
                raise ValueError(f"{name} is a setting of kind {kind}, not of {self.kind}")
        for name, (setting, value) in _ONLY_WITH.items():
            if getattr(self, setting) != value and says(self, name, info):
                raise ValueError(f"{name} goes with {setting}: {value} alone, and would have no effect here")
        if self.order and self.rare_below > 1:
            raise ValueError("rare_below does not go with order, which names all values")
        return self

    @model_validator(mode="after")
    def _pictures_fit(self) -> Self:
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if len(size) not in (0, 2):
                raise ValueError(f"{name} takes [height, width]")
        if self.kind != "image":
            return self
        if self.crop and any(want > have for want, have in zip(self.crop, self.resize or self._sent[1:], strict=True)):
            raise ValueError(f"crop {self.crop} is larger than the picture, {self.resize or self._sent[1:]}")
        given, channels = self.normalise == "given", self._sent[0]
        for name, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) != (channels if given else 0):
                raise ValueError(f"normalise given takes {channels} numbers as {name}, and nothing else takes any")
        return self

    def within(self, base: Path) -> Feature:
        """With absolute paths."""
        if self.tokenizer.file is None:
            return self
        tokenizer = self.tokenizer.model_copy(update={"file": base / self.tokenizer.file})
        return self.model_copy(update={"tokenizer": tokenizer})

    @property
    def sent_as(self) -> Sent:
        """The datatype that callers send."""
        return self.datatype or self._may_be_sent_as[0]

    @property
    def _may_be_sent_as(self) -> tuple[Sent, ...]:
        return ("BYTES",) if self.tokenizer else _SENT[self.kind]

    @property
    def _sent(self) -> list[int]:
        """Of an image: channels, height, width as callers send it."""
        last = self.layout == "channels_last"
        return [self.shape[2], *self.shape[:2]] if last else list(self.shape)

    @property
    def encoded_shape(self) -> list[int]:
        """Of an image: channels, height, width as the model sees it."""
        channels, *size = self._sent
        return [channels, *(self.crop or self.resize or size)]

"""Check: whether the columns of a project can be varied as its settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from staytrue.errors import InvalidConfig
from training.augment import synonyms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.augmentation import ImageVariation
    from staytrue.feature import Feature
    from staytrue.sections import TrainingSection

_WHERE = "training.augmentation"
_RGB = 3


def check(settings: TrainingSection, features: Mapping[str, Feature]) -> None:
    """Refuse what could not be done.

    Raises:
        InvalidConfig: no column of the kind; colours of pictures that have none, or of unknown range; mixing what has
            no values in between; a broken file of synonyms.
    """
    wanted = settings.augmentation
    for kind in ("image", "text", "sequence"):
        if getattr(wanted, kind).varies and all(feature.kind != kind for feature in features.values()):
            got = ", ".join(f"{name} ({feature.kind})" for name, feature in features.items())
            raise InvalidConfig(f"{_WHERE}.{kind}", expected=f"a feature of kind {kind}", got=got[:200])
    for name, feature in features.items():
        if feature.kind == "image" and wanted.image.varies:
            _check_pictures(wanted.image, name, feature)
        if wanted.mixup and (feature.kind in ("text", "sequence") or feature.encoding == "embedding"):
            what = "an embedding" if feature.kind == "category" else f"a {feature.kind}"
            expected = "features with values in between: numbers, pictures, dates, one-hot categories"
            raise InvalidConfig(f"{_WHERE}.mixup", expected=expected, got=f"{name}, {what}")
    if wanted.text.synonyms is not None:
        synonyms.read(wanted.text.synonyms)


def _check_pictures(wanted: ImageVariation, name: str, feature: Feature) -> None:
    where, sides = f"{_WHERE}.image", feature.shape[:2] if feature.layout == "channels_last" else feature.shape[1:]
    channels = feature.shape[2 if feature.layout == "channels_last" else 0]
    for colour in ("saturation", "hue"):
        if getattr(wanted, colour) and channels != _RGB:
            expected, hint = "pictures of three channels: red, green, blue", "brightness and contrast suit all"
            raise InvalidConfig(f"{where}.{colour}", expected=expected, got=f"{name}: {channels}", hint=hint)
    coloured = [colour for colour in wanted.colours() if getattr(wanted, colour)]
    if feature.sent_as == "FP32" and coloured and not wanted.range:
        expected, hint = f"range, as {name} is sent as FP32", "[0, 1], or what your pictures hold"
        raise InvalidConfig(f"{where}.{coloured[0]}", expected=expected, got="none", hint=hint)
    if wanted.crop_padding >= min(sides):
        got = str(wanted.crop_padding)
        raise InvalidConfig(f"{where}.crop_padding", expected=f"less than a side of {name}, {sides}", got=got)

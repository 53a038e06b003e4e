"""Decoder: a picture's file as bytes of the size that its feature says, and what that changed, counted."""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image

from staytrue.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.feature import Feature

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_WIDE = ("PNG", "PPM")
"""Formats whose whole numbers are of 16 bits, also where Pillow hands them out in 32."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by what its EXIF says of the camera (CIPA DC-008, 4.6.4, Orientation)."""
_FULL = 255
_BARELY = 0.01
"""Sizes whose aspects differ by no more are alike but for whole pixels."""


class Decoder:
    """Reads pictures as callers are to send them: upright, and RGB, unless the graph reverses what it is sent.

    Shapes: a file → [C*H*W] bytes, in the feature's layout.

    Raises:
        InvalidConfig: no feature says the size, or it has channels that files have not.
    """

    def __init__(self, name: str, feature: Feature | None) -> None:
        if feature is None:
            hint = "one feature of kind image says the size: shape: [channels, height, width]"
            raise InvalidConfig(f"data.sources.{name}", "pictures of no size", hint=hint)
        self.last, self.backwards = feature.layout == "channels_last", feature.channel_order == "reversed"
        sizes = feature.shape if self.last else (*feature.shape[1:], feature.shape[0])
        self.height, self.width, self.channels = sizes
        if self.channels not in _MODES:
            raise InvalidConfig("data.features", expected="1, 3 or 4 channels", got=str(self.channels))
        self.name, self.most = name, 1.0
        self.read = self.stretched = self.transparent = self.narrowed = self.turned = 0

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """One file.

        Raises:
            ValueError: numbers of no known range; what Pillow raises where it can read nothing.
        """
        with Image.open(path) as opened:
            opened.load()
            narrow, turn = _is_wide(opened), _turn(opened)
            upright = opened if turn is None else opened.transpose(turn)
            stretch = self.width * upright.height / (self.height * upright.width)
            clear = self.channels < max(_MODES) and _is_transparent(upright)
            plain = (_narrowed(upright) if narrow else upright).convert(_MODES[self.channels])
            self.turned += turn is not None
        size = (self.width, self.height)
        fitted = plain if plain.size == size else plain.resize(size)
        self._count(max(stretch, 1 / stretch), narrow, clear)
        numbers = np.asarray(fitted, dtype=np.uint8).reshape(self.height, self.width, self.channels)
        ordered = numbers[:, :, ::-1] if self.backwards else numbers
        flat: NDArray[np.uint8] = (ordered if self.last else ordered.transpose(2, 0, 1)).ravel()
        return flat

    def notes(self) -> list[str]:
        """What the pictures lost, in words."""
        told = []
        of = f"of {self.read:,} pictures of {self.name}"
        if self.stretched:
            told.append(
                f"{self.stretched:,} {of} have another aspect than {self.width} by {self.height} and were stretched, "
                f"by up to {self.most:.2f} times; cut or pad them beforehand if shapes tell"
            )
        if self.transparent:
            told.append(
                f"{self.transparent:,} {of} have transparent parts, which show the colour that the file keeps beneath; "
                f"ask for 4 channels to keep how transparent they are"
            )
        if self.narrowed:
            told.append(f"{self.narrowed:,} {of} have 16 bits a pixel, of which the upper 8 were taken")
        if self.turned:
            told.append(
                f"{self.turned:,} {of} say by EXIF how the camera was held, and were made upright, as viewers "
                f"show them; callers must send them so"
            )
        return told

    def _count(self, stretch: float, narrow: bool, clear: bool) -> None:
        self.read, self.narrowed, self.transparent = self.read + 1, self.narrowed + narrow, self.transparent + clear
        if stretch > 1 + _BARELY:
            self.stretched, self.most = self.stretched + 1, max(self.most, stretch)


def _turn(opened: Image.Image) -> Image.Transpose | None:
    """What makes it upright; None where it is, or where what it says of itself cannot be read, as viewers do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of EXIF that is cut off
            return _UPRIGHT.get(opened.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return None


def _is_wide(opened: Image.Image) -> bool:
    """Whether it is a grey picture of 16 bits, which Pillow would cut off at 255 for bytes.

    Raises:
        ValueError: whole numbers of 32 bits, or fractions: of those no range is known.
    """
    if opened.mode == "F" or (opened.mode == "I" and opened.format not in _WIDE):
        what = "whole numbers of 32 bits" if opened.mode == "I" else "fractions"
        raise ValueError(f"its pixels are {what}, whose range no one knows: save it with 8 or 16 bits a channel")
    return opened.mode.startswith("I")


def _narrowed(opened: Image.Image) -> Image.Image:
    """The upper byte of each pixel, as Pillow takes it of colours of 16 bits."""
    numbers: NDArray[Any] = np.asarray(opened)
    return Image.fromarray((numbers >> 8).astype(np.uint8))


def _is_transparent(opened: Image.Image) -> bool:
    """Whether any pixel lets something through; a channel for it that is full throughout says nothing."""
    if not opened.has_transparency_data:
        return False
    return bool((np.asarray(opened.convert("RGBA").getchannel("A")) < _FULL).any())

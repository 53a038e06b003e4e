"""Tokenizers of a run, as files of the version that is made of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from staytrue.errors import CorruptData

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.signature import Signature


def copy_tokenizers(signature: Signature, run: Path, folder: Path) -> None:
    """Copy the tokenizers that a signature names.

    Raises:
        CorruptData: one is not there.
    """
    for name in {spec.tokenizer for spec in signature.inputs if spec.tokenizer}:
        try:
            shutil.copyfile(run / name, folder / name)
        except OSError as error:
            raise CorruptData(str(run / name), f"cannot be read: {error.strerror}") from error

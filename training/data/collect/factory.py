"""Factory: a function of the project's own that returns a table."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pyarrow as pa

from staytrue.errors import InvalidConfig, InvalidInput

if TYPE_CHECKING:
    from staytrue.collection import SourceSection
    from training.data.collect.reading import Reading


def read_factory(name: str, source: SourceSection, reading: Reading) -> str:
    """Make a table of what the function returns: an Arrow table, a reader of batches, or a dict of arrays.

    Raises:
        InvalidConfig: there is no such function.
        InvalidInput: it returns something else.
    """
    where, called = f"data.sources.{name}.factory", str(source.factory)
    module, _, function = called.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        hint = "install it, or set PYTHONPATH to its folder"
        raise InvalidConfig(where, f"{called} cannot be imported: {error}", hint=hint) from error
    found = made(**source.options)
    if isinstance(found, dict):
        try:
            found = pa.table(found)
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
            raise InvalidInput(where, f"{called} returns columns that are no table: {error}") from error
    if not isinstance(found, pa.Table | pa.RecordBatchReader):
        expected = "an Arrow table, a RecordBatchReader or a dict of arrays"
        raise InvalidInput(where, expected=expected, got=type(found).__name__)
    reading.connection.from_arrow(found).create(name)
    return called

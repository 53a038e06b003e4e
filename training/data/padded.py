"""Padded: texts as bytes and sequences as steps, each filled up to one size; texts with a tokenizer as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput
from staytrue.signature import MISSING_TEXT
from training.data.chapters import many

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.feature import Feature


def padded(feature: Feature, values: NDArray[Any], where: str, begin: int = 0) -> NDArray[Any]:
    """A fetched column of texts or sequences as callers send them, shorter ones filled up with what is missing.

    A text is cut after as many bytes as its feature has; a sequence that is too long is refused. A text with a
    tokenizer stays what it is. The first value is that of row ``begin``, counted from 0.

    Shapes: texts, or lists of bytes [N] → [N,L], with a tokenizer [N]; lists of steps, each a list of C numbers or a
    number → [N,T,C].

    Raises:
        InvalidInput: what is no text or sequence, or a sequence of more steps or other channels; names the first.
    """
    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    text = feature.kind == "text"
    if feature.tokenizer:
        return _texts(plain, missing, where, begin)
    made = np.zeros((len(plain), *feature.shape), np.uint8) if text else np.full((len(plain), *feature.shape), np.nan)
    for place in np.flatnonzero(~missing):
        value = plain[place]
        if value is None:
            continue
        row = f"{where}, row {begin + place + 1}"
        content = _bytes(value, row) if text else _steps(value, feature.shape, row)
        made[place, : len(content)] = content[: feature.shape[0]]
    with np.errstate(over="ignore"):  # what is too large is infinite, which cleaning counts
        return made if text else made.astype(np.float32)


def _texts(plain: NDArray[Any], missing: NDArray[np.bool_], where: str, begin: int) -> NDArray[Any]:
    """Texts as ``str``, a missing one as the empty one. Shapes: [N] → [N]."""
    made = np.full(len(plain), MISSING_TEXT, dtype=object)
    for place in np.flatnonzero(~missing):
        value = plain[place]
        if value is None:
            continue
        row = f"{where}, row {begin + place + 1}"
        written = _bytes(value, row).tobytes()
        try:
            made[place] = written.rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            got = f"byte {written[error.start]:#04x} at place {error.start}"
            raise InvalidInput(row, expected="a text in UTF-8", got=got) from None
    return made


def utf8(text: str, length: int) -> NDArray[np.uint8]:
    """A text as a model takes it: its bytes, cut or filled up with zeros. Shapes: → [length].

    >>> utf8("né", 5).tolist()
    [110, 195, 169, 0, 0]
    """
    found = np.frombuffer(text.encode()[:length], dtype=np.uint8)
    return np.pad(found, (0, length - len(found)))


def _bytes(value: object, where: str) -> NDArray[np.uint8]:
    if isinstance(value, str):
        return np.frombuffer(value.encode("utf-8", errors="replace"), dtype=np.uint8)
    if isinstance(value, bytes | bytearray):
        return np.frombuffer(value, dtype=np.uint8)
    numbers: NDArray[Any] = np.asarray(np.ma.getdata(np.ma.asarray(value)))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        raise InvalidInput(where, expected="a text, or its bytes", got=repr(value)[:80])
    if not ((numbers >= 0) & (numbers <= 255)).all():
        raise InvalidInput(where, expected="bytes from 0 to 255", got=f"{numbers.min()} to {numbers.max()}")
    return numbers.astype(np.uint8)


def _steps(value: object, shape: list[int], where: str) -> NDArray[np.float64]:
    """One sequence. Shapes: → [t,C], t at most T."""
    most, channels = shape
    listed = _listed(value)
    _refuse_widths(listed, channels, where)
    flat = _numbers(listed, where, channels)
    expected = f"a list of at most {most} steps of {channels} numbers"
    if flat.size % channels or flat.size > most * channels:
        hint = "raise the first number of its shape, or cut it in data.query"
        steps, over = divmod(flat.size, channels)
        raise InvalidInput(
            where, expected=expected, got=f"{flat.size} numbers" if over else many(steps, "step"), hint=hint
        )
    return flat.reshape(-1, channels)


def _refuse_widths(listed: Any, channels: int, where: str) -> None:
    """Refuse steps of other widths, which laid one behind the other would be other steps of the right one."""
    steps = np.ma.getdata(listed)
    widths = set(steps.shape[1:2])
    if steps.ndim == 1 and steps.dtype == object:
        found = [np.size(step) for step in steps if np.ndim(step)]
        single = len(found) < sum(step is not None for step in steps) and bool(found)
        widths = {*found, *([1] if single else [])}
    if widths - {channels}:
        got = f"steps of {', '.join(map(str, sorted(widths)))}"
        hint = "name as many channels in its shape, or mend it in data.query"
        raise InvalidInput(where, expected=f"steps of {channels} numbers", got=got, hint=hint)


def _listed(value: Any) -> Any:
    """As an array; of objects where the lists in it are not of one length."""
    try:
        return np.ma.asarray(value)
    except ValueError:
        made = np.empty(len(value), dtype=object)
        made[:] = value
        return made


def _numbers(value: object, where: str, channels: int = 1) -> NDArray[np.float64]:
    """All numbers of a list, or of lists in it, step by step; missing ones as NaN, and a missing step as all of it."""
    array = _listed(value)
    if array.ndim and array.dtype == object:
        steps = np.ma.getdata(array)
        gone = np.full(channels if any(np.ndim(step) for step in steps) else 1, np.nan)
        parts = [gone if part is None else _numbers(part, where) for part in steps]
        return np.concatenate([part.ravel() for part in parts]) if parts else np.empty(0)
    if array.dtype.kind not in "fiub":
        raise InvalidInput(where, expected="numbers", got=repr(value)[:80])
    found: NDArray[np.float64] = np.ma.filled(array.astype(np.float64), np.nan).ravel()
    return found

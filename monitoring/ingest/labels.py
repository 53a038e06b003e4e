"""Labels from outside: read, refused with a reason, or written to their own log before the answer."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import orjson

from staytrue.errors import InvalidInput, TooLarge
from staytrue.events import Label, encode
from staytrue.records import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.eventlog import Writer

MOST = 100_000
"""Labels a request."""


class LabelDesk:
    """Takes labels. What was accepted outlives a kill -9."""

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.time) -> None:
        self._writer, self._clock, self._lock = writer, clock, threading.Lock()

    def accept(self, body: bytes) -> int:
        """Store the labels of a request body; how many. All of them or none.

        Raises:
            InvalidInput: not JSON, or a label without event id or truth; says which.
            TooLarge: too many at once.
            Unavailable: the log cannot be written; nothing was accepted.
        """
        labels = parse(body, self._clock())
        with self._lock:
            self._writer.append([encode(label) for label in labels])
        return len(labels)


def parse(body: bytes, now: float) -> list[Label]:
    """Labels of a request body: ``{"labels": [...]}`` or a single label.

    Raises:
        InvalidInput: see :meth:`LabelDesk.accept`.
    """
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"body, line {error.lineno} column {error.colno}", f"is not JSON: {error.msg}") from error
    items = said.get("labels", [said]) if isinstance(said, dict) else None
    if not isinstance(items, list) or not items:
        raise InvalidInput("body", expected='{"labels": [{"event_id": …, "truth": …}]}', got=str(said)[:80])
    if len(items) > MOST:
        raise TooLarge("labels", expected=f"at most {MOST}", got=str(len(items)), hint="send several requests")
    return [_label(item, f"labels[{place}]", now) for place, item in enumerate(items)]


def _label(item: Any, where: str, now: float) -> Label:
    if not isinstance(item, dict):
        raise InvalidInput(where, expected="an object", got=repr(item)[:80])
    unknown = sorted(set(item) - {"event_id", "truth", "row", "known"})
    if unknown:
        raise InvalidInput(f"{where}.{unknown[0]}", "unknown key", expected="event_id, truth, row or known")
    name, truth, row = item.get("event_id"), item.get("truth"), item.get("row", 0)
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise InvalidInput(f"{where}.event_id", expected="the event_id of an answer", got=repr(name)[:80])
    if isinstance(truth, bool) or not isinstance(truth, (int, float, str)):
        raise InvalidInput(f"{where}.truth", expected="a number or a text", got=repr(truth)[:80])
    if not isinstance(truth, str) and not math.isfinite(truth):
        raise InvalidInput(f"{where}.truth", expected="a finite number", got=repr(truth)[:80])
    if type(row) is not int or not 0 <= row < 2**31:
        raise InvalidInput(f"{where}.row", expected="a row number from 0", got=repr(row)[:80])
    return Label(event_id=name, row=row, truth=truth, known=_known(item.get("known"), where, now), received=now)


def _known(said: Any, where: str, now: float) -> float:
    if said is None:
        return now
    try:
        moment = seconds_of(said) if isinstance(said, str) else float(said)
    except (TypeError, ValueError):
        moment = math.nan
    if isinstance(said, bool) or not 0 < moment < 1e11:
        raise InvalidInput(f"{where}.known", expected="Unix seconds or RFC 3339", got=repr(said)[:80])
    return moment

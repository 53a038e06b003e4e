"""Labels from outside: read, refused with a reason, or written to their own log before the answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.errors import InvalidInput, TooLarge
from staytrue.events import Label, encode
from staytrue.records import moment, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.eventlog import Writer

MOST = 100_000
"""Labels a request."""
LONGEST = 10_000
"""Characters of a text."""


class LabelDesk:
    """Takes labels. What was accepted outlives a kill -9.

    Args:
        event_clock: what a label that does not say when it became known is dated by; the wall clock where None.
    """

    def __init__(
        self, writer: Writer, clock: Callable[[], float] = time.time, event_clock: Callable[[], float] | None = None
    ) -> None:
        self._writer, self._clock, self._event_clock = writer, clock, event_clock or clock

    def accept(self, body: bytes) -> int:
        """Store the labels of a request body; how many. All of them or none.

        Raises:
            InvalidInput: not JSON, or a label without event id or truth; says which.
            TooLarge: too many at once.
            Unavailable: the log cannot be written; nothing was accepted.
        """
        labels = parse(body, self._clock(), self._event_clock())
        self._writer.append([encode(label) for label in labels])
        return len(labels)


def parse(body: bytes, received: float, known: float) -> list[Label]:
    """Labels of a request body: ``{"labels": [...]}`` or a single label; ``known`` where one does not say.

    Raises:
        InvalidInput: see :meth:`LabelDesk.accept`.
    """
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput("body", f"is not JSON: {error}") from error
    items = said.get("labels", [said]) if isinstance(said, dict) else None
    if not isinstance(items, list) or not items:
        raise InvalidInput("body", expected='{"labels": [{"event_id": …, "truth": …}]}', got=shown(said))
    if len(items) > MOST:
        raise TooLarge("labels", expected=f"at most {MOST}", got=str(len(items)), hint="send several requests")
    labels = [_label(item, f"labels[{place}]", received, known) for place, item in enumerate(items)]
    _check_agreement(labels)
    return labels


def _check_agreement(labels: list[Label]) -> None:
    """Refuse two truths of one row that became known at one time: nothing says which corrects the other."""
    first: dict[tuple[str, int, float], int] = {}
    for place, label in enumerate(labels):
        other = first.setdefault((label.event_id, label.row, label.known), place)
        if labels[other].truth != label.truth:
            raise InvalidInput(
                f"labels[{place}].truth",
                f"is another than in labels[{other}], which is of the same event and row",
                expected=shown(labels[other].truth),
                got=shown(label.truth),
                hint="send one, or say of each when it became known",
            )


def _label(item: Any, where: str, received: float, known: float) -> Label:
    if not isinstance(item, dict):
        raise InvalidInput(where, expected="an object", got=shown(item))
    unknown = sorted(set(item) - {"event_id", "truth", "row", "known"})
    if unknown:
        raise InvalidInput(f"{where}.{unknown[0]}", "unknown key", expected="event_id, truth, row or known")
    name, truth, row = item.get("event_id"), item.get("truth"), item.get("row", 0)
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise InvalidInput(f"{where}.event_id", expected="the event_id of an answer", got=shown(name))
    if isinstance(truth, bool) or not isinstance(truth, (int, float, str)):
        raise InvalidInput(f"{where}.truth", expected="a number or a text", got=shown(truth))
    if isinstance(truth, str) and len(truth) > LONGEST:
        raise InvalidInput(f"{where}.truth", expected=f"at most {LONGEST} characters", got=str(len(truth)))
    if isinstance(truth, int) and not -(2**63) <= truth < 2**63:
        raise InvalidInput(f"{where}.truth", expected="a whole number of 64 bits, or a float", got=shown(truth))
    if type(row) is not int or not 0 <= row < 2**31:
        raise InvalidInput(f"{where}.row", expected="a row number from 0", got=shown(row))
    said = item.get("known")
    since = known if said is None else moment(said, f"{where}.known")
    return Label(event_id=name, row=row, truth=truth, known=since, received=received)

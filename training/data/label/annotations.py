"""Annotations: which annotator gave which item which label, in the long form that sparse labels need."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from staytrue.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_CLASSES = 1000
_WHOLE = re.compile(r"([+-]?\d+)\.0*")


@dataclasses.dataclass(frozen=True)
class Annotations:
    """M labels that R annotators gave to N items, each one of K classes. A label that was not given is not there.

    Shapes: ``items`` [N], ``annotators`` [R] and ``classes`` [K] of names; ``item``, ``annotator`` and ``label`` [M] of
    places in them, in the order of the items. Classes are in the order of an ordinal scale: of their numbers where all
    are numbers, else of their names, unless another order was given.
    """

    items: tuple[str, ...]
    annotators: tuple[str, ...]
    classes: tuple[str, ...]
    item: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item)

    def counts(self) -> NDArray[np.int64]:
        """How often each item was given each class. Shapes: [N,K]."""
        kinds = len(self.classes)
        flat = np.bincount(self.item * kinds + self.label, minlength=len(self.items) * kinds)
        return flat.reshape(len(self.items), kinds)

    def of(self, annotator: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The items that one annotator labelled, and the labels. Shapes: [L], [L]."""
        theirs = self.annotator == annotator
        return self.item[theirs], self.label[theirs]

    def values(self) -> NDArray[np.float64]:
        """The classes as numbers. Shapes: [K].

        Raises:
            InvalidInput: a class that is none; names it.
        """
        numbers = [number_of(name) for name in self.classes]
        for name, number in zip(self.classes, numbers, strict=True):
            if number is None:
                hint = "use the scale ordinal with an order of the classes, or nominal"
                raise InvalidInput("scale interval", expected="labels that are numbers", got=repr(name)[:80], hint=hint)
        return np.array(numbers, dtype=np.float64)


def annotated(
    items: Sequence[str],
    annotators: Sequence[str],
    item: NDArray[np.int64],
    annotator: NDArray[np.int64],
    labels: NDArray[Any],
) -> Annotations:
    """Annotations of labels as texts, one for each place in ``item`` and ``annotator``.

    >>> made = annotated(["a", "b"], ["x"], np.array([0, 1]), np.array([0, 0]), np.array(["10", "9"]))
    >>> made.classes, made.counts().tolist()
    (('9', '10'), [[0, 1], [1, 0]])

    Shapes: item, annotator, labels [M].

    Raises:
        InvalidInput: no label at all, or very many classes.
    """
    names, places = np.unique(labels.astype(str), return_inverse=True)
    if not len(names):
        raise InvalidInput("annotations", expected="at least one label", got="none")
    written = _alike(names.tolist())
    classes = _ordered(sorted(set(written)))
    if len(classes) > MOST_CLASSES:
        got = f"{len(classes)}: {', '.join(classes[:3])}, …"
        hint = "is it the column of labels? Numbers that vary freely have no classes: round them"
        raise InvalidInput("annotations", expected=f"at most {MOST_CLASSES} classes", got=got[:200], hint=hint)
    place = {name: index for index, name in enumerate(classes)}
    label = np.array([place[name] for name in written], dtype=np.int64)[places]
    sorting = np.lexsort((annotator, item))
    return Annotations(tuple(items), tuple(annotators), classes, item[sorting], annotator[sorting], label[sorting])


def in_order(made: Annotations, order: Sequence[str], *, others: bool) -> Annotations:
    """The same with the classes in another order, those that nobody gave among them.

    Args:
        made: the annotations.
        order: names of classes.
        others: whether classes that the order lacks follow it.

    Raises:
        InvalidInput: a class that the order lacks, unless those follow; or one that stands there twice.
    """
    absent = [name for name in made.classes if name not in order]
    if absent and not others:
        got = ", ".join(map(repr, absent))[:200]
        hint = f"the order names {', '.join(order)}"[:200]
        raise InvalidInput("order of classes", "lacks labels that were given", got=got, hint=hint)
    classes = (*order, *absent)
    if len(set(classes)) < len(classes):
        raise InvalidInput("order of classes", expected="each class once", got=", ".join(order)[:200])
    place = {name: number for number, name in enumerate(classes)}
    renamed = np.array([place[name] for name in made.classes], dtype=np.int64)
    return dataclasses.replace(made, classes=classes, label=renamed[made.label])


def number_of(name: str) -> float | None:
    """The number that a class is called by, if it is one.

    >>> number_of("2.5"), number_of("cat"), number_of("nan")
    (2.5, None, None)
    """
    try:
        number = float(name)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _alike(names: list[str]) -> list[str]:
    """Numbers written alike: a table with gaps writes 3 as 3.0, one without them as 3."""
    if any(number_of(name) is None for name in names):
        return names
    return [_WHOLE.sub(r"\1", name) if _WHOLE.fullmatch(name) else name for name in names]


def _ordered(names: list[str]) -> tuple[str, ...]:
    numbers = all(number_of(name) is not None for name in names)
    return tuple(sorted(names, key=float)) if numbers else tuple(names)

"""Breaches: where labels do not keep to the guideline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from staytrue.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.data.label.annotations import Annotations
    from training.data.label.consensus import Consensus
    from training.data.label.figures import Figure
    from training.data.label.guideline import Guideline

Kind = Literal[
    "unknown class", "unused class", "example", "share", "allowed classes", "annotators per item", "agreement"
]


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the guideline says: of what kind, of whom or which item or class, and what was found."""

    kind: Kind
    what: str
    found: str
    count: int = 1
    """Labels, or items, that it is about."""


def breaches(made: Annotations, agreed: Consensus, guideline: Guideline, alpha: Figure) -> list[Breach]:
    """All breaches, those of classes first."""
    return [
        *_classes(made, guideline),
        *_examples(made, agreed, guideline),
        *_annotators(made, guideline),
        *_items(made, guideline),
        *_agreement(alpha, guideline),
    ]


def _classes(made: Annotations, guideline: Guideline) -> Iterator[Breach]:
    given = np.bincount(made.label, minlength=len(made.classes))
    for place, name in enumerate(made.classes):
        if name not in guideline.classes and given[place]:
            who = sorted({made.annotators[number] for number in made.annotator[made.label == place].tolist()})
            hint = meant(name, guideline.classes)
            found = f"{given[place]} labels by {_listed(who)}{'; ' + hint if hint else ''}"
            yield Breach(kind="unknown class", what=name, found=found, count=int(given[place]))
    used = {name for place, name in enumerate(made.classes) if given[place]}
    for name in guideline.classes:
        if name not in used:
            yield Breach(kind="unused class", what=name, found="nobody gave it", count=0)


def _examples(made: Annotations, agreed: Consensus, guideline: Guideline) -> Iterator[Breach]:
    place = {name: number for number, name in enumerate(made.items)}
    for name, kind in guideline.classes.items():
        for example in kind.examples:
            item = place.get(example)
            label = agreed.label[item] if item is not None else -1
            if label >= 0 and made.classes[label] != name:
                found = f'consensus is "{made.classes[label]}", the guideline says "{name}"'
                yield Breach(kind="example", what=example, found=found)


def _annotators(made: Annotations, guideline: Guideline) -> Iterator[Breach]:
    kinds = len(made.classes)
    table = np.bincount(made.annotator * kinds + made.label, minlength=len(made.annotators) * kinds)
    table = table.reshape(-1, kinds)
    total = table.sum(axis=1)
    place = {name: number for number, name in enumerate(made.classes)}
    for number, annotator in enumerate(made.annotators):
        allowed = guideline.rules.allowed.get(annotator)
        for name in made.classes if allowed is not None else ():
            count = int(table[number, place[name]])
            if allowed is not None and count and name not in allowed and name in guideline.classes:
                found = f'gave "{name}" {count} times, may give {_listed(allowed)}'
                yield Breach(kind="allowed classes", what=annotator, found=found, count=count)
        if total[number] < guideline.rules.labels_to_judge:
            continue
        for name, kind in guideline.classes.items():
            share = table[number, place[name]] / total[number] if name in place else 0.0
            if not kind.min_share <= share <= kind.max_share:
                bound = f"at most {kind.max_share:g}" if share > kind.max_share else f"at least {kind.min_share:g}"
                found = f'{share:.3g} of {total[number]} labels are "{name}", the guideline wants {bound}'
                yield Breach(kind="share", what=annotator, found=found, count=int(total[number]))


def _items(made: Annotations, guideline: Guideline) -> Iterator[Breach]:
    least = guideline.rules.annotators_per_item
    keys = np.unique(made.item * len(made.annotators) + made.annotator)
    labels = np.bincount(keys // len(made.annotators), minlength=len(made.items))
    few = np.flatnonzero(labels < least)
    if len(few):
        found = f"{len(few)} of {len(made.items)} items have labels of fewer than {least} annotators"
        first = _listed([made.items[item] for item in few[:4].tolist()])
        yield Breach(kind="annotators per item", what=first, found=found, count=len(few))


def _agreement(alpha: Figure, guideline: Guideline) -> Iterator[Breach]:
    least = guideline.rules.min_agreement
    if least is not None and (alpha.value is None or alpha.value < least):
        found = f"alpha is {alpha.value:.3f}" if alpha.value is not None else f"alpha has no value: {alpha.note}"
        yield Breach(kind="agreement", what="all annotators", found=f"{found}, the guideline wants {least:g}")


def _listed(names: list[str]) -> str:
    """The first three, and that there are more."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")

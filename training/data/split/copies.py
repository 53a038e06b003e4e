"""Copies: served rows with the features of rows that they must not meet; told, and left out of a retraining."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from staytrue.records import utc
from training.data.keys import keys_of
from training.data.rows import one_after_other
from training.data.split.leakage import Finding, Pair, duplicates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.splitting import Leakage
    from training.data.divide import Division
    from training.data.rows import Rows, TrainingRows

LOOKED_FOR = (
    ("gate", ("train", "validation"), "gate"),
    ("newly held", ("train",), "newly held"),
    ("gate", ("newly trained",), "newly trained"),
    ("newly held", ("newly trained",), "newly trained"),
    ("validation", ("newly trained",), "newly trained"),
    ("test", ("newly trained",), "newly trained"),
)
"""Rows that judge, stop or are sealed; those that are learnt from; which of both a copy is left out of.

What the project's own parts share was judged when they were split. Of them nothing is left out.
"""


class Copies(msgspec.Struct, frozen=True, kw_only=True):
    """What two parts of a retraining share."""

    finding: Finding
    left_out: int
    """Rows that were taken out of ``of`` for it; none where chance explains them, or a setting lets them through."""
    of: str

    def sentence(self) -> str:
        """For people."""
        said = {
            "leakage": f"; {self.left_out} {self.of} rows are left out",
            "by chance": ": no more than by chance, they stay",
            "let through": ": split.allow lets them through",
        }
        return self.finding.sentence() + said.get(self.finding.verdict, "")


def without_copies(
    division: Division, own: tuple[TrainingRows, Rows, Rows], allow: Sequence[Leakage]
) -> tuple[Division, list[Copies]]:
    """Newly labelled rows without copies, and what was found; ``own`` are train, validation and test of the project.

    What is leakage is judged as between the parts of a split: more copies than the rows repeat anyway.
    """
    served = {"gate": division.gate, "newly held": division.held, "newly trained": division.train}
    parts = dict(zip(("train", "validation", "test"), own, strict=True)) | served
    ends = np.cumsum([0, *(len(part) for part in parts.values())])
    index = {name: np.arange(begin, end) for name, begin, end in zip(parts, ends, ends[1:], strict=False)}
    whole = one_after_other(list(parts.values()), np.arange(ends[-1]))
    keys = keys_of(whole.columns)
    pairs = [
        (Pair(part, " or ".join(others), index[part], np.concatenate([index[other] for other in others])), of)
        for part, others, of in LOOKED_FOR
    ]
    pairs = [(pair, of) for pair, of in pairs if len(pair.held) and len(pair.others)]
    found, gone = list[Copies](), np.zeros(len(whole), dtype=np.bool_)
    for finding, (pair, of) in zip(
        duplicates(whole, keys, [pair for pair, _ in pairs], index["train"]), pairs, strict=True
    ):
        if finding.rows:
            copied = np.isin(keys[index[of]], keys[pair.others if of == pair.part else pair.held])
            told = _told(finding, pair, whole, keys, allow)
            left_out = int(copied.sum()) if told.verdict == "leakage" else 0
            gone[index[of][copied]] |= left_out > 0
            found.append(Copies(finding=told, left_out=left_out, of=of))
    gate, held, train = (~gone[index[name]] for name in served)
    left = dataclasses.replace(
        division, gate=division.gate.take(gate), held=division.held.take(held), train=division.train.take(train)
    )
    return left, found


def _told(finding: Finding, pair: Pair, rows: Rows, keys: np.ndarray, allow: Sequence[Leakage]) -> Finding:
    """The finding with the times of two rows, their numbers being nobody's, and the verdict that the settings make."""
    one = pair.held[np.argmax(np.isin(keys[pair.held], keys[pair.others]))]
    other = pair.others[np.argmax(keys[pair.others] == keys[one])]
    example = f"one of {utc(float(rows.time[one]))} and one of {utc(float(rows.time[other]))}"
    allowed = finding.verdict == "leakage" and "duplicates" in allow
    return msgspec.structs.replace(finding, example=example, verdict="let through" if allowed else finding.verdict)

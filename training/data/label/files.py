"""Files: what is written of a settlement, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from staytrue.records import write_atomically
from training.data.label.chapter import told

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.data.label.settling import Settlement

LABELS, SEND_BACK, SUSPECTS, REPORT = "labels.csv", "send_back.csv", "suspects.csv", "report.json"


def write(found: Settlement, folder: Path) -> list[Path]:
    """Write the files into a folder, over those of an earlier run; the paths."""
    made, agreed = found.annotations, found.consensus
    given = np.bincount(made.item, minlength=len(made.items)).tolist()
    names = [*made.classes, ""]  # -1 is nobody's
    labels = (names[label] for label in agreed.label.tolist())
    rows = zip(
        made.items, labels, agreed.sure().round(6).tolist(), given, agreed.tied.astype(int).tolist(), strict=True
    )
    files = {LABELS: _csv(["item", "label", "posterior", "labels", "tied"], rows)}
    back = (
        [rank, one.item, one.label, round(one.posterior, 6), round(one.entropy, 6), told(one.labels), one.reason]
        for rank, one in enumerate(found.returns, 1)
    )
    files[SEND_BACK] = _csv(["rank", "item", "label", "posterior", "entropy", "labels", "reason"], back)
    if found.report.suspicion is not None:
        wrong = (
            [rank, one.item, one.given, one.suggested, round(one.given_probability, 6)]
            for rank, one in enumerate(found.suspects, 1)
        )
        files[SUSPECTS] = _csv(["rank", "item", "label", "suggested", "probability"], wrong)
    files[REPORT] = msgspec.json.format(msgspec.json.encode(found.report), indent=2) + b"\n"
    for name, data in files.items():
        write_atomically(folder / name, data)
    return [folder / name for name in files]


def _csv(header: list[str], rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()

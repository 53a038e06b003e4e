"""Report: what of a file of weights went into a model, and what did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.records import write_atomically
from training.data.chapters import Chapter, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.data.chapters import Cell

FILE = "transfer.json"
MOST = 20
"""Names that a chapter lists; the file has them all."""


class OtherShape(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor whose name both have, and not its shape."""

    name: str
    file: list[int]
    model: list[int]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many parameters learn at so many times the learning rate."""

    factor: float
    numbers: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came from where. Names are the model's, those of ``unused`` the file's after renaming."""

    weights: str
    sha256: str
    numbers: int
    """Of all parameters of the model."""
    taken: int = 0
    """Of them from the file."""
    matched: list[str] = []
    head: list[str] = []
    """Parameters of the last layer that are fresh."""
    other_shape: list[OtherShape] = []
    missing: list[str] = []
    unused: list[str] = []
    prefix_file: str = ""
    """What came off the file's names."""
    prefix_model: str = ""
    """What came off the model's."""
    frozen: list[str] = []
    frozen_numbers: int = 0
    rates: list[Rate] = []
    warnings: list[str] = []

    @property
    def share(self) -> float:
        """Of the model's parameters that came from the file."""
        return self.taken / self.numbers


def summary(report: Report) -> str:
    """In a sentence."""
    if not report.weights:
        return f"All {report.numbers} parameters are fresh."
    head = f"; the last layer is fresh: {_few(report.head)}" if report.head else ""
    frozen = f"; {report.frozen_numbers} are frozen" if report.frozen else ""
    return f"{report.share:.1%} of {report.numbers} parameters came from {report.weights}{head}{frozen}."


def chapter(report: Report) -> Chapter:
    """What a report says, for people."""
    counts: list[list[Cell]] = [
        ["matched", len(report.matched), ""],
        ["fresh, of the last layer", len(report.head), _few(report.head)],
        ["of other shape", len(report.other_shape), _few([one.name for one in report.other_shape])],
        ["missing in the file", len(report.missing), _few(report.missing)],
        ["unused of the file", len(report.unused), _few(report.unused)],
        ["frozen", len(report.frozen), _few(report.frozen)],
    ]
    took_off = [f"{name!r} of the {whose}" for name, whose in _prefixes(report) if name]
    note = f"Taken off names: {', '.join(took_off)}." if took_off else ""
    tables = [Table(title="Tensors", columns=["which", "how many", "names"], rows=counts, note=note)]
    if report.other_shape:
        shapes: list[list[Cell]] = [[one.name, str(one.file), str(one.model)] for one in report.other_shape[:MOST]]
        tables.append(Table(title="Other shapes", columns=["name", "file", "model"], rows=shapes))
    if report.rates:
        rates: list[list[Cell]] = [[rate.factor, rate.numbers] for rate in report.rates]
        tables.append(Table(title="Learning rates", columns=["factor", "parameters"], rows=rates))
    return Chapter(title="Transfer", summary=summary(report), tables=tables, warnings=report.warnings)


def tell(report: Report | None, folder: Path, say: Callable[[str], None]) -> None:
    """Write the report of a run into its folder, and say what came of it; nothing without one."""
    if report is None:
        return
    write_atomically(folder / FILE, msgspec.json.format(msgspec.json.encode(report)))
    for line in (summary(report), *report.warnings):
        say(f"transfer: {line}")


def _prefixes(report: Report) -> list[tuple[str, str]]:
    return [(report.prefix_file, "file"), (report.prefix_model, "model")]


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

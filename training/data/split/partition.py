"""Partition: rows are split, leakage between the parts is refused, and how alike they are is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from training.data.chapters import Cell, Chapter, Table
from training.data.split.alikeness import RATE, Comparison, compare
from training.data.split.dealing import NAMES, shares_of
from training.data.split.leakage import Finding, find, refuse
from training.data.split.plan import MISSED, split
from training.progress import unwatched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staytrue.feature import Feature
    from staytrue.splitting import SplitSection
    from training.data.rows import Rows
    from training.data.split.plan import Split
    from training.progress import Watch

_EAGER = (
    "Blocks of time keep neighbours together, and neighbours are alike: the rows count for fewer than they are, so "
    "that the tests are too eager, and a column that differs may merely have had another week."
)
NONE = 0.5
"""Chance explains no row where fewer are expected."""
_BY_AGE = "The parts follow each other in time: what differs between them has changed, which is what is to be known."


class SplitReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows were split, and what the parts have to do with each other."""

    method: str
    seed: int
    rows: dict[str, int]
    """Of each part."""
    asked: dict[str, float] = {}
    """Share of all rows that each part was to get; nothing where somebody else has dealt them."""
    leakage: list[Finding]
    comparisons: list[Comparison]

    @property
    def differing(self) -> list[Comparison]:
        """Columns that are not distributed alike."""
        return [comparison for comparison in self.comparisons if comparison.differs]


def partition(
    rows: Rows, settings: SplitSection, features: Mapping[str, Feature], watch: Watch = unwatched
) -> tuple[Split, SplitReport]:
    """Split the rows and look at the parts.

    Raises:
        InvalidInput: too few rows, or parts that share what no setting lets through.
    """
    plan = split(rows, settings)
    leakage = find(rows, plan, settings, features, watch)
    plan = msgspec.structs.replace(plan, let_through=refuse(leakage, settings.method))
    with watch("likeness"):
        comparisons = compare(rows, plan, features)
    return plan, SplitReport(
        method=plan.method,
        seed=plan.seed,
        rows={name: len(part) for name, part in plan.parts.items()},
        asked={} if plan.method == "given" else dict(zip(NAMES, shares_of(settings), strict=True)),
        leakage=leakage,
        comparisons=comparisons,
    )


def warnings_of(report: SplitReport) -> list[str]:
    """What somebody should look at: parts of another size, leakage that was let through, columns that differ."""
    told = _missed(report)
    told += [f"let through: {finding.sentence()}" for finding in report.leakage if finding.verdict == "let through"]
    for part in ("validation", "test"):
        names = [comparison.column for comparison in report.differing if comparison.part == part]
        if names:
            of = sum(comparison.part == part for comparison in report.comparisons)
            eager = ", by a test that neighbours in time make too eager" if report.method == "blocks" else ""
            told.append(
                f"{len(names)} of {of} columns differ between train and {part}{eager}: {', '.join(names)[:200]}"
            )
    return told


def _missed(report: SplitReport) -> list[str]:
    """Parts whose share is far from what was asked for, as whole blocks, groups or times are dealt."""
    total = sum(report.rows.values())
    shares = {name: (report.rows[name] / total, asked) for name, asked in report.asked.items()}
    told = {
        "blocks": "lower split.block_days",
        "grouped": "groups are dealt whole",
        "time": "rows of one time stay together",
        "stratified": "classes of few rows go to train first",
    }
    why = told.get(report.method, "there are few rows")
    return [
        f"{name} has {share:.1%} of the rows where split asks for {asked:.1%}: {why}"
        for name, (share, asked) in shares.items()
        if abs(share - asked) > MISSED
    ]


def chapter(report: SplitReport) -> Chapter:
    """What was done, for the report of a preparation."""
    total = sum(report.rows.values())
    shares = ", ".join(f"{rows} {name} ({rows / total:.1%})" for name, rows in report.rows.items())
    return Chapter(
        title="Split",
        summary=f"{total} rows by method {report.method}, seed {report.seed}: {shares}.",
        tables=[_leakage(report.leakage), _alikeness(report)],
        warnings=warnings_of(report),
    )


def _leakage(findings: list[Finding]) -> Table:
    rows: list[list[Cell]] = [
        [f.kind, f.part, f.other, f.rows, f.of, round(f.expected, 3), _verdict(f), f.example] for f in findings
    ]
    return Table(
        title="What parts share",
        columns=["looked for", "in", "shared with", "rows", "of", "explained by chance", "verdict", "example"],
        rows=rows,
        note="Rows are counted from 0, after cleaning, in the order of time. Too few: chance explains none of them, "
        "and yet they are too few to be sure that they are copies.",
    )


def _verdict(finding: Finding) -> str:
    """What people read: where chance explains no row, none is told to be by chance."""
    return "too few" if finding.verdict == "by chance" and finding.expected < NONE else finding.verdict


def _alikeness(report: SplitReport) -> Table:
    rows: list[list[Cell]] = [
        [c.column, c.part, c.test, c.statistic, c.p_value, c.adjusted, "differs" if c.differs else "alike"]
        for c in report.comparisons
    ]
    note = (
        "Each column of the training rows against the same of another part; adjusted by Benjamini and Hochberg, so "
        f"that of those said to differ {RATE:.0%} on average do not."
    )
    more = {"blocks": _EAGER, "time": _BY_AGE}.get(report.method, "")
    return Table(
        title="How alike the parts are",
        columns=["column", "part", "test", "statistic", "p", "adjusted p", "verdict"],
        rows=rows,
        note=f"{note} {more}".strip(),
    )

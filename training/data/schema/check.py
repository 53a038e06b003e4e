"""Check: collected rows against a schema; what violates it is counted by column and rule, with examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, InvalidInput
from staytrue.nearest import meant
from training.data.chapters import Chapter, Table, many
from training.data.collect.aside import Fault, set_aside
from training.data.collect.reading import literal, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.chapters import Cell
    from training.data.collect.reading import Reading
    from training.data.schema.schema import ColumnSchema, Schema

_EXAMPLES = 5


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one column that break one rule."""

    column: str
    rule: str
    count: int
    examples: list[str]


class SchemaReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    file: str
    columns: int
    rows: int
    bad_rows: int
    violations: list[Violation]


def check(
    schema: Schema,
    path: Path,
    reading: Reading,
    table: str,
    *,
    limit: float,
    source: str,
    needed: list[str],
    quarantine: Path,
) -> SchemaReport:
    """Check a table; rows that violate the schema leave it for the quarantine.

    Raises:
        InvalidConfig: the schema names other columns than the project.
        InvalidInput: a larger share of rows than ``limit`` violates it, or any where it is 0; they stand in
            ``quarantine`` then.
    """
    _refuse_other_columns(schema, path, needed)
    rows, types = reading.count(table), reading.columns(table)
    rules = [(name, rule, sql) for name in needed for rule, sql in _rules(schema.columns[name], name, types[name])]
    found = [_violation(reading, table, name, rule, sql) for name, rule, sql in rules]
    violations = [violation for violation in found if violation.count]
    broken = [rule for rule, violation in zip(rules, found, strict=True) if violation.count]
    faults = [
        Fault(name, f"schema: {rule}", literal(f"such values {rule}, says the schema"), quoted(name), sql)
        for name, rule, sql in broken
    ]
    bad = set_aside(reading, table, source, faults)
    if bad > limit * rows:
        reading.quarantine.write(quarantine)
        raise _refusal(path, violations, bad, rows, limit, quarantine)
    return SchemaReport(file=path.name, columns=len(needed), rows=rows, bad_rows=bad, violations=violations)


def chapter(report: SchemaReport) -> Chapter:
    """The report for people."""
    rows: list[list[Cell]] = [[v.column, v.rule, v.count, ", ".join(v.examples)] for v in report.violations]
    tables = [Table(title="Violations", columns=["column", "rule", "values", "examples"], rows=rows)] if rows else []
    summary = f"{many(report.rows, 'row')} checked against {many(report.columns, 'column')} of {report.file}; "
    broken = "violates it and is" if report.bad_rows == 1 else "violate it and are"
    summary += f"{many(report.bad_rows, 'row')} {broken} set aside." if report.bad_rows else "none violates it."
    warnings = [f"{v.column}: {many(v.count, 'value')} {v.rule}" for v in report.violations]
    return Chapter(title="Schema", summary=summary, tables=tables, warnings=warnings)


def _refuse_other_columns(schema: Schema, path: Path, needed: list[str]) -> None:
    for name in needed:
        if name not in schema.columns:
            near = meant(name, [other for other in schema.columns if other not in needed])
            hint = f"the file has a column that the project does not read: {near}" if near else "add it, or infer anew"
            raise InvalidConfig(shown(path), f'no column "{name}", which the project reads', hint=hint)
    for name in schema.columns:
        if name not in needed:
            problem = f'column "{name}" is neither time, target nor feature of the project'
            raise InvalidConfig(shown(path), problem, hint="remove it")


def _rules(column: ColumnSchema, name: str, kind: str) -> list[tuple[str, str]]:
    """Each rule in words and as the SQL of what breaks it."""
    raw = quoted(name)
    number = f"TRY_CAST({raw} AS DOUBLE)"
    numeric = "number" in column.type
    gone = f"({raw} IS NULL{f' OR coalesce(isnan({number}), false)' if numeric else ''}{_empty(raw, kind)})"
    rules = [] if column.missing else [("are missing", gone)]
    if numeric:
        rules.append(("are no numbers", f"NOT {gone} AND {number} IS NULL"))
        if column.type == "whole number":
            rules.append(("are not whole", f"NOT {gone} AND {number} <> round({number})"))
        if column.minimum is not None:
            rules.append((f"are below {column.minimum:.15g}", f"NOT {gone} AND {number} < {column.minimum!r}"))
        if column.maximum is not None:
            rules.append((f"are above {column.maximum:.15g}", f"NOT {gone} AND {number} > {column.maximum!r}"))
    if column.type == "time" and kind in {"VARCHAR", "JSON"}:  # others are times, or Unix seconds
        rules.append(("are no times", f"NOT {gone} AND TRY_CAST({raw} AS TIMESTAMPTZ) IS NULL"))
    if column.categories is not None:
        listed = ", ".join(literal(value) for value in column.categories) or "NULL"
        rules.append(
            ("are no category", f"NOT {gone} AND coalesce({_text(raw, kind, numeric)} NOT IN ({listed}), true)")
        )
    return rules


def _empty(raw: str, kind: str) -> str:
    return f" OR {raw} = ''" if kind == "VARCHAR" else ""


def _text(raw: str, kind: str, numeric: bool) -> str:
    """A value as :func:`training.data.typed.text_of` writes it: whole numbers without a point."""
    if kind not in {"DOUBLE", "FLOAT"} and not numeric:
        return f"CAST({raw} AS VARCHAR)"
    number = f"TRY_CAST({raw} AS DOUBLE)"
    whole = f"CAST(TRY_CAST({number} AS HUGEINT) AS VARCHAR)"
    return f"CASE WHEN {number} = trunc({number}) THEN {whole} ELSE CAST({raw} AS VARCHAR) END"


def _violation(reading: Reading, table: str, name: str, rule: str, sql: str) -> Violation:
    execute = reading.connection.execute
    count = int(execute(f"SELECT count(*) FROM {quoted(table)} WHERE {sql}").fetchall()[0][0])  # noqa: S608 - ours
    rows = f"FROM {reading.numbered(table)} WHERE {sql} ORDER BY 1 LIMIT {_EXAMPLES}"
    some = f"SELECT __row, CAST({quoted(name)} AS VARCHAR) {rows}"
    examples = [f"{value or 'missing'} (row {row + 1})" for row, value in execute(some).fetchall()] if count else []
    return Violation(column=name, rule=rule, count=count, examples=examples)


def _refusal(
    path: Path, violations: list[Violation], bad: int, rows: int, limit: float, quarantine: Path
) -> InvalidInput:
    told = [f"{v.column}: {v.count} {v.rule}, such as {v.examples[0]}" for v in violations]
    more = f"; and {len(told) - _EXAMPLES} more" if len(told) > _EXAMPLES else ""
    return InvalidInput(
        shown(path),
        "; ".join(told[:_EXAMPLES]) + more,
        expected=f"at most {limit:.3%} of the rows to violate it" if limit else "every row to keep it",
        got=f"{bad} of {rows}",
        hint=f"look at them (all are in {shown(quarantine)}); then mend the data, correct the schema, or set them "
        "aside by data.max_bad_rows",
    )

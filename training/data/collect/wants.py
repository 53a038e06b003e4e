"""Wants: the types that a project's columns must have, by what they are used for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staytrue.bundle import TaskName
    from staytrue.preparation import DataSection


def wanted_types(data: DataSection, task: TaskName) -> dict[str, str]:
    """Types that text must have where a number or a time is asked for."""
    plain = {name: feature for name, feature in data.features.items() if feature.kind in {"numeric", "category"}}
    numbers = [name for name, feature in plain.items() if feature.sent_as in {"FP32", "INT64"}]
    target = [] if task in {"classification", "generation"} else data.targets
    return dict.fromkeys([*numbers, *target], "DOUBLE") | {data.time: "TIMESTAMP WITH TIME ZONE"}


def held(data: DataSection, wanted: dict[str, str]) -> dict[str, str]:
    """Types that hold any value of a column: numbers that are sent as whole ones stay what they are."""
    dates = [name for name, feature in data.features.items() if feature.kind == "date"]
    whole = {name for name, feature in data.features.items() if feature.sent_as == "INT64" and feature.kind != "date"}
    moments = dict.fromkeys(dates, wanted[data.time])
    return {name: kind for name, kind in wanted.items() if name not in whole} | moments


def uncertain(data: DataSection, wanted: dict[str, str], types: dict[str, str]) -> dict[str, str]:
    """Columns to cast: text where something else is wanted, and JSON, which rows of unlike kinds become."""
    texts = [name for name, feature in data.features.items() if feature.kind in {"category", "text"}]
    words = {*texts, *data.targets}
    mixed = {name: "VARCHAR" for name in words - wanted.keys() if types.get(name) == "JSON"}
    return {name: kind for name, kind in wanted.items() if types.get(name) in {"VARCHAR", "JSON"}} | mixed

"""Text: a diagnosis for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.diagnosis import Diagnosis, Finding, Remedy, Symptom


def said(diagnosis: Diagnosis) -> Iterator[str]:
    """Its lines."""
    if not diagnosis.findings:
        yield f"nothing found; looked for {', '.join(diagnosis.looked_for)}"
    for place, finding in enumerate(diagnosis.findings, 1):
        yield from _finding(place, finding)
    for kind, reason in diagnosis.dropped.items():
        yield f"suspected and dropped: {kind}: {reason}"
    for kind, reason in diagnosis.not_looked_for.items():
        yield f"not looked for: {kind}: {reason}"


def _finding(place: int, finding: Finding) -> Iterator[str]:
    yield f"{place}. {finding.kind}: {finding.summary}"
    yield "   evidence:"
    yield from (f"   - {_evidence(one)}" for one in finding.evidence)
    yield f"   rule: {finding.source}"
    yield "   to try, the most promising first:"
    yield from (f"   - {_remedy(one)}" for one in finding.remedies)
    yield ""


def _evidence(one: Symptom) -> str:
    ends = [f"{end:.3g}" if end is not None else "" for end in (one.low, one.high)]
    within = f" [{ends[0]}, {ends[1]}]" if one.low is not None else ""
    return f"{one.what}: {one.value:.3g}{within} ({one.limit})"


def _remedy(one: Remedy) -> str:
    return f"{one.setting}: {written(one.value)}  # {one.reason}" if one.setting else one.reason


def written(value: Any) -> str:
    """A value as YAML says it in a line."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()

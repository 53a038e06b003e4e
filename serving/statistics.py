"""What each version has done since this process started, as the statistics extension tells it.

Source: Triton Inference Server, protocol extension "statistics" (protocol/extension_statistics.md).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from staytrue.errors import StaytrueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.calls import Call


@dataclass
class Spans:
    """How often something happened, and how long it took together."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Once more."""
        self.count += count
        self.seconds += seconds

    def told(self) -> dict[str, int]:
        """As the extension writes it: nanoseconds."""
        return {"count": self.count, "ns": int(self.seconds * 1e9)}


@dataclass
class Version:
    """Figures of one version."""

    last: float = 0.0
    rows: int = 0
    runs: int = 0
    success: Spans = field(default_factory=Spans)
    fail: Spans = field(default_factory=Spans)
    queue: Spans = field(default_factory=Spans)
    infer: Spans = field(default_factory=Spans)
    batches: dict[int, Spans] = field(default_factory=dict)

    def answered(self, count: int, rows: int, seconds: tuple[float, float, float]) -> None:
        """Requests were answered by one run; seconds they took together, of which in queues, and of the run."""
        took, waited, ran = seconds
        self.success.add(took, count)
        self.queue.add(waited, count)
        self.infer.add(ran * count, count)
        self.last, self.rows, self.runs = time.time(), self.rows + rows, self.runs + 1
        spans = self.batches.get(rows)
        if spans is None:
            spans = self.batches[rows] = Spans()
        spans.add(ran)


class Statistics:
    """Figures by model and version; for all threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._versions: dict[tuple[str, str], Version] = {}

    def record(self, model: str, version: str, calls: Sequence[Call]) -> None:
        """Calls that ended together, by what they are told: one run, or the failures of one moment."""
        with self._turn:
            found = self._versions.get((model, version))
            if found is None:
                found = self._versions[model, version] = Version()
            ran = waited = took = 0.0
            rows = answered = 0
            for call in calls:
                if isinstance(call.outcome, StaytrueError):
                    found.fail.add(call.ended - call.queued)
                    continue
                ran = call.ended - call.began
                rows += call.rows
                answered += 1
                took += call.ended - call.queued
                waited += call.began - call.queued
            if answered:
                found.answered(answered, rows, (took, waited, ran))

    def answered(self, model: str, version: str, count: int, rows: int, seconds: float) -> None:
        """Requests that were answered by a run of so many seconds, and waited for nothing."""
        with self._turn:
            found = self._versions.get((model, version))
            if found is None:
                found = self._versions[model, version] = Version()
            found.answered(count, rows, (count * seconds, 0.0, seconds))

    def failed(self, model: str, version: str, seconds: float) -> None:
        """A request that never came to a queue."""
        with self._turn:
            self._versions.setdefault((model, version), Version()).fail.add(seconds)

    def told(self, model: str | None = None, version: str | None = None) -> list[dict[str, Any]]:
        """``model_stats`` of all versions, or of those that are named."""
        with self._turn:
            return [
                _told(name, number, figures)
                for (name, number), figures in sorted(self._versions.items())
                if model in (None, name) and version in (None, number)
            ]


def _told(name: str, version: str, figures: Version) -> dict[str, Any]:
    nothing = Spans().told()
    return {
        "name": name,
        "version": version,
        "last_inference": int(figures.last * 1000),
        "inference_count": figures.rows,
        "execution_count": figures.runs,
        "inference_stats": {
            "success": figures.success.told(),
            "fail": figures.fail.told(),
            "queue": figures.queue.told(),
            "compute_input": nothing,
            "compute_infer": figures.infer.told(),
            "compute_output": nothing,
        },
        "batch_stats": [
            {"batch_size": rows, "compute_input": nothing, "compute_infer": spans.told(), "compute_output": nothing}
            for rows, spans in sorted(figures.batches.items())
        ],
    }

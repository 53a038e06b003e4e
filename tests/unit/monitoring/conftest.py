"""A sidecar without its processes: a store, a log, a lake, a clock that tests move, an analysis that they script."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from monitoring.analyst import Analyst, Parts
from monitoring.display.vitals import Vitals
from monitoring.ingest.collector import EVENTS, LABELS, Collector
from monitoring.ingest.lake import Lake
from monitoring.ingest.pairs import PairDesk
from monitoring.response.jobs import Jobs
from monitoring.response.notify import Outbox
from monitoring.response.reports import Reports
from monitoring.state import State
from staytrue.bundle import Bundle, Parity, digest, seal
from staytrue.eventlog import Writer
from staytrue.events import Event, Label, Tensor, encode
from staytrue.lineage import Lineage
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.records import to_json
from staytrue.sections import GateSection, MonitoringSection, RetrainingSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store
from staytrue.windows import Evidence, Quality, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitoring.analysis.rows import WindowRows

DAY = 86400.0
HOUR = 3600.0
MODEL = "toy"
START = 1_300_060_800.0
"""Midnight, 14 March 2011."""
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="x", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="hour", datatype="INT64", shape=[-1, 1], categories=["0", "1"]),
        TensorSpec(name="sky", datatype="BYTES", shape=[-1, 1], categories=["sun", "rain"]),
    ],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)
_ids = itertools.count()


def event(time: float, *, name: str = "", version: str = "1", status: str = "ok", **more: Any) -> Event:
    """An answered request of one row, or a failed one."""
    failed = status != "ok"
    x = more.pop("x", 1.5)
    given = [
        Tensor.of("x", "FP32", np.array([[x]])),
        Tensor.of("hour", "INT64", np.array([[1]])),
        Tensor.of("sky", "BYTES", np.array([["sun"]], dtype=object)),
    ]
    fields: dict[str, Any] = {
        "id": name or f"e{next(_ids)}",
        "time": time,
        "recorded": START + 1000 * DAY,
        "model": MODEL,
        "version": version,
        "status": status,
        "rows": 0 if failed else 1,
        "inputs": [] if failed else given,
        "outputs": [] if failed else [Tensor.of("y", "FP32", np.array([[2 * x]]))],
    }
    return Event(**(fields | more))


def label(name: str, truth: float | str, known: float, **more: Any) -> Label:
    """A label."""
    return Label(event_id=name, truth=truth, known=known, **({"received": known} | more))


def publish(store: Store, version_reason: str = "a test") -> str:
    """Publish and promote a version that cannot run but loads."""
    with store.new_version(MODEL) as (version, folder):
        (folder / "model.onnx").write_bytes(b"not for running")
        profile = ReferenceProfile(
            columns=[
                ReferenceColumn(name="x", kind="numeric", values=[1.0, 2.0]),
                ReferenceColumn(name="hour", kind="category", values=["0", "1"]),
                ReferenceColumn(name="sky", kind="category", values=["sun", None]),
            ],
            time=[START - DAY, START - DAY / 2],
            split=["train", "validation"],
            prediction=[2.0, 4.0],
            truth=[2.0, 4.0],
        )
        (folder / "profile.json").write_bytes(to_json(profile))
        made = digest(folder / "model.onnx")
        proofs = [
            Parity(
                format="onnx",
                runtime="none",
                artefact_sha256=made.sha256,
                batch=batch,
                rows=batch,
                max_abs_error=0,
                max_rel_error=0,
                absolute_tolerance=1e-4,
                relative_tolerance=1e-4,
                passed=True,
                edge_rows=1,
                arrangement=arrangement,
            )
            for batch, arrangement in ((1, ""), (2, ""), (4, ""), (4, "in another order"))
        ]
        bundle = Bundle(
            name=MODEL,
            version=version,
            created="2011-01-01T00:00:00Z",
            task="regression",
            target="y",
            signature=SIGNATURE,
            max_batch=4,
            artefacts={"onnx": "model.onnx"},
            files={"model.onnx": made, "profile.json": digest(folder / "profile.json")},
            parity=proofs,
            evaluation={},
            lineage=Lineage(run="r", data_fingerprint="d", project_fingerprint="p", trained_until=START - DAY),
        )
        (folder / "bundle.json").write_bytes(to_json(bundle))
        seal(folder)
    store.promote(MODEL, version, reason=version_reason)
    return version


@dataclass
class Script:
    """What the fake analysis says, by the day of the look, counted from START: evidence of drift."""

    drift: dict[int, float] = field(default_factory=dict)
    quality: dict[int, float] = field(default_factory=dict)
    looks: list[tuple[float, int]] = field(default_factory=list)
    """End and rows of every look taken."""
    since: list[float] = field(default_factory=list)
    """Of every calibration."""
    fault: Callable[[float], None] = lambda _: None

    def factory(self, bundle: Bundle, profile: ReferenceProfile, policy: MonitoringSection, since: float) -> Any:
        """Stands in for Analysis."""
        assert profile.rows
        self.since.append(since)
        return FakeAnalysis(self, bundle, policy, since)


class FakeAnalysis:
    """An analysis that says what its script says."""

    def __init__(self, script: Script, bundle: Bundle, policy: MonitoringSection, since: float) -> None:
        self._script, self._bundle, self.since, self.lookback_days = script, bundle, since, policy.window_days

    def look(self, rows: WindowRows, start: float, end: float) -> Window:
        """Say what the script says of the day that ends."""
        self._script.fault(end)
        day = round((end - START) / DAY)
        self._script.looks.append((end, len(rows)))
        drift, quality = self._script.drift.get(day), self._script.quality.get(day)
        return Window(
            model=self._bundle.name,
            version=self._bundle.version,
            start=start,
            end=end,
            rows=len(rows),
            failures=rows.failures,
            drift=[] if drift is None else [Evidence(detector="fake", feature="x", evidence=drift)],
            quality=None if quality is None else _quality(quality),
        )


def _quality(evidence: float) -> Quality:
    return Quality(metric="mae", value=2.0, baseline=1.0, evidence=evidence, rows=1, coverage=0.5)


@dataclass
class Rig:
    """A sidecar's parts in a folder; :meth:`again` is what a restart finds. Day 0 begins at ``start``."""

    folder: Path
    script: Script
    monitoring: MonitoringSection
    retraining: RetrainingSection
    command: tuple[str, ...]
    now: float = START + 1000 * DAY
    start: ClassVar[float] = START
    signature: ClassVar[Signature] = SIGNATURE
    event = staticmethod(event)
    label = staticmethod(label)

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "store")
        self.events = Writer(self.folder / "events")
        self.labels = Writer(self.folder / "labels-log")
        self.open()

    def open(self) -> None:
        """Make the parts anew over what is on disk."""
        self.registry = CollectorRegistry()
        state, lake = State(self.folder / "state.sqlite"), Lake(self.folder / "lake")
        vitals = Vitals(state, self.registry, clock=lambda: self.now)
        self.parts = Parts(
            store=self.store,
            state=state,
            lake=lake,
            events=Collector(EVENTS, self.folder / "events", lake, state, vitals),
            pairs=PairDesk(self.folder, self.store, lake, state, vitals),
            labels=Collector(LABELS, self.folder / "labels-log", lake, state, vitals),
            vitals=vitals,
            outbox=Outbox(state, self.monitoring.webhooks),
            jobs=Jobs(
                state,
                self.folder / "jobs",
                self.folder / "staytrue.yaml",
                self.retraining,
                self.store,
                clock=lambda: self.now,
                command=self.command,
            ),
            reports=Reports(self.folder / "reports"),
        )
        self.analyst = Analyst(self.parts, self.monitoring, factory=self.script.factory)

    def again(self) -> None:
        """Restart the sidecar."""
        self.parts.pairs.close()
        self.parts.state.close()
        self.open()

    def publish(self) -> str:
        """Publish and promote another version."""
        return publish(self.store)

    def window(self, first: float, last: float) -> WindowRows:
        """Rows of the lake between two days."""
        return self.parts.lake.window(MODEL, SIGNATURE, START + first * DAY, START + last * DAY)

    def stored(self) -> list[str]:
        """Event ids of all rows in the lake, sorted."""
        files = sorted((self.folder / "lake" / "events").rglob("*.parquet"))
        return sorted(name for file in files for name in pq.read_table(file, partitioning=None)["event_id"].to_pylist())

    def log(self, *events: Event) -> None:
        """Log events as the server does."""
        self.events.append([encode(item) for item in events])

    def tell(self, *labels: Label) -> None:
        """Log labels as the endpoint does."""
        self.labels.append([encode(item) for item in labels])

    def live(self, first: int, last: int, version: str = "1") -> None:
        """Two labelled requests a day, from day ``first`` to the first request of day ``last``, one tick a day."""
        for day in range(first, last + 1):
            for hour in (0, 12):
                item = event(START + day * DAY + hour * HOUR, version=version)
                self.tell(label(item.id, 3.5, item.time + HOUR))
                self.log(item)
                self.analyst.tick()
                if day == last:
                    break

    def close(self) -> None:
        """Let go of everything."""
        self.parts.outbox.stop()
        self.parts.reports.stop()
        self.events.close()
        self.labels.close()
        self.parts.pairs.close()
        self.parts.state.close()


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Make a sidecar's parts, with settings of the test's own."""
    made: list[Rig] = []

    def make(
        *, script: Script | None = None, command: tuple[str, ...] = ("false",), retrain: bool = False, **settings: Any
    ) -> Rig:
        defaults: dict[str, Any] = {"window_days": 3, "evidently": False, "for_looks": 2, "resolve_looks": 2}
        gate = GateSection(holdout_share=0.34, minimum_days=1, minimum_rows=1)
        retraining = RetrainingSection(enabled=retrain, cooldown_days=5, minimum_labels=4, gate=gate)
        rig = Rig(tmp_path, script or Script(), MonitoringSection(**(defaults | settings)), retraining, command)
        publish(rig.store)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """A sidecar's parts."""
    return make_rig()

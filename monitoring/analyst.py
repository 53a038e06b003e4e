"""The analyst: one tick collects, looks at every span of event time that is due, raises alarms, retrains."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from monitoring.analysis.windows import Analysis
from monitoring.ingest.unmatched import Unmatched
from monitoring.response.alarms import RETRAINING_KINDS, Alarms
from staytrue import bundle as bundles
from staytrue.errors import Unavailable
from staytrue.records import DAY_SECONDS, HOUR_SECONDS, utc
from staytrue.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from monitoring.analysis.rows import WindowRows
    from monitoring.display.vitals import Vitals
    from monitoring.ingest.collector import Collector
    from monitoring.ingest.lake import Lake
    from monitoring.ingest.pairs import PairDesk
    from monitoring.response.jobs import Jobs
    from monitoring.response.notify import Outbox
    from monitoring.response.reports import Reports
    from monitoring.state import State
    from staytrue.alerts import Alert
    from staytrue.bundle import Bundle
    from staytrue.profile import ReferenceProfile
    from staytrue.sections import MonitoringSection
    from staytrue.store import Store

log = logging.getLogger(__name__)
ATTEMPTS = 120
"""A look that fails as often, a second apart, is passed over, and its window says so: it costs none that follow."""
DEATH = 40
"""One that ends the whole process, for want of memory say, counts for so many: its restarts take longer and longer."""


@dataclass(frozen=True)
class Parts:
    """What the analyst works with."""

    store: Store
    state: State
    lake: Lake
    events: Collector
    pairs: PairDesk
    labels: Collector
    vitals: Vitals
    outbox: Outbox
    jobs: Jobs
    reports: Reports


@dataclass(frozen=True)
class _Calibrated:
    """A version's analysis, and what it was made from."""

    analysis: Analysis
    bundle: Bundle
    profile: ReferenceProfile


class Analyst:
    """Not for several threads at once."""

    def __init__(
        self,
        parts: Parts,
        policy: MonitoringSection,
        url: str = "",
        factory: Callable[[Bundle, ReferenceProfile, MonitoringSection, float], Analysis] = Analysis,
    ) -> None:
        self._parts, self._policy, self._factory = parts, policy, factory
        self._unmatched = Unmatched(parts.lake, parts.vitals)
        self._alarms = Alarms(parts.state, policy, url)
        self._calibrated: dict[str, _Calibrated] = {}
        self._considered: dict[str, tuple[object, ...]] = {}
        self._ending = threading.Event()

    def tick(self) -> int:
        """Do all that is due; how many looks were taken.

        Raises:
            Exception: what a look failed with, after everything else was done; the next tick tries the look again.
        """
        self._collect()
        looks, faults = 0, list[Exception]()
        for model in self._parts.vitals.newest:
            try:
                looks += self._look_at(model)
                self._answer_calls(model)
            except Exception as error:  # noqa: BLE001 - raised below: other models and jobs come first
                faults.append(error)
        self._unmatched.refresh()
        self._parts.jobs.follow()
        self._watch_traffic()
        if self._parts.jobs.active() is None:  # a retraining job reads the lake
            self._parts.lake.compact()
        if faults:
            raise faults[0]
        return looks

    def recover(self) -> None:
        """After a tick that failed: what is kept in memory follows the state again."""
        self._parts.vitals.reload(self._parts.state)

    def stop(self) -> None:
        """Take no further look: what is due is taken by the next process."""
        self._ending.set()

    def _look_at(self, model: str) -> int:
        """Take every look that is due for a model."""
        first = self._parts.state.first_answer(model)
        if first is None:
            return 0
        step = self._policy.look_hours * HOUR_SECONDS
        until = self._parts.state.looked_until(model)
        if until is None:
            until = first // step * step
            self._parts.state.skip_to(model, until)
        count = 0
        while until + step <= self._parts.vitals.newest[model] - self._policy.lateness_seconds:
            if self._ending.is_set():
                break
            until += step
            self._try(model, until)
            count += 1
            self._collect()  # what comes meanwhile must not wait for a backlog of looks: heartbeats tell who lives
        return count

    def _collect(self) -> None:
        """Events before labels: a label told before an event is then never missed by the look that the event causes."""
        self._parts.events.collect()
        self._parts.pairs.collect()
        self._parts.labels.collect()

    def _try(self, model: str, end: float) -> None:
        """Take a look, unless it has failed too often: what it did to this process counts too."""
        state = self._parts.state
        if state.begin_look(model, end, DEATH) >= ATTEMPTS:
            self._pass_over(model, end, f"this look ended the sidecar {ATTEMPTS // DEATH} times and was passed over")
        else:
            try:
                self._look(model, end)
            except Unavailable:  # an outage of the store, which may last for hours and tells nothing of the look
                state.end_look(model, failed=False)
                raise
            except Exception as error:
                state.end_look(model, failed=True)
                if state.attempts(model) < ATTEMPTS:
                    raise
                log.exception("%s: the look that ends at %s is passed over", model, utc(end))
                told = f"this look failed and was passed over: {type(error).__name__}: {error}"
                self._pass_over(model, end, told[:500])
        state.end_look(model, failed=False)

    def _pass_over(self, model: str, end: float, note: str) -> None:
        """Keep a window without evidence, which neither raises nor resolves anything."""
        champion = self._parts.state.champion_at(model, end)
        start = end - self._policy.window_days * DAY_SECONDS
        window = Window(model=model, version=champion[0] if champion else "", start=start, end=end, rows=0, note=note)
        with self._parts.state.transaction():
            self._parts.state.save_window(window)

    def _look(self, model: str, end: float) -> None:
        champion = self._parts.state.champion_at(model, end)
        if champion is None:  # nobody answered as champion yet
            self._parts.state.skip_to(model, end)
            return
        calibrated = self._calibrate(model, *champion)
        start = end - calibrated.analysis.lookback_days * DAY_SECONDS
        rows = self._parts.lake.window(model, calibrated.bundle.signature, start, end)
        window = calibrated.analysis.look(rows, start, end)
        with self._parts.state.transaction():
            self._parts.state.save_window(window)
            changed = self._alarms.update(window)
            self._parts.outbox.put(changed)
            firing = [a for kind in RETRAINING_KINDS for a in self._parts.state.active(model, kind)]
            if self._parts.store.aliases(model).champion != window.version:
                firing = []  # the one who answered is champion no more, or not yet again: a job for it would be stale
            self._retrain(calibrated.bundle, firing, end)
        self._after(changed, window, rows, calibrated)

    def _after(self, changed: list[Alert], window: Window, rows: WindowRows, calibrated: _Calibrated) -> None:
        """What may be done again after a kill, or not at all: logging, waking the sender, asking for a report."""
        for alert in changed:
            log.info("%s %s: %s", alert.status, alert.labels["alertname"], alert.annotations.get("summary", ""))
        if changed:
            self._parts.outbox.wake()
        new = [alert for alert in changed if alert.status == "firing" and alert.starts_at == utc(window.end)]
        drifts = [alert for alert in new if alert.labels["alertname"] == "StaytrueDrift"]
        if drifts and self._policy.evidently:
            name = f"{window.model}-{drifts[0].starts_at[:10]}-{drifts[0].fingerprint[:6]}"
            own = rows.take((rows.version == window.version) & (rows.time >= calibrated.analysis.since))
            try:
                self._parts.reports.ask(name, window, own, calibrated.profile)
            except Exception:
                log.exception("no report can be asked for")

    def _answer_calls(self, model: str) -> None:
        """Retrain where Alertmanager called for it; asked again only when something has changed that may matter."""
        state = self._parts.state
        calls = state.calls(model)
        now = (tuple((a.fingerprint, a.starts_at) for a in calls), state.looked_until(model), self._parts.jobs.active())
        if not calls or self._considered.get(model) == now:
            return
        champion = self._parts.store.load(model, self._parts.store.aliases(model).champion)
        with state.transaction():
            self._retrain(champion, calls, self._parts.vitals.newest[model])
        self._considered[model] = now

    def _retrain(self, champion: Bundle, firing: list[Alert], until: float) -> None:
        """Create a job if one is called for; it answers every call there is. Call within a transaction."""
        if self._parts.jobs.consider(champion.name, champion, firing, until, lambda: self._labelled(champion, until)):
            self._parts.state.hear(champion.name)

    def _labelled(self, champion: Bundle, until: float) -> NDArray[np.float64]:
        """Times of labelled rows that the champion has not seen."""
        since = max(champion.lineage.trained_until, until - self._parts.jobs.lookback_days * DAY_SECONDS)
        outcome = msgspec.structs.replace(champion.signature, inputs=[], outputs=champion.signature.outputs[:1])
        rows = self._parts.lake.window(champion.name, outcome, since, until)  # no input is read for this
        times: NDArray[np.float64] = rows.time[rows.labelled]
        return times

    def _calibrate(self, model: str, version: str, since: float) -> _Calibrated:
        """The analysis of a version, made once.

        Raises:
            StaytrueError: its bundle does not load.
        """
        found = self._calibrated.get(model)
        if found and (found.bundle.version, found.analysis.since) == (version, since):
            return found
        bundle = self._parts.store.load(model, version)
        profile = bundles.load_profile(self._parts.store.path(model, version))
        analysis = self._factory(bundle, profile, self._policy, since)
        self._calibrated[model] = _Calibrated(analysis, bundle, profile)
        return self._calibrated[model]

    def _watch_traffic(self) -> None:
        """Silence of a model after traffic raises an alarm of its own, by the wall clock."""
        now = self._parts.vitals.clock()
        for model, seen in self._parts.vitals.seen.items():
            newest = self._parts.vitals.newest.get(model)
            if newest is None:  # it has never answered
                continue
            with self._parts.state.transaction():
                changed = self._alarms.vanished(model, now - seen, newest, now)
                self._parts.outbox.put(changed)
            if changed:
                self._parts.outbox.wake()

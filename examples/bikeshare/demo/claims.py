"""What the demo promises, each with the figure measured; one that does not hold fails the run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from examples.bikeshare.demo.stream import DAY, DRIFT_BEGINS, day
from staytrue.records import seconds_of

if TYPE_CHECKING:
    from examples.bikeshare.demo.story import Story

JUNE_15 = DRIFT_BEGINS + 45 * DAY
TEMPERATURES = {"temp", "atemp"}
COOLDOWN_DAYS = 14


@dataclass(frozen=True)
class Claim:
    """A promise and whether it held."""

    text: str
    measured: str
    holds: bool


def claims(story: Story) -> list[Claim]:
    """All promises, in the order of the story."""
    return [*_alarms(story), *_reports(story), *_retraining(story), *_nothing_lost(story)]


def as_json(items: list[Claim]) -> list[dict[str, Any]]:
    """For ``summary.json``."""
    return [asdict(item) for item in items]


def _alarms(story: Story) -> list[Claim]:
    raised = [a for a in story.alerts if a["labels"]["alertname"] in ("StaytrueDrift", "StaytrueQuality")]
    starts = sorted(seconds_of(a["startsAt"]) for a in raised)
    early = [start for start in starts if start < DRIFT_BEGINS + DAY]
    later = [start for start in starts if start >= DRIFT_BEGINS + DAY]
    named = [json.loads(a["annotations"].get("features", "{}")) for a in raised]
    warm = sorted(seconds_of(at) for features in named for name, at in features.items() if name in TEMPERATURES)
    told = {_identity(a) for body in story.delivered for a in body["alerts"]}
    drift, quality = _held_out(story)
    return [
        Claim(
            "evidence below its threshold at every look at the held-out weeks",
            f"drift at most {max(drift):.2f} in {len(drift)} looks, quality {max(quality):.2f} in {len(quality)}",
            max(drift) < 1 and max(quality) < 1,
        ),
        Claim("no drift or quality alarm on the held-out weeks", f"{len(early)} alarms", not early),
        Claim(
            "first alarm within 14 days of 1 May",
            f"{day(later[0])}, day {(later[0] - DRIFT_BEGINS) / DAY:.0f}" if later else "never",
            bool(later) and later[0] <= DRIFT_BEGINS + 14 * DAY,
        ),
        Claim(
            "a drift alarm names temperature by 15 June",
            day(warm[0]) if warm else "never",
            bool(warm) and warm[0] <= JUNE_15,
        ),
        Claim(
            "signed webhooks reached the receiver, none forged",
            f"{len(raised)} alarms told in {len(story.delivered)} messages, {story.refused} forged",
            told >= {_identity(a) for a in raised} and bool(raised) and not story.refused,
        ),
    ]


def _identity(alert: dict[str, Any]) -> tuple[str, str]:
    return alert["fingerprint"], alert["startsAt"]


def _held_out(story: Story) -> tuple[list[float], list[float]]:
    """Evidence of drift and of quality at each look that had enough to say, before May."""
    drift, quality = [], []
    for window in (window for window in story.windows if window["end"] <= DRIFT_BEGINS):
        enough = [item["evidence"] for item in window["drift"] if item["sufficiency"] == "sufficient"]
        drift += [max(enough)] if enough else []
        found = window["quality"]
        quality += [found["evidence"]] if found and found["sufficiency"] == "sufficient" else []
    return drift or [0.0], quality or [0.0]


def _reports(story: Story) -> list[Claim]:
    made = [report for report in story.reports if "report" in report]
    said = f"{len(made)} of {len(story.reports)}"
    return [Claim("Evidently made the report of every drift alarm", said, 0 < len(made) == len(story.reports))]


def _retraining(story: Story) -> list[Claim]:
    triggers = sorted(job["job"]["event_time"] for job in story.jobs)
    gaps = [(b - a) / DAY for a, b in pairwise(triggers)]
    failed = [job for job in story.jobs if job["job"]["state"] != "succeeded"]
    promoted = [job for job in story.jobs if job["verdict"] and job["verdict"]["promote"]]
    kept, alone = story.year.phases()["May to December"]
    gain = 1 - kept / alone
    return [
        Claim(
            f"at most one retraining per {COOLDOWN_DAYS} days",
            f"{len(triggers)} retrainings, closest {min(gaps, default=float('inf')):.0f} days apart",
            bool(triggers) and all(gap >= COOLDOWN_DAYS for gap in gaps),
        ),
        Claim(
            "every retraining ends with a verdict, at least one promotes",
            f"{len(promoted)} promoted, {len(story.jobs) - len(promoted) - len(failed)} refused, {len(failed)} failed",
            bool(promoted) and not failed,
        ),
        Claim(
            "error at least 25% under the model left alone, May to December",
            f"{alone:.1f} -> {kept:.1f} bikes an hour, {gain:.0%} less",
            gain >= 0.25,
        ),
    ]


def _nothing_lost(story: Story) -> list[Claim]:
    counts = story.counts
    same = counts.answered == counts.logged == counts.collected and counts.same_events
    labels = counts.labelled == counts.labels_collected and counts.same_labels
    return [
        Claim("no failed request", f"{len(story.failures)} of {counts.answered}", not story.failures),
        Claim(
            "answered = logged = collected",
            f"{counts.answered} = {counts.logged} = {counts.collected}, the same ids: {counts.same_events}",
            same,
        ),
        Claim(
            "every second request over gRPC, answered = logged = collected",
            ", ".join(f"{name} {' = '.join(map(str, books))}" for name, books in sorted(counts.protocols.items())),
            counts.protocols.keys() == {"rest", "grpc"}
            and all(len(set(books)) == 1 for books in counts.protocols.values())
            and abs(counts.protocols["rest"][0] - counts.protocols["grpc"][0]) <= 1,
        ),
        Claim("labels sent = labels in the lake", f"{counts.labelled} = {counts.labels_collected}", labels),
    ]

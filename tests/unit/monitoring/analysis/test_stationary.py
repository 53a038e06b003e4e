"""The promise itself: on stationary, persistent, seasonal-by-the-day data the whole policy keeps to its budget.

Hours of weather (a daily cycle and days of persistence), calendar and a rare category; seventeen weeks of reference,
then half a year with a look a day over seven days. Counted are alarms as they would be sent: drift and quality, each
firing after two looks in a row and resolving after three below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal, stats

from monitoring.analysis.drift import budget
from monitoring.analysis.drift.shift import TOLERANCE, BlockShift
from monitoring.analysis.quality import CORRELATION_LIMIT, QualityBaseline
from monitoring.analysis.rows import WindowRows
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.records import DAY_SECONDS
from staytrue.sections import MonitoringSection

POLICY = MonitoringSection()
WINDOW, WEEKS, LIVE_DAYS, WORLDS = 7, 17, 180, 100
HELD_WEEKS = (3, 7, 13)
REFERENCE_DAYS = WEEKS * WINDOW
DAYS = REFERENCE_DAYS + LIVE_DAYS

Array = NDArray[Any]


def persistent(generator: np.random.Generator, hours: float, worlds: int) -> Array:
    """A first-order process of deviation 1 whose correlation falls by e in ``hours``: [worlds, hours of all days]."""
    phi = np.exp(-1 / hours)
    noise = generator.standard_normal((worlds, DAYS * 24 + 1000)) * np.sqrt(1 - phi**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -phi], noise, axis=1))[:, 1000:]


def weather(seed: int, extra: int, worlds: int) -> tuple[dict[str, Array], dict[str, tuple[Array, int]], Array]:
    """Numbers, categories (codes and how many) and errors of every hour: [worlds, hours]."""
    generator = np.random.default_rng(seed)
    hour, day = np.arange(DAYS * 24) % 24, np.arange(DAYS * 24) // 24

    def slow() -> Array:
        return 0.8 * persistent(generator, 72, worlds) + 0.4 * persistent(generator, 6, worlds)

    cycle = np.sin(2 * np.pi * (hour - 9) / 24)
    temp, hum = slow() + 0.6 * cycle, slow() - 0.4 * cycle
    numbers = {"temp": temp, "hum": hum, "wind": 0.5 * slow() + 0.8 * persistent(generator, 8, worlds)}
    numbers["atemp"] = temp + 0.15 * persistent(generator, 12, worlds)
    numbers["prediction"] = 0.6 * temp - 0.3 * hum + 0.3 * np.sin(2 * np.pi * day / 7)
    numbers |= {f"extra{number}": slow() for number in range(extra)}
    sky = np.searchsorted([0.25, 1.2, 2.4], hum + 0.4 * persistent(generator, 6, worlds))
    weekday = np.tile(day % 7, (worlds, 1))
    holiday = np.repeat(generator.random((worlds, DAYS)) < 1 / 33, 24, axis=1) & (weekday < 5)
    working = (weekday < 5) & ~holiday
    categories = {"sky": (sky, 4), "weekday": (weekday, 7)}
    categories |= {"holiday": (holiday.astype(int), 2), "working": (working.astype(int), 2)}
    categories["hr"] = (np.tile(hour, (worlds, 1)), 24)
    spread = np.repeat(persistent(generator, 1.1, worlds)[:, :DAYS], 24, axis=1)  # by the day: correlation 0.4
    return numbers, categories, np.exp(0.3 * spread)


def daily(values: Array) -> Array:
    """Mean of each day."""
    return np.asarray(values.reshape(len(values), DAYS, 24).mean(axis=2))


def weekly(days: Array) -> tuple[Array, Array]:
    """Means of the reference's weeks, and of the seven days before each look."""
    blocks = days[:, :REFERENCE_DAYS].reshape(len(days), WEEKS, WINDOW, *days.shape[2:]).mean(axis=2)
    live = np.cumsum(days[:, REFERENCE_DAYS - 1 :], axis=1)
    return blocks, (live[:, WINDOW:] - live[:, :-WINDOW]) / WINDOW


def p_values(numbers: dict[str, Array], categories: dict[str, tuple[Array, int]]) -> dict[str, Array]:
    """The detector's p-values before they are adjusted, of every look of every world."""
    found: dict[str, Array] = {}
    for name, values in numbers.items():
        blocks, windows = weekly(daily(values))
        floor = TOLERANCE * values[:, : REFERENCE_DAYS * 24].std(axis=1, keepdims=True)
        scatter = np.maximum(blocks.std(axis=1, ddof=1, keepdims=True), floor)
        t = (windows - blocks.mean(axis=1, keepdims=True)) / (scatter * np.sqrt(1 + 1 / WEEKS))
        found[name] = 2 * stats.t.sf(np.abs(t), WEEKS - 1)
    for name, (codes, levels) in categories.items():
        shares = np.stack([daily((codes == level).astype(np.float32)) for level in range(levels)], axis=2)
        blocks, windows = weekly(shares)
        mix = blocks.mean(axis=1, keepdims=True)
        apart = 0.5 * np.abs(blocks - (WEEKS * mix - blocks) / (WEEKS - 1)).sum(axis=2)
        scatter = np.maximum(apart.std(axis=1, ddof=1, keepdims=True), TOLERANCE)
        distance = 0.5 * np.abs(windows - mix).sum(axis=2)
        t = (distance - apart.mean(axis=1, keepdims=True)) / (scatter * np.sqrt(1 + 1 / WEEKS))
        found[name] = stats.t.sf(t, WEEKS - 1)
    return found


def quality_p_values(error: Array) -> Array:
    """The p-values of quality, of every look of every world."""
    _, windows = weekly(np.log(daily(error))[:, :, None])
    by_day = np.log(daily(error))[:, :REFERENCE_DAYS].reshape(len(error), WEEKS, WINDOW)[:, HELD_WEEKS]
    days = by_day.shape[1] * WINDOW
    mean = by_day.mean(axis=(1, 2))
    apart = by_day - mean[:, None, None]
    pairs = (apart[:, :, 1:] * apart[:, :, :-1]).mean(axis=(1, 2))
    r = np.clip(pairs / (apart**2).mean(axis=(1, 2)), 0, CORRELATION_LIMIT)
    inflation = (1 + r) / (1 - r)
    scatter = by_day.std(axis=(1, 2), ddof=1) * np.sqrt(inflation / WINDOW + inflation / days)
    t = (windows[:, :, 0] - mean[:, None]) / scatter[:, None]
    return np.asarray(stats.t.sf(t, np.maximum(1, days / inflation - 1)[:, None]))


def smallest_adjusted(found: dict[str, Array]) -> Array:
    """The smallest adjusted p-value of each look."""
    ordered = np.sort(np.stack(list(found.values())), axis=0)
    rank = np.arange(1, len(ordered) + 1)[:, None, None]
    return np.asarray(np.minimum(1.0, (ordered * len(ordered) / rank).min(axis=0)))


def starts(over: Array) -> float:
    """Alarms that start in thirty days, on average over worlds."""
    worlds, looks = over.shape
    firing, above, below = np.zeros(worlds, dtype=bool), np.zeros(worlds, dtype=int), np.zeros(worlds, dtype=int)
    count = 0
    for look in range(looks):
        above, below = np.where(over[:, look], above + 1, 0), np.where(over[:, look], 0, below + 1)
        started = ~firing & (above >= POLICY.for_looks)
        count += int(started.sum())
        firing = (firing | started) & (below < POLICY.resolve_looks)
    return float(count / worlds * budget.PERIOD_DAYS / looks)


@pytest.mark.parametrize("extra", [0, 5], ids=["10 columns", "15 columns"])
@pytest.mark.parametrize("allowed", [0.1, 0.5, 1.0])
def test_alarms_of_drift_and_quality_together_keep_to_the_budget(extra: int, allowed: float) -> None:
    policy = MonitoringSection(false_alarms_per_30_days=allowed)
    numbers, categories, error = weather(0, extra, WORLDS)
    drift = smallest_adjusted(p_values(numbers, categories)) <= budget.level(policy, budget.DRIFT_SHARE)
    quality = quality_p_values(error) <= budget.level(policy, 1 - budget.DRIFT_SHARE)
    alarms = starts(drift) + starts(quality)
    assert alarms <= allowed
    assert alarms > 0.4 * allowed  # a budget hardly spent would be power given away


def shift_found(sigmas: float) -> float:
    """Share of worlds in which drift fires within thirty days of a shift by so many deviations of the weeks' means."""
    numbers, categories, _ = weather(1, 0, WORLDS)
    by_week = weekly(daily(numbers["hum"]))[0].std(axis=1, ddof=1).mean()
    numbers["hum"][:, REFERENCE_DAYS * 24 :] += sigmas * by_week
    over = smallest_adjusted(p_values(numbers, categories))[:, :30] <= budget.level(POLICY, budget.DRIFT_SHARE)
    return float((over[:, 1:] & over[:, :-1]).any(axis=1).mean())


def test_power_grows_with_the_shift() -> None:
    found = [shift_found(sigmas) for sigmas in (0.0, 2.0, 4.0)]
    assert found[0] < 0.6 < found[1] < found[2]
    assert found[2] > 0.95


def test_simulation_computes_what_the_shipped_classes_compute() -> None:
    numbers, categories, error = weather(2, 0, 1)
    drift, quality = p_values(numbers, categories), quality_p_values(error)
    time = np.arange(DAYS * 24) * 3600.0
    past = REFERENCE_DAYS * 24
    features = {name: values[0] for name, values in numbers.items() if name != "prediction"}
    labels = {name: codes[0].astype(str).astype(object) for name, (codes, _) in categories.items()}
    prediction, truth = numbers["prediction"][0], numbers["prediction"][0] + error[0]
    columns = [ReferenceColumn(name=n, kind="numeric", values=v[:past].tolist()) for n, v in features.items()]
    columns += [ReferenceColumn(name=n, kind="category", values=v[:past].tolist()) for n, v in labels.items()]
    held = np.isin(np.arange(past) // (WINDOW * 24), HELD_WEEKS)
    profile = ReferenceProfile(
        columns=columns,
        time=time[:past].tolist(),
        split=["validation" if one else "train" for one in held],
        prediction=prediction[:past].tolist(),
        truth=truth[:past].tolist(),
    )
    shift, baseline = BlockShift(profile, POLICY), QualityBaseline(profile, POLICY)
    everything = {**features, **labels}
    for look in (6, 50, 111):
        end = time[past] + (look + 1) * DAY_SECONDS
        which = (time >= end - WINDOW * DAY_SECONDS) & (time < end)
        rows = WindowRows(
            time=time[which],
            columns={name: values[which] for name, values in everything.items()},
            prediction=prediction[which],
            truth=truth[which],
            known=time[which],
            version=np.full(int(which.sum()), "1", dtype=object),
        )
        expected = budget.adjusted([float(drift[name][0, look - 6]) for name in (*everything, "prediction")])
        found = shift.evidence(rows, rows, set())
        assert [item.p_value for item in found] == pytest.approx(expected.tolist(), rel=1e-4)
        judged = baseline.judge(rows)
        level = budget.level(POLICY, 1 - budget.DRIFT_SHARE)
        assert judged is not None
        assert judged.evidence == pytest.approx(budget.evidence(float(quality[0, look - 6]), level), rel=1e-4)

"""Ray: one that really runs, on this machine; what its trials come to stands in the same study as ever."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from staytrue.errors import Unavailable
from training.tune import cluster, proposer, report, search
from training.tune.cluster import Recorder
from training.tune.space import Space
from training.tune.study import FILE
from training.tune.workers import study_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.project import Project
    from training.tune.material import Material
    from training.tune.report import Line
    from training.tune.study import Study

Make = "Callable[..., Project]"
RAY = "executor: ray"


def lines(
    project: Project, material: Material, say: Callable[[str], None] = lambda _: None, name: str = "toy"
) -> list[Line]:
    """Search; all trials."""
    file = project.folder / "staytrue.yaml"
    study, interrupted = search.search(project, file, material, project.folder / "tuning" / name, say=say)
    assert not interrupted
    return report.lines(study)


def test_a_real_ray_does_the_trials_of_the_study(tuned: Callable[..., Project], prepared: Material) -> None:
    """A grid as the local executor does it, where a trial that fails ends nothing; then Hyperopt with ASHA."""
    import ray

    space = "space: {model.width: [4], training.learning_rate: [0.01, 1.0e+30, 0.1]}"
    project = tuned(f"{space}, method: grid, {RAY}")
    said: list[str] = []
    with cluster._connected(project, prepared):
        found = lines(project, prepared, said.append)
        wide = "space: {model.width: {low: 2, high: 9}}, method: tpe, trials: 2, prune: asha"
        others = lines(tuned(f"{wide}, {RAY}", epochs=3), prepared, said.append, "tpe")
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert [one.state for one in found] == ["complete", "failed", "complete"]
    assert [one.settings["training.learning_rate"] for one in found] == [0.01, 1e30, 0.1]
    assert "finite" in str(found[1].reason)
    assert said[1].startswith("trial 1: failed: ")
    study = make(tuned(f"{space}, method: grid"), prepared)
    assert (study.done, study.measure) == (True, "validation_mae")
    journal = (study.folder / "trials/0002/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(journal) == found[2].epochs == 2
    alone = lines(tuned(f"{space}, method: grid"), prepared, said.append, "alone")
    for one, other in zip(found, alone, strict=True):
        assert (one.best_epoch, one.state) == (other.best_epoch, other.state)
        assert (one.value or 0.0) == pytest.approx(other.value or 0.0, rel=1e-5)
    assert len(others) == 2
    assert {one.state for one in others} <= {"complete", "pruned"}
    assert all(2 <= one.settings["model.width"] <= 9 for one in others)


def make(project: Project, material: Material) -> Study:
    """A new study, or the one that is there."""
    return study_of(project, material, project.folder / "tuning/toy")


class Trial:
    """What Ray shows of one of its trials."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.trial_id, self.config = name, {cluster.VALUES: values}
        self.last_result: dict[str, Any] = {}


def told(value: float, **more: Any) -> dict[str, Any]:
    """A report."""
    return {cluster.MEASURE: value, cluster.CALLED: "validation_mae", **more}


def line(epoch: int, value: float) -> dict[str, Any]:
    """The report of an epoch."""
    return told(value, **{cluster.LINE: {"epoch": epoch, "validation_mae": value}})


def test_each_end_of_a_trial_is_written_down(tuned: Callable[..., Project], prepared: Material) -> None:
    """To its end, pruned, failed by itself, and by what ran it: that one alone is tried anew, twice at most."""
    project = tuned(f"space: {{model.width: [4, 5, 6, 7]}}, method: grid, {RAY}")
    study = make(project, prepared)
    recorder = Recorder(study, math.inf, lambda _: None)
    trials = [Trial(str(place), values) for place, values in enumerate(study.planned)]
    for place, trial in enumerate(trials):
        recorder.on_trial_start(trial=trial)
        recorder.on_trial_result(trial=trial, result=line(1, 3.0 + place))
    trials[0].last_result = told(2.5, **{cluster.DONE: {"best_epoch": 2, "epochs": 4}})
    recorder.on_trial_complete(trial=trials[0])
    trials[1].last_result = line(1, 4.0)
    recorder.on_trial_complete(trial=trials[1])
    failed = {cluster.MEASURE: cluster.WORST, cluster.FAILED: "training.batch_size: no"}
    recorder.on_trial_result(trial=trials[2], result=failed)
    recorder.on_trial_error(trial=trials[2])
    recorder.on_trial_error(trial=trials[3])
    recorder.close()
    assert not recorder.interrupted
    found = report.lines(study)
    assert [(one.state, one.value, one.reason) for one in found] == [
        ("complete", 2.5, None),
        ("pruned", 4.0, None),
        ("failed", 5.0, "training.batch_size: no"),
        ("failed", 6.0, "killed"),
        ("waiting", None, None),
    ]
    assert (found[0].best_epoch, found[0].epochs, found[4].anew) == (2, 4, 3)
    assert (study.waiting, study.planned, study.done) == ([{"model.width": 7}], [], False)
    again = Trial("again", study.waiting[0])
    recorder.on_trial_start(trial=again)
    recorder.on_trial_error(trial=again)
    assert report.lines(study)[4].reason == "killed 2 times: out of memory, most likely"
    assert study.done


@pytest.mark.parametrize(
    ("until", "interrupted", "why"), [(math.inf, True, "interrupted"), (1.0, False, "time was up")]
)
def test_what_was_under_way_at_the_end_is_tried_anew(
    tuned: Callable[..., Project], prepared: Material, until: float, interrupted: bool, why: str
) -> None:
    """And a command that was killed meanwhile leaves its trials to the next one."""
    project = tuned(f"space: {{model.width: [4, 5]}}, method: grid, {RAY}")
    study = make(project, prepared)
    recorder = Recorder(study, until, lambda _: None)
    recorder.on_trial_start(trial=Trial("a", {"model.width": 4}))
    recorder.close()
    assert recorder.interrupted == interrupted
    killed = study.take({"model.width": 5})
    killed.free()  # as the system does with a process that is killed
    study.bury()
    assert [(one.state, one.reason, one.anew) for one in report.lines(study)] == [
        ("stopped", f"stopped: {why}", None),
        ("waiting", None, 0),
        ("failed", "killed", None),
        ("waiting", None, 2),
    ]
    assert study.waiting == [{"model.width": 4}, {"model.width": 5}]


MIXED = (
    "space: {model.width: {low: 2, high: 64, log: true}, model.depth: {low: 1, high: 3}, model.dropout: "
    "{low: 0.05, high: 0.45, step: 0.1}, training.learning_rate: {low: 0.001, high: 0.1, log: true}, "
    "training.averaging: {low: 0, high: 0.9}, training.loss: [mae, mse]}"
)


def test_hyperopt_proposes_what_the_space_allows_and_learns_from_what_is_known(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """Whole numbers stay whole, steps are those from the low end, and a setting that did well is tried more often."""
    project = tuned(f"{MIXED}, method: tpe, trials: 40, seed: 3, {RAY}", epochs=4)
    study = make(project, prepared)
    axes = {axis.path: axis for axis in Space.of(project).axes}
    for place in range(30):
        values = study.space.drawn(7, place)
        claim = study.take(values)
        study.complete(claim, 0.0 if values["training.loss"] == "mse" else 1.0)
        claim.free()
    waiting = study.take(study.space.drawn(8, 0))
    study.stop(waiting, "time was up")
    waiting.free()
    made = proposer.Proposer(study, cluster.MEASURE, cluster.VALUES)
    first = made.suggest("first")[cluster.VALUES]
    assert first == study.waiting[0]  # to the last bit, or it would wait for ever
    proposals = [made.suggest(f"t{place}")[cluster.VALUES] for place in range(20)]
    assert sum(values["training.loss"] == "mse" for values in proposals) >= 14
    for values in proposals:
        assert isinstance(values["model.width"], int)
        assert 2 <= values["model.width"] <= 64
        assert values["model.depth"] in (1, 2, 3)
        assert values["model.dropout"] in axes["model.dropout"].values
        assert 0.001 <= values["training.learning_rate"] <= 0.1
        assert 0 <= values["training.averaging"] <= 0.9
        study.take(values).free()  # a study takes whatever is proposed
    assert len({values["training.learning_rate"] for values in proposals}) == 20


def test_both_executors_try_the_same_of_grid_and_chance(tuned: Callable[..., Project], prepared: Material) -> None:
    """In the same order; so a study may begin with one and go on with the other."""
    project = tuned("space: {model.width: {low: 2, high: 9}}, method: random, trials: 4, seed: 5")
    study = make(project, prepared)
    planned = study.planned
    for values in planned:
        claim = study.claim()
        assert claim is not None
        assert claim.values == values
        study.complete(claim, 1.0)
        claim.free()
    assert (len(planned), study.planned, study.done) == (4, [], True)


@pytest.mark.parametrize(
    ("prune", "name"),
    [("asha", "AsyncHyperBandScheduler"), ("median", "MedianStoppingRule"), ("none", "FIFOScheduler")],
)
def test_what_prunes_is_what_the_setting_says(tuned: Callable[..., Project], prune: str, name: str) -> None:
    """ASHA lets the longest trial of the space come to its end."""
    project = tuned(f"space: {{training.epochs: [4, 12]}}, method: grid, prune: {prune}, {RAY}")
    made = cluster._scheduler(project)
    assert type(made).__name__ == name
    if prune == "asha":
        assert (made._max_t, made._reduction_factor) == (14, 3)


def test_a_cluster_that_is_not_there_says_so(tuned: Callable[..., Project], prepared: Material) -> None:
    """With its address, before any trial is begun."""
    project = tuned(f"space: {{model.width: [4]}}, method: grid, {RAY}, address: '127.0.0.1:1'")
    with pytest.raises(Unavailable, match=r"Ray 127\.0\.0\.1:1: does not answer"):
        lines(project, prepared)
    assert (project.folder / "tuning/toy" / FILE).is_file()

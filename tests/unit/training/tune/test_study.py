"""Study: trials in their order, each with its end written down, by validation alone; it goes on where it was."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from staytrue.errors import Conflict, CorruptData
from staytrue.openings import LEDGER
from training import run
from training.data.encode import encoder
from training.prepare import prepare
from training.tune import report, search, trial
from training.tune.material import Material, keep, kept
from training.tune.study import FILE
from training.tune.workers import study_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.project import Project
    from training.tune.report import Line
    from training.tune.study import Study


def searched(project: Project, material: Material, **options: Any) -> tuple[list[Line], Study]:
    """Search in this process; the trials, and the study."""
    file = project.folder / "staytrue.yaml"
    study, _ = search.search(project, file, material, project.folder / "tuning/toy", **options)
    return report.lines(study), study


def outcomes(lines: list[Line]) -> list[tuple[Any, ...]]:
    """What is the same each time."""
    return [(line.settings, line.state, line.value, line.best_epoch) for line in lines]


def test_a_grid_is_tried_in_its_order_and_judged_by_the_best_epoch(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """The value is the measure of that epoch in the trial's journal."""
    import json

    found, study = searched(tuned(), prepared)
    tried = [(line.settings["model.width"], line.settings["training.learning_rate"]) for line in found]
    assert tried == [(4, 0.01), (4, 0.1), (8, 0.01), (8, 0.1)]
    assert {line.state for line in found} == {"complete"}
    journal = (study.folder / "trials/0002/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    errors = [json.loads(line)["validation_mae"] for line in journal]
    assert found[2].value == min(errors)
    assert (study.measure, found[2].epochs) == ("validation_mae", 2)
    best = report.best(found)
    assert best is not None
    assert best.value == min(line.value or 0 for line in found)


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_the_same_seed_tries_the_same_also_when_a_study_goes_on(
    tuned: Callable[..., Project], prepared: Material, method: str, tmp_path: Path
) -> None:
    """Two and then two more are the four of another study."""
    space = f"space: {{model.width: {{low: 2, high: 9}}, training.averaging: [0, 0.9]}}, method: {method}, seed: 5"
    project = tuned(f"{space}, trials: 2")
    first, _ = searched(project, prepared)
    more = project.model_copy(update={"tuning": project.tuning.model_copy(update={"trials": 4})})
    both, study = searched(more, prepared)
    assert outcomes(both)[:2] == outcomes(first)
    study.folder.rename(tmp_path / "first")
    again, _ = searched(more, prepared)
    assert outcomes(again) == outcomes(both)
    assert len({str(line.settings) for line in both}) > 2


def test_a_trial_that_fails_is_written_down_and_the_others_go_on(
    tuned: Callable[..., Project], prepared: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A combination that is none, a loss that explodes, memory that is not there."""
    project = tuned(
        "space: {training.optimiser: [momentum, adamw], training.optimisation.momentum: [null, 0.5], "
        "training.learning_rate: [0.01, 1.0e+30], model.width: [4, 5]}, method: grid"
    )
    fit = run.fit_parts

    def scarce(project: Project, *given: Any, **options: Any) -> Any:
        if project.model.width == 5:
            raise MemoryError("no room for 5")
        return fit(project, *given, **options)

    monkeypatch.setattr(trial, "fit_parts", scarce)
    found, _ = searched(project, prepared)
    reasons = {tuple(line.settings.values()): line.reason for line in found}
    assert len(reasons) == 16
    assert reasons["momentum", None, 0.01, 4] is None
    assert "belongs to optimiser momentum" in str(reasons["adamw", 0.5, 0.01, 4])
    assert "finite" in str(reasons["momentum", 0.5, 1e30, 4])
    assert reasons["adamw", None, 0.01, 5] == "out of memory: MemoryError: no room for 5"
    assert [line.state for line in found].count("complete") == 3


def test_a_hopeless_trial_is_pruned_and_none_is_where_that_is_off(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """A rate at which nothing is learnt, after five at which something is."""
    rates = "training.learning_rate: [0.05, 0.051, 0.052, 0.053, 0.054, 1.0e-6]"
    found, _ = searched(tuned(f"space: {{{rates}}}, method: grid", epochs=8), prepared)
    assert [line.state for line in found] == ["complete"] * 5 + ["pruned"]
    assert (found[-1].epochs, found[-1].value is not None) == (2, True)
    project = tuned(f"space: {{{rates}}}, method: grid, prune: none", epochs=3)
    study, _ = search.search(project, project.folder / "staytrue.yaml", prepared, project.folder / "other")
    assert {line.state for line in report.lines(study)} == {"complete"}


def test_a_trial_that_was_interrupted_is_tried_anew(
    tuned: Callable[..., Project], prepared: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the search with what there is; finished trials are not run again."""
    project, began = tuned(), iter(range(9))

    def interrupted(*_: object) -> None:
        if next(began) == 3:  # in the second epoch of the second trial
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trial.Judge, "epoch_ended", interrupted)
        study, ended = search.search(project, project.folder / "staytrue.yaml", prepared, project.folder / "tuning/toy")
    assert ended
    assert [line.state for line in report.lines(study)] == ["complete", "stopped", "waiting"]
    found, _ = searched(project, prepared)
    assert [(line.state, line.anew) for line in found] == [
        ("complete", None),
        ("stopped", None),
        ("complete", 1),
        ("complete", None),
        ("complete", None),
    ]
    assert found[1].reason == "stopped: interrupted"
    assert found[1].settings == found[2].settings


def test_time_that_is_up_begins_no_trial_and_stops_the_one_that_runs(
    tuned: Callable[..., Project], prepared: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of its epoch; more time goes on with it."""
    project, epochs = tuned(), iter(range(9))

    def late(_: float, parent: int | None) -> None:
        assert parent is None
        if next(epochs) == 1:
            raise trial.Stopped("time was up")

    with monkeypatch.context() as patch:
        patch.setattr(trial, "check_time", late)
        found, study = searched(project, prepared)
    assert [(line.state, line.reason) for line in found] == [("stopped", "stopped: time was up"), ("waiting", None)]
    assert len((study.folder / "trials/0000/metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    assert len(searched(project, prepared, until=1.0)[0]) == 2
    assert [line.state for line in searched(project, prepared)[0]] == ["stopped"] + ["complete"] * 4


@pytest.mark.parametrize(
    ("change", "what"),
    [("seed: 1", "settings"), ("prune: none", "settings"), ("space: {model.width: [4]}", "settings")],
)
def test_a_study_of_other_settings_does_not_go_on(
    tuned: Callable[..., Project], prepared: Material, change: str, what: str
) -> None:
    """Says what to do; how long and by how many may change."""
    base = "space: {model.width: [4, 8]}, method: grid"
    searched(tuned(base), prepared, until=0.0)
    searched(tuned(f"{base}, minutes: 2, trials: 1"), prepared, until=0.0)
    other = tuned(f"{change}, method: grid" if "space" in change else f"{base}, {change}")
    with pytest.raises(Conflict, match=f"holds a study of other {what}; put them back as they were, name another"):
        searched(other, prepared, until=0.0)


def test_a_study_of_other_rows_does_not_go_on(tuned: Callable[..., Project], prepared: Material) -> None:
    """One row less that validates."""
    made = prepare(tuned())
    parts = made.split.parts | {"validation": made.split.parts["validation"][1:]}
    fewer = dataclasses.replace(made, split=msgspec.structs.replace(made.split, parts=parts))
    searched(tuned(), prepared, until=0.0)
    with pytest.raises(Conflict, match="holds a study of other data"):
        searched(tuned(), Material.of(fewer), until=0.0)


def test_a_file_that_is_no_study_says_so(tuned: Callable[..., Project], prepared: Material) -> None:
    """And what to do."""
    project = tuned()
    folder = project.folder / "tuning/toy"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"no database" * 100)
    with pytest.raises(CorruptData, match=r"study\.db: is no study.*delete it"):
        searched(project, prepared)


def test_settings_of_a_trial_that_is_killed_twice_are_given_up(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """Or whatever kills it would for ever."""
    project = tuned("space: {model.width: [4]}, method: grid")
    study, _ = search.search(project, project.folder / "staytrue.yaml", prepared, project.folder / "t", until=0.0)
    for _ in range(2):
        claim = study.claim()
        assert claim is not None
        claim.free()  # as the system does with a process that is killed
    assert study.claim() is None
    found = report.lines(study)
    assert [(line.state, line.reason, line.anew) for line in found] == [
        ("failed", "killed", None),
        ("failed", "killed 2 times: out of memory, most likely", 0),
    ]
    assert study.done


def test_a_trial_that_ends_while_somebody_looks_for_dead_ones_is_none(
    tuned: Callable[..., Project], prepared: Material
) -> None:
    """It was running when it was read, and nobody held it any more when that was looked at."""
    study = study_of(tuned(), prepared, tuned().folder / "tuning/toy")
    one, other = study.claim(), study.claim()
    assert one is not None
    assert other is not None
    before = study.trials
    study.complete(one, 1.0)
    one.free()
    other.free()  # of this one nothing was told: its process was killed
    after = study._buried(before)
    assert [trial.state.name for trial in after] == ["COMPLETE", "FAIL", "WAITING"]
    assert after[1].user_attrs["reason"] == "killed"


def test_two_never_do_the_same_trial(tuned: Callable[..., Project], prepared: Material) -> None:
    """Who has one holds it; what is held is not dead."""
    project = tuned("space: {model.width: [4, 5, 6]}, method: grid")
    file = project.folder / "staytrue.yaml"
    one, _ = search.search(project, file, prepared, project.folder / "t", until=0.0)
    other, _ = search.search(project, file, prepared, project.folder / "t", until=0.0)
    claims = [one.claim(), other.claim(), one.claim()]
    assert [claim.values["model.width"] for claim in claims if claim] == [4, 5, 6]
    assert other.claim() is None
    assert not other.done


def test_sealed_rows_are_not_there_and_change_no_trial(tuned: Callable[..., Project], tmp_path: Path) -> None:
    """Not in the material, nor in its files; the ledger is not begun; other test rows give the same trials."""
    project = tuned("space: {model.width: [4, 8]}, method: grid")
    before = prepare(project)
    sealed = set(before.rows.time[before.split.index("test")].tolist())
    found, study = searched(project, Material.of(before))
    assert not (project.retraining.runs / LEDGER).exists()
    study.folder.rename(tmp_path / "before")
    lines = (tmp_path / "toy.csv").read_text(encoding="utf-8").splitlines()
    for place in before.split.parts["test"]:
        at, x, hour, sky, _ = lines[1 + place].split(",")
        lines[1 + place] = f"{at},{float(x) + 7:.6f},{hour},{sky},{1000 + place}"
    (tmp_path / "toy.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = prepare(project)
    assert after.fingerprint != before.fingerprint
    material = Material.of(after)
    assert sealed.isdisjoint(material.rows.time.tolist())
    assert material.split.parts["test"] == []
    assert outcomes(searched(project, material)[0]) == outcomes(found)


def test_rows_are_kept_as_they_are(prepared: Material, tmp_path: Path) -> None:
    """For processes that did not prepare them; large columns stay in their files."""
    keep(prepared, tmp_path)
    found = kept(tmp_path)
    assert (found.rows.digest(), found.split, found.classes) == (
        prepared.rows.digest(),
        prepared.split,
        prepared.classes,
    )
    assert found.sha256 == prepared.sha256
    (tmp_path / "rows/0.npy").write_bytes(b"")
    with pytest.raises(CorruptData, match="cannot be read"):
        kept(tmp_path)


def test_each_trial_learns_from_training_rows_alone(
    tuned: Callable[..., Project], prepared: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fitted is asked for rows of the training part, which the material gives and nothing else."""
    seen: list[int] = []
    learn = encoder.learn

    def watched(rows: Any, features: Any) -> Any:
        seen.append(len(rows))
        return learn(rows, features)

    monkeypatch.setattr(run, "learn", watched)
    searched(tuned("space: {model.width: [4]}, method: grid"), prepared)
    assert seen == [len(prepared.split.parts["train"])]

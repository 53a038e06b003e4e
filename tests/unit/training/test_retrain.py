"""Retrain: a job to its verdict, with the real export, gate and store; and the commands around it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.gate import judge
from staytrue.command import main
from staytrue.errors import Conflict, InvalidConfig
from staytrue.project import load
from staytrue.records import DAY_SECONDS, read, to_json, write_atomically
from staytrue.store import Store
from staytrue.verdicts import RetrainJob, Verdict
from tests.unit.training.conftest import serve_days, write_project
from training import checkpoint as checkpoints
from training import retrain as retraining
from training.judgement.final import final, up_to_date
from training.judgement.restored import restore
from training.prepare import prepare
from training.retrain import gather, retrain
from training.run import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from staytrue.project import Project

    Serve = Callable[[int, float], float]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project whose champion, version 1, was trained on the project's own rows."""
    made = write_project(tmp_path_factory.mktemp("trained"))
    store = Store(made.store)
    bundle = retraining.publish_run(store, train(made, opening="skip"), made)
    store.promote("toy", bundle.version, reason="first version")
    return made.folder


@pytest.fixture
def store(project: Project, trained: Path) -> Store:
    """The trained project's store and runs, in the test's own project."""
    shutil.copytree(trained, project.folder, dirs_exist_ok=True)
    return Store(project.store)


@pytest.fixture(scope="module")
def promoted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Verdict]:
    """The trained project after the world moved by 20 and a job that learnt it: to be read alone."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("promoted") / "toy"))
    made = load(folder / "staytrue.yaml")
    return made, retrain(made, job(serve_days(made, 14, 20.0)))


def job(until: float, **changes: str) -> RetrainJob:
    """A job against version 1."""
    made = RetrainJob(id="j1", model="toy", trigger="y drifted", champion="1", event_time=until, created=0)
    return msgspec.structs.replace(made, **changes)


def test_a_better_challenger_is_promoted_with_its_figures(promoted: tuple[Project, Verdict]) -> None:
    """The world moved by 20: the old model is 20 off, the new one is not."""
    project, verdict = promoted
    store = Store(project.store)
    assert verdict.promote
    assert verdict.champion_error == pytest.approx(20, abs=2)
    assert verdict.challenger_error < 12  # old rows still count for something
    assert store.aliases("toy").champion == verdict.challenger == "2"
    entry = store.journal("toy")[-1]
    assert entry.figures["high"] == verdict.high < 0
    assert "j1" in entry.reason
    lineage = store.load("toy", "2").lineage
    assert (lineage.parent, lineage.test_openings) == ("1", 0)
    assert lineage.trained_until == prepare(project).rows.time[-1] + 14 * DAY_SECONDS


def test_the_sealed_rows_may_judge_a_challenger_once_and_its_card_knows_of_the_first_opening(
    promoted: tuple[Project, Verdict], tmp_path: Path
) -> None:
    """They did not train, and are the first training's; its validation rows came from traffic and are not told anew."""
    made = load(Path(shutil.copytree(promoted[0].folder, tmp_path / "toy")) / "staytrue.yaml")
    first = checkpoints.newest_run(made.retraining.runs, "toy")
    (second,) = [path.parent for path in made.retraining.runs.glob("*/checkpoint.json") if path.parent != first]
    with pytest.raises(Conflict, match="is a retraining, whose rows came from served traffic"):
        _ = restore(made, second).validation
    final(restore(made, second))
    with pytest.raises(Conflict, match=f"for run {second.name}"):
        final(restore(made, first))
    told = [up_to_date(checkpoints.load(run)[0], run, made) for run in (first, second)]
    assert ["test" in record.evaluation for record in told] == [False, True]
    assert [record.lineage.test_openings for record in told] == [1, 1]
    assert told[0].lineage.test_opened == told[1].lineage.test_opened
    assert told[0].lineage.test_opened_for == told[1].lineage.test_opened_for == [second.name]


def test_a_challenger_that_is_no_better_is_not_promoted(project: Project, store: Store, serve: Serve) -> None:
    """Nothing changed: the champion stays, the verdict says why, the version can be looked at."""
    worse = project.model_copy(update={"training": project.training.model_copy(update={"epochs": 1})})
    verdict = retrain(worse, job(serve(14, 0.0)))
    assert not verdict.promote
    assert verdict.reason
    assert store.aliases("toy").champion == "1"
    assert store.versions("toy") == ["1", "2"]


def test_no_row_is_both_learnt_and_judged_and_none_is_of_the_test_split(project: Project, serve: Serve) -> None:
    """Also when the project's own days come back through the lake."""
    until = serve(14, 0.0)
    prepared = prepare(project)
    parts, gate = gather(project, prepare(project), float(prepared.rows.time[-1]), until)
    learnt = {*parts.train.time, *parts.held.time}
    assert len(learnt) == len(parts.train) + len(parts.held)
    assert not learnt & set(gate.time)
    assert not learnt & set(prepared.rows.time[prepared.split.parts["test"]])


def test_the_next_gate_takes_only_rows_newer_than_those_that_chose_the_champion(project: Project, serve: Serve) -> None:
    """A version is not judged by what it was chosen by."""
    until = serve(20, 0.0)
    seen = float(prepare(project).rows.time[-1]) + 10 * DAY_SECONDS
    assert gather(project, prepare(project), seen, until)[1].time.min() > seen


def test_recent_rows_count_for_more_and_the_profile_says_so(promoted: tuple[Project, Verdict]) -> None:
    """By the half-life of ten days, within each part."""
    project, _ = promoted
    reference = checkpoints.load(max(project.retraining.runs.glob("*/checkpoint.json")).parent)[1]
    assert Store(project.store).versions("toy")[-1] == "2"
    trained = np.array([part == "train" for part in reference.split])
    weight, time = np.array(reference.weight)[trained], np.array(reference.time)[trained]
    assert weight.mean() == pytest.approx(1)
    assert weight[-1] / weight[0] == pytest.approx(2 ** ((time[-1] - time[0]) / DAY_SECONDS / 10))


def test_data_that_changed_since_the_test_split_was_sealed_are_refused(
    project: Project, store: Store, serve: Serve
) -> None:
    """Split anew, sealed rows would come to train."""
    assert project.data.source is not None
    lines = project.data.source.read_text().splitlines(keepends=True)
    until = serve(14, 20.0)
    project.data.source.write_text("".join(lines[: -5 * 24]))
    with pytest.raises(Conflict, match=r"changed since run .* sealed its test split; train, export and promote"):
        retrain(project, job(until))
    assert store.versions("toy") == ["1"]


def test_a_plain_export_never_takes_a_retraining(promoted: tuple[Project, Verdict]) -> None:
    """A challenger that the gate refused must not be published by a careless hand."""
    project, _ = promoted
    newest = checkpoints.newest_run(project.retraining.runs, "toy")
    assert newest != max(project.retraining.runs.glob("*/checkpoint.json")).parent
    assert Store(project.store).versions("toy") == ["1", "2"]


def test_without_new_labels_there_is_no_challenger(project: Project, store: Store) -> None:
    """It says what is missing, and publishes nothing."""
    with pytest.raises(Conflict, match="no labelled rows newer than"):
        retrain(project, job(2e9))
    assert store.versions("toy") == ["1"]


def test_a_job_for_another_model_or_an_old_champion_is_refused(project: Project, store: Store) -> None:
    """Before anything is trained."""
    with pytest.raises(InvalidConfig, match='expected model "toy", got "other"'):
        retrain(project, job(2e9, model="other"))
    with pytest.raises(Conflict, match="expected champion 7, got 1"):
        retrain(project, job(2e9, champion="7"))
    assert store.versions("toy") == ["1"]


def test_a_challenger_that_nobody_would_sign_is_not_made(project: Project, store: Store) -> None:
    del store
    strict = project.serving.model_copy(update={"trusted_keys": project.folder / "trusted.pem"})
    with pytest.raises(InvalidConfig, match=r"export\.signing_key: serving\.trusted_keys asks for signed versions"):
        retrain(project.model_copy(update={"serving": strict}), job(0.0))


def test_a_champion_changed_by_hand_meanwhile_is_left_alone(
    project: Project, store: Store, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The challenger was judged against another."""

    def meanwhile(*arguments: object, **named: object) -> Verdict:
        verdict: Verdict = judge(*arguments, **named)  # type: ignore[arg-type]
        store.promote("toy", "2", reason="by hand")
        return verdict

    monkeypatch.setattr(retraining, "judge", meanwhile)
    verdict = retrain(project, job(serve(14, 20.0)))
    assert not verdict.promote
    assert "expected 1, got 2" in verdict.reason
    assert store.journal("toy")[-1].reason == "by hand"


def test_the_commands_go_from_data_to_a_promoted_challenger(
    project: Project, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """train, export, retrain: each says what it did."""
    assert project.store == tmp_path / "store"
    file = ["--project", str(tmp_path / "staytrue.yaml")]
    assert main(["train", *file, "--seed", "3"]) == 0
    assert "validation  mae" in capsys.readouterr().out
    assert main(["export", *file]) == 0
    assert "champion of toy is version 1: first version" in capsys.readouterr().out
    path = tmp_path / "jobs" / "j1" / "job.json"
    write_atomically(path, to_json(job(serve(14, 20.0))))
    assert main(["retrain", *file, "--job", str(path)]) == 0
    assert "promoted: version 2 against 1" in capsys.readouterr().out
    assert read(Verdict, path.parent / "verdict.json").promote
    assert json.loads((tmp_path / "store" / "toy" / "aliases.json").read_text())["champion"] == "2"


def test_a_promotion_by_hand_needs_a_reason(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal has no entry without one."""
    assert project.retraining.runs == tmp_path / "runs"
    assert main(["export", "--project", str(tmp_path / "staytrue.yaml"), "--promote"]) == 2
    assert "needs --reason" in capsys.readouterr().err


def test_export_before_training_says_what_to_do(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a stack trace."""
    assert project.retraining.runs == tmp_path / "runs"
    assert main(["export", "--project", str(tmp_path / "staytrue.yaml")]) == 1
    assert "`staytrue train` makes one" in capsys.readouterr().err


def test_one_infinity_among_the_served_rows_does_not_spoil_what_is_learnt(
    project: Project, store: Store, serve: Serve
) -> None:
    """It counts as missing, as in the project's own data: the model still finds the law."""
    until = serve(14, 20.0)
    path = max((project.monitoring.data / "lake" / "events" / "model=toy").glob("day=*")) / "part.parquet"
    table = pq.read_table(path)
    x = table.column("input_x").to_numpy().copy()
    x[3], x[5] = np.inf, -np.inf
    pq.write_table(table.set_column(table.column_names.index("input_x"), "input_x", pa.array(x)), path)
    said: list[str] = []
    verdict = retrain(project, job(until), say=said.append)
    assert verdict.promote
    assert verdict.challenger_error < 12
    assert any("served and labelled rows: 2 infinite values of x" in line for line in said)
    assert store.aliases("toy").champion == "2"

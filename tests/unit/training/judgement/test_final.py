"""Two months of bike rentals: validation judges at any time, the sealed week once, and nothing else sees it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import yaml

from staytrue.bundle import CARD
from staytrue.checkpoint import CHECKPOINT, WEIGHTS, Checkpoint
from staytrue.command import main
from staytrue.errors import Conflict, CorruptData, InvalidConfig
from staytrue.evaluation import EVALUATION, Evaluation
from staytrue.openings import LEDGER, Opening
from staytrue.project import load
from staytrue.records import read
from staytrue.store import Store
from tests.command import run as command
from training import checkpoint as checkpoints
from training.data.split.ledger import Ledger, Opener
from training.diagnose.case import case
from training.diagnose.diagnosis import diagnose
from training.judgement import final as finals
from training.judgement.restored import restore
from training.prepare import prepare
from training.rates.trial import try_rates
from training.retrain import publish_run
from training.run import train
from training.suggest.facts import facts_of
from training.suggest.proposals import suggest

if TYPE_CHECKING:
    from staytrue.project import Project

BIKES = Path(__file__).parents[4] / "examples" / "bikeshare"


def write(folder: Path, **changes: Any) -> Project:
    """The example with two epochs, small, and further changes by section."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "hourly.csv").exists():
        shutil.copy(BIKES / "hourly.csv", folder)
    said = yaml.safe_load((BIKES / "staytrue.yaml").read_text(encoding="utf-8"))
    changes = {"training": {"epochs": 2}, "export": {"formats": ["onnx"]}} | changes
    said["data"]["query"] = said["data"]["query"].replace("120", "60")
    del said["tuning"]
    for section, values in changes.items():
        said[section] = values if isinstance(values, str) else said.get(section, {}) | values
    said["split"] = {key: value for key, value in said["split"].items() if value is not None}
    (folder / "staytrue.yaml").write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return load(folder / "staytrue.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, to be copied."""
    folder = tmp_path_factory.mktemp("bikes")
    train(write(folder))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The same, one's own: it may lie elsewhere than where it was trained."""
    return Path(shutil.copytree(made, tmp_path / "bikes"))


def lines(folder: Path) -> list[Opening]:
    """Of the ledger."""
    path = folder / "runs" / LEDGER
    return [msgspec.json.decode(line, type=Opening) for line in path.read_bytes().splitlines()] if path.exists() else []


def newest(folder: Path) -> Path:
    """The newest run."""
    return checkpoints.newest_run(folder / "runs", "bikes")


def altered(folder: Path, part: str) -> None:
    """Change truths and features of some rows, and neither their times nor their number."""
    split = json.loads((newest(folder) / checkpoints.SPLIT).read_text())
    with (folder / "hourly.csv").open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    bikers, temp, sky = (names.index(name) for name in ("bikers", "temp", "weathersit"))
    for place in split["parts"][part]:
        rows[place][bikers] = str(9000 + place)
        rows[place][temp] = str(40 + place / 1000)
        rows[place][sky] = "clear"
    with (folder / "hourly.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


def test_evaluate_tells_validation_as_the_run_did_and_opens_nothing(folder: Path) -> None:
    told = json.loads(command(folder, "evaluate", "--json"))
    kept = json.loads((newest(folder) / EVALUATION).read_text())
    assert list(told["parts"]) == ["validation"]
    assert told["parts"]["validation"] == kept["parts"]["validation"]
    said = command(folder, "evaluate", f"runs/{newest(folder).name}")
    assert said.startswith("  validation  mae ")
    assert lines(folder) == []


def test_final_is_written_down_before_it_is_shown_with_who_when_run_and_figures(folder: Path) -> None:
    assert "test" not in read(Evaluation, newest(folder) / EVALUATION).parts
    said = command(folder, "evaluate", "--final")
    opened, judged = lines(folder)
    record = read(Checkpoint, newest(folder) / CHECKPOINT)
    assert (opened.event, judged.event, opened.run, opened.model) == ("opened", "judged", newest(folder).name, "bikes")
    assert "@" in opened.by
    assert opened.time <= judged.time
    assert (
        judged.evaluation
        == record.evaluation["test"]
        == read(Evaluation, newest(folder) / EVALUATION).parts["test"].metrics
    )
    mae = judged.evaluation["mae"]
    assert mae.low < mae.value < mae.high
    assert f"mae {mae.value:.4g} [{mae.low:.4g}, {mae.high:.4g}]" in said
    assert (record.lineage.test_openings, record.lineage.test_opened) == (1, [opened.time])


def test_the_figures_are_those_of_the_runs_own_model_on_the_sealed_rows(folder: Path) -> None:
    """Worked out by hand from the file."""
    command(folder, "evaluate", "--final")
    _, _, model = checkpoints.load(newest(folder))
    project = load(folder / "staytrue.yaml")
    prepared = prepare(project)
    elsewhere = Ledger(folder / "elsewhere")
    rows = prepared.sealed.open(elsewhere, Opener("bikes", "r"), prepared.split.seal, project.data.features)
    error = np.abs(model.answers(rows.columns)[0][:, 0] - rows.target).mean()
    assert lines(folder)[1].evaluation["mae"].value == pytest.approx(error, rel=1e-5)
    with (folder / "hourly.csv").open(encoding="utf-8") as file:
        truth = [float(row["bikers"]) for row in csv.DictReader(file)]
    places = json.loads((newest(folder) / checkpoints.SPLIT).read_text())["parts"]["test"]
    assert rows.target.tolist() == [truth[place] for place in places]


def test_asked_again_a_run_tells_what_it_saw_and_opens_nothing(folder: Path) -> None:
    first = command(folder, "evaluate", "--final")
    opened = lines(folder)[0]
    told, _, rest = command(folder, "evaluate", "--final").partition("\n")
    assert told.startswith(
        f"test split: was opened for this run on {opened.time} by {opened.by}; it is not opened again"
    )
    assert rest == first
    assert json.loads(command(folder, "evaluate", "--final", "--json"))["parts"].keys() == {"test"}
    assert len(lines(folder)) == 2


LIKE: dict[str, dict[str, Any]] = {
    "features and datatypes": {"data": {"features": {"hr": {"kind": "category"}, "temp": {"kind": "numeric"}}}},
    "scale": {"data": {"features": {"temp": {"kind": "numeric", "scale": "minmax"}}}},
    "query": {
        "data": {
            "query": "SELECT TIMESTAMP '2011-01-01' + to_days(day::INTEGER - 1) + to_hours(hr::INTEGER) AS time, "
            "temp * 41 AS celsius, bikers::DOUBLE AS bikers FROM source WHERE day <= 60",
            "features": {"celsius": {"kind": "numeric"}},
        }
    },
    "target on another scale": {
        "data": {
            "query": "SELECT TIMESTAMP '2011-01-01' + to_days(day::INTEGER - 1) + to_hours(hr::INTEGER) AS time, "
            "temp, ln(1 + bikers) AS bikers FROM source WHERE day <= 60",
            "features": {"temp": {"kind": "numeric"}},
        }
    },
    "target": {"data": {"target": "registered"}},
    "name": {"name": "cycles"},
    "split": {"split": {"method": "random", "block_days": None}},
}


@pytest.fixture(scope="module")
def opened(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose run has opened the test split, to be copied."""
    folder = tmp_path_factory.mktemp("opened") / "bikes"
    shutil.copytree(made, folder)
    command(folder, "evaluate", "--final")
    return folder


@pytest.mark.parametrize("what", LIKE)
def test_the_same_rows_are_not_sealed_anew(opened: Path, tmp_path: Path, what: str) -> None:
    """Whatever a model takes of them, and whatever part of them is drawn again."""
    folder = Path(shutil.copytree(opened, tmp_path / "bikes"))
    project = write(folder, **LIKE[what])
    prepared, ledger = prepare(project), Ledger(project.retraining.runs)
    shared = r"\d+ of the \d+" if what == "split" else r"(all|\d+ of the) \d+" if "target" in what else r"all \d+"
    told = "(were opened before|are of times of rows that were opened before with other truths)"
    with pytest.raises(Conflict, match=f"{shared} rows {told if 'target' in what else 'were opened before'}.*--force"):
        prepared.sealed.open(
            ledger, Opener("bikes", "other", "w"), prepared.split.seal, project.data.features, force=False
        )
    assert len(lines(folder)) == 2


def test_another_model_of_them_is_refused_and_forced_the_card_says_how_often_and_when(
    opened: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(opened, tmp_path / "bikes"))
    project = write(folder, training={"epochs": 1, "seed": 5}, **LIKE["features and datatypes"])
    run = restore(project, train(project))
    with pytest.raises(Conflict, match=r"rows were opened before, for run .*--force"):
        finals.final(run)
    assert len(lines(folder)) == 2
    finals.final(run, force=True)
    told = [line for line in lines(folder) if line.event == "opened"]
    assert [line.forced for line in told] == [False, True]
    bundle = publish_run(Store(folder / "store"), run.folder, project)
    card = (folder / "store" / "bikes" / bundle.version / CARD).read_text(encoding="utf-8")
    each = [f"on {line.time} for run {line.run}" for line in told]
    assert [line.run for line in told] == [newest(opened).name, run.folder.name]
    assert f"was opened 2 times: {each[0]}, {each[1]}: its figures below are no longer unseen" in card


def test_an_export_knows_of_openings_since_the_run_was_trained(folder: Path) -> None:
    project, first = load(folder / "staytrue.yaml"), newest(folder)
    other = train(project)
    command(folder, "evaluate", "--final", other)
    bundle = publish_run(Store(folder / "store"), first, project)
    card = (folder / "store" / "bikes" / bundle.version / CARD).read_text(encoding="utf-8")
    assert f"stayed shut for this version. It was opened once: on {lines(folder)[0].time} for run {other.name}." in card


def test_altered_test_rows_fail_by_digest_and_open_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    altered(folder, "test")
    assert main(["evaluate", "--final", "--project", str(folder / "staytrue.yaml")]) == 1
    assert "test split: holds other data than were sealed, expected seal" in capsys.readouterr().err
    assert lines(folder) == []


def test_secrets_that_a_run_does_not_keep_are_the_projects(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "bikes"))
    hook = {"url": "http://127.0.0.1:9/", "secret": "whsec_" + "QUJD" * 8}
    project = write(folder, training={"epochs": 1}, monitoring={"webhooks": [hook]})
    run = train(project)
    assert "QUJD" not in (run / "project.yaml").read_text()
    assert "validation" in command(folder, "evaluate")


def test_rows_that_a_run_was_not_trained_on_tell_nothing_of_its_validation(folder: Path) -> None:
    altered(folder, "validation")
    run = restore(load(folder / "staytrue.yaml"), newest(folder))
    with pytest.raises(Conflict, match="was trained on other data, expected"):
        _ = run.validation


def test_other_training_rows_leave_the_sealed_ones_what_they_are(folder: Path) -> None:
    """They were not altered, and the run is the same."""
    altered(folder, "validation")
    command(folder, "evaluate", "--final")
    assert len(lines(folder)) == 2


def test_one_that_dies_before_it_tells_has_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run is refused; the same goes on, and the ledger counts one opening."""
    project = load(folder / "staytrue.yaml")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finals, "judged", die)
        with pytest.raises(KeyboardInterrupt):
            finals.final(restore(project, newest(folder)))
    assert [line.event for line in lines(folder)] == ["opened"]
    first = newest(folder)
    with pytest.raises(Conflict, match=f"for run {first.name}"):
        finals.final(restore(project, train(project)))
    finals.final(restore(project, first))
    assert [line.event for line in lines(folder)] == ["opened", "judged"]
    assert read(Checkpoint, first / CHECKPOINT).lineage.test_openings == 1


def test_figures_that_were_not_written_into_the_run_are_found_by_the_ledger(folder: Path) -> None:
    """Killed between the two: it says the same once more, and opens nothing."""
    before = (newest(folder) / CHECKPOINT).read_bytes(), (newest(folder) / EVALUATION).read_bytes()
    command(folder, "evaluate", "--final")
    (newest(folder) / EVALUATION).write_bytes(before[1])
    (newest(folder) / CHECKPOINT).write_bytes(before[0])
    command(folder, "evaluate", "--final")
    assert [line.event for line in lines(folder)].count("opened") == 1
    assert "test" in read(Checkpoint, newest(folder) / CHECKPOINT).evaluation


def test_figures_that_the_ledger_does_not_tell_are_not_told_as_those_of_the_sealed_rows(folder: Path) -> None:
    """As where evaluation.json was edited since: the run is judged once more, which is no further opening."""
    first = command(folder, "evaluate", "--final")
    path = newest(folder) / EVALUATION
    told = json.loads(path.read_text())
    seen = told["parts"]["test"]["metrics"]["mae"]["value"]
    told["parts"]["test"]["metrics"]["mae"]["value"] = seen / 2
    path.write_text(json.dumps(told))
    assert command(folder, "evaluate", "--final").partition("\n")[2] == first
    assert read(Evaluation, path).parts["test"].metrics["mae"].value == seen
    assert [line.event for line in lines(folder)] == ["opened", "judged", "judged"]
    assert read(Checkpoint, newest(folder) / CHECKPOINT).lineage.test_openings == 1


def test_what_does_not_go_is_refused_with_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = ["--project", str(folder / "staytrue.yaml")]
    assert main(["evaluate", "--force", *project]) == 2
    assert "--force: belongs to --final" in capsys.readouterr().err
    assert main(["evaluate", str(folder / "runs" / "none"), *project]) == 1
    assert "`staytrue train` makes one" in capsys.readouterr().err
    other = load(folder / "staytrue.yaml").model_copy(update={"name": "cars"})
    with pytest.raises(InvalidConfig, match='expected a run of "cars", got one of "bikes"; name its project'):
        restore(other, newest(folder))
    (newest(folder) / checkpoints.SEALED).write_bytes(b"")
    with pytest.raises(CorruptData, match=checkpoints.SEALED):
        publish_run(Store(folder / "store"), newest(folder), load(folder / "staytrue.yaml"))


def test_nothing_but_the_opening_reads_a_test_row(folder: Path) -> None:
    """Other test rows, and all else is the same to the last bit: weights, epochs, stop, figures, proposals, rates."""
    project, before = load(folder / "staytrue.yaml"), newest(folder)
    outcome, unaltered = _all_of(project), restore(project, before)
    altered(folder, "test")
    after = train(project)
    assert prepare(project).fingerprint.sha256 != restore(project, before).checkpoint.lineage.data_fingerprint
    assert (after / WEIGHTS).read_bytes() == (before / WEIGHTS).read_bytes()
    for name in ("profile.json", checkpoints.CLEANING):
        pair = [(run / name).read_bytes() if (run / name).exists() else b"" for run in (before, after)]
        assert pair[0] == pair[1]
    told = [read(Evaluation, run / EVALUATION).parts for run in (before, after)]
    assert told[0] == told[1]
    epochs = [
        [json.loads(line) for line in (run / checkpoints.METRICS).read_text().splitlines()] for run in (before, after)
    ]
    assert [{**line, "seconds": 0} for line in epochs[0]] == [{**line, "seconds": 0} for line in epochs[1]]
    assert _all_of(project) == outcome
    found = [diagnose(case(run.project, run.folder, run)) for run in (unaltered, restore(project, after))]
    assert found[0] == msgspec.structs.replace(found[1], run=before.name)


def _all_of(project: Project) -> list[Any]:
    """What else is found out from rows, but for `tune`, whose own tests show the same."""
    prepared = prepare(project)
    facts = facts_of(project, prepared.training.only(project.data.features))
    return [suggest(facts), try_rates(project, lowest=1e-4, highest=1.0, steps=30), prepared.classes]


def test_validation_rows_are_read(folder: Path) -> None:
    """What is above would see a difference."""
    project, before = load(folder / "staytrue.yaml"), newest(folder)
    altered(folder, "validation")
    after = train(project)
    assert (
        read(Evaluation, before / EVALUATION).parts["validation"]
        != read(Evaluation, after / EVALUATION).parts["validation"]
    )


def test_a_ledger_beside_is_not_read(folder: Path) -> None:
    """Each folder of runs has its own."""
    command(folder, "evaluate", "--final")
    assert Ledger(folder / "elsewhere").openings(prepare(load(folder / "staytrue.yaml")).sealed.keys.all) == []


def test_a_ledger_that_lacks_what_the_run_knows_refuses_and_the_card_forgets_nothing(
    opened: Path, tmp_path: Path
) -> None:
    """As where the project names another folder of runs since."""
    folder = Path(shutil.copytree(opened, tmp_path / "bikes"))
    first = [line.time for line in lines(folder) if line.event == "opened"]
    (folder / "runs" / LEDGER).unlink()
    run = restore(load(folder / "staytrue.yaml"), newest(folder))
    with pytest.raises(Conflict, match=rf"opened before, on {first[0]}, of which .*{LEDGER} does not tell.*--force"):
        finals.final(run)
    finals.final(run, force=True)
    told = read(Checkpoint, newest(folder) / CHECKPOINT).lineage
    assert (told.test_openings, told.test_opened[0]) == (2, first[0])

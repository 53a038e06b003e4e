"""Faults are found in runs that were built to have them, on real data, and none in healthy ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from staytrue.command import main
from staytrue.diagnosis import DIAGNOSIS, Diagnosis, Finding, Kind
from staytrue.errors import CorruptData, Unsupported
from staytrue.evaluation import ClassEvaluation, PartEvaluation
from staytrue.project import load
from staytrue.records import read
from tests.command import run as command
from tests.unit.training.diagnose.faulty import bikes, digits
from training import checkpoint as checkpoints
from training.diagnose.case import Case, _constant, _share, case
from training.diagnose.diagnosis import diagnose
from training.judgement.restored import restore
from training.models.architectures import arguments_of
from training.run import train
from training.suggest.writing import written

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.project import Project

MAKE = {"bikes": bikes, "digits": digits}
BUILT: dict[tuple[str, str], list[Kind]] = {
    ("bikes", "healthy"): [],
    ("digits", "healthy"): [],
    ("bikes", "fast"): ["rate too high"],
    ("digits", "fast"): ["rate too high"],
    ("bikes", "slow"): ["rate too low"],
    ("digits", "slow"): ["rate too low"],
    ("bikes", "small"): ["under-fitting"],
    ("digits", "small"): ["under-fitting"],
    ("bikes", "brief"): ["under-fitting"],
    ("bikes", "by heart"): ["over-fitting"],
    ("digits", "by heart"): ["over-fitting"],
    ("digits", "labels"): ["noisy labels"],
    ("bikes", "leak"): ["leakage"],
}


def looked_at(project: Project) -> tuple[Case, Diagnosis]:
    """A run of it, with all that is found."""
    run = restore(project, train(project))
    made = case(run.project, run.folder, run)
    return made, diagnose(made)


@pytest.mark.parametrize(("data", "fault"), BUILT)
def test_each_fault_is_found_first_and_each_setting_can_be_pasted(tmp_path: Path, data: str, fault: str) -> None:
    """Nothing else is told but what a fault of another kind may well be beside it."""
    project = MAKE[data](tmp_path, fault)
    made, found = looked_at(project)
    kinds = [one.kind for one in found.findings]
    assert kinds[:1] == BUILT[data, fault], [one.summary for one in found.findings]
    assert len(kinds) <= 2
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diagnosis) == found
    text = (tmp_path / "staytrue.yaml").read_text(encoding="utf-8")
    for finding in found.findings:
        check(finding)
        for one in finding.remedies:
            if one.setting:
                path = tmp_path / "tried.yaml"
                path.write_text(written(text, {one.setting: one.value}), encoding="utf-8")
                tried = load(path)
                arguments_of(tried)
                assert tried.fingerprint() != project.fingerprint() or one.setting == "training.patience"
    if fault in {"fast", "slow"}:
        (rate,) = [one.value for one in found.findings[0].remedies if one.setting == "training.learning_rate"]
        assert made.rates is not None
        assert rate == made.rates.proposed
        assert (rate < project.training.rate) == (fault == "fast")


def check(finding: Finding) -> None:
    """Its figures are numbers within their intervals; it has something to try and says whose rule it is."""
    assert finding.evidence
    assert finding.source
    assert finding.remedies
    for one in finding.evidence:
        assert np.isfinite(one.value)
        assert one.low is None or one.low <= one.value
        assert one.high is None or one.value <= one.high
        assert one.limit


def test_hardly_more_labels_are_suspected_than_are_wrong(tmp_path: Path) -> None:
    """15% of them are: confident learning is sure of most of these, and of hardly any other."""
    _, found = looked_at(digits(tmp_path, "labels"))
    (evidence,) = found.findings[0].evidence
    assert evidence.low is not None
    assert evidence.high is not None
    assert 0.07 < evidence.low < evidence.value < 0.16


def test_the_command_writes_and_tells_and_train_points_to_it(tmp_path: Path) -> None:
    project = bikes(tmp_path, "slow")
    said = command(tmp_path, "train").splitlines()
    assert said[-1].startswith("rate too low: the validation error falls steadily to the last of 15 epochs")
    assert said[-1].endswith("`staytrue diagnose` tells what to try")
    folder = checkpoints.newest_run(project.retraining.runs, "bikes")
    told = command(tmp_path, "diagnose")
    assert told.startswith("1. rate too low: ")
    assert "\n   - training.learning_rate: " in told
    kept = read(Diagnosis, folder / DIAGNOSIS)
    assert json.loads(command(tmp_path, "diagnose", f"runs/{folder.name}", "--json")) == json.loads(
        msgspec.json.encode(kept)
    )
    assert kept.not_looked_for["under-fitting"] == "it follows from the learning rate"


def test_what_cannot_be_diagnosed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = bikes(tmp_path, "slow")
    assert main(["diagnose", "--project", str(tmp_path / "staytrue.yaml")]) == 1
    assert "`staytrue train` makes one" in capsys.readouterr().err
    folder = train(project.model_copy(update={"training": project.training.model_copy(update={"epochs": 1})}))
    curve = (folder / checkpoints.METRICS).read_bytes()
    for damaged in (b"", b"{", b"{}\n"):
        (folder / checkpoints.METRICS).write_bytes(damaged)
        with pytest.raises(
            CorruptData, match=r"metrics\.jsonl: does not tell the error of each epoch; bring the file back"
        ):
            case(project, folder)
    (folder / checkpoints.METRICS).write_bytes(curve)
    record = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(record | {"task": "generation"}))
    with pytest.raises(Unsupported, match="generators have no error"):
        case(project, folder)


def test_errors_are_shares_of_a_constant_answers() -> None:
    """Half, a quarter, a quarter: an entropy of 1.5 bits; labels that hold for half of the rows: one bit each."""
    from staytrue.bundle import Metric

    def part(rows: int, counts: list[int], **metrics: float) -> PartEvaluation:
        by_class = {str(c): ClassEvaluation(rows=c, predicted=0, metrics={}, absent={}) for c in counts[:1]}
        by_class |= {f"{i}": ClassEvaluation(rows=c, predicted=0, metrics={}, absent={}) for i, c in enumerate(counts)}
        by_class = {f"{i}": by_class[f"{i}"] for i in range(len(counts))}
        told = {name: Metric(value=v, low=v / 2, high=v * 1.5) for name, v in metrics.items()}
        return PartEvaluation(rows=rows, left_out=0, metrics=told, absent={}, by_class=by_class)

    classes = part(8, [4, 2, 2], log_loss=0.75 * np.log(2), accuracy=0.5)
    share = _share(classes, _constant(classes))
    assert share is not None
    assert share[:3] == pytest.approx((0.5, 0.25, 0.75))
    labels = part(8, [4, 4], log_loss=np.log(2), subset_accuracy=0.5)
    share = _share(labels, _constant(labels))
    assert share is not None
    assert share.value == pytest.approx(1)
    numbers = part(8, [], **{"a.r2": 0.8, "b.r2": 0.4})
    share = _share(numbers, _constant(numbers))
    assert share is not None
    assert share[:3] == pytest.approx((0.4, 0.1, 0.7))
    ends = {"train": (0.9, 0.8, 0.95), "validation": (0.6, 0.4, 0.7)}  # errors 0.1 [0.05, 0.2] and 0.4 [0.3, 0.6]
    both = {
        name: msgspec.structs.replace(numbers, metrics={"r2": Metric(value=value, low=low, high=high)})
        for name, (value, low, high) in ends.items()
    }
    gap = Case(None, None, both, np.zeros(1), np.zeros(1)).gap  # type: ignore[arg-type]
    assert gap is not None
    assert gap[:3] == pytest.approx((0.3, 0.3 - np.hypot(0.1, 0.1), 0.3 + np.hypot(0.2, 0.05)))
    few, alone = "3 days, so few that the interval is rough", "rows of one day: no interval"
    noted = {
        note: msgspec.structs.replace(classes.metrics["log_loss"], note=note, bare=note == alone)
        for note in (few, alone)
    }
    share = _share(msgspec.structs.replace(classes, metrics={"log_loss": noted[few]}), 1.0)
    assert share is not None
    assert share.symptom("error", "low above 0.1").limit == f"low above 0.1; {few}"
    assert _share(msgspec.structs.replace(classes, metrics={"log_loss": noted[alone]}), 1.0) is None

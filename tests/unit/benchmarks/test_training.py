"""The command that measures trainings: a line a case, and an end that says whether all were reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.training import __main__ as command
from benchmarks.training.cases import CASES, Case
from staytrue.bundle import Metric
from staytrue.errors import NotFound
from staytrue.project import load
from training.models.architectures import arguments_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_a_project_that_trains(name: str) -> None:
    """Its changes are settings that there are."""
    case = CASES[name]
    project = load(case.project)
    for section, settings in case.change.items():
        assert settings.keys() <= type(getattr(project, section)).model_fields.keys()
    model = project.model.model_copy(update=case.change.get("model", {}))
    assert arguments_of(project.model_copy(update={"model": model}))


@pytest.mark.parametrize(("value", "seconds", "status"), [(0.95, 10.0, 0), (0.94, 10.0, 1), (0.96, 31.0, 1)])
def test_a_figure_below_its_least_or_too_late_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: float, seconds: float, status: int
) -> None:
    case = Case("vowels", lambda folder: folder, {}, target=0.95, seconds=30.0)
    monkeypatch.setattr(command, "CASES", {"vowels-gru": case})
    monkeypatch.setattr(command, "run", lambda *_: (Metric(value=value, low=0.9, high=0.97), seconds, 17.5))
    assert command.main([]) == status
    line = capsys.readouterr().out.splitlines()[1]
    assert f"accuracy {value:7.4f}  0.900 to 0.970    0.95 {seconds:8.1f}    17.5" in line
    assert line.endswith("MISSED") is bool(status)


def test_data_that_cannot_be_had_are_told_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(_: Path) -> Path:
        raise NotFound("aeon", "cannot be fetched: no network")

    monkeypatch.setattr(command, "CASES", {"vowels-gru": Case("vowels", absent, {}, target=0.95)})
    assert command.main(["vowels-gru"]) == 1
    assert "not measured: aeon: cannot be fetched" in capsys.readouterr().out


def test_an_unknown_case_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["vowels-cnn"])
    assert "no case vowels-cnn: there are vowels-lstm" in capsys.readouterr().err

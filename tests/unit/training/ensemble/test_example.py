"""The example: members and ensembles are judged by rows that no training was given, asked of the served graphs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from examples import ensembles
from staytrue.errors import NotFound
from staytrue.sections import TrainingSection
from training.data.collect.source import collect

if TYPE_CHECKING:
    from pathlib import Path


def test_the_weeks_that_judge_are_none_of_those_that_train(tmp_path: Path) -> None:
    """Together they are the year."""
    project, aside = ensembles.weeks_of_bikes(tmp_path)
    rows, _ = collect(project.data, project.model.task)
    assert not np.isin(rows.time, aside.time).any()
    assert len(rows) + len(aside) == 8645
    assert 0.2 < len(aside) / 8645 < 0.3


def test_what_is_printed_is_the_paired_difference_and_its_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of few and hurried members; what is answered is whether the mean was better by a measure."""
    tiny = {"architecture": "mlp", "width": 10, "depth": 1}
    members = ensembles._seeds(tiny, tiny, epochs=3)
    assert TrainingSection.model_validate(members[1]["training"]).seed == 1
    better = ensembles.run("digits", ensembles.Case(ensembles.later_digits, members, days=False), tmp_path)
    told = capsys.readouterr().out
    assert "digits: 2 members, 600 rows that no training saw" in told
    verdicts = []
    for part in re.split(r"\n  (?=log loss|error rate)", told)[1:]:
        alone = float(re.findall(r"best member by validation \(mlp\) (\S+)", part)[0])
        for method, *numbers, verdict in re.findall(
            r"(mean|weighted) (\S+), (\S+), 95% interval \[(\S+), (\S+)\]: (.+)", part
        ):
            value, difference, low, high = map(float, numbers)
            assert value - alone == pytest.approx(difference, abs=2e-3 * max(alone, value))
            assert low <= difference <= high
            assert verdict == ("better" if high < 0 else "worse" if low > 0 else "not shown to be better")
            verdicts.append((method, verdict))
    assert len(verdicts) == 4
    assert better == (("mean", "better") in verdicts)


@pytest.mark.parametrize(
    ("asked", "better", "code", "said"),
    [
        ([], ["fashion", "bikes"], 0, "on 2 of 3 data sets (fashion, bikes); 2 shall be"),
        ([], ["bikes"], 1, "on 1 of 3 data sets (bikes); 2 shall be"),
        (["digits"], [], 1, "on 0 of 1 data sets; 1 shall be"),
        (["bikes", "bikes"], ["bikes"], 0, "on 1 of 1 data sets (bikes); 1 shall be"),
        (["bikes", "digits"], ["bikes"], 1, "on 1 of 2 data sets (bikes); 2 shall be"),
    ],
)
def test_it_ends_well_where_two_data_sets_show_it_and_those_lacking_show_nothing(
    asked: list[str],
    better: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(name: str, *_: object) -> bool:
        if name == "digits":
            raise NotFound("digits", "cannot be had")
        return name in better

    monkeypatch.setattr(ensembles, "run", run)
    assert ensembles.main(asked) == code
    assert said in capsys.readouterr().out

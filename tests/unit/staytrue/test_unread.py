"""Settings that nothing reads with the others as they are: refused, since whoever wrote them expects an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from staytrue.errors import InvalidConfig
from staytrue.feature import Feature
from staytrue.labelling import LabellingSection
from staytrue.preparation import CleaningSection
from staytrue.project import load
from staytrue.repairs import MissingSection, NoiseSection, OutlierSection, TargetSection
from staytrue.section import WRITTEN
from staytrue.splitting import SplitSection

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.section import Section

CATEGORY = {"kind": "category"}
MISSING = {"columns": {"x": {"method": "knn"}}}
GIVEN = {"method": "given", "column": "part"}
SMOOTH = {"method": "rolling_mean", "columns": ["x"]}
UNREAD: list[tuple[type[Section], dict[str, Any], str]] = [
    (Feature, CATEGORY | {"width": 4}, "width goes with encoding: embedding alone"),
    (Feature, CATEGORY | {"order": ["a"]}, "order goes with encoding: ordinal alone"),
    (Feature, CATEGORY | {"encoding": "ordinal", "width": 4}, "width goes with encoding: embedding alone"),
    (Feature, {"kind": "numeric", "quantiles": 9}, "quantiles goes with scale: quantile alone"),
    (SplitSection, {"method": "random", "bins": 4}, "bins has no effect with method: random"),
    (SplitSection, {"method": "random", "block_days": 1}, "block_days has no effect with method: random"),
    (SplitSection, {"method": "time", "seed": 1}, "seed has no effect with method: time"),
    (SplitSection, {"seed": 1}, "seed has no effect with method: blocks"),
    (SplitSection, GIVEN | {"test": 0.2}, "test has no effect with method: given"),
    (SplitSection, {"allow": ["time"]}, r"allow: \[time\] has no effect with method: blocks"),
    (SplitSection, {"allow": ["groups"]}, r"allow: \[groups\] has no effect without group"),
    (CleaningSection, {"on_sparse_column": "drop"}, "on_sparse_column has no effect without max_missing_column"),
    (TargetSection, {"threshold": 4}, "threshold has no effect with method: none"),
    (TargetSection, {"action": "drop"}, "action has no effect with method: none"),
    (NoiseSection, {"by": "sensor"}, "by has no effect with method: none"),
    (LabellingSection, {"layout": "long", "annotators": ["a"]}, "annotators has no effect with layout: long"),
    (LabellingSection, {"layout": "wide", "annotator": "who"}, "annotator has no effect with layout: wide"),
    (LabellingSection, {"layout": "wide", "label": "what"}, "label has no effect with layout: wide"),
    (LabellingSection, {"layout": "label-studio", "missing": ["?"]}, "missing has no effect with layout: label-studio"),
    (LabellingSection, {"consensus": "majority", "smoothing": 2}, "smoothing has no effect with consensus: majority"),
    (LabellingSection, {"folds": 3}, "folds has no effect without features"),
    (LabellingSection, {"learner": "logistic"}, "learner has no effect without features"),
    (OutlierSection, {"action": "clip"}, "action has no effect with method: none"),
    (OutlierSection, {"method": "iqr", "trees": 9}, "trees has no effect with method: iqr"),
    (NoiseSection, {"columns": ["x"]}, "columns has no effect with method: none"),
    (NoiseSection, SMOOTH | {"threshold": 2}, "threshold has no effect with method: rolling_mean"),
    (NoiseSection, SMOOTH | {"order": 3}, "order has no effect with method: rolling_mean"),
    (MissingSection, {"method": "mean", "neighbours": 3}, "neighbours has no effect with method: mean"),
    (MissingSection, MISSING | {"rounds": 3}, "rounds has no effect with method: keep"),
]
READ: list[tuple[type[Section], dict[str, Any]]] = [
    (Feature, CATEGORY | {"encoding": "embedding", "width": 4}),
    (Feature, CATEGORY | {"encoding": "ordinal", "order": ["a"]}),
    (Feature, {"kind": "numeric", "scale": "quantile", "quantiles": 9}),
    (SplitSection, {"method": "stratified", "bins": 4}),
    (SplitSection, {"method": "grouped", "group": "who", "seed": 1, "allow": ["groups"]}),
    (SplitSection, GIVEN | {"validation": 0.3, "allow": ["time"]}),
    (CleaningSection, {"on_sparse_column": "drop", "max_missing_column": 0.5}),
    (TargetSection, {"method": "iqr", "action": "drop", "threshold": 4}),
    (NoiseSection, SMOOTH | {"by": "sensor"}),
    (LabellingSection, {"annotators": ["a"], "annotator": "who", "label": "what", "missing": ["?"], "smoothing": 2}),
    (LabellingSection, {"features": "items.csv", "folds": 3, "learner": "logistic"}),
    (OutlierSection, {"method": "iqr", "action": "clip"}),
    (NoiseSection, SMOOTH | {"method": "hampel", "threshold": 2}),
    (MissingSection, MISSING | {"neighbours": 3, "donors": 50}),
]


@pytest.mark.parametrize(("section", "values", "said"), UNREAD)
def test_a_setting_that_nothing_reads_is_refused(section: type[Section], values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        section.model_validate(values)


@pytest.mark.parametrize(("section", "values"), READ)
def test_one_that_is_read_is_taken_and_so_are_all_defaults(section: type[Section], values: dict[str, Any]) -> None:
    """A run's ``project.yaml`` holds every setting."""
    made = section.model_validate(values, context=WRITTEN)
    assert section.model_validate(made.model_dump()) == made
    assert section.model_validate(made.model_dump(), context=WRITTEN) == made


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        (SplitSection, {"method": "random", "block_days": 7}, "block_days has no effect with method: random"),
        (SplitSection, {"seed": 0}, "seed has no effect with method: blocks"),
        (OutlierSection, {"trees": 100}, "trees has no effect with method: none"),
        (CleaningSection, {"on_sparse_column": "fail"}, "on_sparse_column has no effect without max_missing_column"),
        (LabellingSection, {"folds": 5}, "folds has no effect without features"),
    ],
)
def test_one_that_says_what_the_default_does_is_refused_where_somebody_wrote_it(
    section: type[Section], values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        section.model_validate(values, context=WRITTEN)
    assert section.model_validate(values)  # as of a run of an earlier version, which lacks what is new


def test_a_projects_file_is_somebodys(tmp_path: Path) -> None:
    data = "{source: a.csv, time: t, target: y, features: {x: {kind: numeric}}}"
    (tmp_path / "staytrue.yaml").write_text(f"name: a\ndata: {data}\nsplit: {{method: random, block_days: 7}}\n")
    with pytest.raises(InvalidConfig, match=r"yaml:3 split: .*block_days has no effect with method: random; remove it"):
        load(tmp_path / "staytrue.yaml")
    assert load(tmp_path / "staytrue.yaml", written=False).split.method == "random"

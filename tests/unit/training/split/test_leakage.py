"""Leakage: what is planted across parts is found, what real data repeat by chance is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from examples.fashion.prepare import FOLDER, NAMES, PACKAGE, read
from staytrue.errors import InvalidInput
from staytrue.feature import Feature
from staytrue.project import load
from staytrue.records import DAY_SECONDS
from staytrue.splitting import SplitSection
from tests.needs import missing
from tests.packages import member
from training.data.collect.source import collect
from training.data.rows import Rows
from training.data.split.leakage import Finding, find, refuse
from training.data.split.partition import SplitReport, chapter
from training.data.split.plan import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from staytrue.splitting import Method
    from training.data.split.plan import Part, Split

BIKES = load(Path(__file__).parents[4] / "examples" / "bikeshare" / "staytrue.yaml")
NUMBERS = ("temp", "atemp", "hum", "windspeed")
IMAGE = {"image": Feature(kind="image", shape=[1, 28, 28])}
DAYS = SplitSection(block_days=1)


@pytest.fixture
def bikes() -> Rows:
    """Four months of hours."""
    return collect(BIKES.data)[0]


@pytest.fixture(scope="module")
def fashion() -> Rows:
    """Six thousand pictures, 600 a day."""
    if not FOLDER.is_dir():
        missing(f"{FOLDER} is not there: apt-get install {PACKAGE}")
    images, labels = (read(FOLDER / f"t10k-{what}-ubyte.gz") for what in ("images-idx3", "labels-idx1"))
    time = np.arange(6000) * DAY_SECONDS / 600
    return Rows(time, {"image": images[:6000, None].copy()}, np.array(NAMES, dtype=object)[labels[:6000]])


def test_rows_that_lack_all_they_could_differ_in_are_told_to() -> None:
    """Two test rows and one training row without a text: chance explains none, and yet they are no copies."""
    draw = np.random.default_rng(0)
    rows = Rows(np.arange(300.0), {"text": np.array([f"t{i}" for i in range(300)], object)}, draw.normal(size=300))
    settings = SplitSection(method="random")
    plan = split(rows, settings)
    rows.columns["text"][[*plan.parts["train"][:1], *plan.parts["test"][:2]]] = ""
    features = {"text": Feature(kind="category")}
    every = find(rows, plan, settings, features)
    (found,) = [one for one in every if (one.kind, one.part, one.other) == ("duplicates", "test", "train")]
    assert (found.rows, found.verdict, found.expected) == (2, "by chance", 0)
    assert found.example.endswith("; all of them lack text")
    report = SplitReport(method="random", seed=0, rows={"train": 300}, leakage=every, comparisons=[])
    cells = [row for row in chapter(report).tables[0].rows if row[:3] == ["duplicates", "test", "train"]]
    assert [(row[3], row[5], row[6]) for row in cells] == [(2, 0.0, "too few")]


def copied(rows: Rows, plan: Split, count: int, noise: float = 0.0, part: Part = "test") -> Rows:
    """The rows, the first of a part replaced by copies of training rows; noise in deviations, or of 255."""
    draw = np.random.default_rng(2)
    into = np.array(plan.parts[part][:count])
    of = draw.choice(plan.parts["train"], count, replace=False)
    columns = {}
    for name, column in rows.columns.items():
        columns[name] = column.copy()
        values = column[of]
        if noise and column.dtype == np.uint8:
            drawn = draw.normal(0, 255 * noise, values.shape)
            values = np.clip(values + drawn, 0, 255).round().astype(np.uint8)
        elif noise and column.dtype == np.float32:
            values = values + draw.uniform(-noise, noise, count).astype(np.float32) * column.std()
        columns[name][into] = values
    return dataclasses.replace(rows, columns=columns)


def found(
    rows: Rows, plan: Split, settings: SplitSection, features: dict[str, Feature]
) -> dict[tuple[str, str], Finding]:
    """By kind and part, of what is shared with train."""
    every = find(rows, plan, settings, features)
    return {(finding.kind, finding.part): finding for finding in every if finding.other == "train"}


def verdicts(every: dict[tuple[str, str], Finding]) -> set[tuple[str, str]]:
    """What is leakage."""
    return {place for place, finding in every.items() if finding.verdict == "leakage"}


def test_hours_that_repeat_by_chance_are_none(bikes: Rows) -> None:
    """As pandas counts them: a validation and a test row have a twin in train, as do four of train among themselves."""
    plan = split(bikes, BIKES.split)
    every = found(bikes, plan, BIKES.split, BIKES.data.features)
    table = pd.DataFrame(bikes.columns)
    train = table.iloc[plan.parts["train"]]
    parts: tuple[Part, ...] = ("validation", "test")
    for part in parts:
        twins = table.iloc[plan.parts[part]].merge(train.drop_duplicates(), how="inner")
        finding = every["duplicates", part]
        assert (finding.rows, finding.verdict) == (len(twins), "by chance")
        share = train.duplicated(keep=False).mean()
        assert finding.expected == pytest.approx(share * len(plan.parts[part]))
    assert verdicts(every) == set()


@pytest.mark.parametrize("part", ["validation", "test"])
def test_copied_hours_are_found(bikes: Rows, part: Part) -> None:
    """Twenty of them, beside the one that was there."""
    plan = split(bikes, BIKES.split)
    every = found(copied(bikes, plan, 20, part=part), plan, BIKES.split, BIKES.data.features)
    assert verdicts(every) == {("duplicates", part)}
    assert 20 <= every["duplicates", part].rows <= 21


def test_slightly_noised_copies_of_hours_are_found(bikes: Rows) -> None:
    """Every number moved by at most a hundredth of its deviation; the copies are not equal."""
    plan = split(bikes, BIKES.split)
    every = found(copied(bikes, plan, 20, noise=0.01), plan, BIKES.split, BIKES.data.features)
    assert verdicts(every) == {("near_duplicates", "test")}
    assert every["near_duplicates", "test"].rows == 20


def test_noise_beyond_the_distance_is_another_hour(bikes: Rows) -> None:
    """The distance is a setting."""
    plan = split(bikes, BIKES.split)
    noised = copied(bikes, plan, 20, noise=0.05)
    assert verdicts(found(noised, plan, BIKES.split, BIKES.data.features)) == set()
    wider = BIKES.split.model_copy(update={"near_distance": 0.05})
    assert verdicts(found(noised, plan, wider, BIKES.data.features)) == {("near_duplicates", "test")}


def test_a_group_in_two_parts_is_found(bikes: Rows) -> None:
    """Days as groups are in one part each, as blocks of a week are; a fortnight is not."""
    days = np.floor(bikes.time / DAY_SECONDS).astype(int)
    settings = BIKES.split.model_copy(update={"group": "whose"})
    for length, leaks in ((1, False), (14, True)):
        names = np.array([f"{day // length}" for day in days], dtype=object)
        rows = dataclasses.replace(bikes, marks={"whose": names})
        plan = split(rows, settings)
        finding = found(rows, plan, settings, BIKES.data.features)["groups", "validation"]
        of_train = set(names[plan.parts["train"]])
        assert finding.rows == sum(name in of_train for name in names[plan.parts["validation"]])
        assert (finding.verdict == "leakage") == leaks == (finding.rows > 0)
        assert ('whose "' in finding.example) == leaks


def test_given_parts_that_overlap_in_time_are_found(bikes: Rows) -> None:
    """A single training row after the first test row makes all before it overlap."""
    place = np.arange(len(bikes)) / len(bikes)
    parts = np.where(place < 0.7, "train", np.where(place < 0.9, "validation", "test")).astype(object)
    settings = SplitSection(method="given", column="part")
    for late, count in ((0, 0), (5, 5)):
        parts[len(bikes) - 1 - late] = "train" if late else "test"
        rows = dataclasses.replace(bikes, marks={"part": parts})
        finding = found(rows, split(rows, settings), settings, BIKES.data.features)["time", "test"]
        assert finding.rows == (0 if not count else int((parts[: len(bikes) - 5] == "test").sum()))
        assert finding.verdict == ("leakage" if late else "none")


@pytest.mark.parametrize("method", ["blocks", "random", "stratified"])
def test_methods_that_do_not_go_by_age_have_no_overlap_in_time(bikes: Rows, method: str) -> None:
    """They mean to mix times."""
    settings = SplitSection.model_validate({"method": method})
    kinds = {finding.kind for finding in find(bikes, split(bikes, settings), settings, BIKES.data.features)}
    assert kinds == {"duplicates", "near_duplicates"}


def test_pictures_share_nothing_as_they_come(fashion: Rows) -> None:
    """Fashion-MNIST's are all different, and no two so near."""
    every = found(fashion, split(fashion, DAYS), DAYS, IMAGE)
    assert [finding.rows for finding in every.values()] == [0] * 4


@pytest.mark.parametrize(("noise", "kind"), [(0.0, "duplicates"), (0.01, "near_duplicates")])
def test_copied_pictures_are_found(fashion: Rows, noise: float, kind: str) -> None:
    """Exact, or with noise of two or three grey levels in every pixel; of every third picture, 200 a day."""
    some = fashion.take(np.arange(0, len(fashion), 3))
    plan = split(some, DAYS)
    for count in (4, 30):
        every = found(copied(some, plan, count, noise), plan, DAYS, IMAGE)
        assert verdicts(every) == {(kind, "test")}
        assert 0.9 * count <= every[kind, "test"].rows <= count


def test_a_set_in_which_every_picture_stands_twice_leaks_at_random(fashion: Rows) -> None:
    """Though the training rows repeat each other as often: pictures are not alike by chance."""
    twice = np.repeat(np.arange(500), 2)
    rows = dataclasses.replace(fashion.take(twice), time=np.arange(1000.0))
    settings = SplitSection(method="random")
    every = found(rows, split(rows, settings), settings, IMAGE)
    assert verdicts(every) == {("duplicates", "validation"), ("duplicates", "test")}


def test_numbers_that_stand_twice_leak_as_well() -> None:
    """And rows whose numbers were rounded to what all rows share do not."""
    draw = np.random.default_rng(4)
    values, target = draw.normal(size=(500, 3)).astype(np.float32), draw.normal(size=500)
    features = {name: Feature(kind="numeric") for name in "abc"}
    settings = SplitSection(method="random")
    twice = np.repeat(np.arange(500), 2)
    rows = Rows(np.arange(1000.0, dtype=np.float64), dict(zip("abc", values[twice].T, strict=True)), target[twice])
    assert verdicts(found(rows, split(rows, settings), settings, features)) >= {("duplicates", "test")}
    coarse = Rows(np.arange(500.0, dtype=np.float64), dict(zip("abc", values.round(0).T, strict=True)), target)
    every = found(coarse, split(coarse, settings), settings, features)
    assert every["duplicates", "test"].rows > 20
    assert verdicts(every) == set()


@pytest.mark.parametrize("conflicts", [0, 1, 5, 100])
def test_copies_of_numbers_are_found_though_a_few_rows_contradict_each_other(conflicts: int) -> None:
    """A training row that stands there twice with different targets is no sign that the others meet by chance."""
    draw = np.random.default_rng(1)
    parts = np.array(["train"] * 2800 + ["validation"] * 800 + ["test"] * 400, dtype=object)
    columns: dict[str, NDArray[Any]] = {name: draw.normal(size=4000).astype(np.float32) for name in "abcde"}
    for column in columns.values():
        column[3600] = column[0]
        column[100 : 100 + conflicts] = column[1000 : 1000 + conflicts]
    rows = Rows(np.arange(4000.0), columns, draw.normal(size=4000), {"part": parts})
    settings = SplitSection(method="given", column="part")
    every = found(rows, split(rows, settings), settings, {name: Feature(kind="numeric") for name in columns})
    assert every["duplicates", "test"].rows == 1
    assert every["duplicates", "test"].verdict == ("leakage" if conflicts < 28 else "by chance")


def test_a_single_number_that_meets_itself_with_other_targets_does_so_by_chance() -> None:
    """Of 300,000 values as many meet in the parts as in train: some rows of test have one of train's."""
    draw = np.random.default_rng(1)
    values = draw.integers(0, 300_000, 4000).astype(np.float32)
    rows = Rows(np.arange(4000.0), {"x": values}, draw.normal(size=4000))
    settings = SplitSection(method="random")
    every = found(rows, split(rows, settings), settings, {"x": Feature(kind="numeric")})
    assert every["duplicates", "validation"].rows > 0
    assert ("duplicates", "validation") not in verdicts(every)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 6])
def test_dense_numbers_are_near_by_chance(dimensions: int) -> None:
    """In one dimension nearly all rows are near another, in six none: neither is a copy; planted ones are."""
    draw = np.random.default_rng(dimensions)
    values = draw.normal(size=(20_000, dimensions)).astype(np.float32)
    columns = {f"x{place}": column for place, column in enumerate(values.T)}
    features = {name: Feature(kind="numeric") for name in columns}
    rows = Rows(np.arange(20_000.0), columns, draw.normal(size=20_000))
    settings = SplitSection(method="random")
    plan = split(rows, settings)
    every = found(rows, plan, settings, features)
    assert verdicts(every) == set()
    finding = every["near_duplicates", "test"]
    assert finding.expected / 2 <= finding.rows + 1 <= 2 * finding.expected + 4
    planted = found(copied(rows, plan, 500, noise=0.005), plan, settings, features)
    assert (("near_duplicates", "test") in verdicts(planted)) == (dimensions > 2)


def test_the_census_repeats_its_rows_by_chance() -> None:
    """Half of its people have the answers of others; planted copies of a tenth more are told."""
    table = pd.read_parquet(member("nannyml==0.13.1", "nannyml/datasets/data/employment_MA_reference.pq"))[:20_000]
    names = ["SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "SEX", "RAC1P"]
    columns: dict[str, NDArray[Any]] = {name: table[name].astype(str).to_numpy(dtype=object) for name in names}
    columns["AGEP"] = table["AGEP"].to_numpy(np.float32)
    features = {name: Feature(kind="category") for name in names} | {"AGEP": Feature(kind="numeric")}
    rows = Rows(np.arange(len(table), dtype=np.float64), columns, table["employed"].astype(str).to_numpy(dtype=object))
    settings = SplitSection(method="stratified")
    plan = split(rows, settings)
    every = found(rows, plan, settings, features)
    assert every["duplicates", "test"].rows > 800
    assert verdicts(every) == set()
    assert verdicts(found(copied(rows, plan, 200), plan, settings, features)) == {("duplicates", "test")}


def test_texts_that_differ_in_case_and_punctuation_alone_are_near() -> None:
    """The same words are the same text."""
    texts = np.array([f"message number {place} of many" for place in range(300)], dtype=object)
    settings = SplitSection(method="random")
    rows = Rows(np.arange(300.0), {"text": texts}, np.arange(300.0))
    plan = split(rows, settings)
    texts[plan.parts["test"][0]] = texts[plan.parts["train"][0]].upper().replace(" ", ", ") + "!"
    every = found(rows, plan, settings, {"text": Feature(kind="category")})
    assert every["near_duplicates", "test"].rows == 1


def test_what_is_found_fails_and_what_is_allowed_is_told(bikes: Rows) -> None:
    """The message counts, names a row of each part and says what lets it through."""
    plan = split(bikes, BIKES.split)
    rows = copied(bikes, plan, 20)
    said = (
        r"split: .*got 2[01] of 329 test rows have the features of a train row, .*\(row \d+ of 2011-.* and row \d+ of"
    )
    with pytest.raises(InvalidInput, match=said + r".*split\.allow: \[duplicates\]"):
        refuse(find(rows, plan, BIKES.split, BIKES.data.features), "blocks")
    allowed = BIKES.split.model_copy(update={"allow": ["duplicates"]})
    told = refuse(find(rows, plan, allowed, BIKES.data.features), "blocks")
    assert len(told) == 1
    assert "of 329 test rows have the features of a train row" in told[0]


def test_to_allow_one_kind_lets_no_other_through(bikes: Rows) -> None:
    """Copies are no near copies."""
    plan = split(bikes, BIKES.split)
    allowed = BIKES.split.model_copy(update={"allow": ["near_duplicates", "groups", "time"]})
    with pytest.raises(InvalidInput, match="duplicates"):
        refuse(find(copied(bikes, plan, 20), plan, allowed, BIKES.data.features), "blocks")


@pytest.mark.parametrize(
    ("method", "advice"),
    [
        ("blocks", "they are of several blocks: split.method grouped, by a column that is alike in all of them"),
        ("grouped", "they are of several groups: a split.group that is alike in all of them"),
        ("random", "split.method grouped or blocks"),
        ("time", "split.method grouped or blocks"),
    ],
)
def test_no_method_is_advised_that_is_taken_already(method: Method, advice: str) -> None:
    copies = Finding(kind="duplicates", part="test", other="train", rows=3, of=9, expected=0, verdict="leakage")
    with pytest.raises(InvalidInput) as told:
        refuse([copies], method)
    assert f"keep together what belongs together ({advice}); split.allow" in str(told.value)


def test_an_example_names_rows_and_never_what_they_hold(bikes: Rows) -> None:
    """The test part stays sealed; the two rows it names are the same."""
    plan = split(bikes, BIKES.split)
    rows = copied(bikes, plan, 20)
    example = found(rows, plan, BIKES.split, BIKES.data.features)["duplicates", "test"].example
    one, other = (int(part.split()[1]) for part in example.split(" and "))
    assert one in plan.parts["test"]
    assert other in plan.parts["train"]
    assert all(column[one] == column[other] for column in rows.columns.values())


@pytest.mark.parametrize(("same_truth", "leaks"), [(False, False), (True, True)])
def test_one_number_may_meet_itself_once_where_the_truths_differ(same_truth: bool, leaks: bool) -> None:
    """A load of a few digits beside a station: two rows of one load are no copies, unless their truths agree too."""
    load = np.random.default_rng(2).permutation(1000).astype(np.float32)
    load[999] = load[0]
    target = np.random.default_rng(3).normal(size=1000)
    target[999] = target[0] if same_truth else 7.0
    columns = {"load": load, "station": np.array(["a"] * 1000, dtype=object)}
    parts = np.array(["train"] * 700 + ["validation"] * 200 + ["test"] * 100, dtype=object)
    rows = Rows(np.arange(1000.0), columns, target, {"part": parts})
    settings = SplitSection(method="given", column="part")
    features = {"load": Feature(kind="numeric"), "station": Feature(kind="category")}
    every = found(rows, split(rows, settings), settings, features)
    assert every["duplicates", "test"].rows == 1
    assert (("duplicates", "test") in verdicts(every)) is leaks

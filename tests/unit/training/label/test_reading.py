"""Annotations out of tables and of Label Studio's export, and what is said of files that are wrong."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from staytrue.errors import InvalidConfig, InvalidInput, NotFound, StaytrueError, Unsupported
from staytrue.labelling import LabellingSection
from tests.packages import member
from training.data.label.annotations import Annotations, annotated, in_order
from training.data.label.reading import read_annotations, read_features

if TYPE_CHECKING:
    from pathlib import Path


def given(made: Annotations) -> set[tuple[str, str, str]]:
    """Item, annotator and label of each label."""
    places = zip(made.item, made.annotator, made.label, strict=True)
    return {(made.items[i], made.annotators[a], made.classes[k]) for i, a, k in places}


def read(path: Path, **settings: Any) -> Annotations:
    """Read with settings as a project gives them."""
    return read_annotations(path, LabellingSection(**settings))


LONG = "item,annotator,label\nx1,ann,cat\nx1,bob,dog\nx2,ann,cat\nx3,bob,\n"
WANTED = {("x1", "ann", "cat"), ("x1", "bob", "dog"), ("x2", "ann", "cat")}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
def test_a_long_table_is_read_whatever_parts_its_cells(tmp_path: Path, delimiter: str, mark: str) -> None:
    """An item that nobody labelled is an item still."""
    path = tmp_path / "labels.csv"
    path.write_text(mark + LONG.replace(",", delimiter), encoding="utf-8")
    made = read(path)
    assert made.items == ("x1", "x2", "x3")
    assert given(made) == WANTED


def test_a_long_table_may_call_its_columns_otherwise_and_hold_others(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text('doc\twhen\tworker\tanswer\nx1\t1\tann\t"cat"\nx1\t2\tbob\tdog\nx2\t3\tann\tcat\nx2\t4\tbob\tNA\n')
    made = read(path, item="doc", annotator="worker", label="answer", missing=["NA"])
    assert given(made) == WANTED


def test_parquet_is_read_with_numbers_and_categories(tmp_path: Path) -> None:
    """3.0 is class 3, as whole numbers beside gaps come as floats."""
    path = tmp_path / "labels.parquet"
    table = pd.DataFrame({"item": [7, 7, 8], "annotator": pd.Categorical(["a", "b", "a"]), "label": [3.0, 10.0, None]})
    table.to_parquet(path)
    made = read(path)
    assert given(made) == {("7", "a", "3"), ("7", "b", "10")}
    assert made.classes == ("3", "10")
    assert made.items == ("7", "8")


def test_a_wide_table_has_a_column_for_each_annotator(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,ann,bob,note\nx1,cat,dog,see\nx2,cat,,\nx3,,,\n")
    made = read(path, annotators=["ann", "bob"])
    assert (given(made), made.items) == (WANTED, ("x1", "x2", "x3"))
    assert read(path).annotators == ("ann", "bob", "note")


def test_the_diagnoses_are_read_as_pandas_reads_them() -> None:
    path = member("pyirr==0.84.1.2", "pyirr/data/diagnoses.csv")
    table = pd.read_csv(path, index_col=0)
    expected = {(str(i), who, label) for who in table for i, label in table[who].items()}
    assert given(read(path, item="")) == expected


def test_numbers_of_columns_with_and_without_gaps_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,a,b\nx,1.0,1\ny,,2\nz,2.5,10\n")
    assert read(path).classes == ("1", "2", "2.5", "10")


def test_a_repeated_label_counts_once_and_a_contradiction_is_refused_or_the_last_taken(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,annotator,label\nx,a,cat\nx,a,cat\nx,b,dog\n")
    assert len(read(path)) == 2
    path.write_text("item,annotator,label\nx,a,cat\ny,a,cat\nx,a,dog\n")
    with pytest.raises(InvalidInput, match=r"labels\.csv, line 4: says something else than line 2 of the same"):
        read(path)
    assert given(read(path, repeats="last")) == {("x", "a", "dog"), ("y", "a", "cat")}


TASKS: list[dict[str, Any]] = [
    {
        "id": 11,
        "data": {"image": "a.png"},
        "annotations": [
            {"completed_by": 1, "result": [{"from_name": "kind", "type": "choices", "value": {"choices": ["cat"]}}]},
            {
                "completed_by": {"id": 2, "email": "bob@example.com"},
                "result": [
                    {"from_name": "kind", "type": "choices", "value": {"choices": ["dog"]}},
                    {"from_name": "box", "type": "rectanglelabels", "value": {"x": 1.5, "rectanglelabels": ["q"]}},
                ],
            },
            {"completed_by": 3, "was_cancelled": True, "result": [{"from_name": "kind", "value": {"choices": ["x"]}}]},
        ],
        "predictions": [],
    },
    {"id": 12, "data": {"image": "b.png"}, "annotations": [{"completed_by": 1, "result": []}]},
]


def export(folder: Path, tasks: Any) -> Path:
    """Write an export."""
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def test_label_studios_choices_are_read(tmp_path: Path) -> None:
    """Cancelled and empty annotations say nothing; a task without labels is an item still."""
    made = read(export(tmp_path, TASKS))
    assert given(made) == {("11", "1", "cat"), ("11", "bob@example.com", "dog")}
    assert made.items == ("11", "12")
    assert read(export(tmp_path, TASKS), item="image").items == ("a.png", "b.png")


def test_label_studios_ratings_and_numbers_are_read_by_the_name_of_their_control(tmp_path: Path) -> None:
    results = [{"from_name": "stars", "value": {"rating": 4}}, {"from_name": "count", "value": {"number": 2.5}}]
    path = export(tmp_path, [{"id": 1, "annotations": [{"completed_by": 1, "result": results}]}])
    assert read(path, label="stars", scale="interval").values().tolist() == [4.0]
    assert read(path, label="count").classes == ("2.5",)
    with pytest.raises(InvalidConfig, match="expected one control, got 2: stars, count; name one with --label"):
        read(path)
    with pytest.raises(InvalidConfig, match=r'no control "star" of choices.*did you mean \'stars\''):
        read(path, label="star")


def result(*choices: str) -> dict[str, Any]:
    """A result of these choices."""
    return {"from_name": "kind", "value": {"choices": list(choices)}}


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ({"a": 1}, "is no export of Label Studio: Expected `array`, got `object`; export the project as JSON"),
        ([{"id": 5}], r"\[0\]: is no export of Label Studio: Object missing required field `annotations`"),
        (
            [{"id": 5, "annotations": [{"completed_by": 1, "result": [result("a", "b")]}]}],
            "task 5, annotation of 1: expected one label, got 2 choices",
        ),
        (
            [{"id": 5, "annotations": [{"completed_by": 1, "result": [result("a"), result("b")]}]}],
            "task 5, annotation of 1: expected one label, got 2 results",
        ),
        (
            [{"id": 5, "annotations": [{"result": [result("a")]}]}],
            "task 5, annotation of nobody: expected completed_by",
        ),
        (
            [{"id": 5, "annotations": [{"completed_by": 1, "result": [result(one)]} for one in "ab"]}],
            "task 5, annotation of 1: says 'b', an earlier one of the same annotator 'a'; remove one, or",
        ),
        ([{"id": 5, "annotations": []}], "expected at least one label, got none"),
        ([{"id": 5, "annotations": []}, {"id": 5, "annotations": []}], "two tasks are of item '5'"),
    ],
)
def test_exports_that_are_wrong_name_the_task(tmp_path: Path, tasks: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read(export(tmp_path, tasks))


def test_a_task_is_named_by_a_key_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r'task 11: names no item by "imag" of its data; did you mean \'image\''):
        read(export(tmp_path, TASKS), item="imag")
    path = tmp_path / "broken.json"
    path.write_text("[{")
    with pytest.raises(InvalidInput, match=r"broken\.json: is not JSON"):
        read(path)


@pytest.mark.parametrize(
    ("name", "text", "settings", "kind", "told"),
    [
        ("no.csv", None, {}, NotFound, "is no file"),
        ("a.doc", "x", {}, Unsupported, r"expected \.csv, \.tsv, \.txt, \.parquet, or \.json .* got \.doc"),
        ("a.parquet", "x", {}, InvalidInput, "expected a Parquet file"),
        ("a.csv", "", {}, InvalidInput, "a.csv:1: has no header line"),
        ("a.csv", "x" * 200_000, {}, InvalidInput, "a.csv:1: expected names of columns, got field larger than"),
        ("a.csv", "item,item\n1,2\n", {}, InvalidInput, 'a.csv:1: has two columns "item"'),
        ("a.csv", "item\n1\n", {}, InvalidConfig, 'expected columns of annotators beside "item", got none'),
        ("a.csv", "itm,a\n1,2\n", {}, InvalidConfig, "no column \"item\"; did you mean 'itm'"),
        (
            "a.csv",
            "item,who,label\nx,a,2\nx,b,2\n",
            {},
            InvalidConfig,
            "no column \"annotator\"; .*'who'.* --annotator",
        ),
        ("a.csv", "item,a,b\nx,1,2\n", {"annotator": "who"}, InvalidConfig, 'a.csv: no column "who"; there are'),
        ("a.csv", "item,annotator,kind\nx,a,2\nx,b,2\n", {}, InvalidConfig, 'a.csv: no column "label"; there are'),
        ("a.csv", "item,a\nx,1\nx,2\n", {}, InvalidInput, "a.csv, line 3: has item 'x' a second time"),
        ("a.csv", "item,a\nx,1\n,2\n", {}, InvalidInput, 'line 3: column "item", expected a name, got nothing'),
        ("a.csv", "item,annotator,label\nx,,2\n", {}, InvalidInput, 'line 2: column "annotator", expected a name'),
        ("a.csv", "item,a\nx,1\ny,1,2\n", {}, InvalidInput, "a.csv, line 3: cannot be read: Expected 2 columns, got 3"),
        ("a.csv", "item,a\nx,\n", {}, InvalidInput, "expected at least one label, got none"),
        ("a.csv", "item,a\nx,b\n", {"order": ["c"]}, InvalidInput, "lacks labels that were given, got 'b'"),
        ("a.csv", "item,a\nx,b\n", {"scale": "ordinal"}, InvalidConfig, "expected an order of the classes, got b"),
    ],
)
def test_tables_that_are_wrong_say_where(
    tmp_path: Path, name: str, text: str | None, settings: dict[str, Any], kind: type[StaytrueError], told: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(kind, match=told):
        read(path, **settings)


def test_cells_of_several_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    pd.DataFrame({"item": ["x"], "annotator": ["a"], "label": [["cat", "dog"]]}).to_parquet(path)
    with pytest.raises(InvalidInput, match=r'column "label": expected one value in each cell, got list<'):
        read(path)


def test_text_that_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    for data in (b"item,a\xff\nx,1\n", b"item,a\nx,\xff\n"):
        path.write_bytes(data)
        with pytest.raises(InvalidInput, match=r"UTF-?8"):
            read(path)


def test_free_numbers_are_no_classes(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("item,a\n" + "".join(f"{n},{n / 7}\n" for n in range(1500)))
    with pytest.raises(InvalidInput, match="expected at most 1000 classes, got 1500"):
        read(path)


def test_an_order_may_name_classes_that_nobody_gave() -> None:
    one = annotated(["x"], ["a"], np.array([0]), np.array([0]), np.array(["mid"]))
    two = in_order(one, ["low", "mid"], others=False)
    assert (two.classes, two.label.tolist()) == (("low", "mid"), [1])
    assert in_order(one, ["low"], others=True).classes == ("low", "mid")
    with pytest.raises(InvalidInput, match="expected each class once"):
        in_order(one, ["mid", "mid"], others=False)


def test_features_come_in_the_order_of_the_items(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    table = {
        "item": [3, 1, 2],
        "size": [0.5, None, 2.0],
        "sky": ["sun", None, "fog"],
        "image": [[1, 2], [3, 4], [5, 6]],
    }
    pd.DataFrame(table).to_parquet(path)
    columns, rows = read_features(path, "item", ("1", "2", "4"))
    assert rows.tolist() == [1, 2, -1]
    assert {name: column.shape for name, column in columns.items()} == {"size": (3,), "sky": (3,), "image": (3, 2)}
    assert columns["sky"].tolist() == ["sun", "", "fog"]
    assert np.isnan(columns["size"]).tolist() == [False, True, False]


def test_features_that_are_wrong_are_told(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    pd.DataFrame({"item": ["a", "a"], "x": [[1], [1, 2]]}).to_parquet(path)
    with pytest.raises(InvalidInput, match="row 2: has item 'a' a second time"):
        read_features(path, "item", ("a",))
    with pytest.raises(InvalidConfig, match=re.escape('no column "id"; there are item, x')):
        read_features(path, "id", ("a",))
    pd.DataFrame({"item": ["a", "b"], "x": [[1], [1, 2]]}).to_parquet(path)
    with pytest.raises(InvalidInput, match='column "x": expected lists of numbers, all of one length'):
        read_features(path, "item", ("a",))

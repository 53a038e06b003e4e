"""The model card says what a person should know, whatever the data's own words are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from export.card import card
from staytrue.asking import command
from staytrue.bundle import Metric
from staytrue.environment import Environment
from staytrue.evaluation import Evaluation, PartEvaluation, SliceEvaluation

if TYPE_CHECKING:
    from staytrue.store import Store


def edited(published: Store, **lineage: Any) -> str:
    """The card of version 1 with another lineage."""
    bundle = published.load("houses", "1")
    return card(msgspec.structs.replace(bundle, lineage=msgspec.structs.replace(bundle.lineage, **lineage)))


def test_it_tells_evaluation_inputs_and_proofs(published: Store) -> None:
    text = (published.path("houses", "1") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "# houses, version 1" in text
    assert "| validation | mae | 1 | 0.5 to 1.5 (95%) |" in text
    assert '| town | BYTES [-1,1] | "north", "south" |' in text
    for batch in (1, 2, 7, 32):
        assert any(line.startswith("| onnx | onnxruntime") and f"| {batch} |" in line for line in text.splitlines())


@pytest.mark.parametrize(
    ("openings", "said"),
    [(0, "was not opened"), (1, "opened once; the evaluation below"), (3, "opened 3 times: its figures")],
)
def test_it_tells_how_often_the_test_split_was_opened(published: Store, openings: int, said: str) -> None:
    bundle = published.load("houses", "1")
    evaluation = {**bundle.evaluation, **({"test": bundle.evaluation["validation"]} if openings else {})}
    lineage = msgspec.structs.replace(bundle.lineage, test_openings=openings)
    assert said in card(msgspec.structs.replace(bundle, lineage=lineage, evaluation=evaluation))


def test_it_tells_what_the_parts_of_the_data_share(published: Store) -> None:
    """And of nothing where nothing was let through."""
    sentence = "3 of 9 test rows have the features of a train row"
    assert f"**Let through by `split.allow`: {sentence}.**" in edited(published, let_through=[sentence])
    assert "Let through" not in edited(published, let_through=[])


def test_it_tells_which_weights_the_training_began_with(published: Store) -> None:
    assert "It began with weights of SHA-256 `ab12`." in edited(published, began_with="ab12")
    assert "It began with" not in edited(published, began_with="")


def test_it_claims_no_test_figures_where_another_run_has_opened_the_split(published: Store) -> None:
    """But how often it was, when and for which runs, as far as that is known."""
    times, shut = (
        ["2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.000Z"],
        "stayed shut for this version. It was opened",
    )
    twice = edited(published, test_openings=2, test_opened=times, test_opened_for=["r1", "r2"])
    assert f"{shut} 2 times: on {times[0]} for run r1, on {times[1]} for run r2." in twice
    assert f"{shut} once: on {times[0]}." in edited(published, test_openings=1, test_opened=times[:1])
    assert f"{shut} once." in edited(published, test_openings=1)


def test_openings_of_another_model_by_times_alone_are_told_apart_with_what_to_do(published: Store) -> None:
    """With figures of the test split they are unseen if those were other rows; a third opening settles it."""
    times = [f"2024-01-0{day}T00:00:00.000Z" for day in (1, 2, 3)]
    own = {"test_openings": 2, "test_opened": times[:2], "test_opened_for": ["x", "r1"]}
    shut = edited(published, **own, test_opened_by_time=["cars", ""])
    assert f"2 times: on {times[0]} for run x of cars by their times alone, on {times[1]} for run r1." in shut
    assert "if cars is of other data, its opening showed nothing of these rows" in shut
    assert "a folder of runs each (retraining.runs)" in shut
    bundle = published.load("houses", "1")
    judged = msgspec.structs.replace(bundle, evaluation={**bundle.evaluation, "test": bundle.evaluation["validation"]})

    def told(**lineage: Any) -> str:
        return card(msgspec.structs.replace(judged, lineage=msgspec.structs.replace(bundle.lineage, **lineage)))

    assert "are unseen only if these were other rows" in told(**own, test_opened_by_time=["cars", ""])
    three = {"test_openings": 3, "test_opened": times, "test_opened_for": ["x", "r1", "r2"]}
    assert "are no longer unseen" in told(**three, test_opened_by_time=["cars", "", ""])


def test_it_tells_what_it_was_trained_on_where_that_is_known(published: Store) -> None:
    bundle = published.load("houses", "1")
    made = Environment(seed=3, threads=1, processor="x86_64 AVX2", platform="Linux-6", versions={"torch": "2.13.0"})
    sentence = "\nTrained with seed 3 by torch 2.13.0, 1 thread of x86_64 AVX2, Linux-6.\n"
    assert sentence in card(bundle, made)
    assert "Trained with seed" not in card(bundle)


def test_it_tells_the_parent_and_the_newest_row(published: Store) -> None:
    text = edited(published, parent="7", trained_until=86400.0)
    assert "to follow version 7" in text
    assert "The newest row it has seen is of 1970-01-02T00:00:00.000Z." in text
    assert "newest row" not in edited(published)


def test_words_of_the_data_do_not_break_its_tables(published: Store) -> None:
    bundle = published.load("houses", "1")
    odd = msgspec.structs.replace(bundle.signature.inputs[2], name="a|b", categories=["x|y", "two\nlines"])
    many = msgspec.structs.replace(bundle.signature.inputs[1], categories=[str(i) for i in range(40)])
    signature = msgspec.structs.replace(bundle.signature, inputs=[odd, many])
    text = card(msgspec.structs.replace(bundle, signature=signature))
    assert r'| a\|b | BYTES [-1,1] | "x\|y", "two\nlines" |' in text
    assert "10, 11 and 28 more |" in text


def test_it_tells_units_ranges_and_what_inputs_are_where_that_is_known(published: Store) -> None:
    bundle = published.load("houses", "1")
    assert "| name | type | categories |\n|" in card(bundle), "and has no column for what no input has"
    size, rooms, town = bundle.signature.inputs
    size = msgspec.structs.replace(size, unit="m|2", range=[0.5, 900.0], description="of the whole\nflat")
    rooms = msgspec.structs.replace(rooms, state="price")
    signature = msgspec.structs.replace(bundle.signature, inputs=[size, rooms, town])
    text = card(msgspec.structs.replace(bundle, signature=signature))
    assert "| name | type | categories | unit | range | what it is |\n| --- |" in text
    assert r"| size | FP32 [-1,1] |  | m\|2 | 0.5 to 900 | of the whole flat |" in text
    assert '| rooms | INT64 [-1,1] | 1, 2, 3 |  |  | the output "price" of the request before |' in text
    assert "## Outputs\n\n| name | type | categories |\n| --- | --- | --- |\n| price | FP32 [-1,1] |  |" in text


def test_it_shows_a_request_that_no_word_of_the_data_ends(published: Store) -> None:
    bundle = published.load("houses", "1")
    assert f"```sh\n{command('houses', bundle.signature)}\n```\n" in card(bundle)
    odd = msgspec.structs.replace(bundle.signature.inputs[2], categories=["```\n# not a title"])
    signature = msgspec.structs.replace(bundle.signature, inputs=[odd])
    text = card(msgspec.structs.replace(bundle, signature=signature))
    assert f"````sh\n{command('houses', signature)}\n````\n" in text
    assert "\n# not" not in text


def test_it_names_the_classes_of_a_classifier_alone(named: Store, published: Store) -> None:
    text = (named.path("houses", "1") / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "A classification model of `kind`" in text
    assert '## Classes\n\n"large", "small"\n' in text
    assert "## Classes" not in (published.path("houses", "1") / "MODEL_CARD.md").read_text(encoding="utf-8")


def part(metrics: dict[str, Metric], absent: dict[str, str], *slices: SliceEvaluation) -> PartEvaluation:
    """Of a hundred rows."""
    return PartEvaluation(rows=100, left_out=0, metrics=metrics, absent=absent, slices=list(slices))


def test_it_tells_headline_metrics_with_notes_and_why_others_have_no_value(published: Store) -> None:
    bundle, alone = published.load("houses", "1"), Metric(value=1.0, low=1.0, high=1.0, note="rows of one day")
    evaluation = {"validation": {"mae": alone, "bias": alone}, "test": {}}
    bundle = msgspec.structs.replace(bundle, evaluation=evaluation)
    parts = {
        "validation": part(evaluation["validation"], {"r2": "a|b", "mape": "c"}),
        "test": part({}, {"all": "no row"}),
    }
    text = card(bundle, None, Evaluation(run="r1", parts=parts))
    assert "| validation | mae | 1 | 1 to 1 (95%); rows of one day |" in text
    assert r"| validation | r2 | - | a\|b |" in text
    assert "| test | all | - | no row |" in text
    assert "bias" not in text
    assert "mape" not in text
    assert "Slices" not in text


def test_it_tells_the_slices_of_the_split_judged_last(published: Store) -> None:
    metric, noted = Metric(value=1.25, low=0.5, high=2.0), Metric(value=1.0, low=1.0, high=1.0, note="one day")
    some = SliceEvaluation(name="sky", holds="sky = a|b", rows=60, metrics={"mae": metric}, absent={"r2": "constant"})
    noted_one = SliceEvaluation(name="noon", holds="hour = 12", rows=30, metrics={"mae": noted}, absent={})
    few = SliceEvaluation(name="night", holds="hour < 6", rows=3, metrics={}, absent={}, note="3 rows: too few")
    parts = {
        "train": part({}, {}, few),
        "validation": part({"mae": metric}, {}, some, noted_one, few),
        "test": part({}, {}),
    }
    text = card(published.load("houses", "1"), None, Evaluation(run="r1", parts=parts))
    assert text.count("## Slices") == 1
    assert "## Slices of validation" in text
    assert r"| sky | sky = a\|b | 60 | mae 1.25 [0.5, 2], r2: constant |" in text
    assert "| noon | hour = 12 | 30 | mae 1 [1, 1] (one day) |" in text
    assert "| night | hour < 6 | 3 | 3 rows: too few |" in text

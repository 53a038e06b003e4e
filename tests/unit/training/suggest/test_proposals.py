"""Proposals: what facts of known data speak for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from staytrue.project import load
from tests.unit.training.models.test_architectures import FEATURES, rows_of
from training.data.encode.encoder import learn
from training.data.rows import Rows, TrainingRows
from training.models.architectures import ARCHITECTURES, build
from training.models.layout import Layout
from training.suggest.facts import Facts, _taken, dependence, facts_of
from training.suggest.proposals import PREFERRED, UNSET, Proposal, suggest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from staytrue.project import Project

SETTINGS = {"mlp": ["width", "depth", "dropout"], "resnet": ["width", "depth", "dropout"]}
PLAIN = Facts(task="regression", rows=2_000, kinds=["numeric", "category"], architectures=SETTINGS)
BIKES = msgspec.structs.replace(
    PLAIN, rows=1_944, kinds=["category"] * 5 + ["numeric"] * 4, counts=True, mean=96, skew=1.6, dependence=0.84
)
DIGITS = msgspec.structs.replace(
    PLAIN, task="classification", rows=1_150, kinds=["image"], size=[1, 8, 8], classes=[0.1] * 10
)
VOWELS = msgspec.structs.replace(
    DIGITS, rows=270, kinds=["sequence"], size=[], length=15, classes=[1 / 9] * 9, architectures={**SETTINGS, "gru": []}
)
SPAM = msgspec.structs.replace(
    VOWELS, rows=4_000, kinds=["text"], length=1_400, classes=[0.8, 0.2], architectures={**SETTINGS, "transformer": []}
)
DRAWN = msgspec.structs.replace(
    DIGITS, task="generation", rows=12_000, size=[1, 28, 28], classes=[], architectures={"vae": [], "dcgan": []}
)
ALL = {name: _taken(made) for name, made in ARCHITECTURES.items()}
"""As it is when a project is looked at."""


def chosen(facts: Facts) -> dict[str, Any]:
    """Values by setting."""
    return {one.setting: one.value for one in suggest(facts)}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (BIKES, {"model.architecture": "mlp", "model.width": 64, "model.output": "positive", "training.loss": "mae"}),
        (BIKES, {"split.method": "blocks", "training.batch_size": 32, "training.optimiser": "adamw"}),
        (DIGITS, {"model.architecture": "resnet", "model.depth": 1, "training.loss": "cross_entropy"}),
        (DIGITS, {"split.method": "stratified", "training.class_weights": "none", "model.dropout": 0.1}),
        (VOWELS, {"model.architecture": "gru", "training.batch_size": 16, "training.learning_rate": 0.001}),
        (SPAM, {"model.architecture": "transformer", "training.class_weights": "balanced"}),
        (msgspec.structs.replace(SPAM, architectures=SETTINGS), {"model.architecture": "mlp"}),
        (msgspec.structs.replace(PLAIN, rows=900), {"model.width": 32, "model.depth": 1, "training.loss": "huber"}),
        (msgspec.structs.replace(PLAIN, rows=500_000), {"model.width": 256, "training.batch_size": 256}),
        (msgspec.structs.replace(PLAIN, counts=True, mean=1.5), {"training.loss": "poisson"}),
        (
            msgspec.structs.replace(PLAIN, counts=True, mean=0.5, binary=True),
            {"training.loss": "huber"},
        ),
        (msgspec.structs.replace(PLAIN, quantiles=True), {"training.loss": "pinball"}),
        (msgspec.structs.replace(PLAIN, task="multilabel", targets=3), {"training.loss": "binary_cross_entropy"}),
        (PLAIN, {"split.method": "random"}),
        (DRAWN, {"model.architecture": "dcgan", "training.loss": None, "training.learning_rate": 0.001}),
        (msgspec.structs.replace(DRAWN, rows=9_000), {"model.architecture": "vae", "model.output": None}),
        (msgspec.structs.replace(SPAM, kinds=["text", "numeric"]), {"model.architecture": "transformer"}),
        (msgspec.structs.replace(SPAM, architectures=ALL), {"model.width": 64, "model.depth": 2}),
        (msgspec.structs.replace(VOWELS, architectures=ALL), {"model.architecture": "lstm", "model.width": 64}),
        (msgspec.structs.replace(VOWELS, architectures=ALL, rows=20_000), {"model.width": 128, "model.depth": 1}),
        (msgspec.structs.replace(DRAWN, architectures=ALL), {"model.width": 16, "model.latent": 32}),
        (msgspec.structs.replace(DRAWN, architectures=ALL, rows=900), {"model.width": 256, "model.latent": 16}),
    ],
)
def test_facts_speak_for_settings(facts: Facts, expected: dict[str, Any]) -> None:
    assert {name: chosen(facts).get(name) for name in expected} == expected


def test_a_target_of_two_numbers_is_advised_to_be_classes() -> None:
    assert "model.task" in chosen(msgspec.structs.replace(PLAIN, binary=True))
    assert "model.task" not in chosen(PLAIN)


def test_what_is_preferred_is_there() -> None:
    assert {name for names in PREFERRED.values() for name in names} <= ARCHITECTURES.keys()


@pytest.mark.parametrize("facts", [BIKES, DIGITS, VOWELS, SPAM, PLAIN, DRAWN])
def test_only_what_there_is_is_proposed_each_with_a_reason_and_once(facts: Facts) -> None:
    proposals = suggest(facts)
    assert all(isinstance(one, Proposal) and len(one.reason) > 10 and one.setting for one in proposals)
    assert len({one.setting for one in proposals}) == len(proposals)
    values = chosen(facts)
    assert values["model.architecture"] in facts.architectures
    given = {name.removeprefix("model.") for name in values if name.startswith("model.")} - {"architecture", "output"}
    assert given <= set(facts.architectures[values["model.architecture"]])


@pytest.mark.parametrize(
    "name", sorted({"mlp", "vae", "dcgan", *(name for names in PREFERRED.values() for name in names)})
)
def test_every_architecture_that_may_be_proposed_has_a_size_that_it_takes(name: str) -> None:
    """What was set for the one before it may be too large or too small."""
    drawn = name in ("vae", "dcgan")
    kind = "image" if drawn else next((kind for kind, names in PREFERRED.items() if name in names), "numeric")
    facts = msgspec.structs.replace(
        DRAWN if drawn else SPAM,
        kinds=[kind],
        size=[1, 6, 5] if kind == "image" else [],
        architectures={known: ALL[known] for known in ("mlp", name)},
        rows=12_000 if name == "dcgan" else 900,
    )
    told = chosen(facts)
    assert told["model.architecture"] == name
    sizes = {key: told[f"model.{key}"] for key in ("width", "depth", "latent") if f"model.{key}" in told}
    assert "width" in sizes
    layout = Layout.of(learn(rows_of((kind,)), {kind: FEATURES[kind]}))
    assert sum(weight.numel() for weight in build(name, layout, sizes, 2).parameters()) > 100


def test_a_split_that_somebody_chose_by_hand_stays() -> None:
    for method in ("grouped", "given", "time"):
        assert "split.method" not in chosen(msgspec.structs.replace(BIKES, method=method))
    told = chosen(msgspec.structs.replace(VOWELS, method="stratified", dependence=0.99))
    assert told["split.method"] is None  # sorted by class: blocks would leave classes out


def test_what_another_split_does_not_read_goes_back_to_its_default() -> None:
    """With it the file would be refused."""
    told = chosen(msgspec.structs.replace(PLAIN, split=["block_days", "test"]))
    assert (told["split.method"], told["split.block_days"], "split.test" in told) == ("random", UNSET, False)


def test_unequal_classes_are_judged_by_f1_and_many_categories_embedded() -> None:
    told = {one.setting: one.reason for one in suggest(SPAM)}
    assert "macro_f1" in told["metric"]
    told = {
        one.setting: one.reason for one in suggest(msgspec.structs.replace(PLAIN, categories={"city": 900, "d": 7}))
    }
    assert "embedding" in told["data.features.city"]
    assert "data.features.d" not in told


def test_dependence_is_the_correlation_of_neighbours() -> None:
    draw = np.random.default_rng(0)
    steps = np.zeros(20_000)
    for place, noise in enumerate(draw.normal(size=len(steps) - 1), 1):
        steps[place] = 0.8 * steps[place - 1] + noise
    assert dependence(steps) == pytest.approx(0.8, abs=0.02)
    assert dependence(draw.normal(size=20_000)) == pytest.approx(0, abs=0.02)
    assert dependence(draw.choice(np.array(["a", "b"], dtype=object), 20_000)) == pytest.approx(0, abs=0.03)
    assert dependence(np.ones(5)) == 0


def test_nothing_is_learnt_of_other_rows_than_those_that_train() -> None:
    with pytest.raises(TypeError, match="training rows"):
        facts_of(None, Rows(np.zeros(1), {}, np.zeros(1)))  # type: ignore[arg-type]


def test_all_targets_are_looked_at(tmp_path: Path) -> None:
    counts, negative = np.arange(20.0) % 5 + 1, -np.exp(np.arange(20.0) / 4)
    facts = facts_of(project(tmp_path, "[a, b]", "{x: {kind: numeric}}"), rows(np.stack([counts, negative], axis=1)))
    assert (facts.counts, facts.positive) == (False, False)
    assert facts.skew < -1
    both = facts_of(project(tmp_path, "[a, b]", "{x: {kind: numeric}}"), rows(np.stack([counts, counts], axis=1)))
    assert (both.counts, both.positive, both.mean, both.binary) == (True, True, 3.0, False)
    halves = rows(np.arange(20.0) % 2)
    assert facts_of(project(tmp_path, "y", "{x: {kind: numeric}}"), halves).binary


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("shape: [3, 20, 30]", [3, 20, 30]),
        ("shape: [20, 30, 3], layout: channels_last", [3, 20, 30]),
        ("shape: [20, 30, 3], layout: channels_last, resize: [10, 12], crop: [8, 9]", [3, 8, 9]),
        ("shape: [3, 20, 30], resize: [10, 12]", [3, 10, 12]),
    ],
)
def test_a_picture_has_the_size_that_the_model_sees(tmp_path: Path, said: str, size: list[int]) -> None:
    pictured = project(tmp_path, "y", f"{{x: {{kind: image, {said}}}}}")
    assert facts_of(pictured, rows(np.arange(20.0), np.zeros((20, 3, 2, 2), np.uint8))).size == size


def project(folder: Path, target: str, features: str) -> Project:
    """A project of these targets and features; its data are nowhere."""
    path = folder / "staytrue.yaml"
    path.write_text(f"name: a\ndata: {{source: a.csv, time: t, target: {target}, features: {features}}}\n")
    return load(path)


def rows(target: NDArray[np.float64], x: NDArray[Any] | None = None) -> TrainingRows:
    """Rows that train, of a column ``x``."""
    return TrainingRows(np.arange(20.0), {"x": np.arange(20.0) if x is None else x}, target)

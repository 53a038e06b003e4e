"""The augmenter: what a loop sees of its rows, mixed ones too, and settings that do not suit the columns."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats
import torch

from staytrue.augmentation import AugmentationSection, SequenceVariation
from staytrue.errors import InvalidConfig
from staytrue.feature import Feature
from staytrue.sections import TrainingSection
from training.augment.augmenter import Augmenter, augmentation, seen
from training.augment.chapter import chapter
from training.augment.draws import Draws
from training.augment.mixing import Mixing, View
from training.augment.sequences import Sequences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor


FEATURES = {
    "age": Feature(kind="numeric"),
    "photo": Feature(kind="image", shape=[1, 8, 8]),
    "steps": Feature(kind="sequence", shape=[10, 2]),
}
GENERATOR = torch.Generator().manual_seed(1)
SOURCES = [
    torch.randn(40, 1, generator=GENERATOR),
    torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=GENERATOR),
    torch.randn(40, 10, 2, generator=GENERATOR),
]
SOURCES[2][:, 7:] = torch.nan


def training(seed: int = 0, **augmented: Any) -> TrainingSection:
    """The section with this augmentation."""
    return TrainingSection(seed=seed, augmentation=AugmentationSection.model_validate(augmented))


def made(settings: TrainingSection, features: dict[str, Feature] = FEATURES) -> Augmenter:
    """The augmenter of forty rows."""
    found = augmentation(settings, features, 40)
    assert found is not None
    return found


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of numbers, as a loop holds them."""

    sources: Sequence[Tensor]
    encode: Callable[..., Tensor] = lambda *columns: torch.cat([column.flatten(1).float() for column in columns], dim=1)


def judged_of(view: View, judged: Callable[[Tensor], Tensor]) -> Tensor:
    """The mean over the rows of what each is judged by its truths."""
    return torch.stack([(judged(places) * share).mean() for places, share in view.truths]).sum()


def test_without_settings_there_is_none_and_a_loop_sees_its_rows_as_they_are() -> None:
    assert augmentation(training(), FEATURES, 40) is None
    assert augmentation(training(image={"share": 0, "rotate": 9}), FEATURES, 40) is None
    places = torch.tensor([3, 1])
    view = seen(None, Table(SOURCES[:1]), places, 1)
    assert torch.equal(view.matrix, SOURCES[0][places])
    judged = judged_of(view, lambda rows: SOURCES[0][rows])
    assert float(judged) == pytest.approx(float(SOURCES[0][places].mean()))


def test_columns_of_the_kind_are_varied_and_others_left() -> None:
    vary = made(training(image={"flip_horizontally": 1}))
    found = vary(SOURCES, torch.arange(40), 1)
    assert torch.equal(found[1], SOURCES[1].flip(3))
    assert found[0] is SOURCES[0]
    assert found[2] is SOURCES[2]


@pytest.mark.parametrize("kind", ["image", "sequence"])
def test_two_columns_of_a_kind_have_draws_of_their_own(kind: str) -> None:
    settings = {"image": {"rotate": 90}} if kind == "image" else {"sequence": {"noise": 0.5}}
    name, place = ("photo", 1) if kind == "image" else ("steps", 2)
    twins = {"first": FEATURES[name], "second": FEATURES[name]}
    first, second = made(training(**settings), twins)([SOURCES[place]] * 2, torch.arange(40), 1)
    assert not torch.equal(first.nan_to_num(), second.nan_to_num())


def test_a_loop_cut_anywhere_sees_what_it_would_have_seen() -> None:
    """Batches of a third epoch in another order and of other sizes, by an augmenter made anew."""
    settings = training(image={"rotate": 20, "erase": 0.5}, sequence={"noise": 0.1, "mask": 0.3})
    whole = made(settings)(SOURCES, torch.arange(40), 3)
    for which in torch.tensor_split(torch.randperm(40, generator=GENERATOR), 6):
        part = made(settings)([source[which] for source in SOURCES], which, 3)
        assert all(torch.equal(a.nan_to_num(), b[which].nan_to_num()) for a, b in zip(part, whole, strict=True))
    assert not torch.equal(made(training(seed=1, image={"rotate": 20}))(SOURCES, torch.arange(40), 3)[1], whole[1])


def test_mixing_is_the_formula_of_its_paper() -> None:
    """Rows by lam x + (1 - lam) x', and the loss by lam l(y) + (1 - lam) l(y')."""
    table, truth = Table(SOURCES[:1]), torch.randn(40, 1, generator=GENERATOR)
    vary, places = made(training(mixup=0.4), {"age": FEATURES["age"]}), torch.tensor([3, 17, 21])
    mixed = vary.mix(places, 2)
    assert mixed is not None
    partner, share = mixed
    view = seen(vary, table, places, 2)
    torch.testing.assert_close(view.matrix, share * SOURCES[0][places] + (1 - share) * SOURCES[0][partner])
    output = view.matrix.tanh()
    found = judged_of(view, lambda rows: (output - truth[rows]) ** 2)
    both = share * (output - truth[places]) ** 2 + (1 - share) * (output - truth[partner]) ** 2
    torch.testing.assert_close(found, both.mean())


def test_a_training_killed_at_any_step_and_taken_up_again_ends_with_the_same_weights() -> None:
    features, truth = {"photo": FEATURES["photo"]}, torch.randn(40, 1, generator=GENERATOR)
    order = {epoch: torch.tensor_split(torch.arange(40).roll(11 * epoch), 4) for epoch in (1, 2)}
    steps = [(epoch, which) for epoch, batches in order.items() for which in batches]

    def judged(output: Tensor, rows: Tensor) -> Tensor:
        return (output - truth[rows]) ** 2

    def run(weights: Tensor, steps: Sequence[tuple[int, Tensor]]) -> Tensor:
        vary = made(training(mixup=0.3, image={"rotate": 30, "erase": 0.5}), features)  # as a fresh process would
        for epoch, which in steps:
            view, weights = seen(vary, Table(SOURCES[1:2]), which, epoch), weights.requires_grad_()
            loss = judged_of(view, functools.partial(judged, view.matrix @ weights / 255))
            weights = (weights - 0.1 * torch.autograd.grad(loss, weights)[0]).detach()
        return weights

    whole = run(torch.zeros(64, 1), steps)
    torch.manual_seed(5)
    assert torch.equal(run(run(torch.zeros(64, 1), steps[:3]), steps[3:]), whole)
    assert not torch.equal(run(torch.zeros(64, 1), [(1, which) for _, which in steps]), whole)


def test_the_partner_is_varied_as_it_is_by_itself() -> None:
    vary, places = made(training(mixup=1, image={"rotate": 30}), {"photo": FEATURES["photo"]}), torch.arange(5)
    view = seen(vary, Table(SOURCES[1:2]), places, 1)
    partner, share = vary.mix(places, 1) or (places, places)
    first, second = (vary([SOURCES[1][which]], which, 1)[0].flatten(1).float() for which in (places, partner))
    torch.testing.assert_close(view.matrix, torch.lerp(second, first, share))


def test_shares_follow_the_beta_distribution_and_partners_are_anybody() -> None:
    """Its upper half: the larger share is the row's own."""
    beta = scipy.stats.beta(0.3, 0.3)
    mixing = Mixing(alpha=0.3, rows=40, draws=Draws(0, 0))
    partner, share = mixing(np.arange(5_000), 0)
    assert scipy.stats.kstest(share.numpy().ravel(), lambda x: beta.cdf(x) - beta.cdf(1 - x)).pvalue > 0.001
    assert scipy.stats.chisquare(np.bincount(partner.numpy(), minlength=40)).pvalue > 0.001
    again, _ = mixing(np.array([4_999]), 0)
    assert again[0] == partner[-1]


def test_a_share_of_one_leaves_the_row() -> None:
    rows = torch.randn(4, 3, generator=GENERATOR)
    view = View.mixed(rows, torch.arange(4), rows.flip(0), torch.arange(4), torch.ones(4, 1))
    assert torch.equal(view.matrix, rows)


def test_noise_has_the_deviation_asked_for_and_leaves_gaps() -> None:
    long = torch.randn(300, 50, 2, generator=GENERATOR) * torch.tensor([1.0, 20.0]) + 5
    long[:, 40:] = torch.nan
    found = Sequences(SequenceVariation(noise=0.1), Draws(0, 1))(long, np.arange(300), 0)
    assert torch.equal(torch.isnan(found), torch.isnan(long))
    share = (found - long)[:, :40].std(dim=(0, 1)) / torch.tensor([1.0, 20.0])
    assert share.tolist() == pytest.approx([0.1, 0.1], rel=0.03)
    assert found.dtype == torch.float32


def test_a_mask_is_one_stretch_of_steps_that_are_there_at_their_mean() -> None:
    found = Sequences(SequenceVariation(mask=0.5), Draws(0, 1))(SOURCES[2], np.arange(40), 0)
    changed = (found != SOURCES[2]).any(dim=2)[:, :7]
    assert set(changed.sum(dim=1).tolist()) == {0, 1, 2, 3}
    assert (changed.float().diff(dim=1).abs().sum(dim=1) <= 2).all()
    mean = SOURCES[2].nanmean(dim=1, keepdim=True).expand(-1, 7, -1)
    torch.testing.assert_close(found[:, :7][changed], mean[changed])
    assert torch.isnan(found[:, 7:]).all()


CATEGORY = {"sky": Feature(kind="category", encoding="embedding")}
FLOATS = {"photo": Feature(kind="image", datatype="FP32", shape=[3, 8, 8])}
TEXT = {"mail": Feature(kind="text", shape=[40])}


@pytest.mark.parametrize(
    ("augmented", "features", "told"),
    [
        ({"image": {"rotate": 5}}, TEXT, r"image: expected a feature of kind image, got mail \(text\)"),
        ({"text": {"swap": 0.1}}, FEATURES, "text: expected a feature of kind text"),
        ({"sequence": {"noise": 1}}, TEXT, "sequence: expected a feature of kind sequence"),
        ({"image": {"hue": 0.1}}, FEATURES, "image.hue: expected pictures of three channels.*got photo: 1;"),
        ({"image": {"saturation": 0.1}}, FEATURES, "image.saturation: expected pictures of three channels"),
        ({"image": {"contrast": 0.1}}, FLOATS, "image.contrast: expected range, as photo is sent as FP32, got none"),
        ({"image": {"crop_padding": 8}}, FEATURES, r"expected less than a side of photo, \[8, 8\], got 8"),
        ({"mixup": 0.2}, TEXT, "mixup: expected features with values in between.*got mail, a text"),
        ({"mixup": 0.2}, CATEGORY, "mixup: expected features with values in between.*got sky, an embedding"),
        ({"text": {"replace": 0.1, "synonyms": "none.tsv"}}, TEXT, "none.tsv: cannot be read"),
    ],
)
def test_what_does_not_suit_the_columns_is_refused(augmented: Any, features: Any, told: str) -> None:
    with pytest.raises(InvalidConfig, match=told):
        augmentation(training(**augmented), features, 40)


@pytest.mark.parametrize(
    ("augmented", "told"),
    [
        ({"image": {"scale": [1.2, 0.8]}}, "begins above its end"),
        ({"image": {"scale": [1.2]}}, r"scale takes \[least, largest\]"),
        ({"image": {"erase_area": []}}, r"erase_area takes \[least, largest\]"),
        ({"image": {"crop_area": [0.5, 1.5]}}, "more than the whole picture"),
        ({"image": {"crop_area": [0.5, 1], "crop_padding": 1}}, "two ways to crop"),
        ({"image": {"range": [1, 1]}}, "begins above its end"),
        ({"text": {"replace": 0.1}}, "replace needs synonyms"),
        ({"text": {"delete": 0.1, "synonyms": "s.tsv"}}, "synonyms are for replace and insert"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(augmented: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        AugmentationSection.model_validate(augmented)


def test_where_the_file_of_synonyms_lies_is_no_part_of_the_identity(tmp_path: Path) -> None:
    section = AugmentationSection.model_validate({"text": {"insert": 0.1, "synonyms": "s.tsv"}})
    placed = section.within(tmp_path)
    assert placed.text.synonyms == tmp_path / "s.tsv"
    assert placed.identity() == section.identity()
    assert AugmentationSection().within(tmp_path) == AugmentationSection()


def test_the_chapter_says_what_is_done_to_which_column() -> None:
    settings = training(image={"rotate": 15, "scale": [0.9, 1.1]}, sequence={"noise": 0.1}, mixup=0.2)
    told = chapter(settings, FEATURES)
    assert [row[:3] for row in told.tables[0].rows] == [
        ["photo", "rotate", "15.0"],
        ["photo", "scale", "0.9 to 1.1"],
        ["steps", "noise", "0.1"],
    ]
    assert "2 columns" in told.summary
    assert "alpha 0.2" in told.summary

"""Tokens: of texts with a tokenizer the words are varied, seeded per row, and the ids are those of the new text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from staytrue.feature import Feature
from staytrue.sections import TrainingSection
from tests.tokenizers import wordpiece, written
from training.augment.augmenter import augmentation
from training.batches import Batch
from training.data.encode.encoder import learn
from training.data.rows import TrainingRows
from training.models.assembly import assemble
from training.tasks.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

    from training.augment.augmenter import Augmenter

TEXTS = np.array(["good day", "", "a bad night", "bad days", "a good day a bad night", "day"] * 5, dtype=object)
SETTINGS = TrainingSection.model_validate({"augmentation": {"text": {"delete": 0.3, "swap": 0.3}}})


@pytest.fixture
def made(tmp_path: Path) -> tuple[Batch, Augmenter]:
    """Rows of a text that a file of a tokenizer takes apart, and what varies them as a training does."""
    path = written(wordpiece(), tmp_path / "tokenizer.json")
    features = {"t": Feature.model_validate({"kind": "text", "shape": [9], "tokenizer": str(path)})}
    target = np.array(["no", "yes"] * 15, dtype=object)
    rows, task = TrainingRows(np.arange(30.0), {"t": TEXTS}, target), Classification("y", ("no", "yes"))
    states = learn(rows, features)
    augmenter = augmentation(SETTINGS, features, 30, lambda name: (rows.columns[name], states[0].tensor))
    assert augmenter is not None
    return Batch.of(assemble(states, "mlp", {}, task), task, rows, np.ones(30)), augmenter


def test_ids_are_those_of_the_varied_text_and_others_stay(made: tuple[Batch, Augmenter]) -> None:
    """Half of the words or so go or change places; an empty text stays empty."""
    batch, augmenter = made
    (ids,), tokens = batch.sources, augmenter.columns[0]
    found = tokens(ids, np.arange(30), 1)
    said = tokens.said(np.arange(30), 1)  # type: ignore[attr-defined]
    assert torch.equal(found, tokens.encode(np.array(said, dtype=object)))  # type: ignore[attr-defined]
    changed = (found != ids).any(dim=1).numpy()
    assert changed.sum() >= 8
    assert [text for text, other in zip(TEXTS, changed, strict=True) if text == "" and other] == []
    assert all(sorted(set(other.split()) - set(text.split())) == [] for text, other in zip(TEXTS, said, strict=True))
    assert torch.equal(ids, batch.sources[0]), "the rows themselves stay"


def test_a_row_is_varied_alike_in_any_company_and_anew_in_each_epoch(made: tuple[Batch, Augmenter]) -> None:
    batch, augmenter = made
    which = torch.tensor([4, 10, 2, 22])
    (together,) = batch.stream([which], augmenter, 2)
    alone = [next(iter(batch.stream([place.reshape(1)], augmenter, 2))).matrix for place in which]
    assert torch.equal(together.matrix, torch.cat(alone))
    (later,) = batch.stream([torch.arange(30)], augmenter, 3)
    (before,) = batch.stream([torch.arange(30)], augmenter, 2)
    assert not torch.equal(later.matrix, before.matrix)


def test_who_forgets_the_texts_is_told(made: tuple[Batch, Augmenter]) -> None:
    del made
    features = {"t": Feature.model_validate({"kind": "text", "shape": [9], "tokenizer": {"train": "words"}})}
    with pytest.raises(TypeError, match="t has a tokenizer, and nothing says what its texts are"):
        augmentation(SETTINGS, features, 30)

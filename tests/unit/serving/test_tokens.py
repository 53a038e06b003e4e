"""Token ids in front of an artefact: as the library itself makes them, cut and filled up; and files that are none."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Theirs
from tokenizers import models, pre_tokenizers

from serving.runtimes import tokens
from serving.runtimes.tokens import CHARACTERS, Tokenizer, front
from staytrue.errors import CorruptData, InvalidConfig, InvalidInput
from staytrue.signature import Signature, TensorSpec
from tests.tokenizers import UNKNOWN, WORDS, wordpiece

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LENGTH = 6
SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="x", datatype="FP32", shape=[-1, 1]),
        TensorSpec(name="note", datatype="BYTES", shape=[-1, 1], tokenizer="tokenizer-0.json", tokens=LENGTH),
    ],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 1])],
)
EXPECTED = {
    "good days": [2, 4, 6, 8, 3, 0],
    "": [2, 3, 0, 0, 0, 0],
    "bad zebra": [2, 5, 1, 3, 0, 0],
    "a good day a bad night": [2, 9, 4, 6, 9, 3],
    "東京 a": [2, 1, 9, 3, 0, 0],
}
"""Text → ids, by hand: [CLS] is 2, [SEP] 3, unknown 1, filling 0."""


def texts(*values: Any) -> np.ndarray:
    """As callers send them. Shapes: [N,1]."""
    return np.array(values, dtype=object).reshape(-1, 1)


def made(length: int | None = LENGTH, change: Callable[[Theirs], object] = lambda _: None) -> Tokenizer:
    """The small one, changed before."""
    theirs = wordpiece()
    change(theirs)
    return Tokenizer(theirs.to_str(), "here", length)


def test_each_text_becomes_as_many_ids_cut_or_filled_up() -> None:
    assert made().encode(texts(*EXPECTED), "here").tolist() == list(EXPECTED.values())


def test_the_written_file_makes_the_same_ids_also_in_the_library_alone() -> None:
    """Whoever loads the model elsewhere needs nothing else."""
    written = made().written()
    assert Tokenizer(written, "there").encode(texts(*EXPECTED), "there").tolist() == list(EXPECTED.values())
    assert [Theirs.from_str(written).encode(text).ids for text in EXPECTED] == list(EXPECTED.values())


def test_many_texts_are_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_AT_ONCE", 3)
    many = list(EXPECTED) * 4
    got = made().encode(np.array(many, dtype=object), "here")
    assert got.tolist() == [EXPECTED[text] for text in many]
    assert made().encode(texts(), "here").shape == (0, LENGTH)


def test_the_file_says_on_which_side_is_cut_and_filled_and_by_what() -> None:
    def left(theirs: Theirs) -> None:
        theirs.enable_truncation(99, direction="left")
        theirs.enable_padding(direction="left", pad_id=9, pad_token=WORDS[9])

    there = made(change=left)
    assert there.padding == 9
    got = there.encode(texts("good", "a good day a bad night"), "here").tolist()
    assert got == [[9, 9, 9, 2, 4, 3], [2, 6, 9, 5, 7, 3]]


@pytest.mark.parametrize("direction", ["right", "left"])
def test_a_text_of_megabytes_is_looked_at_no_further_than_one_that_may_fit(direction: str) -> None:
    """Else one caller could keep the server busy for as long as the text is."""
    there = made(change=lambda theirs: theirs.enable_truncation(99, direction=direction))
    most, blank, word = CHARACTERS * LENGTH, " ", "day "
    inside, outside = blank * (most - len(word)), blank * most
    near, far = (word + inside, word + outside) if direction == "left" else (inside + word, outside + word)
    assert there.encode(texts(near, far, "bad " * 2_000_000), "here").tolist() == [
        [2, 6, 3, 0, 0, 0],
        [2, 3, 0, 0, 0, 0],
        [2, 5, 5, 5, 5, 3],
    ]


def test_without_a_token_for_filling_there_is_one_id_more() -> None:
    """A token of the text would be masked with the filling."""
    theirs = Theirs(models.WordLevel(vocab={"a": 0, "[UNK]": 1}, unk_token=UNKNOWN))
    theirs.pre_tokenizer = pre_tokenizers.Whitespace()
    there = Tokenizer(theirs.to_str(), "here", 3)
    assert (there.padding, there.vocabulary) == (2, 3)
    assert there.encode(texts("a"), "here").tolist() == [[0, 2, 2]]
    assert Tokenizer(there.written(), "here").vocabulary == 3


def test_it_stands_in_front_of_an_artefact_and_touches_only_texts(tmp_path: Path) -> None:
    (tmp_path / "tokenizer-0.json").write_text(made().written())
    there = front(SIGNATURE, tmp_path)
    assert there is not None
    numbers = np.ones((1, 1), dtype=np.float32)
    got = there({"x": numbers, "note": texts("good days")})
    assert got["x"] is numbers
    assert got["note"].tolist() == [EXPECTED["good days"]]
    assert got["note"].dtype == np.int64
    assert front(Signature(inputs=SIGNATURE.inputs[:1], outputs=SIGNATURE.outputs), tmp_path) is None


def test_another_length_than_the_signature_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer-0.json").write_text(made(5).written())
    with pytest.raises(CorruptData, match=r"tokenizer-0\.json: expected 6 tokens a text, got 5"):
        front(SIGNATURE, tmp_path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda _: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b"\xff\xfe{"), "is no tokenizer file: no UTF-8"),
        (lambda path: path.write_text("{}"), "is no tokenizer file of the library tokenizers: Model missing"),
        (
            lambda path: path.write_text(json.dumps({"vocab": {"a": 0}})),
            "is no tokenizer file of the library tokenizers",
        ),
        (lambda path: path.write_text(made().written()[:-9]), "is no tokenizer file of the library tokenizers: EOF"),
        (lambda path: path.write_text(wordpiece().to_str()), "expected truncation and padding to one length, got"),
    ],
    ids=["missing", "no text", "another JSON", "a vocabulary", "torn", "any length"],
)
def test_what_is_no_tokenizer_is_refused(write: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    write(tmp_path / "tokenizer-0.json")
    with pytest.raises(CorruptData, match=rf"tokenizer-0\.json: {said}"):
        front(SIGNATURE, tmp_path)


def test_a_tokenizer_that_fails_on_unknown_words_is_refused_when_it_is_loaded() -> None:
    theirs = Theirs(models.WordLevel(vocab={"a": 0}, unk_token=UNKNOWN))
    with pytest.raises(CorruptData, match=r"here: fails on a text: .*Missing"):
        Tokenizer(theirs.to_str(), "here", LENGTH)


def test_a_tokenizer_that_leaves_things_to_chance_is_refused() -> None:
    theirs = Theirs(models.BPE(vocab={"a": 0}, merges=[], dropout=0.5))
    with pytest.raises(CorruptData, match=r"other tokens of one text each time \(dropout\); set its dropout to null"):
        Tokenizer(theirs.to_str(), "here", LENGTH)


def test_fewer_tokens_than_are_put_around_each_text_are_refused() -> None:
    with pytest.raises(CorruptData, match="here: expected fewer than 2 tokens around each text, got 2"):
        made(2)


@pytest.mark.parametrize("value", [3, None, "half \ud83d"])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match='input "note": cannot be made tokens'):
        made().encode(texts("a", value), 'input "note"')


def test_the_library_s_panics_are_refusals_and_the_end_of_the_process_is_none() -> None:
    class Panic(BaseException):
        """As the library's: no Exception."""

    def panic() -> None:
        raise Panic("index out of bounds")

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(CorruptData, match="here: is broken: index out of bounds"):
        tokens._guarded("here", "is broken", panic)
    with pytest.raises(KeyboardInterrupt):
        tokens._guarded("here", "is broken", stop)


def test_without_the_library_the_error_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer-0.json").write_text(made().written())
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InvalidConfig, match=r"is not installed; pip install -e '\.\[tokenizer\]'"):
        front(SIGNATURE, tmp_path)

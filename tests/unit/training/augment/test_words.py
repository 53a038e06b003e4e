"""Words: each operation by what it must leave, synonyms in their files, and bytes that stay UTF-8."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from staytrue.augmentation import TextVariation
from staytrue.errors import InvalidConfig
from training.augment import synonyms
from training.augment.draws import Draws
from training.augment.texts import Texts, bytes_of, text_of
from training.augment.words import Words, synonym

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "  Win a\tBIG prize today,\n\nor never. "
KNOWN = {"big": ("huge", "large"), "prize": ("award",), "today": ("right now",)}
PLACES = np.arange(300)


def words(known: dict[str, tuple[str, ...]] = KNOWN, **settings: Any) -> Words:
    """What varies texts; the file's place does not matter, as its content is here."""
    made = TextVariation.model_construct(**(TextVariation().model_dump() | settings))
    return Words(made, known, Draws(0, 1))


def many(vary: Words, text: str = TEXT) -> list[str]:
    """What becomes of one text in 300 rows."""
    return vary([text] * 300, PLACES, 0)


def test_replacing_all_changes_known_words_alone() -> None:
    found = set(many(words(replace=1.0)))
    assert found == {f"  Win a\t{big} award right now,\n\nor never. " for big in ("HUGE", "LARGE")}


def test_deleting_leaves_words_in_their_order_and_at_least_one() -> None:
    for text in many(words(delete=0.5)):
        left = iter(TEXT.split())
        assert all(word in left for word in text.split())
        assert text.startswith("  ")
        assert text.endswith(" ")
    assert {len(text.split()) for text in many(words(delete=1.0))} == {1}


def test_swapping_keeps_all_words_and_the_white_space() -> None:
    made = many(words(swap=0.5))
    assert {tuple(sorted(text.split())) for text in made} == {tuple(sorted(TEXT.split()))}
    assert {tuple(re.findall(r"\s+", text)) for text in made} == {tuple(re.findall(r"\s+", TEXT))}
    assert len(set(made)) > 100


def test_inserting_adds_synonyms_or_the_word_again() -> None:
    new = Counter[str]()
    for text in many(words(insert=0.3)):
        added = Counter(text.split()) - Counter(TEXT.split())
        assert not Counter(TEXT.split()) - Counter(text.split())
        new += added
    assert {"HUGE", "LARGE", "award", "right", "now,", "Win", "never."} <= set(new)
    assert not {"BIG", "prize", "today,"} & set(new)


def test_each_word_is_as_likely_as_the_setting_says() -> None:
    text = " ".join(f"w{number}" for number in range(60))
    left = [len(made.split()) for made in many(words(delete=0.1), text)]
    assert np.mean(left) == pytest.approx(54, abs=4 * np.sqrt(60 * 0.09 / 300))


def test_a_text_is_varied_alike_in_any_company() -> None:
    vary = words(replace=0.3, delete=0.2, insert=0.2, swap=0.2)
    together = vary([TEXT, "short", TEXT * 9, ""], np.array([4, 9, 2, 11]), 5)
    assert [vary([text], np.array([place]), 5)[0] for text, place in zip([TEXT, TEXT * 9], [4, 2], strict=True)] == [
        together[0],
        together[2],
    ]
    assert together[3] == ""
    assert vary([TEXT], np.array([4]), 6)[0] != together[0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("big", "huge"), ("Big!", "Huge!"), ("(BIG)", "(HUGE)"), ("c++", "C plus plus"), ("bigger", None), ("...", None)],
)
def test_a_synonym_takes_over_capitals_and_punctuation(word: str, expected: str | None) -> None:
    assert synonym(word, {"big": ["huge"], "c++": ["C plus plus"]}, 0.5) == expected


def test_bytes_that_are_cut_stay_utf8() -> None:
    text = "zwölf Bäume für Łódź und 東京 am Meer"
    length = len(text.encode())
    rows = np.stack([bytes_of(text, length)] * 300)
    vary = Texts(words({"meer": ("Großen Ozean 🌊",)}, replace=0.5, swap=0.3, insert=0.3))
    found = vary(torch.from_numpy(rows), PLACES, 0).numpy()
    assert found.shape == rows.shape
    assert found.dtype == np.uint8
    for row in found:
        assert row.tobytes().rstrip(b"\0").decode()  # strict
    assert len({row.tobytes() for row in found}) > 200


def test_bytes_that_nothing_happens_to_stay_as_they_are_even_if_they_are_no_utf8() -> None:
    rows = np.frombuffer(b"caf\xe9 na\xefve \xc3", np.uint8)[None].repeat(300, 0)
    assert torch.equal(
        Texts(words(delete=1e-9))(torch.from_numpy(rows.copy()), PLACES, 0), torch.from_numpy(rows.copy())
    )
    found = Texts(words(swap=1.0))(torch.from_numpy(rows.copy()), PLACES, 0).numpy()
    assert {row.tobytes().rstrip(b"\0") for row in found} == {b"caf\xe9 na\xefve ", b"na\xefve caf\xe9 "}


def test_a_character_cut_in_two_is_left_out() -> None:
    assert text_of(np.frombuffer("ab🌊".encode()[:-1], np.uint8)) == "ab"
    assert bytes_of("ab🌊", 5).tobytes() == b"ab\0\0\0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.yaml", "big: [huge, large]\nno: [never]\ntoday: right now\n"),
        ("s.tsv", "# words\nBig\thuge\tlarge\n\nno\tnever\ntoday\tright now\n"),
    ],
)
def test_synonyms_are_read_from_yaml_and_tsv(tmp_path: Path, name: str, text: str) -> None:
    """`no` is a word, not false."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    expected = {"big": ("huge", "large"), "no": ("never",), "today": ("right now",)}
    assert synonyms.read(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("s.csv", "big,huge", r"s.csv: expected a file of synonyms, .yaml or .tsv, got .csv"),
        ("s.yaml", "big: [huge", r"s.yaml:1: is not YAML"),
        ("s.yaml", "- big\n- huge\n", r"s.yaml:1: expected words with synonyms, got a list"),
        ("s.yaml", "a: [b]\nbig: {huge: 1}\n", r"s.yaml:2: expected a word, and a list of texts, got something nested"),
        ("s.yaml", "a: [b]\nbig: []\n", r"s.yaml:2: expected synonyms of 'big', got none"),
        ("s.yaml", "big: [huge]\nBIG: [large]\n", r"s.yaml:2: word 'BIG' stands there twice"),
        ("s.yaml", "# nothing\n", r"s.yaml: expected words and their synonyms, got none"),
        ("s.tsv", "a\tb\nbig huge\n", r"s.tsv:2: expected a tab after the word, got 'big huge'"),
        ("s.tsv", "a\tb\nof course\tsure\n", r"s.tsv:2: expected one word, which has no white space, got 'of course'"),
        ("s.tsv", "big\thuge\t\n", r"s.tsv:1: expected synonyms of 'big', got none, or an empty one"),
    ],
)
def test_a_broken_file_of_synonyms_is_told_with_its_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfig, match=told):
        synonyms.read(tmp_path / name)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"s\.tsv: cannot be read: No such file"):
        synonyms.read(tmp_path / "s.tsv")
    (tmp_path / "s.tsv").write_bytes(b"ab\xff\tc")
    with pytest.raises(InvalidConfig, match="expected text in UTF-8, got byte 2 that is none"):
        synonyms.read(tmp_path / "s.tsv")

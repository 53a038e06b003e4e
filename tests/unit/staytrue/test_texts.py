"""JSON of callers: keys given twice, places in messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staytrue.errors import InvalidInput
from staytrue.texts import check_keys, check_name, from_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.booleans())
def test_what_json_says_is_read_whatever_its_keys(value: Any, escaped: bool) -> None:
    assert from_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3), st.data())
def test_a_key_given_twice_is_found_wherever_it_stands(value: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    again = f"{json.dumps(name)}: {json.dumps(data.draw(JSON))}"
    body = json.dumps({"a": [{"b": 0}]}).replace('{"b": 0}', json.dumps(value)[:-1] + ", " + again + "}")
    with pytest.raises(InvalidInput, match=r"body: key .* is given twice"):
        from_json(body.encode())


def test_what_was_read_already_is_given_back() -> None:
    assert from_json({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: expected an inference request in JSON, got nothing"),
        (b"{", r"body, line 1 column 2: is not JSON"),
        (b'{\n "a": x}', r"body, line 2 column 7: is not JSON: JSON is malformed: invalid character$"),
        (b'{"a": [1, NaN]}', "is not JSON: .*; JSON has no NaN and no Infinity: send null or a text"),
        (b"a,b\n1,2\n", "is not JSON: .*; another form than JSON needs its own Content-Type, text/csv"),
        (b'\xef\xbb\xbf{"inputs": []}', "is not JSON: .*; it begins with a byte order mark"),
        (b"--x\r\nContent-Disposition: form-data\r\n", r"is not JSON: .*; forms \(multipart\) are not read"),
        (b'"\xff"', "body, line 1 column 4: is not JSON"),
        (b"[" * 100_000, "body: nests too deep"),
        (b'{"a": 1e999}', "is not JSON: Number out of range"),
    ],
)
def test_a_message_names_line_and_column(body: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        from_json(body, spot=True)
    with pytest.raises(InvalidInput, match=r"^body: "):
        from_json(body)


def test_halves_of_characters_are_left_to_whoever_uses_the_text() -> None:
    assert from_json(rb'{"a": "\ud83d", "b": 1.5}') == {"a": "\ud83d", "b": 1.5}


@pytest.mark.parametrize("body", [rb'{"a": "\ud83d", "b": NaN}', rb'{"a": "\ud83d", "b": 1e999}', rb'{"a": "\ud83d"'])
def test_halves_of_characters_make_nothing_else_good(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="is not JSON"):
        from_json(body)


def test_what_nests_too_deep_to_be_looked_through_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="nests too deep"):
        check_keys(b"", {"a": deep})


def test_a_name_holds_no_nul() -> None:
    check_name("süß", "id")
    with pytest.raises(InvalidInput, match=r"id: expected text without NUL, got 'a\\x00'"):
        check_name("a\0", "id")

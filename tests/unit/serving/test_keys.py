"""``staytrue keys`` and the keys file: made once, hashes alone, read whole or refused with file, line and reason."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import keyring
from serving.access import Access
from serving.keyring import SCOPES, Key, Limit, digest_of, parse, read
from serving.keys import new_secret
from staytrue.command import main
from staytrue.errors import InvalidConfig

HASH = "0123456789abcdef" * 4
KEY = f"name: shop, sha256: '{HASH}', scopes: [predict]"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    """Run ``staytrue keys``."""
    return main(["keys", *arguments])


def make(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Make a key by the command; the key."""
    assert run("new", *arguments) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("file", ["keys.yaml", "keys.json"])
def test_a_key_is_printed_once_works_and_only_its_hash_is_kept(
    folder: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new", "--name", "shop", "--scopes", "predict,metrics", "--file", file) == 0
    told = capsys.readouterr()
    secret = told.out.removesuffix("\n")
    assert re.fullmatch(r"st_[A-Za-z0-9_-]{43}", secret)
    assert len(base64.urlsafe_b64decode(secret[3:] + "=")) == 32
    assert secret not in told.err
    written = (folder / file).read_text()
    assert secret[3:] not in written
    assert hashlib.sha256(secret.encode()).hexdigest() in written
    assert [key.name for key in read(folder / file)] == ["shop"]
    for scope in ("predict", "metrics"):
        assert Access(folder / file).admit(secret, scope, 0.0) is not None


def test_no_two_keys_are_alike() -> None:
    assert len({new_secret() for _ in range(100)}) == 100


def test_only_its_owner_may_read_the_file_and_nothing_else_is_left_behind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = os.umask(0)
    try:
        make(capsys, "--name", "a", "--scopes", "predict")
        (folder / "keys.yaml").chmod(0o644)
        make(capsys, "--name", "b", "--scopes", "predict")
    finally:
        os.umask(before)
    assert (folder / "keys.yaml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["keys.yaml"]


def test_keys_are_listed_with_scopes_and_limits_and_without_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    make(capsys, "--name", "shop", "--scopes", "predict", "--requests-per-second", "50", "--burst", "100")
    make(capsys, "--name", "slow", "--scopes", "predict", "--requests-per-second", "0.5")
    make(capsys, "--name", "ops", "--scopes", "metrics,admin")
    assert run("list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "shop: predict; 50 a second, 100 at once",
        "slow: predict; 0.5 a second, 1 at once",
        "ops: admin, metrics; no limit",
    ]


def test_a_key_that_is_removed_is_gone_and_the_others_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        make(capsys, "--name", name, "--scopes", "predict", "--requests-per-second", "2")
    before = read(folder / "keys.yaml")
    assert run("remove", "--name", "b") == 0
    assert read(folder / "keys.yaml") == (before[0], before[2])
    for name in ("a", "c"):
        assert run("remove", "--name", name) == 0
    assert read(folder / "keys.yaml") == ()
    make(capsys, "--name", "b", "--scopes", "admin")
    assert [key.scopes for key in read(folder / "keys.yaml")] == [{"admin"}]


def test_behind_a_link_the_file_is_replaced_and_not_the_link(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "real").mkdir()
    (folder / "keys.yaml").symlink_to("real/all.yaml")
    make(capsys, "--name", "a", "--scopes", "predict")
    assert (folder / "keys.yaml").is_symlink()
    assert [key.name for key in read(folder / "real/all.yaml")] == ["a"]


def test_keys_that_are_made_at_the_same_time_are_all_kept(folder: Path) -> None:
    names = [f"k{number}" for number in range(8)]
    threads = [threading.Thread(target=run, args=("new", "--name", name, "--scopes", "predict")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(key.name for key in read(folder / "keys.yaml")) == names


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["new", "--name", "shop", "--scopes", "predict"], 1, 'key "shop": is in keys.yaml already; choose another'),
        (
            ["new", "--name", "a", "--scopes", "predict,all"],
            2,
            "--scopes: expected a list of some of predict, admin, m",
        ),
        (["new", "--name", "a", "--scopes", ""], 2, "--scopes: expected a list of some of"),
        (["new", "--name", "a b", "--scopes", "predict"], 2, "--name: expected up to 64 letters"),
        (["new", "--name", "a", "--scopes", "predict", "--burst", "2"], 2, "limit requests_per_second: expected a num"),
        (["new", "--name", "a", "--scopes", "predict", "--requests-per-second", "0"], 2, "from 0.001 to 1e+09"),
        (["new", "--name", "a", "--scopes", "predict", "--requests-per-second", "nan"], 2, "from 0.001 to 1e+09"),
        (["new", "--name", "a", "--scopes", "predict", "--file", "no/keys.yaml"], 2, "its folder cannot be opened: No"),
        (["remove", "--name", "other"], 1, 'key "other": is not in keys.yaml; keys: shop'),
        (["remove", "--name", "shop", "--file", "none.yaml"], 2, "none.yaml: cannot be read: No such file"),
        (["list", "--file", "none.yaml"], 2, "none.yaml: cannot be read: No such file"),
        (["list", "--file", "."], 2, "keys .: cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_done_is_explained_and_changes_nothing(
    folder: Path, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(capsys, "--name", "shop", "--scopes", "predict")
    before = (folder / "keys.yaml").read_bytes()
    assert run(*arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert (folder / "keys.yaml").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["keys.yaml"]


def test_a_file_that_is_broken_is_never_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "keys.yaml").write_text("keys: [")
    assert run("new", "--name", "a", "--scopes", "predict") == 2
    assert (folder / "keys.yaml").read_text() == "keys: ["
    assert capsys.readouterr().out == ""  # no key that would not work


def test_a_full_disk_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(capsys, "--name", "a", "--scopes", "predict")
    before = (folder / "keys.yaml").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("new", "--name", "b", "--scopes", "predict") == 2
    told = capsys.readouterr()
    assert (told.out, "keys.yaml: cannot be written: No space left on device" in told.err) == ("", True)
    assert (folder / "keys.yaml").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["keys.yaml"]


def test_a_file_may_be_written_by_hand(folder: Path) -> None:
    text = f"""\
# who may ask
keys:
  - name: shop
    sha256: {HASH.upper()}
    scopes: [predict, metrics]
    requests_per_second: 50
    burst: 100
  - {{name: ops, sha256: "{"f" * 64}", scopes: [admin]}}
"""
    limit, digest = Limit(50.0, 100.0), bytes.fromhex(HASH)
    assert parse(folder, text) == (
        Key(name="shop", digest=digest, scopes=frozenset({"predict", "metrics"}), limit=limit),
        Key(name="ops", digest=b"\xff" * 32, scopes=frozenset({"admin"})),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "keys F: expected one key `keys` with a list, got nothing"),
        ("keys", "keys F: expected one key `keys` with a list, got a text of length 4; docs/access.md shows its form"),
        ("keys: {}", "keys F: expected one key `keys` with a list"),
        ("keys: []\nmore: 1", "keys F: expected one key `keys` with a list"),
        ("keys: []\nkeys: []", "keys F:2: a field stands there twice"),
        ("keys:\n- {", "keys F:2: is not YAML: "),
        (
            "keys:\n- 1",
            "keys F:2 keys.0: expected a mapping of name, sha256, scopes, requests_per_second, burst, got a",
        ),
        (f"keys:\n- {{{KEY}}}\n- {{{KEY}}}", "keys F:3 keys.1: has the name or the hash of an entry before it"),
        (f"keys:\n- {{{KEY}, more: 1}}", "keys F:2 keys.0: expected only name, sha256"),
        (f"keys:\n- {{{KEY}, name: b}}", "keys F:2: a field stands there twice"),
        (f"keys:\n- {{sha256: '{HASH}', scopes: [predict]}}", "keys F:2 keys.0.name: expected up to 64 letters"),
        ("keys:\n- {name: a, scopes: [predict]}", "keys F:2 keys.0.sha256: expected 64 hexadecimal digits in quotes"),
        (f"keys:\n- {{name: a, sha256: '{HASH}'}}", "keys F:2 keys.0.scopes: expected a list of some of predict, admi"),
        (f"keys:\n- {{name: a, sha256: '{HASH}', scopes: []}}", "keys F:2 keys.0.scopes: expected a list"),
        (f"keys:\n- {{name: a, sha256: '{HASH}', scopes: predict}}", "keys F:2 keys.0.scopes: expected a list"),
        (f"keys:\n- {{name: a, sha256: '{HASH}', scopes: [predikt]}}", "or one twice; did you mean 'predict'?"),
        (f"keys:\n- {{name: a, sha265: '{HASH}', scopes: [predict]}}", "got another field; did you mean 'sha256'?"),
        (f"keys:\n- {{name: a, sha256: '{HASH}', scopes: predict}}", "got a text of length 7"),
        ("keys: [", "keys F:1: is not YAML: expected the node content, but found '<stream end>'; docs/access.md shows"),
        (f"keys:\n- {{name: a, sha256: '{HASH}', scopes: [predict, predict]}}", "got one that is none, or one twice"),
        (f"keys:\n- {{{KEY}, burst: 2}}", "keys F:2 keys.0.requests_per_second: expected a number from 0.001"),
        (f"keys:\n- {{{KEY}, requests_per_second: yes}}", "keys.0.requests_per_second: expected a number"),
        (f"keys:\n- {{{KEY}, requests_per_second: .nan}}", "keys.0.requests_per_second: expected a number"),
        (f"keys:\n- {{{KEY}, requests_per_second: 1{'0' * 400}}}", "keys.0.requests_per_second: expected a number"),
        (f"keys:\n- {{{KEY}, requests_per_second: 1{'0' * 5000}}}", "keys F: holds values that no keys file has"),
        (f"keys:\n- {{{KEY}, requests_per_second: 1, burst: 0.5}}", "keys.0.burst: expected a number from 1 to"),
        ("keys: [2024-13-77]", "keys F: holds values that no keys file has"),
        ("keys: [!!int '']", "keys F: holds values that no keys file has"),
        ("keys: [!!timestamp x]", "keys F: holds values that no keys file has"),
        ("[" * 5000, "keys F: holds values that no keys file has"),
        ("keys: &a [*a]", "keys F:1 keys.0: expected a mapping"),
        (f"<<: {{keys: [{{{KEY}, more: 1}}]}}", "keys F:1 keys.0: expected only name"),
        ("keys: []\x00", "keys F: is not YAML: holds what no text may"),
        ("x" * (keyring.LARGEST_FILE + 1), f"keys F: expected at most {keyring.LARGEST_FILE} bytes, got more"),
    ],
    ids=range(34),
)
def test_a_file_that_is_no_keys_file_is_refused_with_line_and_reason(folder: Path, text: str, said: str) -> None:
    (folder / "keys.yaml").write_text(text)
    with pytest.raises(InvalidConfig) as refused:
        read(folder / "keys.yaml")
    assert said in str(refused.value).replace(str(folder / "keys.yaml"), "F")


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "keys.yaml").write_bytes(b"keys: \xff")
    with pytest.raises(InvalidConfig, match="expected text in UTF-8, got byte 6 that is none"):
        read(folder / "keys.yaml")


PIECES = st.sampled_from(
    [
        *"{}[]:,-&*!|>%@`'\"#?\n\t \x00\x85\ufeff",
        "keys:",
        "\n- ",
        "name: a",
        f"sha256: '{HASH}'",
        "scopes: [predict]",
        "<<: ",
        "!!int ",
        "!!timestamp ",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join), st.lists(PIECES).map("keys:\n- ".join)))
def test_any_text_is_a_keys_file_or_refused_in_our_words(text: str) -> None:
    try:
        told = [key.name for key in parse(Path("keys.yaml"), text)]
    except InvalidConfig as error:
        told = [str(error)]
        fine = told[0].startswith("keys keys.yaml")
    else:
        fine = set(told) <= {"a"}
    assert fine, told


NUMBERS = st.floats(0.001, 1e9)
KEYS = st.builds(
    Key,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.]{0,30}", fullmatch=True),
    digest=st.binary(min_size=32, max_size=32),
    scopes=st.sets(st.sampled_from(SCOPES), min_size=1).map(frozenset),
    limit=st.none() | st.builds(Limit, NUMBERS, NUMBERS.map(lambda burst: max(1.0, burst))),
)


@given(st.lists(KEYS, unique_by=(lambda key: key.name, lambda key: key.digest), max_size=5))
def test_keys_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, keys: list[Key]) -> None:
    for file in ("keys.yaml", "keys.json"):
        path = tmp_path_factory.getbasetemp() / file
        keyring.write(path, tuple(keys))
        assert read(path) == tuple(keys)
    assert json.loads(path.read_text()).keys() == {"keys"}


def test_the_hash_is_that_of_the_key_as_it_is_sent() -> None:
    assert digest_of("st_abc") == hashlib.sha256(b"st_abc").digest()

"""The kernel's commands say what they did, and what was wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from staytrue import command
from staytrue.command import COMMANDS, main
from staytrue.store import Store
from tests.unit.serving.conftest import publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions, the first promoted."""
    made = Store(tmp_path)
    publish(made, 1.0)
    publish(made, 2.0)
    made.promote("tiny", "1", reason="first")
    return made


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and all that was printed."""
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_promote_roll_back_and_list(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(store.root)
    assert said(capsys, "promote", "tiny", "2", "--reason", "better", "--store", root) == (
        0,
        "champion of tiny is version 2\n",
    )
    code, text = said(capsys, "rollback", "tiny", "--reason", "worse", "--store", root)
    assert (code, text) == (0, "champion of tiny is version 1 again\n")
    code, text = said(capsys, "models", "--store", root)
    assert code == 0
    assert "tiny: versions 1 (champion), 2" in text
    assert "roll back 1: worse" in text


def test_a_canary_and_a_shadow_begin_are_listed_and_end(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    publish(store, 3.0)
    where = ["--store", str(store.root)]
    code, text = said(capsys, "canary", "tiny", "2", "--share", "0.1", "--reason", "try it", *where)
    assert (code, text) == (0, "tiny: version 1 is champion, version 2 takes 0.1 of the traffic\n")
    code, text = said(capsys, "shadow", "tiny", "3", "--reason", "listen", *where)
    assert (code, text.endswith("of the traffic, version 3 is its shadow\n")) == (0, True)
    text = said(capsys, "models", *where)[1]
    assert "tiny: versions 1 (champion), 2 (canary at 0.1), 3 (shadow)" in text
    assert "canary 2 at 0.1: try it" in text
    assert "shadow 3: listen" in text
    assert said(capsys, "canary", "tiny", "--end", "--reason", "enough", *where)[0] == 0
    code, text = said(capsys, "shadow", "tiny", "--end", "--reason", "heard enough", *where)
    assert (code, text) == (0, "tiny: version 1 is champion\n")
    assert "end canary 2: enough" in said(capsys, "models", *where)[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["canary", "tiny", "--share", "0.1"], "expected a version, got none; versions: 1, 2"),
        (["shadow", "tiny"], "expected a version, or --end, got none; versions: 1, 2"),
        (["shadow", "tiny", "2", "--end"], "got version 2 and --end"),
    ],
)
def test_a_canary_or_shadow_without_a_version_is_wrong_usage(
    store: Store, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    code, text = said(capsys, *arguments, "--reason", "x", "--store", str(store.root))
    assert (code, told in text) == (2, True), text


def test_models_of_a_store_that_is_not_there_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "models", "--store", str(tmp_path / "nowhere"))
    assert (code, "is not there; name the store with --store" in text) == (1, True)


def test_models_of_an_empty_store_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no model in" in said(capsys, "models", "--store", str(tmp_path))[1]


def test_verify_tells_of_a_changed_byte(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", "tiny", "--store", str(store.root))[0] == 0
    path = store.path("tiny", "2") / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    code, text = said(capsys, "verify", "tiny", "--store", str(store.root))
    assert code == 1
    assert "tiny 1: 3 files, 5 proofs, all hold" in text
    assert "model.onnx: expected SHA-256" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["promote", "tiny", "9", "--reason", "x"], 'has no version "9"; versions: 1, 2'),
        (["promote", "tinny", "1", "--reason", "x"], "models: tiny; did you mean 'tiny'?"),
        (["rollback", "tiny", "--reason", "x"], "no champion before"),
        (["canary", "tiny", "2", "--share", "1", "--reason", "x"], "above 0 and below 1, got 1"),
        (["canary", "tiny", "1", "--share", "0.1", "--reason", "x"], "version 1 is the champion"),
        (["canary", "tiny", "--end", "--reason", "x"], "has no canary; canaries: none"),
        (["shadow", "tiny", "9", "--reason", "x"], 'has no version "9"; versions: 1, 2'),
        (["shadow", "tiny", "--end", "--reason", "x"], "has no shadow"),
        (["verify", "tinny"], "models: tiny; did you mean 'tiny'?"),
        (["canary", "tinny", "1", "--share", "0.1", "--reason", "x"], "models: tiny; did you mean 'tiny'?"),
        (["canary", "tinny", "--share", "0.1", "--reason", "x"], "models: tiny; did you mean 'tiny'?"),
        (["canary", "tinny", "--end", "--reason", "x"], "models: tiny; did you mean 'tiny'?"),
        (["shadow", "TINNY", "1", "--reason", "x"], "models: tiny; did you mean 'tiny'?"),
        (["shadow", "other", "--end", "--reason", "x"], "models: tiny"),
        (["rollback", "tinny", "--reason", "x"], "is not in the store"),
    ],
)
def test_what_cannot_be_done_is_explained_without_a_traceback(
    store: Store, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    code, printed = said(capsys, *arguments, "--store", str(store.root))
    assert code == 1
    assert text in printed
    assert "Traceback" not in printed


def test_a_missing_project_file_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = said(capsys, "models")
    assert code == 2
    assert "staytrue.yaml: cannot be read" in text
    assert "staytrue init DATA.csv" in text


def test_schema_is_json_and_refuses_unknown_keys(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(said(capsys, "schema")[1])
    assert schema["additionalProperties"] is False
    assert "features" in schema["$defs"]["DataSection"]["required"]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys)
    assert code == 0
    assert all(f"  {name} " in text for name in COMMANDS)


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tarin"])
    assert ended.value.code == 2
    assert "tarin" in capsys.readouterr().err


def test_a_part_that_is_not_installed_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    monkeypatch.setattr(command, "_find", missing)
    code, text = said(capsys, "serve")
    assert code == 2
    assert "pip install -e '.[serving]'" in text

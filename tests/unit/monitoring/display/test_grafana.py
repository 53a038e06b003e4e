"""``staytrue dashboards push``, against a stand-in that answers as Grafana documents it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from monitoring.display.dashboards.boards import BOARDS
from staytrue.command import main
from tests.unit.monitoring.display.grafana import TOKEN, StandIn, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    """A Grafana at the top of its address."""
    with served(StandIn()) as running:
        yield running


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file that holds the right token, ended as editors end a line."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def push(url: str, token: Path, *more: str) -> int:
    """The command; its exit code."""
    return main(["dashboards", "push", "--url", url, "--token-file", str(token), *more])


def test_both_dashboards_arrive_as_they_are_exported(
    grafana: StandIn, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(grafana.url, token) == 0
    sent = {uid: body["dashboard"] for uid, body in grafana.dashboards.items()}
    assert sent == {board.uid: json.loads(board.to_json()) for board in BOARDS.values()}
    assert capsys.readouterr().out.splitlines() == [
        f"Staytrue: Service: {grafana.url}/d/staytrue-service/staytrue-service",
        f"Staytrue: Model: {grafana.url}/d/staytrue-model/staytrue-model",
    ]
    assert all("folderUid" not in body for body in grafana.dashboards.values())
    assert not any("folders" in asked for asked in grafana.asked)


def test_a_second_push_goes_over_the_first(grafana: StandIn, token: Path) -> None:
    assert push(grafana.url, token) == 0
    grafana.dashboards["staytrue-model"]["dashboard"]["title"] = "changed by hand"
    assert push(grafana.url, token) == 0
    assert grafana.dashboards["staytrue-model"]["dashboard"]["title"] == "Staytrue: Model"
    assert grafana.dashboards["staytrue-model"]["message"] == "staytrue dashboards push"


def test_a_folder_is_made_once_and_found_again(grafana: StandIn, token: Path) -> None:
    for _ in range(2):
        assert push(grafana.url, token, "--folder", "Machine learning") == 0
    assert grafana.folders == {"uid-0": "Machine learning"}
    assert {body["folderUid"] for body in grafana.dashboards.values()} == {"uid-0"}


def test_a_grafana_under_a_path_is_pushed_to(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(StandIn(path="/grafana")) as grafana:
        assert push(grafana.url + "/", token) == 0
        assert f"{grafana.url}/d/staytrue-model" in capsys.readouterr().out
        assert len(grafana.dashboards) == 2
        assert push(grafana.url.removesuffix("/grafana"), token) == 1
        assert "--url holds it too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((403, {"message": "You'll need additional permissions"}), 2, "needs the role Editor"),
        ((409, {"message": "exists"}), 1, "something else is there"),
        ((412, {"status": "name-exists", "message": "same name"}), 1, "got same name; rename it"),
        ((400, {"message": "Cannot save provisioned dashboard"}), 2, "refused with 400, got Cannot save provisioned"),
        ((422, {"message": "invalid"}), 2, "refused with 422"),
        ((500, {"message": "database is locked"}), 1, "failed with 500, got database is locked; its own log"),
        ((503, b"<h1>Service Unavailable</h1>"), 1, "failed with 503"),
        ((200, b"<h1>Welcome to a router</h1>"), 2, "expected a Grafana"),
        ((200, "a text"), 2, "expected a Grafana"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_what_grafana_refuses_is_told_with_what_to_do(
    grafana: StandIn, token: Path, answer: tuple[int, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.refuses = answer
    assert push(grafana.url, token) == code
    told = capsys.readouterr().err
    assert said in told
    assert grafana.url in told or "--token-file" in told
    assert TOKEN not in told
    assert not grafana.dashboards


def test_a_wrong_token_is_told_and_not_shown(
    grafana: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").write_text("glsa_wrong")
    assert push(grafana.url, tmp_path / "other") == 2
    told = capsys.readouterr().err
    assert "--token-file: Grafana takes the token for invalid, got Invalid API key" in told
    assert "glsa_wrong" not in told


def test_nobody_there_is_told(token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        assert push(f"http://127.0.0.1:{taken.getsockname()[1]}", token) == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["grafana", "ftp://grafana", "http://", "https://admin:secret@grafana"])
def test_an_address_that_is_none_is_refused(url: str, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push(url, token) == 2
    told = capsys.readouterr().err
    assert "--url: expected https://grafana.example.org" in told
    assert "secret" not in told


@pytest.mark.parametrize("text", ["", " \n", "two words", "ключ"])
def test_a_file_that_holds_no_token_is_refused(text: str, token: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token.write_text(text)
    assert push("http://127.0.0.1:9", token) == 2
    assert "expected a token" in capsys.readouterr().err


def test_a_token_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push("http://127.0.0.1:9", tmp_path / "none") == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_grafana_that_does_not_answer_is_given_up(
    grafana: StandIn, token: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("monitoring.display.dashboards.grafana.TIMEOUT_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert push(f"http://127.0.0.1:{silent.getsockname()[1]}", token) == 1
    assert "did not answer in 0.2 s" in capsys.readouterr().err
    assert not grafana.asked

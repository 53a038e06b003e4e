"""Both dashboards as Grafana will read them: what must be there, and what would break in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import generate_latest

from monitoring.display.dashboards.boards import BOARDS
from monitoring.display.metrics import Computed
from staytrue.command import main
from staytrue.events import Heartbeat, encode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.monitoring.conftest import Rig

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['id']}")
    for name, board in BOARDS.items()
    for panel in json.loads(board.to_json())["panels"]
    if panel["type"] != "row"
]


@pytest.fixture(params=list(BOARDS))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A dashboard as it is exported."""
    found: dict[str, Any] = json.loads(BOARDS[request.param].to_json())
    return found


def expressions(board: dict[str, Any]) -> list[str]:
    """Every expression: of panels, of marked moments, of choices."""
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked += [mark["expr"] for mark in board["annotations"]["list"]]
    return asked + [each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query"]


def test_addresses_are_fixed() -> None:
    told = {name: json.loads(board.to_json()) for name, board in BOARDS.items()}
    assert {name: (board["uid"], board["title"]) for name, board in told.items()} == {
        "service": ("staytrue-service", "Staytrue: Service"),
        "model": ("staytrue-model", "Staytrue: Model"),
    }
    assert all("id" not in board and "version" not in board for board in told.values())  # Grafana's own


def test_ids_are_unique_and_headings_are_apart(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert all((panel["id"] >= 1000) == (panel["type"] == "row") for panel in board["panels"])


def test_grid_has_24_columns_and_nothing_overlaps(board: dict[str, Any]) -> None:
    spots = [panel["gridPos"] for panel in board["panels"]]
    assert all(spot["x"] >= 0 and spot["w"] > 0 and spot["h"] > 0 and spot["x"] + spot["w"] <= 24 for spot in spots)
    for one, other in combinations(spots, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_explains_itself_and_asks_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0] == {"color": "green", "value": None}
    assert panel["datasource"] == SOURCE
    refs = [target["refId"] for target in panel["targets"]]
    assert refs == list("ABCDEFGH"[: len(refs)])
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert target["legendFormat"]
        assert target["range"] != target["instant"]


def test_every_choice_is_used_and_every_name_used_is_a_choice(board: dict[str, Any]) -> None:
    offered = {each["name"] for each in board["templating"]["list"]}
    builtin = {"__rate_interval", "datasource"}
    used = {name for text in expressions(board) for name in re.findall(r"\$\{?(\w+)", text)} | {"datasource"}
    assert used - builtin == offered - {"datasource"}
    assert all(each.get("datasource", SOURCE) == SOURCE for each in board["templating"]["list"])


def test_every_series_is_narrowed_by_what_was_chosen(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            series = re.findall(r"\b(staytrue_\w+|up)\b(\{[^}]*\})?", target["expr"])
            assert series
            assert all('job=~"$job"' in matchers for _, matchers in series), target["expr"]


def test_drift_and_quality_stand_against_the_threshold() -> None:
    found = json.loads(BOARDS["model"].to_json())["panels"]
    judged = [panel for panel in found if "evidence_ratio" in json.dumps(panel.get("targets", ""))]
    assert len(judged) >= 5
    for panel in judged:
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1] == {"color": "red", "value": 1}


def test_the_dashboards_lead_to_each_other(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert (link["type"], link["tags"], link["keepTime"]) == ("dashboards", ["staytrue"], True)
    assert "staytrue" in board["tags"]
    assert "placement" not in link  # or it would hide in a menu


def test_nothing_is_asked_for_that_the_sidecar_does_not_tell(rig: Rig) -> None:
    rig.script.drift, rig.script.quality = {2: 2.0, 3: 2.0}, {3: 2.0}
    rig.events.append([encode(Heartbeat(worker="w", time=rig.now, ready=True, versions={"toy": ["1"]}))])
    rig.live(0, 3)
    rig.registry.register(Computed(rig.parts, lambda: 0))
    told = set(re.findall(r"^(\w+)(?:\{.*\})? \S+$", generate_latest(rig.registry).decode(), re.MULTILINE))
    asked = {name for board in BOARDS.values() for name in re.findall(r"staytrue_\w+", " ".join(map(str, [board])))}
    assert len(asked) > 30
    assert asked - told == set()


def test_export_writes_the_same_bytes_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "dashboards"
    assert main(["dashboards", "export", "--output", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "service.json"]
    assert capsys.readouterr().out.split() == [str(folder / "service.json"), str(folder / "model.json")]
    command = [sys.executable, "-m", "staytrue", "dashboards", "export", "--output", str(tmp_path / "again")]
    subprocess.run(command, check=True, capture_output=True)  # another process has other hashes
    for name in ("model.json", "service.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        json.loads((folder / name).read_text())


def test_export_to_where_nothing_can_be_written_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["dashboards", "export", "--output", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err

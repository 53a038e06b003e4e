"""Two versions side by side: what differs is told, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from export.differences import differences
from export.publish import publish
from staytrue.bundle import SETTINGS, Bundle, Metric
from staytrue.checkpoint import CONFIGURATION
from staytrue.command import main
from staytrue.store import Store
from tests.unit.export.conftest import Small

if TYPE_CHECKING:
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint

SETTING = {
    "name": "houses",
    "store": "/home/someone/store",
    "data": {"source": "/home/someone/data/houses.csv", "features": {"size": {"kind": "numeric"}}},
    "training": {"learning_rate": 0.003, "epochs": 5},
    "serving": {"port": 1},
}


class Deeper(Small):
    """One operator more."""

    def forward(self, size: Any, rooms: Any, town: Any) -> Any:
        """Shapes: each [N,1] → [N,1]."""
        return super().forward(size, rooms, town).tanh()


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, profile: Any, rows: Any, settings: Any
) -> Store:
    """Version 1; version 2 with another rate, data, figure and graph; version 3 is as 2 but for name and date."""
    made, run = Store(tmp_path_factory.mktemp("compared")), tmp_path_factory.mktemp("run")
    settings = settings.model_copy(update={"formats": ["onnx"]})
    later = msgspec.structs.replace(
        checkpoint,
        evaluation={"validation": {"mae": Metric(value=0.5, low=0.25, high=1.0)}},
        lineage=msgspec.structs.replace(checkpoint.lineage, data_fingerprint="e", trained_rows=65),
    )
    faster = SETTING | {"training": {"learning_rate": 0.01, "epochs": 5}}
    for model, record, said in ((Small(), checkpoint, SETTING), (Deeper(), later, faster), (Deeper(), later, faster)):
        (run / CONFIGURATION).write_text(yaml.safe_dump(said))
        publish(made, model, record, profile, rows, settings, run=run)
    return made


def whole(store: Store, version: str) -> tuple[Bundle, Path]:
    return store.load("houses", version), store.path("houses", version)


def test_each_difference_is_told_as_it_was_and_is(store: Store) -> None:
    found = differences(whole(store, "1"), whole(store, "2"))
    assert list(found) == ["data", "settings", "figures", "graph", "files"]
    assert found["data"] == [("fingerprint", "d", "e"), ("rows trained on", "64", "65")]
    assert found["settings"] == [("training.learning_rate", "0.003", "0.01")]
    assert found["figures"] == [("validation mae", "1 (0.5 to 1.5)", "0.5 (0.25 to 1)")]
    assert ("nodes Tanh", "none", "1") in found["graph"]
    assert [one.what for one in found["graph"]] == ["nodes", "nodes Tanh"]
    assert differences(whole(store, "2"), whole(store, "3")) == {}


def test_the_command_says_it_to_people_and_to_programs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store", str(store.root)]
    assert main(["diff", "houses", "1", "2", *where]) == 0
    assert "settings:\n  training.learning_rate: 0.003 -> 0.01\n" in capsys.readouterr().out
    assert main(["diff", "houses", "1", "2", "--json", *where]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["settings"] == [{"what": "training.learning_rate", "before": "0.003", "after": "0.01"}]
    assert main(["diff", "houses", "2", "3", *where]) == 0
    assert capsys.readouterr().out == "nothing but name and date\n"
    assert main(["diff", "houses", "1", "9", *where]) == 1
    assert "versions: 1, 2, 3" in capsys.readouterr().err


def test_a_version_bears_its_settings_and_no_folder_of_the_machine(store: Store) -> None:
    text = (store.path("houses", "1") / SETTINGS).read_text()
    assert yaml.safe_load(text) == {
        "name": "houses",
        "data": {"source": "houses.csv", "features": {"size": {"kind": "numeric"}}},
        "training": {"learning_rate": 0.003, "epochs": 5},
    }


def test_a_version_without_settings_is_known_by_their_fingerprint(published: Store) -> None:
    one, other = whole(published, "1"), whole(published, "2")
    changed = msgspec.structs.replace(other[0].lineage, project_fingerprint="q")
    found = differences(one, (msgspec.structs.replace(other[0], lineage=changed), other[1]))
    assert found["settings"] == [("fingerprint", "p", "q")]


def test_a_version_is_shown_whole(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store", str(store.root)]
    assert main(["show", "houses", *where]) == 0
    said = capsys.readouterr().out
    assert said.startswith("houses 3: regression of price, made ")
    store.promote("houses", "1", reason="test")
    assert main(["show", "houses", *where]) == 0
    said = capsys.readouterr().out
    assert said.startswith("houses 1 (champion): regression of price, made ")
    for line in (
        "  data      64 rows; fingerprint d",
        "  test part opened once, not for it",
        '  town   BYTES [-1, 1]    "north", "south"',
        "  model.onnx     ",
        "  model.onnx  onnxruntime",
        "  validation  mae  1  0.5 to 1.5 (95%)",
    ):
        assert line in said, said
    assert main(["show", "houses", "2", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "2"
    assert main(["show", "homes", *where]) == 1
    assert "models: houses" in capsys.readouterr().err

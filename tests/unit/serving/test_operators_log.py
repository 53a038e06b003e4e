"""What an operator finds in the log, and callers are not told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from serving.access import Access
from serving.tls import Certificate
from staytrue import logs
from staytrue.server import ServingSection
from tests.certificates import HOUR, Paper
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from staytrue.store import Store


@pytest.fixture
def house(store: Store, tmp_path: Path) -> Iterator[House]:
    """A server."""
    made = House(store, tmp_path)
    yield made
    made.close()


def test_a_version_that_is_not_whole_is_told_without_its_place_which_the_log_has(
    house: House, store: Store, publishing: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    version = publishing(3.0)
    with (store.path("tiny", version) / "model.onnx").open("r+b") as file:
        file.write(b"\xff")
    answer = house.client.post(f"/v2/models/tiny/versions/{version}/infer", json=request())
    assert (answer.status_code, answer.json()["code"]) == (503, "corrupt_data")
    assert answer.json()["error"].startswith(f"STORE/tiny/{version}/model.onnx: expected ")
    assert str(store.root) not in answer.text
    assert f"which a caller named: {store.path('tiny', version)}/model.onnx: expected" in caplog.text
    (line,) = [record for record in caplog.records if record.message.startswith("request event=")]
    assert (line.levelname, "status=corrupt_data" in line.message) == ("WARNING", True)


def test_a_version_that_is_none_is_not_told_of_as_being_loaded(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = house.client.post("/v2/models/tiny/versions/9%0aFAKE/infer", json=request())
        long = house.client.post(f"/v2/models/tiny/versions/{'9' * 5000}/infer", json=request())
    assert (answer.status_code, long.status_code) == (404, 404)
    assert len(long.content) < 300
    assert "is being loaded" not in caplog.text
    ours = [record for record in caplog.records if record.name.startswith("serving")]
    assert max(len(record.getMessage()) for record in ours) < 1000


def test_what_callers_send_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logs.Lines("%(levelname)s: %(message)s"))
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", ("a\nb\r\x1b[31m\u2028" + "c" * 5000,), None)
    handler.emit(record)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("INFO: a\\nb\\r\\x1b[31m\\u2028ccc")
    assert told.endswith("… (5010 letters)\n")


def test_a_file_without_a_key_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "keys.yaml").write_text("keys: []\n")
    Access(tmp_path / "keys.yaml")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "keys.yaml holds no key: nobody can ask for predictions" in caplog.text


@pytest.mark.parametrize(
    ("hours", "said"), [(-24, "has expired: callers refuse it"), (72.5, "expires in 3.0 days"), (2400, "")]
)
def test_a_certificate_that_callers_refuse_or_soon_will_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hours: float, said: str
) -> None:
    certificate, key = Paper(tmp_path, "authority", hours * HOUR).issue("shown")
    Certificate(ServingSection(tls_certificate=certificate, tls_key=key))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * bool(said)
    assert not said or f"serving.tls_certificate {certificate} {said}; put a renewed one in its place" in caplog.text

"""``staytrue ping`` against a real server, and against nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.bikeshare.demo.processes import Service
from staytrue.command import main
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.store import Store

PROJECT = """\
name: tiny
store: store
data: {source: none.csv, time: t, target: total, features: {number: {kind: numeric}}}
serving: {log: events}
"""


@pytest.fixture
def places(store: Store, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Address by protocol of a server that has one model."""
    del store  # it lies where the project looks for it
    (tmp_path / "staytrue.yaml").write_text(PROJECT)
    server = Service("serve", tmp_path / "staytrue.yaml", tmp_path / "log", "--port", "0", "--grpc-port", "0")
    line = next(line for line in (tmp_path / "log").read_text().splitlines() if "grpc listening on" in line)
    yield {"http": server.address, "grpc": f"grpc://{line.rsplit(maxsplit=1)[1]}"}
    server.stop()


def test_a_server_and_its_model_are_ready_over_both_protocols(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for address in places.values():
        assert main(["ping", address]) == 0
        assert main(["ping", address, "--model", "tiny"]) == 0
        ready, model = capsys.readouterr().out.splitlines()
        assert (ready, model) == (f"{address}: ready: True", f"{address}: tiny version 1 is ready")


def test_a_model_that_is_not_there_fails(places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    for address in places.values():
        assert main(["ping", address, "--model", "none"]) == 1
        assert 'model "none": is not served here; models: tiny' in capsys.readouterr().err.replace('\\"', '"')


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there_fails_in_time(scheme: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["ping", f"{scheme}://127.0.0.1:{port}", "--seconds", "2"]) == 1
    assert f"{scheme}://127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://127.0.0.1:1", "http://127.0.0.1", "http://:80"])
def test_an_address_that_is_none_says_what_is_one(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", address]) == 1
    assert "expected http://HOST:PORT or grpc://HOST:PORT" in capsys.readouterr().err

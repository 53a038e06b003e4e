"""The server whose log keeps nothing: it spends nothing on events, and says so where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import unlogged
from serving import endings
from serving.calls import Request
from serving.endings import Endings
from staytrue.errors import InvalidInput
from staytrue.eventlog import Writer
from staytrue.store import Store
from tests.unit.serving.conftest import publish
from tests.unit.serving.house import House
from tests.unit.serving.test_rest import INFER, request
from tests.unit.serving.test_turns import brief

if TYPE_CHECKING:
    from pathlib import Path


class Versions:
    """Of which none is held here."""

    def release(self, leases: list[Any]) -> None:
        """Nothing was held."""
        assert leases == []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is called of that which makes events; afterwards all is as it was."""
    calls: list[str] = []

    def spy(module: Any, name: str) -> Any:
        real = getattr(module, name)

        def noted(*given: Any) -> Any:
            calls.append(name)
            return real(*given)

        return noted

    for module, name in unlogged.MAKERS:
        monkeypatch.setattr(module, name, spy(module, name))
    for name in ("append", "append_woven"):
        monkeypatch.setattr(Writer, name, getattr(Writer, name))
    return calls


def end(folder: Path) -> tuple[list[Any], int]:
    """End a request: what its caller was told, and the bytes in the log."""
    writer, told = Writer(folder), list[Any]()
    versions: Any = Versions()
    statistics: Any = None
    try:
        ends = Endings(versions, writer, statistics, lambda: 1.0, slow_seconds=9.0, all_lines=False)
        request = Request(model="m", version=None, protocol="rest", read=lambda *_: None, write=bytes)  # type: ignore[arg-type]
        call = ends.begin(request, told.append)
        call.outcome = InvalidInput("x", "is none")
        ends.end([call])
    finally:
        writer.close()
    return [call.outcome for call in told], sum(path.stat().st_size for path in folder.rglob("*.seg*"))


def answered_at_once(folder: Path) -> int:
    """Ask a brief model once; how many requests have been answered."""
    store = Store(folder / "store")
    store.promote("tiny", publish(store, 2.0), reason="test")
    house = House(store, folder)
    try:
        brief(house)
        assert house.client.post(INFER, json=request()).status_code == 200
        return house.dataplane.answered
    finally:
        house.close()


def test_a_server_makes_an_event_of_a_request(tmp_path: Path, made: list[str]) -> None:
    outcomes, size = end(tmp_path)
    assert [str(outcome) for outcome in outcomes] == [str(InvalidInput("x", "is none"))]
    assert made == ["event_of", "encode"]
    assert size > 0


def test_without_its_log_it_makes_none_and_still_answers(tmp_path: Path, made: list[str]) -> None:
    unlogged.unlog()
    outcomes, size = end(tmp_path)
    assert [str(outcome) for outcome in outcomes] == [str(InvalidInput("x", "is none"))]
    assert made == []
    assert size == 0


def test_requests_answered_at_once_make_theirs_together(tmp_path: Path, made: list[str]) -> None:
    assert answered_at_once(tmp_path) == 1
    assert made == ["events_of"]


def test_requests_answered_at_once_make_none_either(tmp_path: Path, made: list[str]) -> None:
    unlogged.unlog()
    assert answered_at_once(tmp_path) == 1
    assert made == []


def test_makers_by_another_name_end_it(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    del made
    before = Writer.append
    monkeypatch.delattr(endings, "encode")
    with pytest.raises(RuntimeError, match="has no encode any more"):
        unlogged.unlog()
    assert Writer.append is before

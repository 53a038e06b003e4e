"""Every expression of both dashboards, asked of a real Prometheus that scraped a real sidecar of a real server."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from examples.bikeshare.dashboards.picture import draw
from examples.bikeshare.dashboards.prometheus import Prometheus as Asked
from examples.bikeshare.dashboards.series import Answers
from examples.bikeshare.demo.client import Connection, wait_until
from examples.bikeshare.demo.processes import Service
from examples.bikeshare.demo.replay import Replay
from examples.bikeshare.demo.stream import DAY, DRIFT_BEGINS, read
from tests.e2e.prometheus import Prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CHOSEN = {
    "$__rate_interval": "10s",
    "$__interval": "1s",
    "$__range": "60s",
    "$job": ".*",
    "$instance": ".*",
    "$model": "bikes",
}
"""What Grafana puts in the place of its variables."""
UNTIL_DAYS = 60
"""Days of event time within which the first retraining must have ended."""


@dataclass(frozen=True)
class Scraped:
    """A Prometheus, and the span of time in which it scraped what there is to be seen."""

    prometheus: Prometheus
    start: float
    end: float

    def finite(self, expression: str) -> int:
        """Samples with a number, over the whole span."""
        series = self.prometheus.query_range(filled(expression), self.start, self.end, 1)
        return sum(math.isfinite(float(value)) for each in series for _, value in each["values"])


@pytest.fixture(scope="module")
def scraped(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Weeks of traffic in which inputs drift, errors grow, a retrained version is judged and callers err."""
    folder = tmp_path_factory.mktemp("scraped")
    shutil.copytree(trained, folder / "project")
    project = folder / "project" / "staytrue.yaml"
    patient(project)
    server = Service("serve", project, folder / "server.log")
    sidecar = Service("monitor", project, folder / "sidecar.log")
    try:
        with prometheus(folder / "prometheus", {"staytrue": sidecar.address}) as running:
            start = time.time()
            wait_until(lambda: running.query("staytrue_worker_ready == 1"), 30, "the first scrape", 0.2)
            replay = Replay(server.address, server.grpc, sidecar.address, "bikes")
            live(replay)
            replay.close()
            time.sleep(2.5)  # two more scrapes
            yield Scraped(running, start, time.time())
    finally:
        for service in (server, sidecar):
            assert service.stop() == 0, service.tail()


def patient(project: Path) -> None:
    """Let the first retraining wait until there is so much to learn from that it is promoted."""
    settings = yaml.safe_load(project.read_text())
    settings["retraining"]["minimum_labels"] = 20 * 24
    project.write_text(yaml.safe_dump(settings, sort_keys=False))


class SeenEnough(Exception):
    """A retrained version answers."""


def live(replay: Replay) -> None:
    """Send May and on, with a bad request each day, until a retrained version answers."""

    def next_day(_: float) -> None:
        caller = Connection(replay.server)
        assert caller.call("POST", "/v2/models/bikes/infer", {"inputs": []})[0] == 400
        caller.close()
        if len({answer.version for answer in replay.answers}) > 1:
            raise SeenEnough

    replay.on_day = next_day
    with contextlib.suppress(SeenEnough):
        replay.run([row for row in read() if DRIFT_BEGINS <= row.time < DRIFT_BEGINS + UNTIL_DAYS * DAY], "May and on")
    replay.settle()
    assert not replay.failures


def filled(text: str) -> str:
    """An expression as Grafana sends it."""
    for name, value in CHOSEN.items():
        text = text.replace(name, value)
    assert "$" not in text, text
    return text


def boards() -> dict[str, dict[str, Any]]:
    """Both dashboards as they are exported."""
    from monitoring.display.dashboards.boards import BOARDS

    return {name: json.loads(board.to_json()) for name, board in BOARDS.items()}


def expressions() -> list[tuple[str, str]]:
    """Name and expression of each target of each panel, and of what marks moments."""
    found = []
    for name, board in boards().items():
        for panel in board["panels"]:
            targets = panel.get("targets", ())
            found += [(f"{name}: {panel['title']} {target['refId']}", target["expr"]) for target in targets]
        found += [(f"{name}: {mark['name']}", mark["expr"]) for mark in board["annotations"]["list"]]
    return found


def test_no_expression_is_empty(scraped: Scraped) -> None:
    # What a dashboard shows where there is nothing, a zero, must not hide that there never is anything.
    empty = [
        (name, expression)
        for name, expression in expressions()
        if not scraped.finite(expression.replace(" or vector(0)", ""))
    ]
    assert not empty
    assert len(expressions()) > 50


def test_figures_of_now_are_there_when_the_dashboard_is_opened(scraped: Scraped) -> None:
    for name, board in boards().items():
        for panel in (panel for panel in board["panels"] if panel["type"] in ("stat", "bargauge")):
            for target in panel["targets"]:
                assert scraped.prometheus.query(filled(target["expr"]), scraped.end), (name, panel["title"])


def test_each_choice_has_values(scraped: Scraped) -> None:
    for board in boards().values():
        for variable in (each for each in board["templating"]["list"] if each["type"] == "query"):
            query = filled(variable["query"]["query"]).removeprefix("label_values(").removesuffix(")")
            series, _, label = query.rpartition(", ")
            url = f"{scraped.prometheus.url}/api/v1/label/{label}/values"
            assert httpx.get(url, params={"match[]": series}).json()["data"], variable["name"]


def test_each_dashboard_can_be_drawn(scraped: Scraped, tmp_path: Path) -> None:
    answers = Answers(Asked(scraped.prometheus.url), scraped.start, scraped.end)
    for name, board in boards().items():
        draw(board, answers, tmp_path / f"{name}.png")
        drawn = (tmp_path / f"{name}.png").read_bytes()
        assert drawn.startswith(b"\x89PNG")
        assert 30_000 < len(drawn) < 250_000


def test_what_happened_can_be_read_from_the_dashboards(scraped: Scraped) -> None:
    told = dict(expressions())

    def largest(name: str) -> dict[str, float]:
        """The largest value there was of each series, by its only label."""
        asked = f"max_over_time(({filled(told[name])})[5m:1s])"
        series = scraped.prometheus.query(asked, scraped.end)
        return {" ".join(each["metric"].values()): float(each["value"][1]) for each in series}

    assert max(largest("model: Drift evidence by feature A").values()) >= 1
    assert max(largest("model: Quality evidence A").values()) >= 1
    assert {"StaytrueDrift", "StaytrueQuality"} <= largest("model: Alerts firing A").keys() | {""}
    assert largest("model: Challengers judged A")["promoted"] == 1
    assert largest("model: Retraining jobs A")["running"] == 1
    assert len(largest("model: Champion A")) == 2
    assert largest("service: Requests by protocol A").keys() == {"rest", "grpc"}
    assert largest("service: Workers ready A")[""] == 1
    assert largest("service: Failures, by whose fault B")[""] > 0

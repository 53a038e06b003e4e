"""Pictures of both dashboards: a Prometheus scrapes a run of the demo, and each panel draws what it answers.

``python -m examples.bikeshare.dashboards --output docs`` wrote those of the documentation. It needs the program
``prometheus``. No Grafana is needed: the pictures are drawn by matplotlib, from the dashboards' own JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import tempfile
import time
from pathlib import Path

from examples.bikeshare.dashboards.picture import draw
from examples.bikeshare.dashboards.prometheus import scraping
from examples.bikeshare.dashboards.series import Answers
from examples.bikeshare.demo.client import Connection
from examples.bikeshare.demo.processes import Service, staytrue
from examples.bikeshare.demo.receiver import Receiver
from examples.bikeshare.demo.replay import Replay
from examples.bikeshare.demo.setup import new_secret, write_project
from examples.bikeshare.demo.stream import DAY, DRIFT_BEGINS, Row, read

MODEL = "bikes"
BEFORE_DAYS, AFTER_DAYS = 21, 75
"""Days before and after the drift begins that are replayed."""
LAST_SECONDS = 3
"""Scrapes after the last request."""


def main() -> None:
    """Run the demo's server and sidecar under a Prometheus, then draw."""
    arguments = _arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    receiver = Receiver(new_secret())
    with contextlib.closing(receiver), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = write_project(folder, receiver.url, receiver.secret)
        for command in ("train", "export"):
            subprocess.run(staytrue(command, "--project", project), check=True)
        server = Service("serve", project, folder / "server.log")
        sidecar = Service("monitor", project, folder / "sidecar.log")
        try:
            with scraping(sidecar.address, folder / "prometheus") as prometheus:
                start = time.time()
                _replay(server, sidecar)
                time.sleep(LAST_SECONDS)
                _draw(folder, Answers(prometheus, start, time.time()), arguments.output)
        finally:
            for service in (server, sidecar):
                service.stop()


def _replay(server: Service, sidecar: Service) -> None:
    """Some calm weeks, then those in which the season turns; each third day a request that its caller got wrong."""
    replay = Replay(server.address, server.grpc, sidecar.address, MODEL)

    def err(now: float) -> None:
        if now // DAY % 3:
            return
        caller = Connection(server.address)
        caller.call("POST", f"/v2/models/{MODEL}/infer", {"inputs": []})
        caller.close()

    replay.on_day = err
    replay.run([row for row in read() if _shown(row)], "April to mid July")
    replay.settle()
    replay.close()


def _shown(row: Row) -> bool:
    return DRIFT_BEGINS - BEFORE_DAYS * DAY <= row.time < DRIFT_BEGINS + AFTER_DAYS * DAY


def _draw(folder: Path, answers: Answers, output: Path) -> None:
    subprocess.run(staytrue("dashboards", "export", "--output", folder / "boards"), check=True)
    for name in ("service", "model"):
        board = json.loads((folder / "boards" / f"{name}.json").read_text(encoding="utf-8"))
        draw(board, answers, output / f"dashboard-{name}.png")
        print(output / f"dashboard-{name}.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, default=Path("dashboards"), help="folder to write the pictures to")
    return parser.parse_args()


if __name__ == "__main__":
    main()

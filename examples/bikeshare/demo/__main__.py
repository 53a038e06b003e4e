"""The whole loop on the bike-sharing year: train, prove, serve, watch, alarm, retrain, judge, promote.

Run it by ``make demo``, or ``python -m examples.bikeshare.demo --output demo-output [--keep]``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from examples.bikeshare.demo import claims, picture, report, year
from examples.bikeshare.demo.client import Connection, wait_until
from examples.bikeshare.demo.processes import Service, staytrue
from examples.bikeshare.demo.receiver import Receiver
from examples.bikeshare.demo.replay import Replay
from examples.bikeshare.demo.setup import new_secret, write_project
from examples.bikeshare.demo.story import Auditor, Counts, Story, lake_ids, lake_labels, lake_protocols
from examples.bikeshare.demo.stream import DRIFT_BEGINS, Row, read
from staytrue.store import Store

MODEL = "bikes"


def main() -> int:
    """Tell the story once; 0 if every promise held."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended either way, it ends what it started
    began = time.monotonic()
    output: Path = arguments.output.resolve()
    _clear(output)
    receiver = Receiver(new_secret())
    project = write_project(output, receiver.url, receiver.secret)
    _say("Training on January to April")
    _run("train", "--project", project)
    _say("Judging it once by the sealed test weeks")
    _run("evaluate", "--final", "--project", project)
    _say("Exporting, proving, publishing")
    _run("export", "--project", project)
    auditor = Auditor(output / "events")
    _say("Starting server and sidecar")
    server = Service("serve", project, output / "logs" / "server.log")
    sidecar = Service("monitor", project, output / "logs" / "sidecar.log")
    try:
        replay = Replay(server.address, server.grpc, sidecar.address, MODEL)
        replay.on_day = lambda _: auditor.read()
        rows = read()
        replay.run(_held_out(output, rows), "held-out weeks ")
        replay.run([row for row in rows if row.time >= DRIFT_BEGINS], "May to December")
        story = _gather(replay, receiver, auditor, output)
        held = _tell(story, output)
        _say(f"{time.monotonic() - began:.0f} s in all")
        if arguments.keep:
            _stay(server, sidecar)
    finally:
        codes = [service.stop() for service in (server, sidecar) if service.process.poll() is None]
        receiver.close()
    return 0 if held and not any(codes) else 1


def _held_out(output: Path, rows: list[Row]) -> list[Row]:
    """The rows of the first four months that the model did not learn from, whole weeks of them."""
    listing = max((output / "runs").glob("*/split.json"), key=lambda path: path.stat().st_mtime)
    split: dict[str, Any] = json.loads(listing.read_text())
    early = [row for row in rows if row.time < DRIFT_BEGINS]  # the rows that the run split, by their place in time
    return [early[place] for place in sorted(split["parts"]["validation"] + split["parts"]["test"])]


def _gather(replay: Replay, receiver: Receiver, auditor: Auditor, output: Path) -> Story:
    """Wait until all has been written, then read every book."""
    replay.settle()
    sidecar = Connection(replay.sidecar)
    wait_until(lambda: sidecar.call("GET", "/v1/status")[1]["reports_pending"] == 0, 400, "Evidently's reports", 0.2)
    auditor.read()
    monitoring = output / "monitoring"
    auditor.leave()
    labels = lake_labels(monitoring)
    answered, collected = [answer.event_id for answer in replay.answers], lake_ids(monitoring)
    books = [Counter(answer.protocol for answer in replay.answers), auditor.protocols, lake_protocols(monitoring)]
    counts = Counts(
        answered=len(answered) + sum("label" not in failure[:6] for failure in replay.failures),
        logged=len(auditor.ids),
        collected=len(collected),
        same_events=set(answered) == set(auditor.ids) == set(collected) and len(set(answered)) == len(answered),
        labelled=len(replay.labelled),
        labels_collected=len(labels),
        same_labels=set(labels) == set(replay.labelled) and len(set(labels)) == len(labels),
        protocols={name: [book[name] for book in books] for name in sorted(set().union(*books))},
    )
    sidecar.close()  # on a busy machine the books took longer than it keeps a connection on which nobody asks
    alerts = sidecar.call("GET", "/v1/alerts")[1]
    wait_until(lambda: len(receiver.delivered) > 0, 10, "a webhook", 0.1) if alerts else None
    return Story(
        year=year.measure(replay.answers, Store(output / "store"), MODEL),
        alerts=alerts,
        jobs=sidecar.call("GET", "/v1/jobs")[1],
        windows=sidecar.call("GET", f"/v1/windows?model={MODEL}")[1],
        delivered=receiver.delivered,
        refused=receiver.refused,
        failures=replay.failures,
        counts=counts,
        reports=sidecar.call("GET", "/v1/reports")[1],
    )


def _tell(story: Story, output: Path) -> bool:
    """Print the story, write picture, report and summary; whether every promise held."""
    print(story.text())
    items = claims.claims(story)
    print("\nWhat was promised")
    for item in items:
        print(f"  {'ok  ' if item.holds else 'FAIL'} {item.text}: {item.measured}")
    picture.draw(story, output / "year.png")
    report.write(story, items, output / "year.png", output / "year.html")
    summary = {
        "claims": claims.as_json(items),
        "phases": story.year.phases(),
        "counts": asdict(story.counts),
        "alerts": story.alerts,
        "jobs": story.jobs,
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    print(f"\n  report  {output / 'year.html'}\n  picture {output / 'year.png'}")
    return all(item.holds for item in items)


def _stay(server: Service, sidecar: Service) -> None:
    addresses = f"  server   {server.address}/v2/models/{MODEL}, gRPC {server.grpc}\n  sidecar  {sidecar.address}/"
    print(f"\n{addresses}\n  Ctrl-C ends both.", flush=True)
    try:
        while server.process.poll() is None and sidecar.process.poll() is None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        print()


def _run(command: str, *arguments: str | Path) -> None:
    if code := subprocess.run(staytrue(command, *arguments), check=False).returncode:
        raise SystemExit(code)


def _clear(output: Path) -> None:
    """Empty the folder of an earlier demo; refuse one that is not a demo's."""
    if output.exists() and any(output.iterdir()):
        if not (output / "staytrue.yaml").exists():
            raise SystemExit(f"demo: {output} is not empty and not a demo's; give another --output")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder to write to")
    parser.add_argument("--keep", action="store_true", help="leave server and sidecar running until Ctrl-C")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

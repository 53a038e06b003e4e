"""The story: train on pictures, serve them, let the camera go wrong in three ways, and see which alarms come."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from examples.bikeshare.demo.client import Connection, wait_until
from examples.bikeshare.demo.processes import Service, staytrue
from examples.gallery.stream import Later, Phase, hours, phases, read
from staytrue.records import HOUR_SECONDS, moment, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT_SECONDS = 120
SHOWN = 6
"""Pictures of each kind whose names are printed."""


@dataclasses.dataclass(frozen=True)
class Told:
    """What the sidecar found, and how the model did by kind of picture."""

    windows: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    right: dict[str, float]


def main(prepare: Callable[[Path], Path], settings: Path, arguments: list[str] | None = None) -> int:
    """Run the story of an example; 1 if a promise was broken.

    Args:
        prepare: writes the data into a folder.
        settings: the example's ``staytrue.yaml``.
    """
    name = settings.parent.name
    parser = argparse.ArgumentParser(prog=f"python -m examples.{name}.demo", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path(f"{name}-output"), help="folder (default: %(default)s)")
    folder = parser.parse_args(arguments).output
    if folder.exists() and any(folder.iterdir()) and not (folder / settings.name).exists():
        parser.error(f"{folder} holds other things than an earlier run: name another with --output")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    project = Path(shutil.copy(settings, folder))
    prepare(folder)
    for command in ("train", "export"):
        subprocess.run(staytrue(command, "--project", project), check=True)
    given = yaml.safe_load(project.read_text(encoding="utf-8"))
    later = read(folder / "later.parquet", given["data"]["target"], given["data"]["features"]["image"]["shape"])
    plan = phases(later.start)
    broken = report(plan, live(given["name"], project, later, plan))
    for promise in broken:
        print(f"BROKEN: {promise}")
    return 1 if broken else 0


def live(model: str, project: Path, later: Later, plan: list[Phase]) -> Told:
    """Serve the whole stream, wait until the sidecar has judged it, and ask what it found."""
    with services(project) as (server, sidecar):
        asking, watching = Connection(server.address), Connection(sidecar.address)
        right: dict[str, list[bool]] = {}
        sent = 0
        for hour in hours(later, plan):
            pictures = hour.pictures
            tensor = {"name": "image", "datatype": "UINT8", "shape": list(pictures.shape)}
            body = {"inputs": [{**tensor, "data": pictures.ravel().tolist()}], "parameters": {"event_time": hour.time}}
            status, told = asking.call("POST", f"/v2/models/{model}/infer", body)
            if status != 200:
                raise RuntimeError(f"the server refused: {status} {told}")
            said = next(output["data"] for output in told["outputs"] if output["datatype"] == "BYTES")
            if hour.kind not in right:
                some = ", ".join(said[:SHOWN]), ", ".join(hour.names[:SHOWN])
                print(f"{hour.kind:<8} pictures are called {some[0]}; they are {some[1]}")
            right.setdefault(hour.kind, []).extend(a == b for a, b in zip(said, hour.names, strict=True))
            sent += 1
        wait_until(lambda: judged(watching, sent, plan[-1].end), WAIT_SECONDS, "the sidecar's last look")
        windows = watching.call("GET", f"/v1/windows?model={model}")[1]
        alerts = watching.call("GET", "/v1/alerts")[1]
        asking.close()
        watching.close()
    return Told(windows, alerts, {kind: sum(hits) / len(hits) for kind, hits in right.items()})


def judged(watching: Connection, sent: int, end: float) -> bool:
    """Whether all was collected and the last look that the stream allows was taken."""
    _, status = watching.call("GET", "/v1/status")
    looked = status["looked_until"]
    return status["counts"]["events"] == sent and looked is not None and looked >= end - 12 * HOUR_SECONDS


@contextlib.contextmanager
def services(project: Path) -> Iterator[tuple[Service, Service]]:
    """Server and sidecar, ended in order."""
    with contextlib.ExitStack() as stack:
        started = []
        for command, flags in (("serve", ("--port", "0", "--grpc-port", "0")), ("monitor", ("--port", "0"))):
            service = Service(command, project, project.parent / f"{command}.log", *flags)
            stack.callback(service.stop)
            started.append(service)
        yield started[0], started[1]


def report(plan: list[Phase], told: Told) -> list[str]:
    """Print what was found in each phase; promises that were broken.

    A look belongs to a phase if all that it saw is of that phase.
    """
    broken = []
    drifts = [alert for alert in told.alerts if alert["labels"]["alertname"] == "StaytrueDrift"]
    starts = [moment(alert["startsAt"], "startsAt") for alert in drifts]
    print(f"\n{'pictures':<9} {'from':<11} {'looks':>5}  {'largest evidence':<28} {'right':>6}  drift alarm")
    for phase in plan:
        seen = [w for w in told.windows if phase.start <= w["start"] and w["end"] <= phase.end]
        found = [(item["evidence"], item["feature"]) for window in seen for item in window["drift"]]
        most, feature = max(found, default=(0.0, "nothing"))
        alarms = [utc(start)[:16] for start in starts if phase.start < start <= phase.end]
        right = f"{told.right[phase.kind]:.0%}"
        line = f"{phase.kind:<9} {utc(phase.start)[:10]:<11} {len(seen):>5}  {most:5.2f} by {feature:<19} {right:>6}"
        print(f"{line}  {', '.join(alarms) or 'none'}")
        if phase.kind == "clean" and alarms:
            broken.append(f"clean pictures from {utc(phase.start)[:10]} raised a drift alarm")
        if phase.kind != "clean" and not alarms:
            broken.append(f"{phase.kind} pictures raised no drift alarm")
    return broken

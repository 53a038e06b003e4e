"""The README's second example works as it is printed there: a file of one's own, from ``init`` to a label."""

from __future__ import annotations

import csv
import datetime
import json
import math
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples.bikeshare.demo.client import Connection, wait_until
from examples.bikeshare.demo.processes import staytrue

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.bikeshare.demo.processes import Service

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GRPC = (ROOT / "docs/grpc.md").read_text(encoding="utf-8")


def write_rentals(path: Path) -> None:
    """Ten weeks of hours with the README's columns."""
    random.seed(3)
    header = README.split("```\nhour,", 1)[1].split("\n", 1)[0]
    begin = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["hour", *header.split(",")])
        for hour in range(70 * 24):
            weather = random.choice(["clear", "cloudy", "rain"])  # noqa: S311 - no secret
            degrees = 10 + 8 * math.sin(hour / 24 * math.tau) + random.gauss(0, 1)
            rented = max(0, round(20 + 3 * degrees - 15 * (weather == "rain") + random.gauss(0, 4)))
            time = begin + datetime.timedelta(hours=hour)
            rows.writerow([time.strftime("%Y-%m-%d %H:%M"), weather, f"{degrees:.1f}", rented])


def printed(command: str) -> list[str]:
    """Arguments of a staytrue command as the README prints it."""
    found = re.search(rf"^staytrue ({command}\b[^#&\n]*)", README, re.MULTILINE)
    assert found, command
    return shlex.split(found[1])


def body(address: str) -> Any:
    """What the README's curl sends there."""
    found = re.search(rf"{address} -d '([^']*)'", README)
    assert found, address
    return json.loads(found[1])


def blocks(page: str) -> list[str]:
    """A page's examples in Python that call the server."""
    return [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "8081" in block]


def python(block: str, server: Service) -> list[str]:
    """Numbers and words that an example prints."""
    code = block.replace("127.0.0.1:8081", server.grpc)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r"[\[\]]", " ", done.stdout).split()


def test_the_example_with_a_file_of_ones_own_works_as_printed(tmp_path: Path, start: Starter) -> None:
    write_rentals(tmp_path / "rentals.csv")
    for command in ("init", "train", "export"):
        done = subprocess.run(staytrue(*printed(command)), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    project = tmp_path / "staytrue.yaml"
    server = start("serve", project, "--port", "0", "--grpc-port", "0")
    sidecar = start("monitor", project, "--port", "0")
    calls, watch = Connection(server.address), Connection(sidecar.address)

    status, answer = calls.call("POST", "/v2/models/rentals/infer", body("/v2/models/rentals/infer"))
    assert status == 200, answer
    assert 0 < answer["outputs"][0]["data"][0] < 60

    label = body("/v1/labels")
    label["labels"][0]["event_id"] = answer["parameters"]["event_id"]
    assert watch.call("POST", "/v1/labels", label) == (200, {"accepted": 1})

    over_grpc = [python(block, server) for page in (README, GRPC) for block in blocks(page)]
    assert len(over_grpc) == 3
    assert all(0 < float(said[0]) < 60 for said in over_grpc)

    def collected() -> bool:
        counts = watch.call("GET", "/v1/status")[1]["counts"]
        return bool((counts["events"], counts["labels"]) == (4, 1))

    wait_until(collected, 20, "event and label in the lake", 0.05)
    assert watch.call("GET", "/v1/windows?model=rentals")[0] == 200
    calls.close()
    watch.close()
    assert (server.stop(), sidecar.stop()) == (0, 0)

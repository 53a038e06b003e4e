"""The README's second example works as it is printed there: a file of one's own, from ``init`` to a label."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from examples.bikeshare.demo.client import Connection, wait_until
from tests.e2e.rentals import README, ROOT, make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from examples.bikeshare.demo.processes import Service

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e
GRPC = (ROOT / "docs/grpc.md").read_text(encoding="utf-8")
CLIENTS = (ROOT / "docs/clients.md").read_text(encoding="utf-8")


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
    code = block.replace("127.0.0.1:8081", server.grpc).replace("http://127.0.0.1:8080", server.address)
    code = code.replace("127.0.0.1:8080", server.address.removeprefix("http://"))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r"[\[\]]", " ", done.stdout).split()


def test_the_example_with_a_file_of_ones_own_works_as_printed(tmp_path: Path, start: Starter) -> None:
    project = make(tmp_path)
    server = start("serve", project, "--port", "0", "--grpc-port", "0")
    sidecar = start("monitor", project, "--port", "0")
    calls, watch = Connection(server.address), Connection(sidecar.address)

    status, answer = calls.call("POST", "/v2/models/rentals/infer", body("/v2/models/rentals/infer"))
    assert status == 200, answer
    assert 0 < answer["outputs"][0]["data"][0] < 60

    label = body("/v1/labels")
    label["labels"][0]["event_id"] = answer["parameters"]["event_id"]
    assert watch.call("POST", "/v1/labels", label) == (200, {"accepted": 1})
    watch.close()  # the sidecar would end it, idle as long as the examples may take; the next call opens it anew

    examples = [block for page in (README, GRPC, CLIENTS) for block in blocks(page)][
        :4
    ]  # others need packages of their own
    assert "tritonclient.http.aio" in examples[-1]
    over_grpc = [python(block, server) for block in examples]
    assert all(0 < float(said[0]) < 60 for said in over_grpc)

    def collected() -> bool:
        counts = watch.call("GET", "/v1/status")[1]["counts"]
        return bool((counts["events"], counts["labels"]) == (7, 1))

    wait_until(collected, 20, "event and label in the lake", 0.05)
    assert watch.call("GET", "/v1/windows?model=rentals")[0] == 200
    calls.close()
    watch.close()
    assert (server.stop(), sidecar.stop()) == (0, 0)

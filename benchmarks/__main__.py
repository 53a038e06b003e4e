"""What serving costs: Staytrue beside bare ONNX Runtime and beside other servers of the same file, on this machine.

One core serves and another asks, the servers take turns, medians are compared, and every figure is a ratio to something
measured in the same run: read ratios, not rates.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from benchmarks.environments import compiled
from benchmarks.figures import FIGURES
from benchmarks.models import KINDS, make
from benchmarks.plan import ALL_PEERS, Plan, Result, measure, names, tell
from benchmarks.processes import cores
from benchmarks.report import show
from benchmarks.servers import OURS
from staytrue.compiled import native

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("numpy", "onnxruntime", "uvloop", "httptools", "orjson", "grpcio", "fastapi", "uvicorn", "torchserve")
LISTS = Path(__file__).parent / "peers"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--models", default=",".join(KINDS), help="which of T and R, by commas")
    parser.add_argument("--peers", default=ALL_PEERS, help="other servers, by commas; empty for none")
    parser.add_argument("--only", default="", help=f"these servers and no others: {','.join(OURS)}, or peers")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a window")
    parser.add_argument("--windows", type=int, default=5, help="of each server, one more to warm up not counted")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds a model for windows that others disturbed"
    )
    parser.add_argument("--record", type=Path, help="file for the JSON record; it is printed too")
    parser.add_argument("--strict", action="store_true", help="end with status 1 where a figure is MISSED")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print tables and figures, then the record as JSON; 0, as it measures, but where it is to be strict."""
    asked, pair = arguments(given), cores()
    if pair is None:
        tell("one core, or no way to choose: server and client share it, and only processor time means something")
    core, client_core = pair or (None, None)
    plan = Plan(
        servers=names(asked.only, asked.peers),
        seconds=asked.seconds,
        windows=asked.windows,
        patience_seconds=asked.patience,
        core=core,
        client_core=client_core,
    )
    compiled()
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.models.split(","):
            place = Path(folder) / kind
            place.mkdir()
            tell(f"{kind}: exporting")
            results[kind] = measure(plan, make(kind, place))
    show(results)
    told = written(plan, results)
    record = json.dumps(told)
    print(f"\n{record}")
    if asked.record:
        asked.record.write_text(record + "\n")
    missed = any(figure["verdict"] == "MISSED" for figure in told["figures"])
    return int(asked.strict and missed)


def written(plan: Plan, results: dict[str, Result]) -> dict[str, Any]:
    """The record."""
    return {
        "plan": msgspec.to_builtins(plan),
        "results": msgspec.to_builtins(results),
        "figures": [
            {"what": figure.what, "unit": figure.unit, "measured": value, "must": figure.must, "aim": figure.aim}
            | {"verdict": figure.verdict(value)}
            for figure in FIGURES
            for value in [figure.measured(results)]
        ],
        "machine": {
            "cpu": processor(),
            "cores": psutil.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": platform.platform(),
        },
        "versions": versions(),
        "compiled": native is not None,
        "commit": commit(),
    }


def processor() -> str:
    """Its name."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    found = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of what was measured."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for path in LISTS.glob("*.txt"):
        pins = dict(line.split("==") for line in path.read_text().splitlines() if "==" in line)
        found[path.stem] = pins[path.stem]
    return found


def commit() -> str:
    """What was measured; ``+`` where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 - whichever git is here
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())

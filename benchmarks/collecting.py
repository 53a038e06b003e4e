"""``python -m benchmarks.collecting``: memory and time that it takes to collect ten million rows."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from staytrue.preparation import DataSection

ROWS = 10_000_000
COLUMNS = 20
"""A time, a target and features."""
LIMIT_BYTES = 2 << 30
FORMS = ("parquet", "csv")


def write(path: Path, rows: int) -> None:
    """Made-up rows, a second apart, of six digits each."""
    values = ", ".join(f"round(random() * 1000, 3) AS x{place}" for place in range(COLUMNS - 2))
    first = "TIMESTAMP '2024-01-01' + to_seconds(i) AS at"
    made = f"SELECT {first}, {values}, round(random(), 4) AS y FROM range({rows}) t(i)"  # noqa: S608 - ours
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1; SET memory_limit = '1GiB'; SELECT setseed(0.5)")
        connection.execute(f"COPY ({made}) TO '{path}'")


def section(path: Path, features: int) -> DataSection:
    """A project's data section over the file, as a named source: lines that cannot be read would be found."""
    inputs = {f"x{place}": {"kind": "numeric"} for place in range(features)}
    values = {"sources": {"rows": path}, "query": "FROM rows", "time": "at", "target": "y", "features": inputs}
    return DataSection.model_validate(values)


def collected(path: Path, features: int) -> dict[str, float]:
    """Collect here; rows, seconds, and the most memory that this process ever held, in bytes."""
    from training.data.collect.source import collect  # noqa: PLC0415 - what it brings in counts

    before = time.perf_counter()
    rows, _ = collect(section(path, features))
    seconds = time.perf_counter() - before
    return {"rows": len(rows), "seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> int:
    """Print a line for each form and number of features; 1 if one takes more memory than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collecting", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="how many (default: %(default)s)")
    parser.add_argument("--child", nargs=2, metavar=("FILE", "FEATURES"), help="collect one file and print figures")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(collected(Path(given.child[0]), int(given.child[1]))))
        return 0
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="collecting-") as folder:
        for form in FORMS:
            path = Path(folder, f"rows.{form}")
            write(path, given.rows)
            for features in (4, COLUMNS - 2):
                command = [sys.executable, "-m", "benchmarks.collecting", "--child", str(path), str(features)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                worst = max(worst, found["peak"])
                weight = f"{path.stat().st_size / 1e9:.2f} GB"
                print(
                    f"{form:8} {found['rows']:>12,} rows x {COLUMNS} columns, {weight}; {features:2} features: "
                    f"{found['seconds']:6.1f} s, {found['peak'] / 2**30:.2f} GiB resident",
                    flush=True,
                )
            path.unlink()
    verdict = "within" if worst < LIMIT_BYTES else "MORE THAN"
    print(f"{verdict} {LIMIT_BYTES / 2**30:g} GiB")
    return 0 if worst < LIMIT_BYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())

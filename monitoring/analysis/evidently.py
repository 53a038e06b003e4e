"""The one adapter to Evidently: per-column scores and an HTML report, in a process of its own.

Evidently takes about ten seconds to import and loses a whole report over one empty column, so it runs apart from the
sidecar, is given only columns that survive the checks, and its failure costs one report and nothing else.

    python -m monitoring.analysis.evidently FOLDER           one report
    python -m monitoring.analysis.evidently --watch FOLDER   every request that appears below a folder
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from staytrue.records import write_atomically

POLL_SECONDS = 0.5
IDLE_SECONDS = 600.0
"""A worker without work ends after this; the next request starts another."""
P_VALUE = 0.001


def main(arguments: list[str] | None = None) -> int:
    """Make one report, or watch for requests; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.analysis.evidently", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="a request's folder; with --watch, the folder of all requests")
    parser.add_argument("--watch", action="store_true", help="make reports as requests appear")
    chosen = parser.parse_args(arguments)
    if not chosen.watch:
        return 0 if make(chosen.folder) else 1
    watch(chosen.folder, os.getppid())
    return 0


def watch(root: Path, parent: int, idle_seconds: float = IDLE_SECONDS) -> None:
    """Serve requests below a folder until the parent is gone, a file ``stop`` appears, or nothing comes for long."""
    last = time.monotonic()
    while os.getppid() == parent and not (root / "stop").exists() and time.monotonic() - last < idle_seconds:
        waiting = [path.parent for path in sorted(root.glob("*/request.json")) if not _done(path.parent)]
        for folder in waiting:
            make(folder)
            last = time.monotonic()
        if not waiting:
            time.sleep(POLL_SECONDS)


def make(folder: Path) -> bool:
    """Make the report that a folder asks for; whether it could be made. What went wrong stands in ``error.json``.

    Reads ``request.json``, ``current.parquet`` and ``reference.parquet``; writes ``scores.json``, then ``report.html``.
    """
    try:
        request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        current, reference = _columns(folder / "current.parquet"), _columns(folder / "reference.parquet")
        kept, left_out = usable(current, reference, request["kinds"], set(request["unfit"]))
        scores = _report(folder, current, reference, {name: request["kinds"][name] for name in kept})
        told = {"columns": scores, "left_out": left_out, "share_drifted": _share(scores)}
        write_atomically(folder / "scores.json", json.dumps(told).encode())
        (folder / "report.writing").replace(folder / "report.html")
    except Exception as error:  # noqa: BLE001 - whatever Evidently raises costs this report and no other
        traceback.print_exc()
        write_atomically(
            folder / "error.json", json.dumps({"error": f"{type(error).__name__}: {error}"[:500]}).encode()
        )
        return False
    return True


def usable(
    current: dict[str, list[Any]], reference: dict[str, list[Any]], kinds: dict[str, str], unfit: set[str]
) -> tuple[list[str], dict[str, str]]:
    """Columns that Evidently can be given, and of each other one the reason why not."""
    left_out: dict[str, str] = {}
    for name, kind in kinds.items():
        if name in unfit:
            left_out[name] = "failed a data check"
        elif name not in current or name not in reference:
            left_out[name] = "is not in both"
        else:
            sides = [[value for value in side[name] if _there(value, kind)] for side in (current, reference)]
            if not all(sides):
                left_out[name] = "holds no value"
            elif len(set(sides[0]) | set(sides[1])) == 1:
                left_out[name] = "is one and the same value throughout"
    return [name for name in kinds if name not in left_out], left_out


def _there(value: Any, kind: str) -> bool:
    return value is not None and (kind != "numeric" or bool(np.isfinite(value)))


def _columns(path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    return columns


def _report(
    folder: Path, current: dict[str, list[Any]], reference: dict[str, list[Any]], kinds: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Write ``report.writing`` and give the scores by column."""
    if not kinds:
        raise ValueError("no column can be compared")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently and what it imports warn of each other
        import pandas as pd  # noqa: PLC0415 - heavy, and only this process needs them
        from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
        from evidently.presets import DataDriftPreset  # noqa: PLC0415

        numeric = [name for name, kind in kinds.items() if kind == "numeric"]
        definition = DataDefinition(
            numerical_columns=numeric, categorical_columns=[name for name in kinds if name not in numeric]
        )
        sides = [
            Dataset.from_pandas(pd.DataFrame(_cleaned(side, kinds)), data_definition=definition)
            for side in (current, reference)
        ]
        preset = DataDriftPreset(num_method="ks", num_threshold=P_VALUE, cat_method="chisquare", cat_threshold=P_VALUE)
        snapshot = Report([preset], include_tests=True).run(current_data=sides[0], reference_data=sides[1])
        snapshot.save_html(str(folder / "report.writing"))
    return _scores(snapshot.dict())


def _cleaned(side: dict[str, list[Any]], kinds: dict[str, str]) -> dict[str, list[Any]]:
    """Values as pandas should see them: infinities, which Evidently drops in silence, are missing."""
    return {name: [value if _there(value, kind) else None for value in side[name]] for name, kind in kinds.items()}


def _scores(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Score, method and threshold of each column, from Evidently's own dictionary."""
    scores: dict[str, dict[str, Any]] = {}
    for metric in result.get("metrics", []):
        config = metric.get("config", {})
        if not str(config.get("type", "")).endswith("ValueDrift"):
            continue
        score, threshold = float(metric["value"]), float(config.get("threshold", P_VALUE))
        scores[str(config["column"])] = {
            "method": config.get("method", ""),
            "score": score,
            "threshold": threshold,
            "drifted": score < threshold,
        }
    return scores


def _share(scores: dict[str, dict[str, Any]]) -> float | None:
    return sum(item["drifted"] for item in scores.values()) / len(scores) if scores else None


def _done(folder: Path) -> bool:
    return (folder / "report.html").exists() or (folder / "error.json").exists()


if __name__ == "__main__":
    sys.exit(main())

"""What was measured, as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import FIGURES
from benchmarks.loads import LOADS
from benchmarks.models import KINDS
from benchmarks.servers import TITLES
from benchmarks.windows import QUIET

if TYPE_CHECKING:
    from benchmarks.plan import Result
    from benchmarks.windows import Point

BUSY = 0.9
"""Above it the client may have been what was measured."""


def show(results: dict[str, Result]) -> None:
    """Print a table of each model's points, then the figures."""
    for kind, result in results.items():
        calls = ", ".join(f"{rows} rows {seconds * 1e6:.1f} us" for rows, seconds in result.bare.items())
        print(f"\n{KINDS[kind].title}\nbare ONNX Runtime: {calls}")
        for load in LOADS[kind]:
            if load.name in result.points:
                _point(load.title, result.points[load.name])
        _processes(result)
        for name, why in result.missing.items():
            print(f"  not measured: {name}: {why}")
    _figures(results)


def _point(what: str, servers: dict[str, Point]) -> None:
    print(f"\n  {what}")
    head = ("requests/s", "CPU us", "x bare", "p50 ms", "p99 ms", "ours: rate x", "CPU x")
    print(f"    {'':28}" + "".join(f"{word:>13}" for word in head))
    ours = servers.get("staytrue")
    for name, point in servers.items():
        cells = [
            f"{point.rate:.0f}",
            f"{point.cpu_seconds * 1e6:.1f}",
            f"{point.to_bare:.2f}",
            f"{point.p50_seconds * 1e3:.2f}",
            f"{point.p99_seconds * 1e3:.2f}",
        ]
        if ours is not None:
            cells += [f"{ours.rate / point.rate:.2f}", f"{ours.cpu_seconds / point.cpu_seconds:.2f}"]
        note = f"  the client was {point.busy:.0%} busy" if point.busy > BUSY else ""
        note += f"  others took {point.others:.0%} of the machine" if point.others > QUIET else ""
        print(f"    {TITLES[name]:28}" + "".join(f"{cell:>13}" for cell in cells) + note)


def _processes(result: Result) -> None:
    print(f"\n    {'':28}{'start s':>13}{'resident MB':>13}{'after load':>13}")
    bare = (result.bare_start_seconds, result.bare_bytes, result.bare_loaded_bytes)
    rows = {"bare": bare} | {
        TITLES[name]: (result.start_seconds[name], result.idle_bytes[name], result.loaded_bytes[name])
        for name in result.loaded_bytes
    }
    for title, (start, idle, loaded) in rows.items():
        print(f"    {title:28}{start:13.2f}{idle / 1e6:13.0f}{loaded / 1e6:13.0f}")


def _figures(results: dict[str, Result]) -> None:
    print(f"\n{'figure':74}{'measured':>10}{'must':>8}{'aim':>8}")
    for figure in FIGURES:
        value = figure.measured(results)
        shown = "-" if value is None else f"{value:.2f}"
        bounds = "".join(f"{'-' if bound is None else f'{bound:g}':>8}" for bound in (figure.must, figure.aim))
        print(f"{figure.what:71}{figure.unit:3}{shown:>10}{bounds}  {figure.verdict(value)}")

"""What is measured on which server, window by window, the servers taking turns."""

from __future__ import annotations

import contextlib
import statistics
import sys
from typing import TYPE_CHECKING

import msgspec

from benchmarks.environments import NotMeasured
from benchmarks.loads import LOADS
from benchmarks.models import KINDS
from benchmarks.pairs import alternate
from benchmarks.peers import PEERS
from benchmarks.processes import Running
from benchmarks.servers import OURS, TITLES, Client, start, start_seconds
from benchmarks.windows import Patience, Point, Window, once

if TYPE_CHECKING:
    from benchmarks.loads import Load
    from benchmarks.models import Model
    from benchmarks.servers import Server

BATCHES = (1, 8, 32)
"""Rows of the bare calls."""
LOGGED = {"T": ("json 32",), "R": ("binary 32",)}
"""Loads under which it is asked what the event log costs."""
PAIRS = 16
"""For each window of others: what they are to tell is less than what the machine does to one."""
NOISE_BYTES = 64 * 1024
"""A log that keeps nothing may still hold its locks and heads."""


class Result(msgspec.Struct, kw_only=True):
    """All that was measured of one model."""

    bare: dict[str, float] = {}
    """Rows of a call → seconds of the call: the best of its medians, for the table alone."""
    bare_start_seconds: float = 0.0
    bare_bytes: float = 0.0
    """Resident with the model and one answer given."""
    bare_loaded_bytes: float = 0.0
    """And after calls of every size."""
    points: dict[str, dict[str, Point]] = {}
    """``json 32``, the load's name → server → medians."""
    logged: dict[str, float] = {}
    """Load → requests a second with the log to those without, in windows that alternate."""
    start_seconds: dict[str, float] = {}
    idle_bytes: dict[str, float] = {}
    loaded_bytes: dict[str, float] = {}
    """Resident after all windows."""
    missing: dict[str, str] = {}
    """Server → why there are no figures."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and what."""

    servers: list[str]
    seconds: float
    windows: int
    patience_seconds: float
    """For windows that are measured again, a model."""
    core: int | None
    """Of the servers."""
    client_core: int | None


def measure(plan: Plan, model: Model) -> Result:
    """Everything about one model. A server that fails is told of in the result, and ends nothing."""
    result = Result()
    servers: dict[str, Server] = {}
    client, patience = Client(plan.client_core), Patience(plan.patience_seconds)
    bare = Running([sys.executable, "-m", "benchmarks.bare", str(model.path), str(model.folder)], plan.core)
    try:
        bare.ask(b"")
        _compare_starts(plan, model, client, result)
        _start(plan, model, client, servers, result)
        result.bare_bytes = bare.resident_bytes()
        for load in LOADS[model.kind]:
            able = {name: server for name, server in servers.items() if load.form in server.ports}
            taking = {name: server for name, server in able.items() if load.concerns(name)}
            if taking:
                _turns(plan, (client, bare, patience), taking, load, result)
            if load.name in LOGGED.get(model.kind, ()) and {"staytrue", "unlogged"} <= taking.keys():
                _alternate(plan, (client, patience), taking, load, result)
        result.bare_loaded_bytes = bare.resident_bytes()
        for name, server in servers.items():
            result.loaded_bytes[name] = server.process.resident_bytes()
        _watch_the_log(servers, result)
    finally:
        for server in servers.values():
            server.stop()
        client.stop()
        bare.stop()
    return result


def _compare_starts(plan: Plan, model: Model, client: Client, result: Result) -> None:
    """Of our server and of a bare process with the model, several, before others share the core."""
    times = []
    for _ in range(3):
        began = Running([sys.executable, "-m", "benchmarks.bare", str(model.path), str(model.folder)], plan.core)
        began.ask(b"")
        times.append(began.wait(lambda: True, 0))
        began.stop()
    result.bare_start_seconds = statistics.median(times)
    if "staytrue" in plan.servers:
        with contextlib.suppress(NotMeasured):  # told of when it is started to be measured
            result.start_seconds["staytrue"] = start_seconds("staytrue", model, plan.core, client)


def _start(plan: Plan, model: Model, client: Client, servers: dict[str, Server], result: Result) -> None:
    for name in plan.servers:
        if not any(load.concerns(name) for load in LOADS[model.kind]):
            continue
        tell(f"{model.kind}: starting {TITLES[name]}")
        try:
            server = start(name, model, plan.core, client)
        except NotMeasured as error:
            result.missing[name] = str(error)
            continue
        servers[name] = server
        result.idle_bytes[name] = server.idle_bytes
        result.start_seconds.setdefault(name, server.start_seconds)


def _turns(
    plan: Plan,
    who: tuple[Client, Running, Patience],
    servers: dict[str, Server],
    load: Load,
    result: Result,
) -> None:
    client, bare, patience = who
    windows: dict[str, list[Window]] = {name: [] for name in servers}
    for window in range(plan.windows + 1):
        tell(f"{KINDS[next(iter(servers.values())).model.kind].title}: {load.title}, {window}")
        for rows in BATCHES:
            seconds = float(bare.ask(str(rows).encode()))
            result.bare[str(rows)] = min(seconds, result.bare.get(str(rows), seconds))
        for name, server in servers.items():
            take = patience.take if window else once
            call = float(bare.ask(b"1"))  # now: a machine whose speed changes is not compared with its best
            taken = take(client, server, load, plan.seconds)
            if taken.figures.error:
                result.missing[f"{name}, {load.name}"] = taken.figures.error
            elif window:  # the first warms up
                windows[name].append(msgspec.structs.replace(taken, to_bare=taken.cpu_seconds / call))
    result.points[load.name] = {
        name: Point.of(measured) for name, measured in windows.items() if f"{name}, {load.name}" not in result.missing
    }


def _alternate(
    plan: Plan, who: tuple[Client, Patience], servers: dict[str, Server], load: Load, result: Result
) -> None:
    tell(f"{servers['staytrue'].model.kind}: {load.title}, with the log and without, by turns")
    seconds, pairs = plan.seconds / 4, PAIRS * plan.windows
    ratio = alternate(who, (servers["staytrue"], servers["unlogged"]), load, seconds, pairs)
    if isinstance(ratio, str):
        result.missing[f"log, {load.name}"] = ratio
    else:
        result.logged[load.name] = ratio


def _watch_the_log(servers: dict[str, Server], result: Result) -> None:
    """A log that is believed to keep all or nothing, and does not, would make the figures lies."""
    kept = {name: server.logged_bytes() for name, server in servers.items() if name in {"staytrue", "unlogged"}}
    if kept.get("unlogged", 0) > NOISE_BYTES or kept.get("staytrue", NOISE_BYTES + 1) <= NOISE_BYTES:
        for servers_of in result.points.values():
            servers_of.pop("unlogged", None)
        result.logged.clear()
        result.missing["unlogged"] = f"bytes in the event logs are not as they must be: {kept}"


def tell(line: str) -> None:
    """How far it is."""
    print(line, file=sys.stderr, flush=True)


def names(only: str, peers: str) -> list[str]:
    """The servers that are asked for.

    Raises:
        ValueError: one is not known.
    """
    chosen = only.split(",") if only else [*OURS, *(name for name in peers.split(",") if name)]
    if unknown := [name for name in chosen if name not in TITLES]:
        raise ValueError(f"servers: expected some of {', '.join(TITLES)}; got {', '.join(unknown)}")
    return chosen


ALL_PEERS = ",".join(PEERS)

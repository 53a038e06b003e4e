"""What serving costs: Staytrue, over REST and gRPC, beside the least that serves the same file, and the bare runtime.

One tabular network, 30 inputs, one row a request. Windows of the servers alternate, medians are compared, and every
figure is a ratio to a baseline of the same run. Server and clients share this machine: read ratios, not rates.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import psutil
from torch import nn

from examples.bikeshare.demo.client import wait_until
from examples.bikeshare.demo.processes import Service
from export.publish import publish
from serving.proto.open_inference_grpc_pb2 import ModelInferRequest
from serving.proto.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from serving.runtimes.onnx import OnnxRuntime
from staytrue.bundle import Lineage
from staytrue.checkpoint import Checkpoint
from staytrue.profile import ReferenceColumn, ReferenceProfile
from staytrue.sections import ExportSection
from staytrue.signature import Signature, TensorSpec
from staytrue.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUTS, ROWS, WINDOWS, WINDOW_SECONDS = 30, 64, 3, 2.0
CONNECTIONS = (1, 8)
SIGNATURE = Signature(
    inputs=[TensorSpec(name="x", datatype="FP32", shape=[-1, INPUTS])],
    outputs=[TensorSpec(name="y", datatype="FP32", shape=[-1, 2])],
)


def main() -> int:
    """Measure, print ratios and then the record as JSON."""
    rows = {"x": np.random.default_rng(0).normal(size=(ROWS, INPUTS)).astype(np.float32)}
    with tempfile.TemporaryDirectory() as folder:
        model = make_store(Path(folder), rows)
        bare = bare_seconds(model, rows)
        results = serve_both(Path(folder), model)
    record = {
        "bare_seconds": bare,
        "servers": results,
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "onnxruntime": version("onnxruntime")},
        "commit": commit(),
    }
    report(bare, results)
    print(json.dumps(record))
    return 0


def make_store(folder: Path, rows: dict[str, NDArray[Any]]) -> Path:
    """A store with the network as champion, and a project that serves it; the ONNX file."""
    network = nn.Sequential(nn.Linear(INPUTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)).eval()
    lineage = Lineage(run="bench", data_fingerprint="none", project_fingerprint="none")
    checkpoint = Checkpoint(
        run="bench",
        name="bench",
        task="regression",
        target="y",
        signature=SIGNATURE,
        architecture="mlp",
        model={},
        preprocessing={},
        evaluation={},
        lineage=lineage,
        epochs=0,
        best_epoch=0,
        weights_sha256="",
    )
    times, numbers = [float(row) for row in range(ROWS)], list[float | str](range(ROWS))
    profile = ReferenceProfile(
        columns=[ReferenceColumn(name="x", kind="numeric", values=[*times])],
        time=times,
        split=["train"] * ROWS,
        prediction=numbers,
        truth=numbers,
    )
    store = Store(folder / "store")
    bundle = publish(store, network, checkpoint, profile, rows, ExportSection(formats=["onnx"], max_batch=ROWS))
    store.promote("bench", bundle.version, reason="benchmark")
    (folder / "staytrue.yaml").write_text(
        "name: bench\ndata: {source: none.csv, time: t, target: y, features: {x: {kind: numeric}}}\n"
        "serving: {log: events}\n"
    )
    return store.path("bench", bundle.version) / bundle.artefacts["onnx"]


def bare_seconds(model: Path, rows: dict[str, NDArray[Any]]) -> float:
    """Seconds of one call of the runtime with one row, median of 2,000."""
    runtime, one = OnnxRuntime(model, SIGNATURE), {"x": rows["x"][:1]}
    times = []
    for _ in range(2000):
        began = time.perf_counter()
        runtime.run(one)
        times.append(time.perf_counter() - began)
    runtime.close()
    return statistics.median(times)


def serve_both(folder: Path, model: Path) -> dict[str, dict[str, float]]:
    """Medians of alternating windows of both servers."""
    port = _free_port()
    minimal = subprocess.Popen([sys.executable, "-m", "benchmarks.minimal", str(model), str(port)])
    staytrue = Service("serve", folder / "staytrue.yaml", folder / "server.log", "--port", "0", "--grpc-port", "0")
    servers: dict[str, tuple[type[Rest | Grpc], str, psutil.Process]] = {
        "minimal": (Rest, f"127.0.0.1:{port}", psutil.Process(minimal.pid)),
        "staytrue": (Rest, staytrue.address.removeprefix("http://"), psutil.Process(staytrue.process.pid)),
        "over gRPC": (Grpc, staytrue.grpc, psutil.Process(staytrue.process.pid)),
    }
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    try:
        wait_until(lambda: _listens(port), 30, "the baseline", 0.1)
        for window in range(WINDOWS + 1):
            for name, (caller, address, process) in servers.items():
                figures = measure(caller, address, process)
                if window:  # the first warms up
                    measured[name].append(figures)
    finally:
        minimal.terminate()
        minimal.wait(timeout=20)
        staytrue.stop()
    return {
        name: {key: statistics.median(window[key] for window in windows) for key in windows[0]}
        for name, windows in measured.items()
    }


class Rest:
    """A kept-alive connection."""

    def __init__(self, address: str) -> None:
        self._http = http.client.HTTPConnection(address, timeout=10)
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, INPUTS], "data": [0.5] * INPUTS}
        self._body = json.dumps({"inputs": [tensor]})

    def ask(self) -> None:
        """One request."""
        self._http.request("POST", "/v2/models/bench/infer", self._body)
        answer = self._http.getresponse()
        answer.read()
        assert answer.status == 200

    def close(self) -> None:
        """Let go of it."""
        self._http.close()


class Grpc:
    """A channel of its own."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = GRPCInferenceServiceStub(self._channel)
        raw = np.full(INPUTS, 0.5, np.float32).tobytes()
        self._request = ModelInferRequest(model_name="bench", raw_input_contents=[raw])
        self._request.inputs.add(name="x", datatype="FP32", shape=[1, INPUTS])

    def ask(self) -> None:
        """One request."""
        self._stub.ModelInfer(self._request, timeout=10)

    def close(self) -> None:
        """Let go of it."""
        self._channel.close()


def measure(caller: type[Rest | Grpc], address: str, process: psutil.Process) -> dict[str, float]:
    """Requests a second and median latency by connections, and processor seconds a request."""
    figures: dict[str, float] = {}
    for connections in CONNECTIONS:
        before = sum(process.cpu_times()[:2])
        latencies = load(caller, address, connections)
        figures[f"rate_{connections}"] = len(latencies) / WINDOW_SECONDS
        figures[f"p50_seconds_{connections}"] = statistics.median(latencies)
        figures[f"cpu_seconds_{connections}"] = (sum(process.cpu_times()[:2]) - before) / len(latencies)
    figures["resident_bytes"] = float(process.memory_info().rss)
    return figures


def load(caller: type[Rest | Grpc], address: str, connections: int) -> list[float]:
    """Latencies of requests over kept-alive connections, each asking again at once, for one window."""
    latencies: list[float] = []
    end = time.perf_counter() + WINDOW_SECONDS

    def ask() -> None:
        connection = caller(address)
        while (began := time.perf_counter()) < end:
            connection.ask()
            latencies.append(time.perf_counter() - began)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def report(bare: float, results: dict[str, dict[str, float]]) -> None:
    """A table of ratios."""
    base, ours, over_grpc = results["minimal"], results["staytrue"], results["over gRPC"]
    print(f"bare ONNX Runtime call: {bare * 1e6:.1f} us\n")
    print(f"{'':24}{'minimal':>12}{'staytrue':>12}{'ratio':>8}{'over gRPC':>12}{'ratio':>8}")
    for key in ours:
        scale, unit = (1e6, " us") if key.endswith(("_1", "_8")) and "seconds" in key else (1, "")
        scale, unit = (2**-20, " MiB") if key == "resident_bytes" else (scale, unit)
        beside = "".join(f"{by[key] * scale:12.1f}{by[key] / base[key]:8.2f}" for by in (ours, over_grpc))
        print(f"{key:24}{base[key] * scale:12.1f}{beside}{unit}")
    for name, figures in results.items():
        print(f"processor time a request to the bare call, {name}: {figures['cpu_seconds_8'] / bare:.0f}x")


def commit() -> str:
    """What was measured."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip() or "unknown"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())

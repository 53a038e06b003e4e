"""An ONNX file in TorchServe, one worker that batches up to 32 requests: its handler, and its start."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson

BATCH, DELAY_MILLISECONDS = 32, 2
_CONFIG = """\
inference_address=http://127.0.0.1:{port}
management_address=unix:{folder}/management
metrics_address=unix:{folder}/metrics
disable_token_authorization=true
disable_system_metrics=true
metrics_mode=prometheus
number_of_gpu=0
job_queue_size=1000
model_store={folder}
load_models=bench.mar
models={models}
"""
_QUIET = """\
<Configuration>
  <Appenders><Console name="console"/></Appenders>
  <Loggers><Root level="error"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""


class Handler:
    """Runs a batch of the Open Inference Protocol's JSON bodies as one."""

    def initialize(self, context: Any) -> None:
        """Open the file in the archive."""
        options = ort.SessionOptions()  # as in benchmarks.peers.session, which a worker does not see
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(context.system_properties["model_dir"]) / "model.onnx"
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def handle(self, requests: list[dict[str, Any]], _: Any) -> list[bytes]:
        """Run the requests that came together."""
        bodies = [request.get("body") or request["data"] for request in requests]
        tensors = [(body if isinstance(body, dict) else orjson.loads(body))["inputs"][0] for body in bodies]
        rows = np.array([tensor["data"] for tensor in tensors], np.float32)
        (y,) = self._session.run(None, {"x": rows.reshape(len(tensors), *tensors[0]["shape"][1:])})
        spec = {"name": "y", "datatype": "FP32", "shape": [1, y.shape[1]]}
        return [orjson.dumps({"outputs": [spec | {"data": row.tolist()}]}) for row in y]


def archive(model: Path, path: Path) -> None:
    """Write what TorchServe loads."""
    manifest = {"modelName": "bench", "modelVersion": "1.0", "handler": "torchserve.py", "serializedFile": "model.onnx"}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": manifest, "archiverVersion": "0.12.0"}))
        file.write(__file__, "torchserve.py")
        file.write(model, "model.onnx")


def command(folder: Path, port: int) -> list[str]:
    """The Java process, with its settings in a folder."""
    settings = {"defaultVersion": True, "marName": "bench.mar", "minWorkers": 1, "maxWorkers": 1}
    settings |= {"batchSize": BATCH, "maxBatchDelay": DELAY_MILLISECONDS, "responseTimeout": 60}
    models = json.dumps({"bench": {"1.0": settings}})
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder, models=models))
    (folder / "log4j2.xml").write_text(_QUIET)
    spec, java = importlib.util.find_spec("ts"), shutil.which("java")
    if spec is None or not spec.submodule_search_locations or java is None:
        sys.exit("Java, or the package torchserve, is not here")
    package = Path(spec.submodule_search_locations[0])
    return [
        *(java, "-Xmx512m", f"-Djava.io.tmpdir={folder}", f"-Dmodel_server_home={package.parent}"),
        *(f"-Dlog4j.configurationFile=file://{folder / 'log4j2.xml'}", "-cp", str(package / "frontend" / "*")),
        *("org.pytorch.serve.ModelServer", "--python", sys.executable, "-f", str(folder / "config"), "-ncs"),
    ]


if __name__ == "__main__":
    place = Path(sys.argv[3])
    archive(Path(sys.argv[1]), place / "bench.mar")
    line = command(place, int(sys.argv[2]))
    os.execv(line[0], line)  # noqa: S606 - Java takes this process's place, so that who started it ends it

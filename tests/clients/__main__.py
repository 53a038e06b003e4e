"""The clients that people use, each in an environment of its own, against a server of models of ours.

``python -m tests.clients [NAME ...]``: each client's own script asks, compares answers with what ONNX Runtime gives and
refusals with our words; then its example in ``docs/clients.md`` must print the right number.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from benchmarks.environments import NotMeasured, python
from examples.bikeshare.demo.processes import Service
from staytrue.store import Store
from tests.clients.question import KINDS, Question, write
from tests.contract import echo
from tests.e2e import rentals

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HERE = Path(__file__).parent
PAGE = rentals.ROOT / "docs/clients.md"
CLIENTS: dict[str, tuple[str, Callable[[], str]]] = {
    "kserve": ("KServe", lambda: python("kserve")),
    "mlserver": ("MLServer", lambda: python("mlserver")),
    "tensorflow": ("TensorFlow Serving", lambda: python("tensorflow", lists=HERE, place=Path("build/clients"))),
}
"""Name of the script → heading of its example, and its interpreter; KServe's and MLServer's are those of the peers."""
PATIENCE_SECONDS = 120


def main() -> int:
    """Run them; 0 where all is well."""
    names = sys.argv[1:] or list(CLIENTS)
    unknown = set(names) - set(CLIENTS)
    if unknown:
        print(f"no client {', '.join(sorted(unknown))}; there are {', '.join(CLIENTS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        project = rentals.make(folder)
        echo.make_store(folder / "store", KINDS)
        asked = questions(folder / "store")
        write(folder / "questions.json", asked)
        server = Service("serve", project, folder / "serve.log", "--port", "0", "--grpc-port", "0")
        try:
            results = [run(name, server, folder / "questions.json", asked["example"]) for name in names]
        finally:
            code = server.stop()
        printed = (folder / "serve.log").read_text(encoding="utf-8")
    if code or "Traceback" in printed:
        print(f"the server ended with {code}:\n{printed[-3000:]}", file=sys.stderr)
        return 1
    return 0 if all(results) else 1


def questions(store: Path) -> dict[str, Question]:
    """Rows of rentals with what ONNX Runtime makes of them, and every datatype at its limits."""
    asked = {
        "example": rented(store, {"weather": ["clear"], "temperature": [3.1]}),
        "rentals": rented(store, {"weather": ["clear", "rain", "hail", ""], "temperature": [3.1, 25.5, -4.25, 1 / 3]}),
    }
    for key, finite in (("echo", False), ("finite", True)):
        rows = {kind: (kind, echo.extremes(kind, finite=finite)) for kind in KINDS}
        asked[key] = Question("echo", rows, {f"{kind}_back": row for kind, row in rows.items()})
    return asked


def rented(store: Path, columns: dict[str, list[Any]]) -> Question:
    """A question about rentals."""
    path = Store(store).path("rentals", "1")
    session = ort.InferenceSession(str(path / "model.onnx"))
    kinds = {"weather": "BYTES", "temperature": "FP32"}
    inputs: dict[str, tuple[str, NDArray[Any]]] = {
        name: (kinds[name], np.array(values, KINDS[kinds[name]]).reshape(-1, 1)) for name, values in columns.items()
    }
    (y,) = session.run(None, {name: array for name, (_, array) in inputs.items()})
    return Question("rentals", inputs, {"rented": ("FP32", y)})


def run(name: str, server: Service, asked: Path, example: Question) -> bool:
    """One client: its script, then its example; whether both did well."""
    title, interpreter = CLIENTS[name]
    try:
        program = interpreter()
    except NotMeasured as error:
        print(f"{name}: {error}", flush=True)
        return False
    addresses = (server.address, server.grpc, str(asked))
    script = call(program, "-m", f"tests.clients.{name}", *addresses)
    print(f"{name}: {script.stdout.strip() or 'failed'}", flush=True)
    code = block(title).replace("http://127.0.0.1:8080", server.address).replace("127.0.0.1:8081", server.grpc)
    shown = call(program, "-c", code)
    number = re.search(r"-?\d+\.\d+", shown.stdout)
    right = float(example.outputs["rented"][1].item())
    well = number is not None and abs(float(number[0]) - right) < 1e-3 * abs(right)
    print(f"{name}: its example prints {shown.stdout.strip()!r}, right is {right:.5g}", flush=True)
    for done in (script, shown):
        if done.returncode:
            print(done.stderr[-4000:], file=sys.stderr, flush=True)
    return well and not script.returncode and not shown.returncode


def call(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root."""
    return subprocess.run(
        command, cwd=rentals.ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


def block(title: str) -> str:
    """The example below a heading of the page."""
    found = re.search(
        rf"^## {title}$.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found, title
    return found[1]


if __name__ == "__main__":
    sys.exit(main())

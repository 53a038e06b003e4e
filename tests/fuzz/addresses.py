"""Serves a small model and lets schemathesis ask for whatever its OpenAPI document allows, and does not allow.

``python -m tests.fuzz.addresses SCHEMATHESIS [EXAMPLES]``: no answer may be a fault (5xx), nor other than documented.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from staytrue.store import Store
from tests.unit.serving.conftest import publish
from tests.unit.serving.house import House

CONFIG = """\
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", "504"]
"""
"""A caller that allows no time at all is told so by 504."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


def main() -> int:
    """Run it; 0 where nothing was found."""
    schemathesis, examples = str(Path(sys.argv[1]).resolve()), sys.argv[2] if len(sys.argv) > 2 else "30"
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        store.promote("tiny", publish(store, 2.0), reason="fuzz")
        (Path(folder) / "schemathesis.toml").write_text(CONFIG)
        house = House(store, Path(folder))
        try:
            command = [schemathesis, "run", f"{house.address}/openapi.json", "--checks", CHECKS]
            return subprocess.run(
                [*command, "--max-examples", examples, "--seed", "1"], check=False, cwd=folder
            ).returncode
        finally:
            house.close()


if __name__ == "__main__":
    sys.exit(main())

"""The walk-through of docs/images.md works as it is printed there: from pictures in folders to answers by name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.bikeshare.demo.processes import Service

    Starter = Callable[..., Service]

pytestmark = pytest.mark.e2e
PAGE = (Path(__file__).parents[2] / "docs/images.md").read_text(encoding="utf-8")


def run(folder: Path, *line: str) -> str:
    """What a program says."""
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
    return done.stdout


def test_pictures_of_ones_own_are_named_as_the_page_says(tmp_path: Path, start: Starter) -> None:
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        found = re.match(r"# (\w+\.py):", block)
        assert found, block[:80]
        (tmp_path / found[1]).write_text(block, encoding="utf-8")
    settings = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert settings
    (tmp_path / "staytrue.yaml").write_text(settings[1], encoding="utf-8")
    run(tmp_path, sys.executable, "draw.py")
    assert run(tmp_path, sys.executable, "collect.py") == "240 pictures\n"
    for name in ("train", "export"):
        command.run(tmp_path, name)
    server = start("serve", tmp_path / "staytrue.yaml", "--port", "0", "--grpc-port", "0")
    ask = tmp_path / "ask.py"
    ask.write_text(ask.read_text().replace("http://127.0.0.1:8080", server.address), encoding="utf-8")
    asked = {"disc": "pictures/disc/0.png", "square": "pictures/square/1.png"}
    said = {name: run(tmp_path, sys.executable, "ask.py", path).splitlines() for name, path in asked.items()}
    assert {name: lines[0] for name, lines in said.items()} == {name: f"what ['{name}']" for name in asked}
    assert all(lines[1].startswith("probabilities [") and lines[2].startswith("event ") for lines in said.values())
    assert server.stop() == 0

"""What the chart holds of other parts: rules, dashboards, types of a project, table of values. ``make chart`` runs it.

With a folder as argument it writes there instead of into the chart.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from staytrue import project
from staytrue.command import main

CHART = Path(__file__).parent / "staytrue"
_HEAD = """\
# The chart `staytrue`

<!-- Written by `make chart` from values.yaml: change the text there. -->

Server and monitoring sidecar in one pod. [How to install it](../../docs/kubernetes.md) is told in the docs.

| value | default | meaning |
|---|---|---|
"""


def table(text: str) -> str:
    """A row for each value that a ``# --`` comment explains: its path, default and meaning."""
    rows, meaning, path = [], "", list[str]()
    for line in text.splitlines():
        comment = re.fullmatch(r"\s*# (-- )?(.*)", line)
        key = re.fullmatch(r"( *)([A-Za-z]+):(?: (.*))?", line)
        if comment:
            meaning = comment[2] if comment[1] else f"{meaning} {comment[2]}"
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if meaning:
                default = (key[3] or "see values.yaml").replace("|", "\\|")
                rows.append(f"| `{'.'.join(path)}` | `{default}` | {meaning} |")
            meaning = ""
    return "\n".join(rows) + "\n"


def typed(schema: dict[str, Any]) -> dict[str, Any]:
    """The chart's schema of values with the project typed as every command reads it.

    A project without a name or data stays for the templates to refuse, which say what to do.
    """
    told = project.schema()
    definitions = told.pop("$defs")
    del told["required"]
    return {**schema, "properties": {**schema["properties"], "project": told}, "$defs": definitions}


def generate(target: Path) -> None:
    """All that is generated, into a folder."""
    files = target / "files"
    (files / "dashboards").mkdir(parents=True, exist_ok=True)
    main(["rules", "export", "--output", str(files / "rules.yaml")])
    main(["dashboards", "export", "--output", str(files / "dashboards")])
    schema = typed(json.loads((CHART / "values.schema.json").read_text(encoding="utf-8")))
    (target / "values.schema.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    (target / "README.md").write_text(_HEAD + table(values), encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else CHART)

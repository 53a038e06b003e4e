"""The rules of the house that CONTRIBUTING.md states, for all packages."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from staytrue.command import COMMANDS, _find, main

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PACKAGES = ("staytrue", "training", "export", "serving", "monitoring")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])

LONG_FILES = {"serving/proto/open_inference_grpc_pb2_grpc.py": "generated"}
"""Files that may exceed 300 lines, each with its reason."""

LONG_FUNCTIONS: dict[str, str] = {
    "serving/proto/open_inference_grpc_pb2_grpc.py:__init__": "generated",
    "serving/proto/open_inference_grpc_pb2_grpc.py:add_GRPCInferenceServiceServicer_to_server": "generated",
    "training/fit.py:fit": "a training reads from top to bottom in one place",
}
"""``file:function`` that may exceed 40 lines without its docstring, each with its reason."""

HEAVY = {
    "staytrue.command": {"numpy", "torch", "onnxruntime", "pandas", "duckdb", *PACKAGES[1:]},
    "serving.app": {"torch", "onnx", "pandas", "pyarrow", "duckdb", "evidently", "training", "export", "monitoring"},
    "monitoring.app": {"torch", "onnx", "onnxruntime", "evidently", "training", "export", "serving"},
    "training.commands": {"torch", "onnxruntime", "duckdb", "matplotlib", "serving", "monitoring"},
    # Most trainings need none of these, or late: together they take as long to import as PyTorch.
    "training.run": {"scipy", "sklearn", "pandas", "matplotlib", "openpyxl", "psycopg", "cleanlab", "kornia", "mlflow"}
    | {"accelerate", "tensorboard", "prometheus_client", "tokenizers", "onnx", "onnxscript", "onnxruntime"},
}
"""What importing a module must not bring in: images hold only their own extra, and ``--help`` must be quick."""


def name_of(path: Path) -> str:
    """Path within the repository."""
    return path.relative_to(ROOT).as_posix()


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    docstring = ast.get_docstring(node, clean=False)
    return (node.end_lineno or node.lineno) - node.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in the repository's root."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_no_file_exceeds_300_lines_without_a_reason() -> None:
    long = {
        name_of(path): path.read_text(encoding="utf-8").count("\n") for path in [*FILES, *ROOT.glob("native/*.[ch]")]
    }
    assert {name: lines for name, lines in long.items() if lines > 300 and name not in LONG_FILES} == {}


def test_no_function_exceeds_40_lines_without_a_reason() -> None:
    long: dict[str, int] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > 40:
                long[f"{name_of(path)}:{node.name}"] = lines_of(node)
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def test_all_c_is_compiled_and_said_to_be_looked_at() -> None:
    [extension] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    named = {*extension["sources"], *extension["depends"]}
    assert named == {name_of(path) for path in ROOT.glob("native/*")}
    assert extension["optional"]


def test_the_exceptions_exist() -> None:
    names = {name_of(path) for path in FILES}
    assert {name.split(":")[0] for name in [*LONG_FILES, *LONG_FUNCTIONS]} <= names


def test_modules_are_named_by_what_they_own() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [name_of(path) for path in FILES if vague & {path.stem, path.parent.name}] == []


def test_imports_keep_their_direction() -> None:
    linted = python("-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())")
    assert linted.returncode == 0, linted.stdout + linted.stderr


DEALERS = {"training/data/rows.py", "training/data/split/plan.py", "training/data/divide.py"}


def test_only_a_split_says_which_rows_are_learnt_from() -> None:
    """Statistics of validation or test rows would leak into training through any other place."""
    said = {path.relative_to(ROOT).as_posix() for path in (ROOT / "training").rglob("*.py") if _makes_training(path)}
    assert said == DEALERS


def _makes_training(path: Path) -> bool:
    return any(word in path.read_text() for word in ("TrainingRows.of(", "TrainingRows("))


@pytest.mark.parametrize("module", HEAVY)
def test_importing_a_part_does_not_bring_in_what_its_image_lacks(module: str) -> None:
    imported = python("-c", f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))")
    assert imported.returncode == 0, imported.stderr
    assert HEAVY[module].intersection(imported.stdout.split()) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert stopped.value.code == 0
    assert f"usage: staytrue {command}" in told
    assert COMMANDS[command][1] in " ".join(told.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command: str) -> None:
    parser = argparse.ArgumentParser()
    _find(command).configure(parser)
    assert [action.dest for action in parser._actions if not action.help] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_make_targets_named_in_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    pages = [path.read_text(encoding="utf-8") for path in [*PAGES, ROOT / ".pre-commit-config.yaml", ROOT / ".ci/run"]]
    named = {
        target for text in pages for target in re.findall(r"(?:`|entry: |^)make ([a-z][a-z-]*)", text, re.MULTILINE)
    }
    assert named - targets == set()


def test_the_lock_names_everything_that_the_extras_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "gpu"}
    assert extras.keys() == set(re.search(r"^EXTRAS := (.*)$", MAKEFILE, re.MULTILINE)[1].split(","))  # type: ignore[index]
    needs = [*project["dependencies"], *(need for extra in extras.values() for need in extra)]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {plain(line.split("==")[0]) for line in lock.splitlines() if not line.startswith("#")}
    assert {plain(re.split(r"[\[<>=!~; ]", need)[0]) for need in needs} - locked == set()
    assert not re.search(r"://| @ |^-|\+", lock.split("differ.")[1], flags=re.MULTILINE)


def plain(name: str) -> str:
    """A distribution's name as registries compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()

"""The container images, as far as a machine without Docker can tell: what they copy, who runs, and what is in them."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, flags=re.MULTILINE | re.DOTALL))
BASES = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)}
IMAGES = {name for name in STAGES if BASES[name] == "runtime"}
PARTS = {
    "serving": ("serving", "import serving.app, serving.ping, serving.proto.open_inference_grpc_pb2_grpc"),
    "monitoring": ("monitoring", "import monitoring.sidecar, monitoring.analysis.evidently"),
    "training": ("training", "import training.retrain, export.publish, serving.runtimes.onnx"),
}
"""Image → its extra, and what its commands import."""
ABSENT = {
    "serving": {"tokenizers", "torch", "evidently", "pandas", "pyarrow", "duckdb", "scipy", "matplotlib", "torchserve"},
    "monitoring": {"torch", "onnx", "onnxruntime", "torchserve", "matplotlib", "tritonclient"},
    "training": {"evidently", "torchserve", "tritonclient"},
}


def instructions(stage: str, word: str) -> list[str]:
    """Arguments of a stage's instructions of one kind."""
    return re.findall(rf"^{word} (.*)$", STAGES[stage], flags=re.MULTILINE)


def test_there_is_an_image_for_each_part_and_serving_is_the_default() -> None:
    assert {"serving", "gpu", "torchserve", "monitoring", "training"} == IMAGES
    assert list(STAGES)[-1] == "serving"


@pytest.mark.parametrize("stage", [*sorted(IMAGES), "runtime"])
def test_nothing_runs_as_root(stage: str) -> None:
    users = instructions("runtime", "USER") + (instructions(stage, "USER") if stage != "runtime" else [])
    assert users[-1] == "10001:10001"


@pytest.mark.parametrize("stage", sorted(IMAGES))
def test_an_image_holds_its_environment_and_no_build_tools(stage: str) -> None:
    assert instructions(stage, "COPY") == [f"--from=build-{stage} /opt/staytrue /opt/staytrue"]
    assert all(line.startswith("[") for line in instructions(stage, "CMD"))
    assert instructions("runtime", "ENTRYPOINT") == ['["staytrue"]']


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [name for line in instructions("base", "COPY") for name in line.split()[:-1]]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert set(copied) == kept


def test_versions_are_pinned() -> None:
    outside = {base for base in BASES.values() if base not in STAGES}
    assert outside == {"python:${PYTHON}"}
    assert re.search(r"^ARG PYTHON=3\.\d+-slim-\w+$", DOCKERFILE, flags=re.MULTILINE)
    installs = [line for stage in STAGES for line in instructions(stage, "RUN") if "pip install" in line]
    assert all("--constraint requirements.lock" in line for line in installs)
    assert all(line.count("pip install") == line.count("--constraint requirements.lock") for line in installs)
    assert "://" not in "".join(installs)


def test_the_image_for_gpus_brings_cuda_s_libraries_in_a_release_that_there_is() -> None:
    """The lock's version of onnxruntime need not be one of onnxruntime-gpu: that is released apart."""
    [pinned] = re.findall(r'^ONNXRUNTIME_GPU="(.*)"$', "\n".join(instructions("build-gpu", "ARG")), flags=re.MULTILINE)
    asked = Requirement(pinned)
    assert (asked.name, asked.extras, str(asked.specifier)) == ("onnxruntime-gpu", {"cuda", "cudnn"}, "==1.31.1")
    [install] = instructions("build-gpu", "RUN")
    assert '"${ONNXRUNTIME_GPU}"' in install
    assert "sed" not in install
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"`{pinned}`" in page
    assert "brings the driver and nothing else" in page


@pytest.mark.parametrize("stage", PARTS)
def test_an_extra_brings_nothing_of_another_part(stage: str) -> None:
    assert ABSENT[stage] & closure(PARTS[stage][0]) == set()


@pytest.mark.parametrize("stage", PARTS)
def test_a_part_imports_with_its_own_extra_alone(stage: str) -> None:
    """Modules of every other distribution are hidden, as if they were not installed."""
    extra, imports = PARTS[stage]
    allowed = closure(extra)
    hidden = {
        module
        for module, names in importlib.metadata.packages_distributions().items()
        if not {plain(name) for name in names} & allowed and module not in {"pip", "setuptools", "_distutils_hack"}
    }
    assert "torch" in hidden or stage == "training"
    finder = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {hidden!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", finder + imports], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]


def closure(extra: str) -> set[str]:
    """Distributions that installing the extra brings, Staytrue itself among them."""
    found = {"staytrue"}
    waiting = [Requirement(f"staytrue[{extra}]")]
    while waiting:
        asked = waiting.pop()
        extras = {"", *asked.extras}
        for line in importlib.metadata.requires(asked.name) or []:
            need = Requirement(line)
            wanted = need.marker is None or any(need.marker.evaluate({"extra": name}) for name in extras)
            if wanted and (plain(need.name) not in found or need.extras):
                found.add(plain(need.name))
                waiting.append(Requirement(re.split(r"[;<>=!~ ]", line)[0]))
    return found


def plain(name: str) -> str:
    """A distribution's name as registries compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("stage", ["build-serving", "build-gpu", "build-torchserve"])
def test_what_serves_has_the_compiled_part_or_is_not_built(stage: str) -> None:
    """Away from the sources: there Python would find these in its place."""
    assert instructions(stage, "RUN")[-1].endswith("&& cd / && python -c 'import staytrue.native'")
    assert "gcc" in " ".join(instructions("base", "RUN"))

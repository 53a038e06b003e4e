"""``staytrue diff``: what two versions of a model differ in."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import onnx
import yaml

from export.graph import graphs
from staytrue.bundle import SETTINGS
from staytrue.commands import add_project, store_of
from staytrue.records import utc
from staytrue.yamlfile import flat

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from staytrue.bundle import Bundle, Metric
    from staytrue.signature import TensorSpec

NONE = "none"


class Difference(NamedTuple):
    """One thing, as it is in either version."""

    what: str
    before: str
    after: str


def differences(first: tuple[Bundle, Path], second: tuple[Bundle, Path]) -> dict[str, list[Difference]]:
    """What differs between two bundles, each with its folder, by chapter; a chapter without any is left out."""
    (one, here), (other, there) = first, second
    chapters = {
        "data": _changed(_data(one), _data(other)),
        "settings": _changed(_settings(here, one), _settings(there, other)),
        "signature": _changed(_signature(one), _signature(other)),
        "figures": _changed(_figures(one), _figures(other)),
        "graph": _changed(_graph(here, one), _graph(there, other)),
        "files": _changed(_sizes(one), _sizes(other)),
    }
    return {name: found for name, found in chapters.items() if found}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    names = [*before, *(name for name in after if name not in before)]
    found = (Difference(name, before.get(name, NONE), after.get(name, NONE)) for name in names)
    return [one for one in found if one.before != one.after]


def _data(bundle: Bundle) -> dict[str, str]:
    lineage = bundle.lineage
    return {
        "fingerprint": lineage.data_fingerprint[:16],
        "rows trained on": str(lineage.trained_rows),
        "newest row": utc(lineage.trained_until),
        "let through": "; ".join(lineage.let_through) or NONE,
        "began with weights": lineage.began_with[:16] or NONE,
    }


def _settings(folder: Path, bundle: Bundle) -> dict[str, str]:
    """By path, ``training.learning_rate``; of a version that holds none their fingerprint alone."""
    if SETTINGS not in bundle.files:
        return {"fingerprint": bundle.lineage.project_fingerprint}
    return flat(yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8")))


def _signature(bundle: Bundle) -> dict[str, str]:
    found = {f"input {spec.name}": _said(spec) for spec in bundle.signature.inputs}
    found |= {f"output {spec.name}": _said(spec) for spec in bundle.signature.outputs}
    return found | {"largest batch": str(bundle.max_batch), "classes": ", ".join(bundle.classes) or NONE}


def _said(spec: TensorSpec) -> str:
    more = {key: value for key, value in msgspec.to_builtins(spec).items() if key not in ("name", "datatype", "shape")}
    return " ".join([f"{spec.datatype} {spec.shape}", *(f"{key}={value}" for key, value in more.items() if value)])


def _figures(bundle: Bundle) -> dict[str, str]:
    parts = bundle.evaluation.items()
    return {f"{part} {name}": _metric(metric) for part, metrics in parts for name, metric in metrics.items()}


def _metric(metric: Metric) -> str:
    return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g})"


def _graph(folder: Path, bundle: Bundle) -> dict[str, str]:
    """Of the ONNX file: how many nodes of each operator there are, numbers that it holds, and operator sets."""
    if "onnx" not in bundle.artefacts:
        return {}
    model = onnx.load(folder / bundle.artefacts["onnx"], load_external_data=False)
    counts = Counter(node.op_type for graph in graphs(model.graph) for node in graph.node)
    held = sum(math.prod(tensor.dims) for graph in graphs(model.graph) for tensor in graph.initializer)
    found = {f"nodes {name}": str(counts[name]) for name in sorted(counts)}
    sets = {f"operator set {entry.domain or 'ai.onnx'}": str(entry.version) for entry in model.opset_import}
    return {"nodes": str(counts.total()), **found, "numbers held": f"{held:,}", **sets}


def _sizes(bundle: Bundle) -> dict[str, str]:
    """Of what is served; records and the card differ always."""
    return {name: f"{bundle.files[name].bytes:,} bytes" for name in bundle.artefacts.values() if name in bundle.files}


def _lines(found: Mapping[str, Iterable[Difference]]) -> Iterator[str]:
    for chapter, changes in found.items():
        yield f"{chapter}:"
        for one in changes:
            yield f"  {one.what}: {one.before} -> {one.after}"


class Diff:
    """``staytrue diff``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("model", help="name of the model")
        parser.add_argument("before", metavar="A", help="version")
        parser.add_argument("after", metavar="B", help="version")
        parser.add_argument("--json", action="store_true", help="for programs: chapter to what, before and after")
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Tell what differs, after checking every byte of both."""
        store, name = store_of(arguments), arguments.model
        versions = (arguments.before, arguments.after)
        one, other = ((store.load(name, version), store.path(name, version)) for version in versions)
        found = differences(one, other)
        if arguments.json:
            told = {chapter: [change._asdict() for change in changes] for chapter, changes in found.items()}
            print(msgspec.json.format(msgspec.json.encode(told)).decode())
        else:
            print("\n".join(_lines(found)) or "nothing but name and date")
        return 0


diff = Diff()

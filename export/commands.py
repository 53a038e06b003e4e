"""The command ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.commands import add_project, store_of
from staytrue.costs import arranged, error_of

if TYPE_CHECKING:
    import argparse

    from staytrue.bundle import Bundle


class Import:
    """``staytrue import``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        parser.add_argument("file", type=Path, metavar="FILE", help="ONNX, TorchScript, or PyTorch weights")
        parser.add_argument("--name", required=True, help="what the model is called from now on")
        parser.add_argument("--reference", type=Path, metavar="DATA", help="rows: Parquet, CSV, JSON lines or npz")
        parser.add_argument("--amend", type=Path, metavar="YAML", help="what the file does not tell of its model")
        parser.add_argument("--factory", default="", help="package.module:function that makes the weights' module")
        forms = ("onnx", "torchscript", "mar", "pt2", "ort")
        parser.add_argument(
            "--format", action="append", choices=forms, help="a form to write it in; default: export.importing.formats"
        )
        add_project(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Look through, amend, prove, publish; the first version of a model is promoted."""
        from export.importing.intake import take_in
        from staytrue.sections import ExportSection
        from staytrue.settings import resolve

        alone = arguments.store is not None and projects.goes_without(arguments.project)  # a store needs no project
        section = ExportSection() if alone else projects.load(arguments.project).export
        store, settings = store_of(arguments), resolve(section, "export", {})
        if arguments.format:
            importing = settings.importing.model_copy(update={"formats": arguments.format})
            settings = settings.model_copy(update={"importing": importing})
        bundle = take_in(
            store,
            arguments.name,
            arguments.file,
            settings,
            reference=arguments.reference,
            amendment=arguments.amend,
            factory=arguments.factory,
        )
        _tell(bundle)
        print(f"published {bundle.name} version {bundle.version}: {store.where}/{bundle.name}/{bundle.version}")
        if not store.standing(bundle.name).champion:
            store.promote(bundle.name, bundle.version, reason=f"first version, imported from {arguments.file.name}")
            print(f"champion of {bundle.name} is version {bundle.version}")
        else:
            print(f"`staytrue promote {bundle.name} {bundle.version} --reason TEXT` lets it answer")
        return 0


def _tell(bundle: Bundle) -> None:
    """What it takes and gives, what its first axis counts, and how it was proven."""
    signature = bundle.signature
    for side, specs in (("takes", signature.inputs), ("gives", signature.outputs)):
        print(f"{side} {', '.join(f'{spec.name} {spec.label()}' for spec in specs)}")
    merged = "requests are run together" if signature.merges else "no two requests are run together"
    counted = {
        "independent": f"rows are answered each for itself, at most {bundle.max_batch} a request",
        "dependent": f"answers may hang on the rows beside them, at most {bundle.max_batch} a request",
        "none": "no axis counts rows",
    }
    print(f"{counted[signature.rows]}: {merged}")
    for proof in bundle.parity:
        how = f" {said}" if (said := arranged(proof)) else ""
        by = f"{proof.runtime} against the file as given"
        print(f"proven {proof.format} at batch {proof.batch}{how}: {error_of(proof)} ({by})")


import_ = Import()

"""The proof: an artefact gives the eager model's outputs, in the runtime that will serve it, at every kind of batch."""

from __future__ import annotations

import contextlib
import importlib.metadata
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from export import program, torchscript
from export.answers import Answers
from export.comparison import Exact, Reduced
from export.divergence import Asked
from export.example import eager_inputs, edge_rows
from export.fidelity import measure
from export.pool import Pool
from export.trial import COMPANY, Differs, Trial
from serving.runtimes.onnx import OnnxMaker
from serving.runtimes.tokens import front
from serving.runtimes.torchserve.runtime import TorchServeMaker
from staytrue.bundle import REDUCED, Parity, digest, proven_batches
from staytrue.server import ServingSection
from staytrue.settings import resolve
from staytrue.tensors import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from export.held import Held
    from export.trial import Found
    from staytrue.bundle import Fidelity, Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature

Arrays = dict[str, "NDArray[Any]"]

_MADE_BY = ("torch", "onnx", "onnxscript", "onnxruntime")


def prove(
    kind: Format,
    path: Path,
    module: nn.Module,
    signature: Signature,
    rows: Mapping[str, NDArray[Any]],
    scale: float,
    settings: ExportSection,
) -> list[Parity]:
    """The proof alone; see :func:`examine`."""
    tokenized = front(signature, path.parent) or dict
    return examine(kind, path, module, signature, rows, scale, settings, own(module, signature, tokenized))[0]


def own(module: nn.Module, signature: Signature, tokenized: Callable[[Arrays], Arrays]) -> Answers:
    """What the module gives of rows as callers send them; ``tokenized`` makes token ids of their texts."""
    return Answers(lambda rows: eager(module, signature, tokenized(rows)))


def examine(
    kind: Format,
    path: Path,
    module: nn.Module,
    signature: Signature,
    rows: Mapping[str, NDArray[Any]],
    scale: float,
    settings: ExportSection,
    answers: Answers,
    held: Held | None = None,
    made: str = "",
    units: Mapping[str, float] = MappingProxyType({}),
) -> tuple[list[Parity], list[Fidelity]]:
    """Compare an artefact with the eager module: a record a batch size, one of other orders and company, and of axes.

    Args:
        rows: real rows as callers send them; edge rows are added. Tokenizers lie beside the artefact.
        scale: deviation of the target, the unit of the absolute tolerance where ``units`` tell none.
        answers: the module's own, shared by all artefacts of it.
        held: rows of the validation split, by which it is told what the artefact costs; without any that is not told.
        made: how the artefact was, where there are several ways.
        units: what the absolute tolerance, and distances of fewer bits, are in, by output: a target's own deviation.

    Raises:
        CorruptData: the outputs differ by more than the tolerances allow, or in shape, or one is NaN or infinite where
            the other is not; a row is answered otherwise beside other rows; or an artefact of fewer bits costs more
            than is allowed. Nothing may be published then.
        InvalidInput: the module's own outputs are not those of the signature, or it takes no other size along an axis
            that the signature says is free.
        InvalidConfig: TorchServe is to prove an archive, and it or its Java is not here.
    """
    tokenized = front(signature, path.parent) or dict
    units = {spec.name: units.get(spec.name, scale) for spec in signature.outputs}
    exact = partial(Exact, signature, units, settings)
    pool = Pool.of(edge_rows(signature, rows), rows, signature)
    with _one_thread(), running(kind, path, signature) as (run, runtime):
        trial = Trial(
            answer=answers,
            run=run,
            runtime=runtime,
            signature=signature,
            comparison=partial(Reduced, signature, units, settings.reduction) if kind in REDUCED else exact,
            own=exact,
            record=partial(record, kind, path, runtime, made=made),
        )
        try:
            proofs = [trial.batch(pool, batch, path.name) for batch in proven_batches(settings.max_batch)]
            proofs += trial.arranged(pool, min(COMPANY, settings.max_batch), path.name)
            proofs += trial.along_axes(pool, min(2, settings.max_batch), path.name)
        except Differs as error:
            asked = Asked(kind, path, module, signature, tokenized(error.rows), settings)
            found = asked.depends() if error.depends else asked.differs()
            found = "; ".join(filter(None, (found, made if made.startswith(f"{torchscript.TRACED},") else "")))
            raise error.told(found) from error
        judged = held is not None and len(held.times) > 0
        measured = [measure(trial, kind, path, held, units, settings, made)] if held is not None and judged else []
    return proofs, measured


def eager(module: Callable[..., Any], signature: Signature, rows: Mapping[str, NDArray[Any]]) -> Arrays:
    """Outputs of the module itself, by the signature's names; codes of text as the text they stand for.

    Shapes:
        rows[name]: as callers send them, but token ids of texts with a tokenizer.
    """
    with torch.no_grad():
        result = module(*eager_inputs(signature, rows))
    outputs = result if isinstance(result, tuple) else (result,)
    given = {spec.name: value.numpy() for spec, value in zip(signature.outputs, outputs, strict=True)}
    texts = {spec.name: decoded(spec, given[spec.name]) for spec in signature.outputs if spec.datatype == "BYTES"}
    return given | texts


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """PyTorch on one thread, as ONNX Runtime is in a proof: several wait more for each other than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def running(kind: Format, path: Path, signature: Signature) -> Iterator[tuple[Callable[[Arrays], Arrays], str]]:
    """What runs an artefact, and its description; it ends with the block."""
    if kind in ("torchscript", "pt2"):
        loaded = torchscript.load(path) if kind == "torchscript" else program.load(path)
        tokenized, called = front(signature, path.parent) or dict, "TorchScript" if kind == "torchscript" else "export"
        yield lambda rows: eager(loaded, signature, tokenized(rows)), f"torch {torch.__version__} {called}"
        return
    settings = resolve(ServingSection(), "serving", {})  # where Java is, by the environment
    with TorchServeMaker(settings.torchserve) if kind == "mar" else OnnxMaker(artefact=kind) as make:
        runtime = make(path, signature)
        yield runtime.run, runtime.description
        runtime.close()


def record(kind: Format, path: Path, runtime: str, found: Found, **more: Any) -> Parity:
    """The proof of what was found."""
    absolute, relative = found.comparison.allowed
    return Parity(
        format=kind,
        runtime=runtime,
        artefact_sha256=digest(path).sha256,
        batch=found.batch,
        rows=found.rows,
        edge_rows=found.edge_rows,
        max_abs_error=found.comparison.absolute,
        max_rel_error=found.comparison.relative,
        share=found.comparison.share,
        absolute_tolerance=absolute,
        relative_tolerance=relative,
        passed=True,
        rows_sha256=found.rows_sha256,
        versions={name: importlib.metadata.version(name).split("+")[0] for name in _MADE_BY},
        by_mean=kind in REDUCED,
        **more,
    )

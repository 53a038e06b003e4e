"""The proof: an artefact gives the eager model's outputs, in the runtime that will serve it, at every kind of batch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from export import program, torchscript
from export.example import eager_inputs, edge_rows
from serving.runtimes.onnx import OnnxMaker
from serving.runtimes.tokens import front
from serving.runtimes.torchserve.runtime import TorchServeMaker
from staytrue.bundle import Parity, digest, proven_batches
from staytrue.errors import CorruptData, InvalidInput
from staytrue.server import ServingSection
from staytrue.settings import resolve
from staytrue.signature import NUMPY
from staytrue.tensors import coded, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from staytrue.bundle import Format
    from staytrue.sections import ExportSection
    from staytrue.signature import Signature, TensorSpec

Arrays = dict[str, "NDArray[Any]"]

MOST_RUNS = 32
"""Of one batch size: enough for many edge rows and real ones even one by one."""
DECIDED = 0.5
"""Probability from which on a label is decided for."""
_DATATYPES = {dtype: name for name, dtype in NUMPY.items()}


def prove(
    kind: Format,
    path: Path,
    module: nn.Module,
    signature: Signature,
    rows: Mapping[str, NDArray[Any]],
    scale: float,
    settings: ExportSection,
) -> list[Parity]:
    """Compare an artefact with the eager module; one record a batch size.

    Args:
        rows: real rows as callers send them; edge rows are added. Tokenizers lie beside the artefact.
        scale: deviation of the target, the unit of the absolute tolerance.

    Raises:
        CorruptData: the outputs differ by more than the tolerances allow, or in shape, or one is NaN or infinite where
            the other is not. Nothing may be published then.
        InvalidInput: the module's own outputs are not those of the signature.
        InvalidConfig: TorchServe is to prove an archive, and it or its Java is not here.
    """
    pool, proofs = _pool(signature, rows), []
    tokenized = front(signature, path.parent) or dict
    with running(kind, path, signature) as (run, runtime):
        for batch in proven_batches(settings.max_batch):
            taken = _take(pool, batch)
            worst_abs = worst_rel = 0.0
            for part in taken:
                expected, got = eager(module, signature, tokenized(part)), run(part)
                _check_outputs(signature, expected, batch)
                where = f"{path.name} at batch {batch}"
                absolute, relative = compare(signature, expected, got, scale, settings, where)
                worst_abs, worst_rel = max(worst_abs, absolute), max(worst_rel, relative)
            proofs.append(
                Parity(
                    format=kind,
                    runtime=runtime,
                    artefact_sha256=digest(path).sha256,
                    batch=batch,
                    rows=batch * len(taken),
                    max_abs_error=worst_abs,
                    max_rel_error=worst_rel,
                    absolute_tolerance=settings.absolute_tolerance * scale,
                    relative_tolerance=settings.relative_tolerance,
                    passed=True,
                )
            )
    return proofs


def compare(
    signature: Signature, expected: Arrays, got: Arrays, scale: float, settings: ExportSection, where: str
) -> tuple[float, float]:
    """The largest absolute and relative error of outputs; ``where`` opens the message.

    Raises:
        CorruptData: they differ by more than the tolerances allow, or in shape or datatype.
    """
    numbers = _untied(_compare_texts(signature, expected, got, settings, where), got, settings)
    return _compare(numbers, got, scale, settings, where)


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
def running(kind: Format, path: Path, signature: Signature) -> Iterator[tuple[Callable[[Arrays], Arrays], str]]:
    """What runs an artefact, and its description; it ends with the block."""
    if kind in ("torchscript", "pt2"):
        loaded = torchscript.load(path) if kind == "torchscript" else program.load(path)
        tokenized, called = front(signature, path.parent) or dict, "TorchScript" if kind == "torchscript" else "export"
        yield lambda rows: eager(loaded, signature, tokenized(rows)), f"torch {torch.__version__} {called}"
        return
    settings = resolve(ServingSection(), "serving", {})  # where Java is, by the environment
    with OnnxMaker() if kind in ("onnx", "ort") else TorchServeMaker(settings.torchserve) as make:
        runtime = make(path, signature)
        yield runtime.run, runtime.description
        runtime.close()


def _pool(signature: Signature, rows: Mapping[str, NDArray[Any]]) -> Arrays:
    """Edge rows and real ones in turn, so that every batch size meets both, then the rest."""
    edges = edge_rows(signature, rows)
    first, second = (np.arange(len(next(iter(part.values())))) for part in (edges, rows))
    order = np.argsort(np.concatenate([2 * first, 2 * second + 1]))
    return {spec.name: np.concatenate([edges[spec.name], rows[spec.name]])[order] for spec in signature.inputs}


def _take(pool: Arrays, batch: int) -> list[Arrays]:
    """Batches of a size, the rows repeated where there are too few."""
    count = len(next(iter(pool.values())))
    parts = max(1, min(MOST_RUNS, count // batch))
    index = np.arange(parts * batch) % count
    return [{name: array[index[p * batch : (p + 1) * batch]] for name, array in pool.items()} for p in range(parts)]


def _check_outputs(signature: Signature, outputs: Arrays, batch: int) -> None:
    """Refuse a module whose outputs are not what the signature promises to callers."""
    for spec in signature.outputs:
        array = outputs[spec.name]
        spec.check(array, _DATATYPES.get(array.dtype, str(array.dtype)), "output")
        if spec.shape[:1] == [-1] and len(array) != batch:
            raise InvalidInput(f'output "{spec.name}"', expected=f"{batch} rows for as many", got=f"{len(array)}")


def _compare_texts(signature: Signature, expected: Arrays, got: Arrays, settings: ExportSection, where: str) -> Arrays:
    """Refuse another text than the model's own; the outputs that are numbers, to be compared as such.

    Two classes whose probabilities are as near as the tolerance lets them move are a tie: either may win it.
    """
    for spec in signature.outputs:
        if spec.datatype != "BYTES":
            continue
        want, have, likely = expected[spec.name], got[spec.name], _likely(signature, spec, expected)
        if want.shape != have.shape or have.dtype != object:
            said = f"{have.dtype} {list(have.shape)}"
            raise CorruptData(f'{where}, output "{spec.name}"', expected=f"text {list(want.shape)}", got=said)
        for row in np.unique(np.argwhere(want != have)[:, 0]):
            first, second = (likely[row, coded(spec, texts[row]) - 1] for texts in (want, have))
            allowed = settings.absolute_tolerance + settings.relative_tolerance * np.abs(first)
            if not (np.isin(have[row], spec.categories) & (np.abs(first - second) <= 2 * allowed)).all():
                raise CorruptData(
                    f'{where}, output "{spec.name}", row {row}',
                    expected=f'"{want[row].ravel()[0]}" as the model itself gives',
                    got=f'"{have[row].ravel()[0]}"',
                    hint="nothing was published: no proof, no bundle",
                )
    return {name: array for name, array in expected.items() if array.dtype != object}


def _untied(expected: Arrays, got: Arrays, settings: ExportSection) -> Arrays:
    """The outputs; decisions as near their threshold as the tolerance lets them move are taken as the artefact's."""
    told = dict(expected)
    for name, want in expected.items():
        likely = [have for have in expected.values() if have.dtype == np.float32 and have.shape == want.shape]
        if want.dtype == np.bool_ and len(likely) == 1 and got[name].shape == want.shape:
            allowed = settings.absolute_tolerance + settings.relative_tolerance * likely[0]
            told[name] = np.where(np.abs(likely[0] - DECIDED) <= allowed, got[name], want)
    return told


def _likely(signature: Signature, spec: TensorSpec, outputs: Arrays) -> NDArray[np.float64]:
    """Of each row, what the module gave each category: the output that has as many numbers a row, or else NaN."""
    rows, wide = len(outputs[spec.name]), [-1, len(spec.categories)]
    found = [outputs[other.name] for other in signature.outputs if other.datatype == "FP32" and other.shape == wide]
    return found[0].astype(np.float64) if len(found) == 1 else np.full((rows, max(wide[1], 1)), np.nan)


def _compare(expected: Arrays, got: Arrays, scale: float, settings: ExportSection, where: str) -> tuple[float, float]:
    worst_abs = worst_rel = 0.0
    for name, want in expected.items():
        have = got[name]
        if want.shape != have.shape or want.dtype != have.dtype:
            said = f"{have.dtype} {list(have.shape)}"
            raise CorruptData(f'{where}, output "{name}"', expected=f"{want.dtype} {list(want.shape)}", got=said)
        a, b = want.astype(np.float64), have.astype(np.float64)
        limit = settings.absolute_tolerance * scale + settings.relative_tolerance * np.abs(a)
        with np.errstate(invalid="ignore"):  # infinity from infinity
            apart = np.abs(a - b)
        # Beside an infinity every finite number would be within a relative tolerance.
        near = np.isfinite(a) & (apart <= limit)
        same = near | (a == b) | (np.isnan(a) & np.isnan(b))
        if not same.all():
            a, b = np.atleast_1d(a), np.atleast_1d(b)
            row = int(np.argwhere(np.atleast_1d(~same))[0][0])
            raise CorruptData(
                f'{where}, output "{name}", row {row}',
                expected=f"{a[row].ravel()[0]:.9g} as the model itself gives",
                got=f"{b[row].ravel()[0]:.9g}",
                hint="nothing was published: no proof, no bundle",
            )
        finite = np.isfinite(apart)
        worst_abs = max(worst_abs, float(apart[finite].max(initial=0.0)))
        ratio = apart[finite] / np.maximum(np.abs(a[finite]), 1e-12 + settings.absolute_tolerance * scale)
        worst_rel = max(worst_rel, float(ratio.max(initial=0.0)))
    return worst_abs, worst_rel

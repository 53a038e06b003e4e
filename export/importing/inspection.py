"""What a foreign ONNX file holds, read before any session is made of it: sizes, operators, versions, other files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError
from onnx import TensorProto, external_data_helper

from export.graph import graphs
from export.importing.archives import check_size
from staytrue.errors import CorruptData, TooLarge, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from staytrue.sections import ImportingSection

DOMAINS = {"": "ai.onnx", "ai.onnx": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml", "com.microsoft": "com.microsoft"}
"""Domains whose operators are ONNX Runtime's own; those of others come from libraries, which nobody here loads."""
ELSEWHERE = {"EPContext": "reads a compiled model from another file"}
"""Operators that reach beyond the file, and how."""
_MOST_DEEP = 64
"""Functions inside functions."""
OLDEST_OPSET = 7
"""ONNX Runtime promises no older one, though it has some of its operators."""


def inspect(path: Path, settings: ImportingSection) -> tuple[onnx.ModelProto, bool]:
    """The model with all its tensors, once it is known to be harmless, and whether some lay in other files.

    Raises:
        TooLarge: more bytes or operators than the settings allow.
        CorruptData: no ONNX, or a file beside it is missing, too short, or outside the folder.
        Unsupported: operators of unknown libraries, or versions that ONNX Runtime here does not know.
    """
    model = _parsed(path, settings)
    _check_versions(model, path)
    _check_nodes(model, path, settings)
    kept = [tensor for tensor in tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
    if kept:
        check_size(path, path.stat().st_size + sum(_kept(tensor, path) for tensor in kept), settings)
        for tensor in kept:
            _fill(tensor, path)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    return model, bool(kept)


def unloadable(path: Path, model: onnx.ModelProto, error: Exception) -> Unsupported:
    """What is told of a model that ONNX Runtime refuses to make a session of."""
    versions = ", ".join(f"{DOMAINS.get(one.domain, one.domain)} {one.version}" for one in model.opset_import)
    said = " ".join(str(error).split())[:300]
    what = f"ONNX Runtime {ort.__version__} cannot run it (opset {versions}): {said}"
    old = any(DOMAINS.get(one.domain) == "ai.onnx" and one.version < OLDEST_OPSET for one in model.opset_import)
    newer = f"export it again with an opset from {OLDEST_OPSET} to {onnx.defs.onnx_opset_version()}"
    return Unsupported(str(path), what, hint=newer if old or "NOT_IMPLEMENTED" in said else "")


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """All tensors that a model holds: of its graph, of branches, of functions, and those in attributes."""
    for part in _parts(model):
        yield from getattr(part, "initializer", ())
        for sparse in getattr(part, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
    for node in nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All operators of a model: of its graph, of branches, of functions."""
    for part in _parts(model):
        yield from part.node


def _parts(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Its graph, its functions, which have operators too, and the branches inside of both."""
    for part in (model.graph, *model.functions):
        yield from graphs(part)


def _parsed(path: Path, settings: ImportingSection) -> onnx.ModelProto:
    try:
        check_size(path, path.stat().st_size, settings)
        data = path.read_bytes()
    except OSError as error:
        raise CorruptData(str(path), f"cannot be read: {error.strerror}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise CorruptData(str(path), "is no ONNX model, or a part of one: it ends or breaks off in between") from error
    if not model.ir_version or not model.graph.output or not model.opset_import:
        raise CorruptData(str(path), "is no ONNX model: it holds no graph with outputs, or no versions")
    return model


def _check_versions(model: onnx.ModelProto, path: Path) -> None:
    known = onnx.defs.onnx_opset_version()
    newest = {"": known, "ai.onnx": known, "ai.onnx.ml": onnx.defs.onnx_ml_opset_version()}
    if model.ir_version > onnx.IR_VERSION:
        expected = f"at most IR version {onnx.IR_VERSION}, which onnx {onnx.__version__} knows"
        hint = "export it again with an older onnx"
        raise Unsupported(str(path), expected=expected, got=str(model.ir_version), hint=hint)
    for one in model.opset_import:
        if one.version > newest.get(one.domain, one.version):
            where = DOMAINS[one.domain]
            expected = f"opset {newest[one.domain]} of {where} or an older one"
            hint = "export it again with an older opset"
            raise Unsupported(str(path), expected=expected, got=str(one.version), hint=hint)


def _check_nodes(model: onnx.ModelProto, path: Path, settings: ImportingSection) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    strange = set[str]()
    for node in nodes(model):
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own:
            strange.add(f"{node.op_type} of {node.domain}")
        if node.op_type in ELSEWHERE:
            raise Unsupported(str(path), f"its operator {node.op_type} {ELSEWHERE[node.op_type]}")
    if strange:
        what = f"needs operators of a library that is not ONNX Runtime's: {', '.join(sorted(strange))[:300]}"
        hint = f"export it with operators of {', '.join(sorted(set(DOMAINS.values())))} alone"
        raise Unsupported(str(path), what, hint=hint)
    count = _written_out(model, path)
    if count > settings.max_nodes:
        hint = "raise export.importing.max_nodes"
        raise TooLarge(str(path), expected=f"at most {settings.max_nodes} operators", got=str(count), hint=hint)


def _written_out(model: onnx.ModelProto, path: Path) -> int:
    """Operators once all functions are written out, as ONNX Runtime does it: some that call others twice are many.

    Raises:
        CorruptData: a function calls itself, or they call each other deeper than anybody nests them.
    """
    bodies = {(one.domain, one.name, one.overload): one for one in model.functions}
    known: dict[tuple[str, str, str], int] = {}

    def count(part: onnx.GraphProto, callers: tuple[tuple[str, str, str], ...]) -> int:
        total = 0
        for node in (node for inner in graphs(part) for node in inner.node):
            key = (node.domain, node.op_type, node.overload)
            if key not in bodies:
                total += 1
                continue
            if key in callers or len(callers) > _MOST_DEEP:
                said = "calls itself" if key in callers else f"stands inside more than {_MOST_DEEP} others"
                raise CorruptData(str(path), f"its function {node.op_type} of {node.domain!r} {said}")
            if key not in known:
                known[key] = count(bodies[key], (*callers, key))
            total += known[key]
        return total

    return count(model.graph, ()) + sum(len(one.node) for one in model.functions)


def _fill(tensor: TensorProto, path: Path) -> None:
    """Put in what another file keeps, a plain one: by links of either kind the same bytes may lie elsewhere."""
    try:
        external_data_helper.load_external_data_for_tensor(tensor, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        what, hint = f"its data cannot be read: {str(error)[:300]}", "copy them beside the model as a plain file"
        raise CorruptData(f'{path}: tensor "{tensor.name}"', what, hint=hint) from error


def _kept(tensor: TensorProto, path: Path) -> int:
    """Bytes of a tensor that another file keeps, which must lie in the model's own folder."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = said.get("location", ""), path.parent.resolve()  # of the name as given: a link leads elsewhere
    place = folder / location
    where = f'{path}: tensor "{tensor.name}"'
    with contextlib.suppress(OSError, ValueError):
        place = place.resolve()
    if not location or "\0" in location or not place.is_relative_to(folder):
        expected = "its data in a file of the model's own folder"
        raise CorruptData(where, expected=expected, got=repr(location)[:200], hint="nothing outside is ever read")
    if not place.is_file():
        raise CorruptData(where, f"its data are in {location!r}, which is not there", hint="copy it beside the model")
    there = place.stat().st_size
    try:
        start, length = (int(said.get(key) or fallback) for key, fallback in (("offset", 0), ("length", there)))
    except ValueError as error:
        raise CorruptData(where, expected="whole numbers for offset and length", got=str(said)[:200]) from error
    length = length if "length" in said else there - start
    if start < 0 or length < 0 or start + length > there:
        raise CorruptData(where, expected=f"data within the {there} bytes of {location}", got=f"{length} from {start}")
    return length

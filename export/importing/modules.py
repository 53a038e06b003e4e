"""Models of PyTorch made elsewhere: a TorchScript file, or weights for a module that a factory makes."""

from __future__ import annotations

import contextlib
import importlib
import inspect as inspecting
import operator
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import nn

from export import torchscript
from export.divergence import Asked
from export.importing import archives, weights
from export.importing.foreign import Foreign
from export.importing.rows import generated, grown
from export.onnx import finish, placeholders, to_onnx
from export.program import to_program
from staytrue.errors import CorruptData, InvalidConfig, Unsupported
from staytrue.signature import NUMPY, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from export.importing.amendment import Amending
    from export.importing.foreign import Arrays
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection, ImportingSection

_DATATYPES: dict[np.dtype[Any], Any] = {dtype: name for name, dtype in NUMPY.items() if name != "BF16"}


class Flat(nn.Module):
    """A module whose outputs are a tuple of tensors, whatever it gives them in."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Shapes: the module's own."""
        return tuple(value for _, value in flat(self.module(*inputs)))


def flat(result: Any) -> list[tuple[str, torch.Tensor]]:
    """Outputs by name: those of a dict have one, others are counted.

    Raises:
        TypeError: something among them is no tensor.
    """
    values = list(result.values()) if isinstance(result, dict) else result
    values = list(values) if isinstance(values, tuple | list) else [values]
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        raise TypeError(f"gives {', '.join(type(value).__name__ for value in values)[:200]}, not tensors alone")
    counted = ["output"] if len(values) == 1 else [f"output_{place}" for place in range(len(values))]
    return list(zip(map(str, result) if isinstance(result, dict) else counted, values, strict=True))


def open_torchscript(path: Path, amending: Amending, settings: ImportingSection) -> Foreign:
    """A TorchScript file: looked through, then loaded; it runs as it is, and an ONNX file is written for the server.

    Raises:
        StaytrueError: see :func:`export.importing.archives.inspect`, and :func:`opened`.
    """
    archives.inspect(path, settings)
    try:
        module = torchscript.load(path)
    except Exception as error:  # torch raises what its parser does
        first = str(error).strip().split("\n", 1)[0][:200]
        raise CorruptData(str(path), f"PyTorch cannot load it as TorchScript: {first}") from error
    forward: Any = module.forward
    taken = forward.schema.arguments[1:]  # the first is the module itself
    strange = [one.name for one in taken if str(one.type) != "Tensor"]
    if strange:
        what = f"its forward takes what is no tensor: {', '.join(strange)}"
        raise Unsupported(str(path), what, hint="wrap it in a module that takes tensors alone, and script that")
    return _opened(path, module.eval(), [one.name for one in taken], amending, scripted=True)


def open_weights(path: Path, amending: Amending, settings: ImportingSection, factory: str) -> Foreign:
    """Weights for the module that a factory makes, ``package.module:function``, called with the amendment's options.

    Raises:
        TooLarge: the file, or what is packed in it, is larger than the settings allow.
        InvalidConfig: the factory cannot be had, or the weights are not its module's.
        StaytrueError: see :func:`export.importing.weights.state`, and :func:`opened`.
    """
    if not factory:
        hint = "name it: --factory package.module:function"
        raise InvalidConfig(str(path), "holds weights alone, which need what makes their module", hint=hint)
    archives.check_size(path, path.stat().st_size, settings)
    if zipfile.is_zipfile(path):
        archives.check_unpacked(path, settings)
    module = _made(factory, amending.said.options)
    safe = path.suffix == ".safetensors"
    held = weights.safe(path) if safe else weights.state(path, amending.said.key, "--amend key")
    try:
        module.load_state_dict(held)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:400]
        raise InvalidConfig("--factory", f"{factory} makes a module that {path.name} does not fit: {said}") from error
    named = inspecting.signature(module.forward).parameters.values()
    kinds = (inspecting.Parameter.POSITIONAL_ONLY, inspecting.Parameter.POSITIONAL_OR_KEYWORD)
    names = [one.name for one in named if one.kind in kinds]
    return _opened(path, module.eval(), names, amending, scripted=False)


def _made(factory: str, options: dict[str, Any]) -> nn.Module:
    module, _, function = factory.partition(":")
    try:
        made = operator.attrgetter(function)(importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as error:
        hint = "write package.module:function; install it, or set PYTHONPATH to its folder"
        raise InvalidConfig("--factory", f"{factory} cannot be imported: {error}", hint=hint) from error
    try:
        built = made(**options)
    except Exception as error:  # somebody else's code
        raise InvalidConfig("--factory", f"{factory} fails: {type(error).__name__}: {error}"[:400]) from error
    if not isinstance(built, nn.Module):
        raise InvalidConfig("--factory", expected="a torch.nn.Module", got=type(built).__name__)
    return built


def _inputs(path: Path, names: list[str], amending: Amending) -> list[TensorSpec]:
    """Inputs by their names, as amended; ``names``: none of a forward that takes any.

    Raises:
        InvalidConfig: an input of which neither the file nor the amendment tells enough.
    """
    told, amended = amending.said.inputs, list[TensorSpec]()
    names = names or list(told)
    if not names:
        raise amending.fault(
            ["inputs"], f"{path.name} tells none of its inputs", hint="write inputs: {x: {shape: [-1]}}"
        )
    for name in [one for one in names if one in told] or names:
        one = told.get(name)
        if one is None or not (one.shape or one.datatype):
            what = f"{path.name} does not tell the shape of its input"
            raise amending.fault(["inputs", name], what, hint=f"write inputs: {{{name}: {{shape: [-1, ...]}}}}")
        amended.append(TensorSpec(name=name, datatype=one.datatype or "FP32", shape=list(one.shape)))
    return amended


def _opened(path: Path, module: Any, names: list[str], amending: Amending, *, scripted: bool) -> Foreign:
    """The module behind a signature: inputs as amended, outputs as a run on examples shows them."""
    bare = Signature(inputs=_inputs(path, names, amending), outputs=[])
    typical = amending.amend_inputs(bare)
    outputs = _outputs(path, module, typical)
    signature = amending.amend(msgspec.structs.replace(bare, outputs=[spec for _, spec in outputs]))

    def run(arrays: Arrays) -> Arrays:
        with torch.no_grad():
            got = flat(module(*(torch.from_numpy(np.array(arrays[spec.name])) for spec in signature.inputs)))
        return {spec.name: value.numpy() for spec, (_, value) in zip(signature.outputs, got, strict=True)}

    def write(to: Path, final: Signature, max_batch: int) -> str:
        try:
            _write(module, final, to, max_batch, scripted=scripted)
        except Exception as error:  # torch raises a class of its own for every reason
            first = " ".join(str(error).split())[:300]
            hint = "export it to ONNX where it was made, and import that"
            raise Unsupported(str(path), f"PyTorch finds no ONNX form of it: {first}", hint=hint) from error
        return ""

    def script(to: Path, final: Signature, max_batch: int) -> str:
        del max_batch
        made = torchscript.to_torchscript(Flat(module).eval(), final, to, _example(final, 2), _others(module, final))
        return "a script as it was given" if scripted else made

    def program(to: Path, final: Signature, max_batch: int) -> str:
        _write_program(path, module, final, to, max_batch)
        return ""

    def begins(kind: Format, served: Path, final: Signature, rows: Arrays, settings: ExportSection) -> str:
        if scripted:  # a script is not captured, so there is nothing to go through operator by operator
            return ""
        return Asked(kind, served, Flat(module).eval(), final, rows, settings).differs()

    how = "TorchScript" if scripted else "eager"
    writers: dict[Format, Callable[[Path, Signature, int], str]] = {"onnx": write, "torchscript": script}
    writers |= {} if scripted else {"pt2": program}
    return Foreign(path, signature, run, f"torch {torch.__version__} {how}", writers, begins)


def _write_program(path: Path, module: nn.Module, signature: Signature, to: Path, max_batch: int) -> None:
    if free := [spec.name for spec in signature.inputs if -1 in spec.shape[1:]]:
        what = f"has inputs with a free axis behind the first: {', '.join(free)}; a pt2 of it would fix that"
        raise Unsupported(str(path), what, hint="leave pt2 out of export.importing.formats")
    try:
        to_program(Flat(module), signature, to, max_batch)
    except Unsupported as error:
        first = " ".join(str(error).split())[:300]
        raise Unsupported(str(path), f"torch.export finds no form of it: {first}", hint="leave pt2 out") from error


def _outputs(path: Path, module: Any, signature: Signature) -> list[tuple[str, TensorSpec]]:
    """Names, datatypes and shapes of what it gives: sizes that change with the inputs' free axes are free."""
    found = []
    for rows, longer in ((2, 0), (3, 0), (2, 1)):
        try:
            with torch.no_grad():
                found.append(flat(module(*_example(signature, rows, longer))))
        except Exception as error:  # somebody else's code
            if not found:
                hint = "tell a shape that it takes, as `typical` of its inputs"
                what = f"does not run on zeros: {' '.join(str(error).split())[:300]}"
                raise InvalidConfig(str(path), what, hint=hint) from error
    made = []
    for results in zip(*found, strict=True):
        name, first = results[0]
        datatype = _DATATYPES.get(_numpy(first))
        if datatype is None:
            raise Unsupported(f'{path}: output "{name}"', expected="a datatype of the protocol", got=str(first.dtype))
        shapes = [value.shape for _, value in results]
        shape = [sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True)]
        made.append((name, TensorSpec(name=name, datatype=datatype, shape=shape)))
    return made


def _numpy(value: torch.Tensor) -> np.dtype[Any]:
    """Its type as numpy has it; nothing known where it has none."""
    try:
        return value.numpy().dtype
    except TypeError:
        return np.dtype(np.void)


def _example(signature: Signature, rows: int, grown: int = 0) -> tuple[torch.Tensor, ...]:
    """Zeros of a typical shape, with so many rows, other free axes longer by ``grown``."""
    made = []
    for spec in signature.inputs:
        sizes = [size + (grown if free < 0 else 0) for size, free in zip(spec.one_row(), spec.shape, strict=True)]
        sizes[:1] = [rows] if spec.shape[:1] == [-1] else sizes[:1]
        made.append(torch.from_numpy(np.zeros(sizes, dtype=NUMPY[spec.datatype])))
    return tuple(made)


def _others(module: Any, signature: Signature) -> list[tuple[torch.Tensor, ...]]:
    """Rows that were made up for it and that it takes, of other values than zeros, and of other sizes."""
    rows = [*generated(signature)[1:], *generated(grown(signature))[1:3]]
    made = [tuple(torch.from_numpy(np.array(row[spec.name])) for spec in signature.inputs) for row in rows]
    taken = []
    for some in made:
        with contextlib.suppress(Exception), torch.no_grad():  # whatever somebody else's code raises
            module(*some)
            taken.append(some)
    return taken


def _write(module: Any, signature: Signature, path: Path, max_batch: int, *, scripted: bool) -> None:
    if not scripted and not any(-1 in spec.shape[1:] for spec in signature.inputs):
        to_onnx(Flat(module), signature, path, max_batch)
        return
    inputs, outputs = placeholders(signature)
    specs = zip([*inputs, *outputs], [*signature.inputs, *signature.outputs], strict=True)
    free = {name: [at for at, size in enumerate(spec.shape) if size < 0] for name, spec in specs}
    with _quiet():
        torch.onnx.export(
            module if scripted else Flat(module),
            _example(signature, 2),
            str(path),
            dynamo=False,  # its other exporter takes no ScriptModule, and no axis but the first as free
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
        )
    finish(path, signature)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings of itself, and of a trace's constants, which the proof would show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

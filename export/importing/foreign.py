"""A model made elsewhere, as its file gives it: what it takes, how it answers, and how the server's file is made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime as ort

from export import graph
from export.importing.divergence import first_difference
from export.importing.inspection import inspect, unloadable
from export.importing.signatures import signature_of
from serving.runtimes import bfloats, halves
from staytrue.bundle import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from export.importing.amendment import Amending
    from staytrue.bundle import Format
    from staytrue.sections import ExportSection, ImportingSection
    from staytrue.signature import Signature

Arrays = dict[str, "NDArray[Any]"]
_LOG_FATAL_ONLY = 4
"""What it would print comes as exceptions: many shapes are tried until the model takes one."""


@dataclass(frozen=True)
class Foreign:
    """One file, looked through and amended."""

    path: Path
    signature: Signature
    run: Callable[[Arrays], Arrays]
    """The file as it was given, by the signature's names; whatever it raises, it refused these inputs."""
    ran_by: str
    """What runs it, with its version."""
    writers: Mapping[Format, Callable[[Path, Signature, int], str]]
    """What writes a form of it, for a signature and a largest batch, and says how; the others are made of these."""
    begins: Callable[[Format, Path, Signature, Arrays, ExportSection], str]
    """Where an artefact of it begins to differ on some rows, in words; nothing where that is not to be found."""
    native: bool = False
    """Whether what runs it here also serves it: then answers are the same to the last digit, be they steady or not."""

    @property
    def said(self) -> str:
        """The file and what it holds, for the record."""
        return f"{self.path.name}, SHA-256 {digest(self.path).sha256}"


def _copy(path: Path, to: Path, model: onnx.ModelProto | None, renamed: Mapping[str, str]) -> None:
    """The file as it is, or a model with other names and all its tensors inside."""
    if model is None:
        shutil.copyfile(path, to)
        return
    graph.rename(model, renamed)
    onnx.save(model, to)


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = _LOG_FATAL_ONLY, 1
    return options


def open_onnx(path: Path, amending: Amending, settings: ImportingSection) -> Foreign:
    """An ONNX file: looked through, then a plain session of it.

    Raises:
        StaytrueError: see :func:`export.importing.inspection.inspect` and :meth:`Amending.amend`.
        Unsupported: ONNX Runtime does not make a session of it.
    """
    model, apart = inspect(path, settings)
    plain = signature_of(model, path)
    amended = amending.amend(plain)
    options = _options()
    try:
        session = halves.session(path, options)
    except Exception as error:  # ONNX Runtime raises a class of its own for every status
        raise unloadable(path, model, error) from error
    inputs, outputs = (
        {new.name: old.name for old, new in zip(before, after, strict=True)}
        for before, after in ((plain.inputs, amended.inputs), (plain.outputs, amended.outputs))
    )
    brain = {side.name for side in (*session.get_inputs(), *session.get_outputs()) if side.type == bfloats.TYPE}

    def run(arrays: Arrays) -> Arrays:
        given, asked = {inputs[name]: array for name, array in arrays.items()}, list(outputs.values())
        if brain:
            got: Mapping[str, NDArray[Any]] = bfloats.run(session, asked, given, brain, None)
        else:
            got = dict(zip(asked, session.run(asked, given), strict=True))
        return {name: got[old] for name, old in outputs.items()}

    renamed = {old: new for new, old in (inputs | outputs).items() if old != new}

    def write(to: Path, signature: Signature, max_batch: int) -> str:
        del signature, max_batch
        _copy(path, to, model if renamed or apart else None, renamed)
        return ""

    def begins(kind: Format, served: Path, signature: Signature, rows: Arrays, settings: ExportSection) -> str:
        del signature
        return first_difference(kind, inspect(path, settings.importing)[0], served, inputs, rows, settings)

    return Foreign(path, amended, run, f"plain onnxruntime {ort.__version__}", {"onnx": write}, begins, native=True)

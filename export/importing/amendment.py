"""What a file does not tell of its model, in a small YAML file: names, classes, axes, states, units, ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field

from staytrue import yamlfile
from staytrue.bundle import TaskName
from staytrue.errors import InvalidConfig
from staytrue.nearest import meant
from staytrue.section import Count, Option, Section
from staytrue.signature import Datatype, RowsName, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HINT = "docs/importing.md shows such a file"
Side = Literal["inputs", "outputs"]


class TensorAmendment(Section):
    """Of one input or output, under the name that the file gives it."""

    name: str = Field(default="", description="what callers call it; unset: as the file does")
    datatype: Datatype | None = Field(default=None, description="only where the file does not tell it")
    shape: list[int] = Field(default=[], description="-1 for any size; only narrower than the file says")
    typical: list[Count] = Field(default=[], description="a shape of one row that the model takes")
    categories: list[str] = Field(default=[], description="all values that it may have: texts, or whole numbers")
    range: list[float] = Field(default=[], description="lowest and highest value")
    unit: str = Field(default="")
    description: str = Field(default="")
    state: str = Field(default="", description="of an input: the output that is sent back as it the next time")


class Amendment(Section):
    """All that may be told."""

    task: TaskName | None = Field(default=None, description="unset: classification with classes, else regression")
    classes: list[str] = Field(default=[], description="names of the model's classes, in their order")
    target: str = Field(default="", description="what it predicts, for people; unset: the first output")
    max_batch: Count | None = Field(default=None, description="unset: export.importing.max_batch")
    rows: RowsName | None = Field(default=None, description="what a first axis counts; unset: it is found out")
    time: str = Field(default="", description="column of the reference rows' times: ISO 8601 or Unix seconds")
    key: str = Field(default="", description="where in a file of PyTorch's the weights are")
    options: dict[str, Option] = Field(default={}, description="what --factory is called with")
    inputs: dict[str, TensorAmendment] = Field(default={})
    outputs: dict[str, TensorAmendment] = Field(default={})


class Amending:
    """An amendment and the file that it stands in, for messages."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.said, self._tree = (Amendment(), None) if path is None else yamlfile.read(Amendment, path, HINT)

    def fault(
        self, location: Sequence[str], problem: str = "", *, expected: str = "", got: str = "", hint: str = ""
    ) -> InvalidConfig:
        """What is wrong at a place of the file."""
        where = " ".join(["--amend", ".".join(location)])
        if self.path is not None:
            where = yamlfile.place(self.path, self._tree, list(location))
        return InvalidConfig(where, problem, expected=expected, got=got, hint=hint)

    def amend_inputs(self, signature: Signature) -> Signature:
        """The inputs alone, where the outputs are not known yet; they keep their names."""
        inputs = self._side("inputs", signature.inputs)
        kept = [msgspec.structs.replace(new, name=old.name) for old, new in zip(signature.inputs, inputs, strict=True)]
        return Signature(inputs=kept, outputs=[])

    def amend(self, signature: Signature) -> Signature:
        """The signature as amended; tensors keep their order.

        Raises:
            InvalidConfig: it names what is not there, contradicts the file, or two tensors would have one name.
        """
        inputs = self._side("inputs", signature.inputs)
        outputs = self._side("outputs", signature.outputs)
        amended = msgspec.structs.replace(signature, inputs=inputs, outputs=outputs)
        given = {spec.name for spec in outputs}
        for was, spec in zip(signature.inputs, inputs, strict=True):
            if spec.name in given and (
                spec.name != was.name or spec.name not in {one.name for one in signature.outputs}
            ):
                raise self.fault(
                    ["inputs", was.name], f"an output is called {spec.name!r} too", hint="call one otherwise"
                )
            if spec.state and spec.state not in given:
                known = f"the file gives {', '.join(sorted(given))}"
                raise self.fault(["inputs", was.name, "state"], expected="an output", got=spec.state, hint=known)
        return amended

    def _side(self, side: Side, specs: list[TensorSpec]) -> list[TensorSpec]:
        given = getattr(self.said, side)
        there = [spec.name for spec in specs]
        for name in given:
            if name not in there:
                hint = meant(name, there) or f"there are {', '.join(there)}"
                raise self.fault([side, name], f"is none of the model's {side}", hint=hint)
        made = [self._amended(side, spec, given[spec.name]) if spec.name in given else spec for spec in specs]
        names = [spec.name for spec in made]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise self.fault([side], f"two of them would be called {twice!r}")
        return made

    def _amended(self, side: Side, spec: TensorSpec, said: TensorAmendment) -> TensorSpec:
        at = [side, spec.name]
        if said.datatype not in (None, spec.datatype):
            raise self.fault([*at, "datatype"], expected=f"{spec.datatype}, as the file says", got=str(said.datatype))
        shape = self._shape(at, spec, said.shape)
        if said.range and (len(said.range) != 2 or said.range[0] > said.range[1]):
            raise self.fault([*at, "range"], expected="the lowest and the highest value", got=str(said.range))
        if said.typical and not _fits(said.typical, shape):
            raise self.fault([*at, "typical"], expected=f"a shape of {shape}", got=str(said.typical))
        whole = spec.datatype.startswith(("INT", "UINT")) and all(_is_whole(text) for text in said.categories)
        if said.categories and not (whole or spec.datatype == "BYTES"):
            raise self.fault([*at, "categories"], f"are texts, or whole numbers, of {spec.datatype} neither")
        return msgspec.structs.replace(
            spec,
            name=said.name or spec.name,
            shape=shape,
            categories=said.categories,
            unit=said.unit,
            description=said.description,
            range=said.range,
            typical=said.typical,
            state=said.state,
        )

    def _shape(self, at: list[str], spec: TensorSpec, wanted: list[int]) -> list[int]:
        if not wanted:
            return spec.shape
        if len(wanted) != len(spec.shape):
            expected, got = f"{len(spec.shape)} axes, as {spec.label()} has", f"{len(wanted)}: {wanted}"
            raise self.fault([*at, "shape"], expected=expected, got=got)
        for size, new in zip(spec.shape, wanted, strict=True):
            if new < -1 or size not in (-1, new):
                hint = "what a file fixes only whoever exports it can free"
                raise self.fault([*at, "shape"], expected=f"a shape of {spec.label()}", got=str(wanted), hint=hint)
        return list(wanted)


def _fits(shape: Sequence[int], free: Sequence[int]) -> bool:
    return len(shape) == len(free) and all(want in (-1, size) for size, want in zip(shape, free, strict=True))


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()

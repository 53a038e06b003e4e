"""Section ``tuning`` of ``staytrue.yaml``: settings that are tried, how they are chosen, and for how long."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from staytrue.faults import Fault, annotation_at, first_fault, known_keys, takes
from staytrue.nearest import meant
from staytrue.section import Count, Positive, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from staytrue.project import Project

TUNED = ("model", "training")
"""Sections whose settings can be tried: all others decide which rows there are, or what is done with a model."""
ENCODED = ("scale", "fill", "quantiles", "encoding", "unknown", "order", "rare_below", "width", "parts", "normalise")
"""Settings of a feature that can be tried too: how its values become numbers, once they are read."""
FIXED = {
    "model.task": "decides what a trial is judged by",
    "model.quantiles": "decides what a trial is judged by",
    "training.seed": "a seed that was chosen is luck that does not last",
    "training.threads": "changes no model",
    "training.processes": "changes no model: tuning.workers try several at once",
    "training.device": "changes no model",
    "training.checkpoint_seconds": "changes no model",
    "training.loggers": "changes no model",
    "training.metrics_port": "changes no model",
    "training.watching": "changes no model",
}
"""Setting → why it is not tried."""


class Dimension(Section):
    """What is tried of one setting: one of some choices, or a number of a range."""

    choices: list[Any] | None = Field(
        default=None, min_length=1, description="one of these; a list alone is short for it"
    )
    low: int | float | None = Field(default=None, description="least of a range")
    high: int | float | None = Field(default=None, description="largest of a range")
    log: bool = Field(default=False, description="as many values between 0.001 and 0.01 as between 0.1 and 1")
    step: int | Positive | None = Field(
        default=None, description="between two values of a range; unset: any value, or 1"
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """For editors: a list is one too."""
        whole = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [{"items": {}, "minItems": 1, "type": "array"}, {"type": "object", **whole}]}

    @model_validator(mode="before")
    @classmethod
    def _is_short(cls, given: Any) -> Any:
        return {"choices": given} if isinstance(given, list) else given

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.choices is None) == (self.low is None and self.high is None):
            raise ValueError("a list of choices, or low and high of a range: one of them")
        if self.low is None or self.high is None:
            if self.choices is None or self.log or self.step is not None:
                raise ValueError("low, high, log and step belong to a range, which needs low and high")
            return self
        if not -math.inf < self.low <= self.high < math.inf:
            raise ValueError(f"low is {self.low} and high {self.high}: low is at most high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a range with log has low above 0 and no step")
        if self.step is not None and self.step <= 0:
            raise ValueError("step is above 0")
        return self

    @property
    def ends(self) -> list[Any]:
        """What a setting must take if it is to take all: the choices, or both ends."""
        return self.choices if self.choices is not None else [self.low, self.high]


class TuningSection(Section):
    """Which settings `staytrue tune` tries, how it chooses them, and for how long (docs/tuning.md)."""

    space: dict[str, Dimension] = Field(
        default={},
        description="setting by its path (model.width, training.augmentation.noise) → a list of choices, or a range",
    )
    method: Literal["grid", "random", "tpe"] = Field(
        default="tpe", description="grid: all combinations; tpe: more of what did well, from the 11th trial on"
    )
    trials: Count | None = Field(default=None, description="at most; unset: 50, or all of a grid")
    minutes: Positive | None = Field(
        default=None, description="that one `staytrue tune` takes at most; unset: no limit"
    )
    workers: Count = Field(default=1, description="processes that train at once, each with its share of threads")
    prune: Literal["median", "asha", "none"] = Field(
        default="median",
        description="median: end a trial whose best epoch is worse than half of those before; asha: let a third go on, "
        "then a third of these (asynchronous successive halving)",
    )
    ensemble: Count = Field(
        default=1,
        description="so many of the best settings are trained when the search is over, and answer as one model, "
        "by their mean (docs/tuning.md); 1: none",
    )
    seed: int = Field(default=0, ge=0, description="of what is drawn; each trial trains with training.seed")
    executor: Literal["local", "ray"] = Field(
        default="local",
        description="local: processes on this machine; ray: Ray Tune, with Hyperopt where tpe is asked for",
    )
    address: str | None = Field(
        default=None, description="of a Ray cluster, as in ray://host:10001; unset: Ray is started on this machine"
    )

    @field_validator("space")
    @classmethod
    def _has_no_path_within_another(cls, space: dict[str, Dimension]) -> dict[str, Dimension]:
        for one, other in itertools.permutations(space, 2):
            if other.startswith(f"{one}."):
                raise ValueError(f"{other} is a part of {one}: one of them")
        return space


def faults(project: Project) -> Iterator[tuple[str, Fault]]:
    """Of each path of the space that cannot be tried, why: unknown, or a value that its section refuses.

    Settings that do not go together are none here: such a trial fails, and the others go on.
    """
    for path, dimension in project.tuning.space.items():
        found = _fault(project, path, dimension)
        if found is not None:
            yield path, found


def is_whole(kind: type[Section], path: str) -> bool:
    """Whether a setting takes whole numbers alone."""
    annotation = annotation_at(kind, path.split("."))
    return takes(annotation, int) and not takes(annotation, float)


def changed(values: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    """Values of a section with one of them changed, or of a section within it.

    >>> changed({"a": {"b": 1}, "c": 2}, ["a", "d"], 3)
    {'a': {'b': 1, 'd': 3}, 'c': 2}
    """
    first, *rest = keys
    inner = values.get(first)
    return values | {first: changed(inner if isinstance(inner, dict) else {}, rest, value) if rest else value}


def _fault(project: Project, path: str, dimension: Dimension) -> Fault | None:
    kind, keys = type(project), path.split(".")
    encoded = keys[:2] == ["data", "features"] and len(keys) == 4 and keys[3] in ENCODED
    if len(keys) == 1 or not (keys[0] in TUNED or encoded):
        expected = f"the path of a setting of {' or '.join(TUNED)}, or of how a feature is encoded"
        hint = "the rows are prepared once, for all trials" if keys[0] in kind.model_fields else ""
        return Fault([], expected=expected, got=path, hint=hint)
    if encoded and keys[2] not in project.data.features:
        return Fault([], f"no feature is called {keys[2]}", hint=meant(keys[2], project.data.features))
    for fixed, why in FIXED.items():
        if path == fixed or path.startswith(f"{fixed}."):
            return Fault([], "is not tuned", hint=why)
    for depth in range(2, len(keys) + 1):
        if annotation_at(kind, keys[:depth]) is None:
            known = known_keys(kind, keys[: depth - 1])
            question = meant(keys[depth - 1], known) or (f"known are {', '.join(known)}" if known else "")
            return Fault([], f"no setting is called {'.'.join(keys[:depth])}", hint=question)
    if path == "model.architecture" and project.model.task == "generation":
        return Fault([], "is not tuned", hint="generators of several architectures are judged by several measures")
    return _range_fault(project, path, dimension) or _value_fault(project, keys, dimension)


def _range_fault(project: Project, path: str, dimension: Dimension) -> Fault | None:
    if dimension.choices is not None:
        return None
    annotation = annotation_at(type(project), path.split("."))
    if not takes(annotation, int) and not takes(annotation, float):
        return Fault([], expected="a list of choices", got="a range", hint="only numbers have ranges")
    whole = is_whole(type(project), path)
    if whole and dimension.step is not None and dimension.step != int(dimension.step):
        return Fault([], expected="a whole step for a whole number", got=str(dimension.step))
    if project.tuning.method == "grid" and not whole and dimension.step is None:
        return Fault([], expected="choices, or a range with step", got="any number of a range", hint="a grid is finite")
    return None


def _value_fault(project: Project, keys: list[str], dimension: Dimension) -> Fault | None:
    section: Section = getattr(project, keys[0])
    values = section.model_dump(exclude_unset=True)
    for value in dimension.ends:
        try:
            type(section).model_validate(changed(values, keys[1:], value))
        except ValidationError as error:
            found = first_fault(error, type(section))
            if found.location[: len(keys) - 1] == keys[1:]:
                problem = f"cannot be {value}" + (f": {found.problem}" if found.problem else "")
                return found._replace(problem=problem)
    return None

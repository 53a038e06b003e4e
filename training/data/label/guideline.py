"""Guideline: what annotators were told, as a file: classes with definitions and examples, and rules to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from staytrue import yamlfile
from staytrue.nearest import meant
from staytrue.section import Count, Section

if TYPE_CHECKING:
    from pathlib import Path


class LabelClass(Section):
    """One class as annotators should understand it."""

    definition: str = Field(min_length=1, description="what belongs to the class, in words")
    examples: list[str] = Field(default=[], description="items that are of this class beyond doubt, in quotes")
    min_share: float = Field(default=0.0, ge=0, le=1, description="least share of this class among each one's labels")
    max_share: float = Field(default=1.0, ge=0, le=1, description="largest share of it among each one's labels")

    @model_validator(mode="after")
    def _some_share_is_left(self) -> Self:
        if self.min_share > self.max_share:
            raise ValueError(f"min_share {self.min_share:g} is above max_share {self.max_share:g}")
        return self


class Rules(Section):
    """What must hold of the labels."""

    annotators_per_item: int = Field(default=0, ge=0, description="each item has labels of at least so many annotators")
    labels_to_judge: Count = Field(default=20, description="shares are judged of annotators with so many labels")
    min_agreement: float | None = Field(
        default=None, ge=-1, le=1, description="Krippendorff's alpha, on the scale that was asked for, is at least this"
    )
    allowed: dict[str, list[str]] = Field(
        default={}, description="annotator: classes that this one may give, where not all"
    )


class Guideline(Section):
    """A guideline file. Its classes stand in the order of an ordinal scale."""

    question: str = Field(default="", description="what annotators were asked")
    classes: dict[str, LabelClass] = Field(min_length=2, description="name of each class: what it means")
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _rules_speak_of_classes(self) -> Self:
        for annotator, names in self.rules.allowed.items():
            unknown = [name for name in names if name not in self.classes]
            if unknown:
                question = meant(unknown[0], self.classes) or f"classes: {', '.join(self.classes)}"
                raise ValueError(f'rules.allowed of "{annotator}" names "{unknown[0]}", which is no class; {question}')
        places: dict[str, str] = {}
        for name, kind in self.classes.items():
            for example in kind.examples:
                if places.setdefault(example, name) != name:
                    raise ValueError(f'item "{example}" is an example of "{places[example]}" and of "{name}"')
        return self


def load(path: Path) -> Guideline:
    """Read a guideline file.

    Raises:
        InvalidConfig: unreadable, not YAML, an unknown key, a wrong value: says file, line, expected and got.
    """
    return yamlfile.read(Guideline, path, "docs/labels.md shows one")[0]

"""Section of ``staytrue.yaml`` on labels: who gave which, how they are told apart, and when one is good enough."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from staytrue.section import Section, Share, refuse_unread


class LabellingSection(Section):
    """How annotators' labels are read, compared and settled."""

    annotations: Path | None = Field(
        default=None, description="labels of several annotators: CSV, TSV or Parquet, or Label Studio's JSON export"
    )
    layout: Literal["auto", "long", "wide", "label-studio"] = Field(
        default="auto",
        description="long: a row for each label; wide: a column for each annotator; auto: long where two of the "
        "three columns of a long table are there, beside others, or where a setting names one of them",
    )
    item: str | None = Field(
        default=None, description="column of items (`item`), or the key of a task's data (by default the task's id)"
    )
    annotator: str = Field(default="annotator", description="column of annotators in a long table")
    label: str | None = Field(
        default=None, description="column of labels in a long table (`label`), or Label Studio's name of the control"
    )
    annotators: list[str] = Field(default=[], description="columns of a wide table; by default all but the item's")
    missing: list[str] = Field(default=[], description="texts that stand for no label, beside the empty one")
    repeats: Literal["fail", "last"] = Field(
        default="fail", description="what to do where an annotator labels an item twice, and differently"
    )
    scale: Literal["nominal", "ordinal", "interval"] = Field(
        default="nominal", description="whether classes have an order, or are numbers with distances"
    )
    order: list[str] = Field(
        default=[], description="classes from least to most; by default numbers by size, or the guideline's order"
    )
    consensus: Literal["dawid-skene", "majority"] = Field(
        default="dawid-skene", description="how one label is made of several"
    )
    smoothing: float = Field(
        default=1.0, ge=0, description="Dawid-Skene: labels of each class that each annotator is given beforehand"
    )
    sure: Share = Field(default=0.9, description="items below this posterior are sent back")
    guideline: Path | None = Field(default=None, description="guideline file to check the labels against")
    features: Path | None = Field(
        default=None, description="CSV or Parquet of the items, to look for labels that a model finds unlikely"
    )
    learner: Literal["forest", "logistic"] = Field(
        default="forest", description="that model: random trees, or a logistic regression"
    )
    folds: int = Field(default=5, ge=2, description="each label is judged by a model of the other folds")
    resamples: int = Field(default=1000, ge=0, description="draws of items for an interval; 0 for none")
    seed: int = Field(default=0, description="of draws, folds and models")

    @model_validator(mode="after")
    def _something_reads_them(self, info: ValidationInfo[object]) -> Self:
        readers: dict[str, set[str]] = {
            "annotator": {"long"},
            "annotators": {"wide"},
            "label": {"long", "label-studio"},
            "missing": {"long", "wide"},
        }
        refuse_unread(
            self, {name: self.layout not in {"auto", *those} for name, those in readers.items()}, info, by="layout"
        )
        refuse_unread(self, {"smoothing": self.consensus != "dawid-skene"}, info, by="consensus")
        refuse_unread(self, dict.fromkeys(("learner", "folds"), self.features is None), info, by="features")
        return self

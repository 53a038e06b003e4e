"""Label Studio: annotations out of its JSON export.

Source: Label Studio, "Label Studio JSON format of annotated tasks" (labelstud.io/guide/task_format).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from staytrue.addresses import shown
from staytrue.errors import InvalidConfig, InvalidInput, NotFound
from staytrue.nearest import meant
from training.data.label.annotations import annotated
from training.data.typed import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.data.label.annotations import Annotations

Identity = int | str


class _Person(msgspec.Struct):
    id: Identity | None = None
    email: str | None = None


class _Value(msgspec.Struct):
    choices: list[str] | None = None
    rating: float | None = None
    number: float | None = None


class _Result(msgspec.Struct):
    from_name: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Annotation(msgspec.Struct):
    completed_by: Identity | _Person | None = None
    was_cancelled: bool = False
    result: list[_Result] = []


class _Task(msgspec.Struct):
    id: Identity
    annotations: list[_Annotation]
    data: dict[str, object] = {}


class _Given(NamedTuple):
    """One annotation: of which task (its place), by whom, and what it says; ``where`` is for messages."""

    task: int
    annotator: str
    label: str
    where: str


def read_labelstudio(path: Path, *, item: str = "", control: str = "", repeats: str = "fail") -> Annotations:
    """The choices, ratings or numbers of an export (a list of tasks); annotations that were cancelled do not count.

    Args:
        path: the export.
        item: key in a task's ``data`` that names the item; by default the task's id does.
        control: ``from_name`` of the control to read, where the labelling has several.
        repeats: as for a long table.

    Raises:
        NotFound: no such file.
        InvalidConfig: several controls and none named, or one that is not there.
        InvalidInput: not such an export, several choices at once, nobody who annotated; names the task.
    """
    tasks = _tasks(path)
    names = [_name(task, item, path) for task in tasks]
    twice = next((name for name, count in _counted(names).items() if count > 1), None)
    if twice is not None:
        raise InvalidInput(shown(path), f"two tasks are of item {twice!r}", hint="name the item by another key of data")
    given = _once(list(_given(tasks, _control(tasks, control, path), path)), repeats)
    annotators = list(dict.fromkeys(one.annotator for one in given))
    place = {name: number for number, name in enumerate(annotators)}
    return annotated(
        names,
        annotators,
        np.array([one.task for one in given], dtype=np.int64),
        np.array([place[one.annotator] for one in given], dtype=np.int64),
        np.array([one.label for one in given], dtype=str),
    )


def _tasks(path: Path) -> list[_Task]:
    if not path.is_file():
        raise NotFound(shown(path), "is no file")
    hint = "export the project as JSON, not as JSON-MIN"
    try:
        text = path.read_bytes()
        msgspec.json.decode(text, type=msgspec.Raw)  # all of it: with a type, what is no list is told before no JSON
        return msgspec.json.decode(text, type=list[_Task])
    except msgspec.ValidationError as error:
        problem, _, at = str(error).partition(" - at ")
        place = at.strip("`").removeprefix("$") or "its top"
        where = f"{shown(path)}, {place}".replace("[...]", " of a task or part")
        raise InvalidInput(where, f"is no export of Label Studio: {problem}", hint=hint) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(shown(path), f"is not JSON: {error}", hint=hint) from error


def _name(task: _Task, key: str, path: Path) -> str:
    if not key:
        return str(task.id)
    value = task.data.get(key)
    if not isinstance(value, str | int | float) or value == "":
        hint = meant(key, task.data) or f"its data has {', '.join(task.data) or 'no keys'}"
        raise InvalidInput(_where(path, task), f'names no item by "{key}" of its data', hint=hint)
    return text_of(value)


def _control(tasks: list[_Task], control: str, path: Path) -> str:
    """The control whose results are read: that which was named, or the only one."""
    results = (result for task in tasks for annotation in task.annotations for result in annotation.result)
    there = list(dict.fromkeys(result.from_name for result in results if _said(result.value) is not None))
    if control and control not in there:
        hint = meant(control, there) or f"there are {', '.join(there) or 'none'}"
        raise InvalidConfig(shown(path), f'no control "{control}" of choices, ratings or numbers', hint=hint)
    if not control and len(there) > 1:
        got = f"{len(there)}: {', '.join(there)}"[:200]
        raise InvalidConfig(shown(path), expected="one control", got=got, hint="name one with --label")
    return control or (there[0] if there else "")


def _given(tasks: list[_Task], control: str, path: Path) -> Iterator[_Given]:
    for number, task in enumerate(tasks):
        for annotation in task.annotations:
            said = [result.value for result in annotation.result if result.from_name == control]
            labels = [label for label in map(_said, said) if label is not None]
            if annotation.was_cancelled or not labels:
                continue
            where = f"{_where(path, task)}, annotation of {_who(annotation) or 'nobody'}"
            if len(labels) > 1 or len(labels[0]) != 1:
                got = f"{len(labels)} results" if len(labels) > 1 else f"{len(labels[0])} choices: {labels[0]}"[:200]
                raise InvalidInput(where, expected="one label", got=got, hint="several labels an item are not read")
            who = _who(annotation)
            if not who:
                raise InvalidInput(where, expected="completed_by: an id or an e-mail address", got="nothing")
            yield _Given(number, who, labels[0][0], where)


def _said(value: _Value) -> list[str] | None:
    """What a result says, as labels; None for what is no label, such as a rectangle."""
    if value.choices is not None:
        return value.choices
    number = value.rating if value.rating is not None else value.number
    return None if number is None else [text_of(number)]


def _who(annotation: _Annotation) -> str:
    by = annotation.completed_by
    if isinstance(by, _Person):
        by = by.email or by.id
    return "" if by is None else str(by)


def _once(given: list[_Given], repeats: str) -> list[_Given]:
    """One label of each annotator and task, the last."""
    kept: dict[tuple[int, str], _Given] = {}
    for one in given:
        earlier = kept.get((one.task, one.annotator))
        if earlier is not None and earlier.label != one.label and repeats == "fail":
            problem = f"says {one.label!r}, an earlier one of the same annotator {earlier.label!r}"
            raise InvalidInput(one.where, problem, hint="remove one, or take the last with --repeats last")
        kept[one.task, one.annotator] = one
    return list(kept.values())


def _counted(names: list[str]) -> dict[str, int]:
    found, counts = np.unique(np.array(names, dtype=object).astype(str), return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _where(path: Path, task: _Task) -> str:
    return f"{shown(path)}, task {task.id}"

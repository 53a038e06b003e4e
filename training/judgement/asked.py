"""Asked: the features that a run's rows were prepared with, where its model is without those that were sparse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import yaml

from staytrue.errors import Conflict, CorruptData
from staytrue.feature import Feature
from training import checkpoint as checkpoints

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.project import Project


class _Cleaning(msgspec.Struct, frozen=True):
    missing: dict[str, int] = {}


class _Data(msgspec.Struct, frozen=True):
    """What is read of a run's data.json: the features that were looked through."""

    cleaning: _Cleaning = _Cleaning()


def unreadable(path: Path, error: Exception) -> CorruptData:
    """Of a file of a run's."""
    return CorruptData(str(path), f"cannot be read: {error}", hint="train anew with `staytrue train`")


def asked(own: Project, folder: Path, project: Project | None) -> Project:
    """The settings that a run's rows were prepared by: before features that turned out to be sparse were left out.

    Of a run that did not keep them the features are the ``project``'s, if it has them all; whether they are what they
    were is told by the digest of the data.

    Raises:
        CorruptData: they cannot be read.
    """
    path = folder / checkpoints.ASKED
    if not path.is_file():
        return _by_project(own, not_kept(own, folder), project)
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        features = {name: Feature.model_validate(one) for name, one in said["data"]["features"].items()}
        cleaning = type(own.cleaning).model_validate(said["cleaning"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise unreadable(path, error) from error
    data = own.data.model_copy(update={"features": features})
    return own.model_copy(update={"data": data, "cleaning": cleaning})


def _by_project(own: Project, names: Sequence[str], project: Project | None) -> Project:
    if not names or project is None or not project.data.features.keys() >= {*names, *own.data.features}:
        return own
    known = {name: project.data.features[name] for name in names} | own.data.features
    features = {name: known[name] for name in project.data.features if name in known}
    return own.model_copy(update={"data": own.data.model_copy(update={"features": features})})


def not_kept(own: Project, folder: Path) -> list[str]:
    """Sparse features that a run was asked for and did not keep, as before there was a file for them.

    Raises:
        CorruptData: what was looked through cannot be read.
    """
    path = folder / checkpoints.DATA
    if (folder / checkpoints.ASKED).is_file() or not path.is_file():
        return []
    try:
        looked = msgspec.json.decode(path.read_bytes(), type=_Data).cleaning.missing
    except (OSError, msgspec.MsgspecError) as error:
        raise unreadable(path, error) from error
    return [name for name in looked if name not in own.data.features]


def refusal(where: str, names: Sequence[str], fingerprints: tuple[str, str]) -> Conflict:
    """Of a run whose rows are not those that its settings give now, perhaps only for want of such features."""
    told = ", ".join(names)
    problem = f"was made before runs kept their sparse features ({told}), without which its rows are others"
    hint = (
        f"name {told} in data.features as it was then, or train anew; the figures as of then are in its evaluation.json"
    )
    expected, got = (f"data of digest {one[:16]}" for one in fingerprints)
    return Conflict(where, problem, expected=expected, got=f"{got}, which may be the same data", hint=hint)

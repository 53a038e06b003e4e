"""Members: finished runs of one task, of the same rows dealt alike, so that none validates what another learnt from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import msgspec

from staytrue.errors import Conflict, CorruptData, InvalidConfig, NotFound
from training import checkpoint as checkpoints
from training.data.split.plan import Split
from training.ensemble.listed import ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from staytrue.checkpoint import Checkpoint
    from training.models.model import Model
    from training.prepare import Prepared

LEAST = 2


@dataclasses.dataclass(frozen=True)
class Member:
    """A run: what it is, which rows were which, and its module."""

    folder: Path
    checkpoint: Checkpoint
    split: Split
    model: Model

    @property
    def run(self) -> str:
        """Its name."""
        return self.checkpoint.run


def found(runs: Path, named: Sequence[Path]) -> list[Path]:
    """The folders of runs: as they are, or by their names among the project's.

    Raises:
        InvalidConfig: fewer than two, or one twice.
        NotFound: there is none.
    """
    folders = [path if path.is_dir() else runs / path for path in named]
    if len({folder.resolve() for folder in folders}) < max(LEAST, len(folders)):
        twice = next((str(path) for path in named if list(named).count(path) > 1), "one alone")
        raise InvalidConfig("RUN", expected=f"at least {LEAST} runs, each once", got=twice)
    for path, folder in zip(named, folders, strict=True):
        if not folder.is_dir():
            raise NotFound(str(path), f"is no folder, nor a run in {runs}", hint="`staytrue train` makes one")
    return folders


def read(folder: Path) -> Member:
    """A finished run that can be a member.

    Raises:
        NotFound, CorruptData: there is none, or it cannot be read.
        Conflict: it is an ensemble, a generator, or a retraining, whose rows nobody can prepare again.
    """
    checkpoint, _, model = checkpoints.load(folder)
    where = f"run {checkpoint.run}"
    if checkpoint.architecture == ENSEMBLE:
        raise Conflict(where, "is an ensemble itself", hint="name its members: ensemble.json in its folder lists them")
    if checkpoint.task == "generation":
        raise Conflict(where, "is a generator: its answers are pictures, which no mean makes better")
    if checkpoint.lineage.parent:
        raise Conflict(where, "is a retraining, whose rows came from the lake", hint="name runs of `staytrue train`")
    try:
        split = msgspec.json.decode((folder / checkpoints.SPLIT).read_bytes(), type=Split)
    except (OSError, msgspec.MsgspecError) as error:
        raise CorruptData(str(folder / checkpoints.SPLIT), f"cannot be read: {error}") from error
    return Member(folder, checkpoint, split, model)


def agree(members: Sequence[Member], prepared: Prepared) -> None:
    """Refuse members that do not answer the same question, or did not learn from the rows of the project.

    Raises:
        Conflict: says which run differs in what, from which.
    """
    first = members[0]
    for member in members[1:]:
        _same(member, f"run {first.run}", _question(first), _question(member))
    for member in members:
        fingerprint = member.checkpoint.lineage.data_fingerprint
        rows = {"data fingerprint": prepared.fingerprint.sha256[:16], "sealed test rows": prepared.sealed.lineage[:16]}
        had = {"data fingerprint": fingerprint[:16], "sealed test rows": member.split.lineage[:16]}
        _same(member, "the project", rows, had)
        for part in ("train", "validation", "test"):
            if member.split.parts[part] != prepared.split.parts[part]:
                problem = f"was split in another way than the project: other {part} rows"
                hint = "a member would validate what another learnt from: train them with the same split"
                raise Conflict(f"run {member.run}", problem, hint=hint)


def _question(member: Member) -> dict[str, Any]:
    """What all members must have in common, by the words for it."""
    checkpoint = member.checkpoint
    return {
        "task": checkpoint.task,
        "target": checkpoint.targets or checkpoint.target,
        "classes": checkpoint.classes,
        "quantiles": checkpoint.model.get("quantiles", []),
        "outputs": [f"{spec.name} {spec.label()}" for spec in checkpoint.signature.outputs],
    }


def _same(member: Member, other: str, expected: dict[str, Any], got: dict[str, Any]) -> None:
    for what, value in expected.items():
        if got[what] != value:
            hint = "members answer the same question, learnt from the same rows of the same data"
            expected_one = f"the {what} of {other}, {_short(value)}"
            raise Conflict(f"run {member.run}", expected=expected_one, got=_short(got[what]), hint=hint)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:100] or "none"

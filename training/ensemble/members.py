"""Members: finished runs of one task, of the same rows dealt alike, so that none validates what another learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.checkpoint import CHECKPOINT, Checkpoint
from staytrue.errors import Conflict, InvalidConfig
from staytrue.records import read
from training.ensemble.listed import ENSEMBLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.ensemble.listed import Method
    from training.judgement.restored import Restored
    from training.prepare import Prepared


def refuse_unfit(folder: Path, method: Method = "mean") -> None:
    """Refuse what can be no member, before rows are prepared.

    Raises:
        InvalidConfig: a vote on numbers.
        Conflict: it is an ensemble, a generator, or a retraining, whose rows nobody can prepare again.
    """
    checkpoint = read(Checkpoint, folder / CHECKPOINT)
    where = f"run {checkpoint.run}"
    if checkpoint.architecture == ENSEMBLE:
        raise Conflict(where, "is an ensemble itself", hint="name its members: ensemble.json in its folder lists them")
    if checkpoint.task == "generation":
        raise Conflict(where, "is a generator: its answers are pictures, which no mean makes better")
    if checkpoint.lineage.parent:
        raise Conflict(where, "is a retraining, whose rows came from the lake", hint="name runs of `staytrue train`")
    if method == "vote" and not checkpoint.classes:
        hint, got = "take mean or weighted, which numbers have", f"{checkpoint.task} of {where}"
        raise InvalidConfig("--method", expected="classes or labels to vote on", got=got, hint=hint)


def agree(members: Sequence[Restored], prepared: Prepared) -> None:
    """Refuse members that do not answer the same question, or did not learn from the rows of the project.

    Raises:
        Conflict: says which run differs in what, from which.
    """
    first = members[0]
    for member in members[1:]:
        _same(member, f"run {first.run}", _question(first), _question(member))
    for member in members:
        fingerprint = member.checkpoint.lineage.data_fingerprint
        had = {"data fingerprint": fingerprint[:16]}
        _same(member, "the project", {"data fingerprint": prepared.fingerprint.sha256[:16]}, had)
        for part in ("train", "validation", "test"):
            if member.split.parts[part] != prepared.split.parts[part]:
                problem = f"was split in another way than the project: other {part} rows"
                hint = "a member would validate what another learnt from: train them with the same split"
                raise Conflict(f"run {member.run}", problem, hint=hint)


def _question(member: Restored) -> dict[str, Any]:
    """What all members must have in common, by the words for it."""
    checkpoint = member.checkpoint
    return {
        "task": checkpoint.task,
        "target": checkpoint.targets or checkpoint.target,
        "classes": checkpoint.classes,
        "quantiles": checkpoint.model.get("quantiles", []),
        "outputs": [f"{spec.name} {spec.label()}" for spec in checkpoint.signature.outputs],
    }


def _same(member: Restored, other: str, expected: dict[str, Any], got: dict[str, Any]) -> None:
    for what, value in expected.items():
        if got[what] != value:
            hint = "members answer the same question, learnt from the same rows of the same data"
            expected_one = f"the {what} of {other}, {_short(value)}"
            raise Conflict(f"run {member.run}", expected=expected_one, got=_short(got[what]), hint=hint)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:100] or "none"

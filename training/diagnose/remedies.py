"""Remedies: what may help, as settings that the run's project takes; what it would refuse is not proposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staytrue.diagnosis import Remedy
from staytrue.errors import StaytrueError
from staytrue.tuning import changed
from training.data.chapters import many
from training.models.architectures import arguments_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.diagnose.case import Case


def fitting(case: Case, wanted: Iterator[Remedy]) -> list[Remedy]:
    """Advice, and those settings that can be pasted and change something, in the order given; each setting once."""
    found: dict[str, Remedy] = {}
    for one in wanted:
        if not one.setting or _fits(case, one):
            found.setdefault(one.setting or one.reason, one)
    return list(found.values())


def _fits(case: Case, one: Remedy) -> bool:
    section, *keys = one.setting.split(".")
    before = getattr(case.project, section)
    try:
        after = type(before).model_validate(changed(before.model_dump(mode="json"), keys, one.value))
        arguments_of(case.project.model_copy(update={section: after}))
    except (StaytrueError, ValueError):
        return False
    return bool(after != before)


def size(case: Case, name: str) -> int:
    """Width or depth of the network; 0 where it is the architecture's own."""
    found = case.checkpoint.model.get("body", {}).get(name)
    return found if isinstance(found, int) else 0


def larger(case: Case) -> Iterator[Remedy]:
    """More capacity."""
    width, depth = size(case, "width"), size(case, "depth")
    if width:
        yield Remedy(setting="model.width", value=2 * max(width, 16), reason=f"more capacity: the width is {width}")
    if depth:
        yield Remedy(setting="model.depth", value=depth + 1, reason=f"more capacity: the depth is {depth}")


def smaller(case: Case) -> Iterator[Remedy]:
    """Less capacity."""
    width, depth = size(case, "width"), size(case, "depth")
    if depth > 1:
        yield Remedy(setting="model.depth", value=depth - 1, reason=f"less capacity: the depth is {depth}")
    if width > 1:
        yield Remedy(setting="model.width", value=max(1, width // 2), reason=f"less capacity: the width is {width}")


def regularised(case: Case) -> Iterator[Remedy]:
    """What keeps weights and answers modest."""
    model, training = case.project.model, case.project.training
    dropout = model.dropout or 0.0
    more = min(0.5, dropout + 0.2)
    yield Remedy(setting="model.dropout", value=round(more, 2), reason=f"regularisation: dropout is {dropout:g}")
    decay, why = max(10 * training.decay, 0.1), f"regularisation: weight decay is {training.decay:g}"
    yield Remedy(setting="training.weight_decay", value=float(f"{decay:.2g}"), reason=why)
    yield Remedy(setting="training.regularisation.l2", value=0.001, reason=why)
    if case.project.model.task == "classification" and not training.regularisation.label_smoothing:
        why = "regularisation: no answer is rewarded for being certain"
        yield Remedy(setting="training.regularisation.label_smoothing", value=0.1, reason=why)


def unregularised(case: Case) -> Iterator[Remedy]:
    """What holds it back, taken away."""
    model, training = case.project.model, case.project.training
    if model.dropout:
        yield Remedy(
            setting="model.dropout", value=0.0, reason=f"regularisation holds it back: dropout {model.dropout:g}"
        )
    if training.decay > 0.01:
        why = f"regularisation holds it back: weight decay {training.decay:g}"
        yield Remedy(setting="training.weight_decay", value=0.01, reason=why)
    for name in ("l1", "l2", "label_smoothing"):
        if value := getattr(training.regularisation, name):
            why = f"regularisation holds it back: {name} {value:g}"
            yield Remedy(setting=f"training.regularisation.{name}", value=0.0, reason=why)


def varied(case: Case) -> Iterator[Remedy]:
    """More data, and what stands in for it."""
    rows = case.checkpoint.lineage.trained_rows
    yield Remedy(reason=f"more data: it learnt from {rows} rows; nothing helps as surely")
    kinds = {feature.kind for feature in case.project.data.features.values()}
    mixup: Any = case.project.training.augmentation.mixup
    if "image" in kinds:
        why = "augmentation: pictures shifted by a pixel are the same picture"
        yield Remedy(setting="training.augmentation.image.crop_padding", value=1, reason=why)
        yield Remedy(setting="training.augmentation.image.rotate", value=10, reason="augmentation: and turned a little")
    if not mixup:
        yield Remedy(
            setting="training.augmentation.mixup", value=0.2, reason="augmentation: rows mixed with each other"
        )


def longer(case: Case) -> Iterator[Remedy]:
    """Longer training."""
    training = case.project.training
    value = 3 * training.epochs
    yield Remedy(
        setting="training.epochs",
        value=value,
        reason=f"longer training: {many(training.epochs, 'epoch')} {'was' if training.epochs == 1 else 'were'} too few",
    )

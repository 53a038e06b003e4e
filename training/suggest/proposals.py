"""Proposals: settings that facts speak for, each with its reason in a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from staytrue.splitting import READERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from staytrue.splitting import Method
    from training.suggest.facts import Facts

Value = str | int | float

DEPENDENT = 0.3
"""From this correlation of neighbours on rows drawn at random would stand beside their likes in other parts."""
RARE = 1 / 3
"""A class with less than this part of the largest one's rows is learnt badly unless it counts more."""
LONG = 128
"""Steps from which on attention reaches further than a recurrent state."""
SKEWED = 1.0
MANY_CATEGORIES = 50
SIZES = ((1_000, 32), (10_000, 64), (100_000, 128))
"""Rows below which a perceptron has this width."""
SMALL_PICTURE = 16
"""Pixels of a side up to which one block a stage sees all of a picture."""
RECURRENT = ("rnn", "lstm", "gru")
PREFERRED = {
    "image": ("resnet", "inception"),
    "sequence": ("lstm", "gru", "rnn", "transformer"),
    "text": ("transformer", "gru", "lstm"),
}
"""Architectures for one feature of a kind alone, the best first; those that are not there are passed over."""


UNSET = "(unset)"
"""In place of a value: the setting is not to be there."""


class Proposal(msgspec.Struct, frozen=True):
    """A setting of ``staytrue.yaml``, what to set it to, and why; without a value it is advice alone."""

    setting: str
    value: Value | None
    reason: str


def suggest(facts: Facts) -> list[Proposal]:
    """What the facts speak for."""
    architecture = _generator(facts) if facts.task == "generation" else _architecture(facts)
    name = str(architecture.value)
    batch = _batch(facts)
    assert isinstance(batch.value, int)  # noqa: S101 - made there
    return [
        architecture,
        *_size(facts, name),
        *_output(facts),
        *_loss(facts),
        _metric(facts),
        batch,
        *_optimiser(name, batch.value),
        *_epochs(facts, batch.value),
        *_split(facts),
        *_balance(facts),
        *_advice(facts),
    ]


def _architecture(facts: Facts) -> Proposal:
    setting, kind = "model.architecture", facts.kinds[0]
    ordered = [kind for kind in facts.kinds if kind in PREFERRED]
    if ordered and len(facts.kinds) > 1 and "transformer" in facts.architectures:
        return Proposal(setting, "transformer", f"{', '.join(ordered)} among {len(facts.kinds)} columns: it takes any")
    if len(facts.kinds) > 1 or not ordered:
        return Proposal(setting, "mlp", f"{len(facts.kinds)} columns without an order among them: a perceptron")
    wanted = PREFERRED[kind]
    if kind == "sequence" and facts.length >= LONG:
        wanted = ("transformer", *wanted)
    found = next((name for name in wanted if name in facts.architectures), None)
    if found is None:
        return Proposal(setting, "mlp", f"no architecture for one {kind} is there: a perceptron takes any")
    reasons = {
        "image": f"one picture of {'x'.join(map(str, facts.size[1:]))}: neighbouring points belong together",
        "sequence": f"one sequence of {facts.length} steps, the middle one of the rows: their order matters",
        "text": f"one text of {facts.length} bytes, the middle one of the rows: their order matters",
    }
    return Proposal(setting, found, reasons[kind])


def _generator(facts: Facts) -> Proposal:
    many = facts.rows >= SIZES[1][0]
    why = f"{facts.rows} pictures are {'many: a critic learns' if many else 'few for a critic'}"
    return Proposal("model.architecture", "dcgan" if many else "vae", f"{why} to tell real ones from made ones")


def _size(facts: Facts, architecture: str) -> Iterator[Proposal]:
    taken, rows = facts.architectures.get(architecture, []), f"{facts.rows} rows"
    for name, value, why in _sizes(facts, architecture):
        if name in taken:
            yield Proposal(f"model.{name}", value, why)
    if "dropout" in taken and facts.rows < SIZES[1][0]:
        yield Proposal("model.dropout", 0.1, f"{rows} are few: dropping units keeps them from being learnt by heart")


def _sizes(facts: Facts, architecture: str) -> Iterator[tuple[str, int, str]]:
    """Names of settings, values and reasons; that it takes them is asked by who reads them."""
    rows, few, many = f"{facts.rows} rows", facts.rows < SIZES[0][0], facts.rows >= SIZES[1][0]
    pixels = min(facts.size[1:], default=0)
    if architecture == "mlp":
        width = next((width for most, width in SIZES if facts.rows < most), 256)
        yield "width", width, f"{rows}: wide enough to learn, too narrow to learn them by heart"
        yield "depth", 1 if few else 2, f"{rows} {'are too few for' if few else 'allow'} a second layer"
    elif architecture == "resnet":
        yield "width", 16, "channels of the first stage; each further one has twice as many"
        yield "depth", 1 if pixels <= SMALL_PICTURE else 2, f"blocks a stage, for a picture {pixels} wide"
    elif architecture == "inception":
        yield "width", 12 if many else 8, f"a quarter of a module's channels, for {rows}"
        yield "depth", 1, "modules a stage: each looks at its input in four ways already"
    elif architecture in RECURRENT:
        yield "width", 128 if many else 64, f"what is remembered of a row, of {rows}, in each direction"
        yield "depth", 1, "one layer reads in both directions; a second costs as much again"
    elif architecture == "transformer":
        yield "width", 128 if many else 64, f"numbers a token, of {rows}"
        yield "depth", 2, "blocks: what the first finds, the second can compare"
    elif architecture == "vae":
        yield "width", 256, "units of a layer, between all pixels and few numbers"
        yield "latent", 16, "numbers that a picture is told by"
    elif architecture == "dcgan":
        yield "width", 16, "channels next to the pixels; each layer further in has twice as many"
        yield "latent", 32, "numbers of noise that a picture is made of"


def _output(facts: Facts) -> Iterator[Proposal]:
    if facts.task == "regression" and (facts.counts or facts.positive):
        yield Proposal("model.output", "positive", "the target is never negative, and so no prediction should be")


def _loss(facts: Facts) -> Iterator[Proposal]:
    if facts.task != "generation":  # whose networks have their own
        yield _loss_of(facts)


def _loss_of(facts: Facts) -> Proposal:
    setting = "training.loss"
    if facts.task == "classification":
        return Proposal(setting, "cross_entropy", f"one of {len(facts.classes)} classes")
    if facts.task == "multilabel":
        return Proposal(setting, "binary_cross_entropy", f"any of {facts.targets} labels")
    if facts.quantiles:
        return Proposal(setting, "pinball", "the loss whose least value is at the quantiles")
    if facts.counts and facts.mean < 10 and not facts.binary:
        return Proposal(setting, "poisson", f"small counts, {facts.mean:.2g} on average, vary as much as their mean")
    if abs(facts.skew) > SKEWED:
        return Proposal(setting, "mae", f"the target is skewed ({facts.skew:.1f}): large values would rule a square")
    return Proposal(setting, "huber", f"the target is even ({facts.skew:.1f} skewed): squares, but not of outliers")


def _metric(facts: Facts) -> Proposal:
    if facts.task == "classification":
        uneven = min(facts.classes) < RARE * max(facts.classes)
        name = "macro_f1" if uneven else "accuracy"
        why = "classes are unequal, and accuracy forgets rare ones" if uneven else "classes are about equal"
    elif facts.task == "generation":
        name, why = "discrepancy", "beside its baselines, and by the sheet of samples: no label says how good one is"
    elif facts.task == "multilabel":
        name, why = "micro_f1", "most labels do not hold, which accuracy would count as right"
    elif facts.quantiles:
        name, why = "pinball and coverage", "how good, and how honest, the quantiles are"
    else:
        name, why = "mae", "it is in the target's own unit"
    return Proposal("metric", None, f"judge by {name}: {why}")


def _batch(facts: Facts) -> Proposal:
    size = int(min(256, max(16, 2 ** math.floor(math.log2(max(facts.rows, 1) / 32)))))
    return Proposal("training.batch_size", size, f"{math.ceil(facts.rows / size)} steps an epoch of {facts.rows} rows")


def _optimiser(architecture: str, batch: int) -> Iterator[Proposal]:
    yield Proposal("training.optimiser", "adamw", "it needs least tuning on any kind of data")
    rate, why = 0.003, "adamw's own"
    if architecture == "dcgan":
        rate, why = 0.001, "two networks that chase each other bear no large steps; with optimisation: {beta1: 0.5}"
    elif architecture == "transformer":
        rate, why = 0.001, "attention bears no large steps"
    elif architecture != "mlp" and batch < 32:
        rate, why = 0.001, f"gradients of {batch} rows are noisy"
    yield Proposal("training.learning_rate", rate, f"{why}; `staytrue rate` measures one")


def _epochs(facts: Facts, batch: int) -> Iterator[Proposal]:
    steps = math.ceil(facts.rows / batch)
    wanted = 2_000 if facts.size else 4_000
    epochs = min(200, max(10, math.ceil(wanted / steps)))
    yield Proposal("training.epochs", epochs, f"about {epochs * steps} steps, if nothing stops it before")
    yield Proposal("training.patience", max(3, epochs // 5), "a fifth of them: a pause is not yet the end")


def _split(facts: Facts) -> Iterator[Proposal]:
    if facts.method in ("grouped", "given", "time"):
        return
    told = f"neighbours in time are {'alike' if facts.dependence >= DEPENDENT else 'hardly alike'}"
    told = f"{told} (correlation {facts.dependence:.2f})"
    if facts.dependence >= DEPENDENT and facts.method != "blocks":  # somebody may know that the times mean nothing
        yield Proposal("split.method", None, f"{told}: unless rows only lie in this order, set blocks, or grouped")
    elif facts.dependence >= DEPENDENT:
        yield Proposal("split.method", "blocks", f"{told}: rows drawn one by one would leak into other parts")
    else:
        named = facts.task == "classification"
        method: Method = "stratified" if named else "random"
        why = "each part gets its share of each class" if named else "rows may be drawn one by one"
        yield Proposal("split.method", method, f"{told}: {why}")
        for name in facts.split:
            if method not in READERS[name]:
                yield Proposal(f"split.{name}", UNSET, f"has no effect with method: {method}, and must not be set")


def _balance(facts: Facts) -> Iterator[Proposal]:
    if facts.task != "classification":
        return
    low, high = min(facts.classes), max(facts.classes)
    if low < RARE * high:
        why = f"the rarest class has {low:.1%} of the rows, the largest {high:.1%}"
        yield Proposal("training.class_weights", "balanced", why)
    else:
        yield Proposal("training.class_weights", "none", f"classes have {low:.1%} to {high:.1%} of the rows")


def _advice(facts: Facts) -> Iterator[Proposal]:
    if facts.binary:
        why = "the target has two values: its classes are named, with how probable they are, by classification"
        yield Proposal("model.task", None, why)
    for name, count in facts.categories.items():
        if count > MANY_CATEGORIES:
            why = f"{count} different values: numbers learnt for each are fewer than a column for each"
            yield Proposal(f"data.features.{name}", None, f"encoding: embedding; {why}")
    if facts.missing > 0.05:
        yield Proposal("cleaning.missing", None, f"{facts.missing:.0%} of the values are missing: see docs/cleaning.md")

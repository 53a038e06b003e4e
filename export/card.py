"""The model card: what a person should know before they trust a version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from staytrue.asking import command
from staytrue.costs import arranged, changed, percent
from staytrue.environment import said
from staytrue.evaluation import figure, headline, interval, is_headline
from staytrue.openings import opened, perhaps_others
from staytrue.records import utc
from staytrue.showing import categories, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staytrue.bundle import Bundle, Metric, Parity
    from staytrue.environment import Environment
    from staytrue.evaluation import Evaluation, SliceEvaluation
    from staytrue.lineage import Lineage
    from staytrue.signature import TensorSpec

MOST_CATEGORIES = 12
SAME = "That shows that serving changes none of its answers, not that these are right."


def card(bundle: Bundle, environment: Environment | None = None, evaluation: Evaluation | None = None) -> str:
    """The card as Markdown; with what the model was trained on and how it does by slices, where that is known."""
    lineage = bundle.lineage
    lines = [
        f"# {bundle.name}, version {bundle.version}",
        "",
        f"A {bundle.task} model of `{bundle.target}`, made {bundle.created}: {lineage.reason}.",
        "",
        "## Data",
        "",
        *(_made_elsewhere(bundle) if lineage.imported else _trained(bundle)),
        *([f"The newest row it has seen is of {utc(lineage.trained_until)}."] if lineage.trained_until else []),
        *([f"It began with weights of SHA-256 `{lineage.began_with}`."] if lineage.began_with else []),
        *([] if lineage.imported else ["", _test_split(lineage, own="test" in bundle.evaluation)]),
        *[f"\n**Let through by `split.allow`: {_cell(found)}.**" for found in lineage.let_through],
        *(["", said(environment)] if environment else []),
        *(["", *_evaluation(bundle, evaluation)] if bundle.evaluation else []),
    ]
    lines += ["", "## Inputs", "", *_specs(bundle.signature.inputs)]
    lines += ["", "## Outputs", "", *_specs(bundle.signature.outputs)]
    if bundle.classes:
        lines += ["", "## Classes", "", _cell(", ".join(map(quoted, bundle.classes)))]
    lines += ["", "## A request", "", *_request(bundle)]
    lines += [
        "",
        "## Proof of the export",
        "",
        "| artefact | runtime | batch | rows | largest error | allowed | of it |",
    ]
    lines += ["|---|---|---|---|---|---|---|", *map(_proof, bundle.parity), ""]
    lines += _fidelity(bundle)
    against = dict.fromkeys(proof.against for proof in bundle.parity if proof.against)
    lines += [line for said in against for line in (f"Compared with {_cell(said)}. {SAME}", "")]
    return "\n".join(lines)


def _evaluation(bundle: Bundle, evaluation: Evaluation | None) -> list[str]:
    """The headline metrics by split; what has no value, with the reason; and the slices of the split judged last."""
    lines = ["## Evaluation", "", "| split | metric | value | interval |", "|---|---|---|---|"]
    for split, metrics in bundle.evaluation.items():
        for name, metric in headline(metrics).items():
            note = f"; {_cell(metric.note)}" if metric.note else ""
            lines.append(f"| {split} | {_cell(name)} | {metric.value:.4g} | {interval(metric)}{note} |")
    parts = evaluation.parts if evaluation else {}
    for split, part in parts.items():
        lacking = {name: reason for name, reason in part.absent.items() if is_headline(name) or not part.metrics}
        lines += [f"| {split} | {_cell(name)} | - | {_cell(reason)} |" for name, reason in lacking.items()]
    sliced = [(split, part.slices) for split, part in parts.items() if part.slices]
    if sliced:
        split, slices = sliced[-1]
        lines += ["", f"## Slices of {split}", "", "| slice | rows of it | rows | metrics |", "|---|---|---|---|"]
        lines += map(_slice, slices)
    return lines


def _slice(one: SliceEvaluation) -> str:
    told = [_figure(name, metric) for name, metric in one.metrics.items()]
    told += [f"{name}: {reason}" for name, reason in one.absent.items()]
    return f"| {_cell(one.name)} | {_cell(one.holds)} | {one.rows} | {_cell(one.note or ', '.join(told))} |"


def _figure(name: str, metric: Metric) -> str:
    return figure(name, metric) + (f" ({metric.note})" if metric.note else "")


def _trained(bundle: Bundle) -> list[str]:
    lineage = bundle.lineage
    return [
        f"Trained on {lineage.trained_rows} rows (fingerprint `{lineage.data_fingerprint}`), run `{lineage.run}`"
        + (f", to follow version {lineage.parent}." if lineage.parent else ".")
    ]


def _made_elsewhere(bundle: Bundle) -> list[str]:
    lineage = bundle.lineage
    rows = f"Drift is seen by reference rows of SHA-256 `{lineage.data_fingerprint}…`."
    none = "It came without reference rows: its drift cannot be seen."
    return [
        f"Made elsewhere, of {_cell(lineage.imported)}. What it was trained on, and how well, is not known here.",
        "",
        rows if lineage.data_fingerprint else none,
    ]


def _proof(proof: Parity) -> str:
    allowed = f"{proof.absolute_tolerance:.2g} + {proof.relative_tolerance:.0e} relative"
    if proof.by_mean:
        allowed = f"{proof.absolute_tolerance:.2g} apart in the mean of real rows"
    batch = f"{proof.batch}{' ' if proof.arrangement or proof.shapes else ''}{arranged(proof)}"
    form = f"{proof.format} ({_cell(proof.made)})" if proof.made and not proof.by_mean else proof.format
    used = "" if proof.share is None else f"{percent(proof.share)} at most"
    return f"| {form} | {proof.runtime} | {batch} | {proof.rows} | {proof.max_abs_error:.2g} | {allowed} | {used} |"


def _fidelity(bundle: Bundle) -> list[str]:
    """What each artefact costs on validation rows; nothing of versions of which it is not known."""
    if not bundle.fidelity:
        return []
    lines = [
        "## Artefacts on the validation split",
        "",
        "| artefact | bytes | rows | apart | 95% within | other decisions | metric |",
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in bundle.fidelity:
        made = f"{one.format}: {one.made}" if one.made else one.format
        differing = "-" if one.differing is None else f"{one.differing:.2%}"
        apart = f"{one.apart:.2g} | {one.far:.2g}"
        told = f"{one.bytes:,} | {one.rows} | {apart} | {differing} | {_cell(changed(one))}"
        lines.append(f"| {_cell(made)} | {told} |")
    said = "Apart is the mean distance of a row's answer from the model's own: of numbers in the target's deviations, "
    said += "of classes half the sum of all changes of their probabilities, of labels the largest change."
    return [*lines, "", f"{said} A change is told with its interval, of the same rows answered by both.", ""]


def _specs(specs: Sequence[TensorSpec]) -> list[str]:
    """A table of inputs or outputs; of what none of them has there is no column."""
    more: dict[str, list[str]] = {
        "unit": [spec.unit for spec in specs],
        "range": [f"{spec.range[0]:.10g} to {spec.range[1]:.10g}" if spec.range else "" for spec in specs],
        "what it is": [_about(spec) for spec in specs],
    }
    told = {name: cells for name, cells in more.items() if any(cells)}
    titles, plain = (
        ["name", "type", "categories", *told],
        ([_cell(s.name), _type(s), _cell(categories(s, MOST_CATEGORIES))] for s in specs),
    )
    rows = [[*start, *map(_cell, rest)] for start, *rest in zip(plain, *told.values(), strict=True)]
    return [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows)]


def _about(spec: TensorSpec) -> str:
    state = f'the output "{spec.state}" of the request before' if spec.state else ""
    return "; ".join(filter(None, (spec.description, state)))


def _request(bundle: Bundle) -> list[str]:
    """A request that is accepted as it stands, with values that stand for the caller's own."""
    text = command(bundle.name, bundle.signature)
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    said = f"One row of at most {bundle.max_batch}" if bundle.signature.rows != "none" else "One request"
    said += ", to a server as it comes; put your own values in. With keys add `-H 'Authorization: Bearer KEY'`."
    return [said, "", f"{fence}sh", *text.split("\n"), fence]


def _type(spec: TensorSpec) -> str:
    return f"{spec.label()}, {spec.tokens} tokens by {spec.tokenizer}" if spec.tokenizer else spec.label()


def _cell(text: str) -> str:
    """Text of the data's, such that it does not end the table's cell or row."""
    return " ".join(text.replace("|", "\\|").split())


def _test_split(lineage: Lineage, *, own: bool) -> str:
    """Whether, how often, when, and for whom the seal was broken."""
    often = opened(lineage)
    if not often:
        return "The sealed test split was not opened for this version."
    others = f" {_cell(told)}" if (told := perhaps_others(lineage)) else ""
    if not own:
        return f"The sealed test split stayed shut for this version. It was {often}.{others}"
    if lineage.test_openings == 1:
        return f"The sealed test split was {often}; the evaluation below is of it."
    surely = lineage.test_openings - len([model for model in lineage.test_opened_by_time if model])
    unseen = "are no longer unseen" if surely > 1 else "are unseen only if these were other rows"
    return f"**The sealed test split was {often}: its figures below {unseen}.**{others}"

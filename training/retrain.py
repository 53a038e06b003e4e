"""Retrain: one job, from the rows to the verdict: divide, train, export, judge, promote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from export.gate import check_task, judge
from export.publish import publish
from staytrue.errors import Conflict, InvalidConfig, NotFound
from staytrue.lineage import Lineage
from staytrue.records import utc, write_atomically
from staytrue.store import Store
from training import checkpoint as checkpoints
from training.data.classes import of_classes
from training.data.clean import steps
from training.data.clean.cleaning import clean_served
from training.data.divide import divide, recency
from training.data.labelled import labelled
from training.data.rows import join
from training.data.split.identity import keep
from training.data.split.ledger import Ledger, told_of
from training.data.split.plan import day_of
from training.devices import devices
from training.judgement.final import up_to_date
from training.judgement.restored import sealing_of
from training.parts import Parts
from training.prepare import STEPS, prepare
from training.progress import LONG_SECONDS, watched
from training.reference import held, sample
from training.run import evaluate_parts, fit_parts, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from staytrue.bundle import Bundle
    from staytrue.project import Project
    from staytrue.verdicts import RetrainJob, Verdict
    from training.data.rows import Rows
    from training.prepare import Prepared


def retrain(
    project: Project,
    job: RetrainJob,
    *,
    say: Callable[[str], None] = lambda _: None,
    decided: Callable[[Verdict], None] = lambda _: None,
) -> Verdict:
    """Do a job; the verdict, already acted upon.

    Raises:
        InvalidConfig: the job is another model's, or the model a generator.
        Conflict: the champion is not the one that the job was made for, there is nothing new to learn or judge by, or
            there are several targets, which no gate judges yet.
    """
    if job.model != project.name:
        raise InvalidConfig(f"job {job.id}", expected=f'model "{project.name}"', got=f'"{job.model}"')
    if project.model.task == "generation":
        hint = "set retraining.enabled: false, and train anew by hand"
        raise InvalidConfig("model.task", "generation has no labels that a challenger could be judged by", hint=hint)
    check_task(project.model.task, project.data.targets)
    store = Store.of(project)
    _refuse_unsigned(project)
    _refuse_unserved(project)
    _refuse_stale(store, job)
    champion = store.load(job.model, job.champion)
    with watched(len(STEPS), say, least_seconds=LONG_SECONDS) as watch:
        prepared = prepare(project, watch=watch)
    project = steps.dense(project, prepared.training)
    _refuse_resealed(project, prepared)
    parts, gate = gather(project, prepared, champion.lineage.trained_until, job.event_time, say=say)
    say(f"training on {len(parts.train)} rows, {len(parts.held)} to stop by, {len(gate)} kept to judge by")
    folder = _run(project, job, prepared, parts, gate, say)
    bundle = publish_run(store, folder, project)
    say(f"published {bundle.name} version {bundle.version}, proven")
    served = project.serving.artefact
    verdict = judge(store, job, bundle.version, gate.inputs(), gate.target, gate.time, project.retraining.gate, served)
    decided(verdict)  # before it is acted upon: a kill in between must not leave a promotion without its verdict
    return _act(store, job, verdict)


def gather(
    project: Project,
    prepared: Prepared,
    trained_until: float,
    until: float,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Parts, Rows]:
    """Old and new rows to train on, and new ones to judge by; served rows are cleaned as the project's own were.

    Old rows are the project's train and validation parts. Rows of the lake that are not newer than the project's own
    data are left out: they may repeat it, and sealed test rows must not come back through that door. Nor must newer
    ones that are copies: of rows that judge they do not train, of rows that train they do not judge.

    Raises:
        Conflict: no new rows.
    """
    served = _served(project, prepared, until, say)
    division = divide(served, trained_until, project.split.validation, project.retraining)
    if not len(division.gate):
        since = utc(trained_until)
        raise Conflict("retraining", f"no labelled rows newer than {since} to judge by", hint="send labels first")
    names = project.data.features
    own = prepared.training.only(names), prepared.validation.only(names)
    division, copies = prepared.sealed.without_copies(division, own, names, project.split.allow)
    for one in copies:
        say(f"copies: {one.sentence()}")
    if not len(division.gate):
        hint = "send labels of other rows, or let copies through by split.allow: [duplicates]"
        raise Conflict("retraining", "every row to judge by is a copy of one that the project learns from", hint=hint)
    train = own[0].with_(division.train)
    held = join([own[1], division.held])
    weights = recency(train.time, held.time, project.retraining.recency_half_life_days)
    return Parts(train, held, weights, prepared.classes, copies), division.gate


def _served(project: Project, prepared: Prepared, until: float, say: Callable[[str], None]) -> Rows:
    """Labelled rows that a challenger can learn from; says how many others there were."""
    found = labelled(project, since=float(prepared.rows.time[-1]), until=until)
    rows, touched = clean_served(found.rows, project.cleaning)
    rows, unknown = of_classes(rows, prepared.classes)
    touched |= {"rows with unfit pictures": found.unfit, "rows of unknown classes": unknown}
    counts = ", ".join(f"{count} {what}" for what, count in touched.items() if count)
    if counts:
        say(f"of {len(found.rows) + found.unfit} served and labelled rows: {counts}")
    return rows


def publish_run(store: Store, folder: Path, project: Project) -> Bundle:
    """Export a finished run, prove it and publish it as a version; it is nobody's champion yet."""
    checkpoint, reference, model = checkpoints.load(folder)
    checkpoint = up_to_date(checkpoint, folder, project)
    pictures, settings = checkpoints.pictures(folder), project.export
    rows = sample(reference, checkpoint.signature, pictures=pictures)
    judged = held(reference, checkpoint, settings.reduction.calibration_rows, pictures)
    return publish(store, model, checkpoint, reference, rows, settings, run=folder, held=judged)


def _let_through(prepared: Prepared, parts: Parts) -> list[str]:
    """Sentences for the model card, each with the data that it speaks of."""
    old = [f"of the project's own rows as first split: {sentence}" for sentence in prepared.split.let_through]
    through = [one.finding.sentence() for one in parts.copies if one.finding.verdict == "let through"]
    return [*old, *(f"of the rows of this retraining: {sentence}" for sentence in through)]


def _run(
    project: Project, job: RetrainJob, prepared: Prepared, parts: Parts, gate: Rows, say: Callable[[str], None]
) -> Path:
    folder = checkpoints.new_run(project.retraining.runs)
    days = {"train": parts.train, "validation": parts.held, "gate": gate}
    listing: dict[str, object] = {
        name: {"rows": len(rows), "days": np.unique(day_of(rows.time)).tolist()} for name, rows in days.items()
    }
    seal = prepared.sealed.seal(project.data.features)
    listing |= {"copies": parts.copies, "seal": seal, "lineage": prepared.sealed.lineage}
    keep(prepared.sealed.keys.all, folder / checkpoints.SEALED)
    opened = Ledger(project.retraining.runs).known(prepared.sealed.keys.all, seal, project.name)
    write_atomically(folder / checkpoints.SPLIT, msgspec.json.encode(listing))
    seen = join([parts.train, parts.held, gate])
    checkpoints.save_asked(project, prepared, folder)
    checkpoints.save_configuration(project, folder)
    trained = fit_parts(project, parts, folder, seen.digest(), devices(project.training), say=say)
    lineage = Lineage(
        run=folder.name,
        data_fingerprint=seen.digest(),
        project_fingerprint=project.fingerprint(),
        parent=job.champion,
        reason=f"retraining {job.id}: {job.trigger}",
        # The gate's rows chose this version, so for the next gate they count as seen.
        trained_until=float(seen.time[-1]),
        trained_rows=len(trained.cleaned.rows),
        let_through=_let_through(prepared, parts),
        began_with=project.training.transfer.sha256(),
    )
    save(
        project,
        trained,
        evaluate_parts(project, trained),
        told_of(lineage, opened),
        folder,
        _reference(project, parts, gate),
    )
    return folder


def _reference(project: Project, parts: Parts, gate: Rows) -> Parts:
    """The parts that monitoring compares with: the gate's rows were held out too, and they are the newest there are."""
    held = join([parts.held, gate])
    weights = recency(parts.train.time, held.time, project.retraining.recency_half_life_days)
    return Parts(parts.train, held, weights, parts.classes)


def _act(store: Store, job: RetrainJob, verdict: Verdict) -> Verdict:
    """Promote where the verdict says so and the champion is still the one it was judged against."""
    if not verdict.promote:
        return verdict
    figures = {
        "champion_error": verdict.champion_error,
        "challenger_error": verdict.challenger_error,
        "difference": verdict.difference,
        "low": verdict.low,
        "high": verdict.high,
        "rows": float(verdict.rows),
    }
    why = f"retraining {job.id}: {verdict.reason}"
    try:
        store.promote(job.model, verdict.challenger, reason=why, figures=figures, expected=job.champion)
    except Conflict as error:
        return msgspec.structs.replace(verdict, promote=False, reason=f"{verdict.reason}; but {error}")
    return verdict


def _refuse_resealed(project: Project, prepared: Prepared) -> None:
    """Refuse data that were changed since the first training: split anew, sealed test rows would come to train.

    Raises:
        Conflict: another test split would be sealed than the first training sealed.
    """
    try:
        first = checkpoints.newest_run(project.retraining.runs, project.name)
        sealed = sealing_of(first).seal if (first / checkpoints.SPLIT).exists() else ""
    except NotFound:
        return
    if not sealed:
        return  # the run was made elsewhere: its own machine keeps the seal
    if prepared.sealed.seal(project.data.features) != sealed:
        hint = "train, export and promote on the new data; later retrainings then go on from there"
        raise Conflict("project data", f"changed since run {first.name} sealed its test split", hint=hint)


def _refuse_unsigned(project: Project) -> None:
    """Refuse to make a challenger that could not be promoted, for nobody would have signed it.

    Raises:
        InvalidConfig: versions must be signed, and there is no key to sign with.
    """
    if project.serving.trusted_keys is not None and project.export.signing_key is None:
        hint = "set it, or drop serving.trusted_keys"
        raise InvalidConfig("export.signing_key", "serving.trusted_keys asks for signed versions", hint=hint)


def _refuse_unserved(project: Project) -> None:
    """Nobody could serve what it makes.

    Raises:
        InvalidConfig: what is served is not made.
    """
    served, made = project.serving.artefact, project.export.formats
    if served not in made:
        hint = f"set export.formats: [{', '.join([*made, served])}]"
        raise InvalidConfig("export.formats", expected=f"{served}, which is served", got=", ".join(made), hint=hint)


def _refuse_stale(store: Store, job: RetrainJob) -> None:
    current = store.aliases(job.model).champion
    if current != job.champion:
        hint = "the job is out of date"
        raise Conflict(f"job {job.id}", expected=f"champion {job.champion}", got=current, hint=hint)

"""The commands ``prepare``, ``train``, ``export`` and ``retrain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from staytrue import project as projects
from staytrue.checkpoint import CONFIGURATION
from training.runs import SAID, add_one, found, placed

if TYPE_CHECKING:
    import argparse

    from staytrue.bundle import Metric
    from staytrue.project import Project
    from staytrue.verdicts import Verdict
    from training.stages import Step

VERDICT = "verdict.json"
NEWEST = Path()


def _say(text: str) -> None:
    print(text, flush=True)


class Train:
    """``staytrue train``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument("--seed", type=int, help="instead of training.seed")
        parser.add_argument(
            "--test",
            choices=["skip", "once", "force"],
            default="skip",
            help="the sealed test split, once the run is finished: leave it to `staytrue evaluate --final` (skip, the "
            "default), open it if it never was, or whatever the ledger says",
        )

        parser.add_argument(
            "--resume",
            nargs="?",
            type=Path,
            const=NEWEST,
            metavar="RUN",
            help=f"go on with a run that was killed, {SAID}, to the same weights (default RUN: the newest unfinished)",
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Train; print the run's folder and its metrics."""
        from staytrue.checkpoint import CHECKPOINT, Checkpoint
        from staytrue.errors import StaytrueError
        from staytrue.records import read, writable
        from training import devices
        from training.checkpoint import unfinished
        from training.prepare import check
        from training.processes import is_first, is_main, launch, leave_telling_to_main, waits_for_more
        from training.report import PAGE
        from training.resume import STATE
        from training.run import train

        project, resume = resolved(arguments.project, seed=arguments.seed), arguments.resume
        writable(project.retraining.runs, "retraining.runs")
        if resume is not None:
            runs = project.retraining.runs
            resume = unfinished(runs, project.name, None if resume == NEWEST else placed(resume, runs, CONFIGURATION))
            if is_first():
                kept = (resume / STATE).is_file()
                _say(f"going on with run {resume}" if kept else f"run {resume} has saved no state yet: it begins anew")
        if waits_for_more(project.training):
            check(project)  # or each of them would refuse the same
            devices.check(project.training)
            return launch(project.training, ["train", "--project", str(arguments.project), *_given(arguments, resume)])
        try:
            folder = train(project, opening=arguments.test, resume=resume, say=_say)
        except StaytrueError:
            leave_telling_to_main()
            raise
        if not is_main():
            return 0
        checkpoint = read(Checkpoint, folder / CHECKPOINT)
        _say(f"trained {checkpoint.name}: kept epoch {checkpoint.best_epoch} of {checkpoint.epochs}")
        _say(table(checkpoint.evaluation))
        _say(f"report: {folder / PAGE}")
        _say(f"run: {folder}")
        if line := _fault(project, folder):
            _say(line)
        return 0


class Prepare:
    """``staytrue prepare``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument(
            "--output",
            type=Path,
            default=Path("prepared"),
            help="folder for the report and the rows (default: prepared)",
        )
        parser.add_argument(
            "--until",
            choices=["collect", "clean", "split", "repair", "encode"],
            help="stop after this step and write the rows that it leaves to rows-STEP.parquet, without a report; from "
            "split on without the sealed ones, from repair on those that train",
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Prepare the project's data; write the report and the rows that may be looked at."""
        from staytrue.records import writable
        from training.output import WHOLE, output, rows_of

        folder, until = writable(arguments.output, "--output"), arguments.until
        with output(folder, _say, [rows_of(until)] if until else WHOLE) as new:
            told = _prepared(resolved(arguments.project), until, folder, new)
        for line in told:
            _say(line)
        return 0


def _prepared(project: Project, until: Step | None, folder: Path, new: Path) -> list[str]:
    """Write to ``new`` what will be in the folder; what to say of it then."""
    from training import prepare as preparing
    from training import report as reports
    from training import stages
    from training.output import ROWS, SCHEMA, WHOLE, rows_of
    from training.progress import watched

    with watched(len(preparing.REPORTED) + (project.labelling.annotations is not None), _say) as watch:
        if until:
            stage = stages.rows_after(project, until, watch=watch)
            stages.write(stage, project, new / rows_of(until))
            there = [name for name in WHOLE if (folder / name).is_file()]
            older = [f"of the last whole run, as they were: {', '.join(there)} in {folder}"] if there else []
            return [*older, f"{len(stage.rows)} rows: {folder / rows_of(until)}"]
        prepared = preparing.prepare(project, watch=watch)
        chapters = preparing.chapters(project, prepared, watch=watch)
        with watch("report"):
            made = reports.report(f"Data of {project.name}", chapters)
            reports.write(made, new)
            reviewed = project.data.schema_file
            if reviewed is None or reviewed.resolve() != (folder / SCHEMA).resolve():
                preparing.write_schema(project, prepared, new / SCHEMA)
            stages.write(stages.shown(prepared.rows, prepared.split), project, new / ROWS)
    counts = ", ".join(f"{count} {part}" for part, count in prepared.sizes.items())
    said = f"{len(prepared.rows)} rows: {counts} (sealed)"
    return [*(f"look at {warning}" for warning in made.warnings), said, f"report: {folder / reports.PAGE}"]


class Export:
    """``staytrue export``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        add_one(parser, "--run")
        parser.add_argument("--promote", action="store_true", help="make it the champion; needs --reason")
        parser.add_argument("--reason", default="", help="why it is promoted, for the journal")

    def run(self, arguments: argparse.Namespace) -> int:
        """Export, prove, publish; promote if asked to, or if there is no champion yet."""
        from staytrue.costs import arranged, costs, error_of
        from staytrue.errors import InvalidConfig
        from staytrue.store import Store
        from training.retrain import publish_run

        if arguments.promote and not arguments.reason.strip():
            raise InvalidConfig("--promote", "needs --reason TEXT for the journal")
        project = resolved(arguments.project)
        store = Store.of(project)
        folder = found(arguments.run, project.retraining.runs, project.name)
        bundle = publish_run(store, folder, project)
        for proof in bundle.parity:
            how = f" {said}" if (said := arranged(proof)) else ""
            _say(f"proven {proof.format} at batch {proof.batch}{how}: {error_of(proof)} ({proof.runtime})")
        for one in bundle.fidelity:
            _say(f"{one.format}: {costs(one)}")
        _say(f"published {bundle.name} version {bundle.version}: {store.where}/{bundle.name}/{bundle.version}")
        if arguments.promote or not store.standing(bundle.name).champion:
            reason = arguments.reason or "first version"
            store.promote(bundle.name, bundle.version, reason=reason, figures=_figures(bundle.evaluation))
            _say(f"champion of {bundle.name} is version {bundle.version}: {reason}")
        return 0


class Retrain:
    """``staytrue retrain``."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        projects.add_flag(parser)
        parser.add_argument("--job", type=Path, required=True, help="file of the job; the verdict is written beside it")
        parser.add_argument(
            "--data", type=Path, help="folder of the sidecar that holds the lake, instead of the project's"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Do the job. Promoted or not, a verdict is a success."""
        from staytrue.records import read, to_json, write_atomically
        from staytrue.settings import resolve
        from staytrue.verdicts import RetrainJob
        from training.retrain import retrain

        project = resolved(arguments.project)
        monitoring = resolve(project.monitoring, "monitoring", {"data": arguments.data})
        project = project.model_copy(update={"monitoring": monitoring})

        def decided(verdict: Verdict) -> None:
            write_atomically(arguments.job.parent / VERDICT, to_json(verdict))

        verdict = retrain(project, read(RetrainJob, arguments.job), say=_say, decided=decided)
        decided(verdict)
        outcome = "promoted" if verdict.promote else "not promoted"
        versions = f"version {verdict.challenger} against {verdict.champion}"
        errors = f"{verdict.metric} {verdict.challenger_error:.4g} against {verdict.champion_error:.4g}"
        _say(f"{outcome}: {versions}, {errors} on {verdict.rows} rows; {verdict.reason}")
        return 0


prepare, train, export, retrain = Prepare(), Train(), Export(), Retrain()


def resolved(path: Path, **training: int | None) -> Project:
    """The project with the environment's settings and these flags of the training section applied."""
    from staytrue.settings import resolve

    project = projects.load(path)
    sections = {
        "cleaning": resolve(project.cleaning, "cleaning", {}),
        "labelling": resolve(project.labelling, "labelling", {}),
        "split": resolve(project.split, "split", {}),
        "model": resolve(project.model, "model", {}),
        "training": resolve(project.training, "training", training),
        "evaluation": resolve(project.evaluation, "evaluation", {}),
        "export": resolve(project.export, "export", {}),
        "retraining": resolve(project.retraining, "retraining", {}),
    }
    return project.model_copy(update=sections)


def _fault(project: Project, folder: Path) -> str:
    """The first fault that curves and figures of a run tell, and where there is more; nothing if they tell none."""
    from training.diagnose.case import case
    from training.diagnose.diagnosis import diagnose

    if project.model.task == "generation":
        return ""
    found = diagnose(case(project, folder)).findings
    return f"{found[0].kind}: {found[0].summary}; `staytrue diagnose` tells what to try" if found else ""


def _given(arguments: argparse.Namespace, resume: Path | None) -> list[str]:
    """The flags of a training, for the processes that share it."""
    seed = [] if arguments.seed is None else ["--seed", str(arguments.seed)]
    return ["--test", arguments.test, *seed, *([] if resume is None else ["--resume", str(resume)])]


def table(evaluation: dict[str, dict[str, Metric]]) -> str:
    """The headline metrics of each part, a line a part; below it what is to be known of them."""
    from staytrue.evaluation import figure, headline

    lines = []
    for part, metrics in evaluation.items():
        shown = headline(metrics)
        lines.append(f"  {part:<10}  {'  '.join(figure(name, metric) for name, metric in shown.items())}")
        for note in dict.fromkeys(metric.note for metric in shown.values() if metric.note):
            named = [name for name, metric in shown.items() if metric.note == note]
            whose = f"{', '.join(named)}: " if len(named) < len(shown) else ""
            lines.append(f"  {'':<10}  ({whose}{note})")
    return "\n".join(lines)


def _figures(evaluation: dict[str, dict[str, Metric]]) -> dict[str, float]:
    from staytrue.evaluation import headline

    shown = {part: headline(metrics) for part, metrics in evaluation.items()}
    return {f"{part}_{name}": metric.value for part, metrics in shown.items() for name, metric in metrics.items()}

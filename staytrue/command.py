"""``staytrue``: one command, which finds the parts' commands by name and imports a part only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import keyword
import os
import select
import sys
from typing import TYPE_CHECKING, Protocol, cast

from staytrue import __version__
from staytrue.errors import ErrorCode, InvalidConfig, StaytrueError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Command(Protocol):
    """What a part's ``commands`` module holds for each of its commands."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code."""


COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("staytrue.commands", "write a commented staytrue.yaml for a data file of yours"),
    "prepare": ("training.commands", "collect, clean and split the data; a report to judge them by"),
    "train": ("training.commands", "prepare the data and train a model: a run"),
    "evaluate": ("training.judgement.commands", "judge a run by its validation rows or, once, by the sealed test rows"),
    "diagnose": ("training.diagnose.commands", "look for faults of a run, by figures, and propose what to try"),
    "rate": ("training.rates.commands", "try learning rates on a fresh model and propose one"),
    "suggest": ("training.suggest.commands", "read the data and propose settings, each with its reason"),
    "tune": ("training.tune.commands", "try settings of a search space and write down the best configuration"),
    "compare": ("training.compare.commands", "put runs side by side, with paired intervals of their differences"),
    "ensemble": ("training.ensemble.commands", "let several runs answer as one model: a run of their mean or vote"),
    "label": (
        "training.data.label.commands",
        "compare the labels of several annotators and settle on one for each item",
    ),
    "augment": ("training.augment.commands", "show what augmentation makes of training rows: pictures and pages"),
    "export": ("training.commands", "export a run, prove it and publish it as a version"),
    "import": ("export.commands", "take in a model made elsewhere: ONNX, TorchScript or PyTorch weights, proven"),
    "serve": ("serving.commands", "answer predictions over REST and gRPC"),
    "monitor": ("monitoring.commands", "collect what was served, watch for drift, raise alarms, retrain"),
    "rules": ("monitoring.commands", "write the alerting rules for Prometheus"),
    "dashboards": ("monitoring.display.dashboards.commands", "write the Grafana dashboards, or push them"),
    "retrain": ("training.commands", "run one retraining job: train, export, gate, promote"),
    "promote": ("staytrue.commands", "make a version the champion"),
    "rollback": ("staytrue.commands", "go back to the champion before"),
    "canary": ("staytrue.commands", "give a version a share of the traffic, or end that"),
    "shadow": ("staytrue.commands", "have a version asked unseen what the champion is asked, or end that"),
    "models": ("staytrue.commands", "list models, versions and who answers"),
    "show": ("staytrue.upkeep", "tell what a version is: data, inputs, files, proofs, figures"),
    "diff": ("export.differences", "tell what two versions differ in: data, settings, figures, graph"),
    "sign": ("staytrue.upkeep", "sign a version, so that servers which trust the key load it"),
    "verify": ("staytrue.upkeep", "check every byte, proof and signature of a version"),
    "gc": ("staytrue.upkeep", "delete versions that nobody answers with or goes back to"),
    "fetch": ("staytrue.upkeep", "copy a model store from elsewhere, proofs checked"),
    "ping": ("serving.ping", "ask a server whether it, or a model of it, is ready, over REST or gRPC"),
    "keys": ("serving.keys", "make, list and remove the keys that callers of a server send"),
    "schema": ("staytrue.commands", "print the JSON Schema of staytrue.yaml"),
}
"""Name → module and summary. The module has an object of the command's name (``import_`` where that is a word of
Python's) that is a :class:`Command`."""

UNREAD = 128 + 13
"""Exit code of a command that was ended since nobody read what it printed: as if by SIGPIPE."""
_EXTRAS = {"training": "training", "export": "training", "serving": "serving", "monitoring": "monitoring"}
"""Parts that need packages of their own, and the extra that installs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``staytrue``.

    The exit code is 0, 1 for a failure that was explained, 2 for wrong usage, or, as of other tools whose reader has
    gone (``| head``), 141.
    """
    try:
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            print(end="", flush=True)  # or what is left would fail at the end of the process, where nobody can catch it
    except BrokenPipeError:
        if not any(map(_unread, (1, 2))):
            raise  # a connection of another kind
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
            os.dup2(nowhere.fileno(), 1)
        return UNREAD


def _unread(descriptor: int) -> bool:
    """Whether nobody reads any more what is written there."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _run(argv: list[str]) -> int:
    parser = _overview()
    known = parser.parse_args(argv[:1])
    if known.command is None:
        parser.print_help()
        return 0
    given = argparse.Namespace()
    try:
        command = _find(known.command)
        own = argparse.ArgumentParser(prog=f"staytrue {known.command}", description=COMMANDS[known.command][1] + ".")
        command.configure(own)
        given = own.parse_args(argv[1:])
        return command.run(given)
    except ModuleNotFoundError as error:
        return _explain(known.command, _needs(known.command, error))
    except StaytrueError as error:
        return _explain(known.command, _located(error, getattr(given, "project", None)))
    except KeyboardInterrupt:
        return 130


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="staytrue",
        description="Serve a PyTorch model and keep it true while the world drifts.",
        epilog=f"commands:\n{listing}\n\n`staytrue COMMAND --help` tells more of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"staytrue {__version__}")
    parser.add_argument("command", nargs="?", choices=list(COMMANDS), metavar="COMMAND", help="one of those below")
    return parser


def _find(name: str) -> Command:
    held = f"{name}_" if keyword.iskeyword(name) else name
    return cast("Command", getattr(importlib.import_module(COMMANDS[name][0]), held))


def _needs(name: str, error: ModuleNotFoundError) -> InvalidConfig:
    """What to install, where a part's own packages are not there."""
    part = COMMANDS[name][0].split(".")[0]
    if part not in _EXTRAS or (error.name or "").split(".")[0] in {"staytrue", *_EXTRAS}:
        raise error  # ours is missing: no package would help
    hint = f"pip install -e '.[{_EXTRAS[part]}]'"
    return InvalidConfig(f"command {name}", f"needs the package {error.name!r}", hint=hint)


def _located(error: StaytrueError, project: Path | None) -> StaytrueError:
    """The error with the line of the setting that it names, where the command read a project."""
    if project is None:
        return error
    from staytrue.project import located

    return located(error, project)


def _explain(name: str, error: StaytrueError) -> int:
    print(f"staytrue {name}: {error}", file=sys.stderr)
    return 2 if error.code is ErrorCode.INVALID_CONFIG else 1
